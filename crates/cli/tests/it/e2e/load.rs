//! Writes under way: clients that ask for changes, and repeat what was not answered, until they are told to stop.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::fleet::PATIENCE;
use super::http;
use super::procs::until;

/// Clients at work, one for each agent.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<BTreeSet<String>>>,
}

impl Load {
    /// Stops and starts each of the agents, over and over.
    pub(crate) fn start(at: SocketAddr, agents: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |name: &String| {
            let (name, stop) = (name.clone(), Arc::clone(&stop));
            std::thread::spawn(move || work(at, &name, &stop))
        };
        let clients = agents.iter().map(client).collect();
        Self { stop, clients }
    }

    /// Ends all clients; gives the correlation ids of the changes that were acknowledged.
    pub(crate) fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    }
}

/// One client. A change is asked for once its agent has come to rest, so that each of them leaves a row; it ends with its agent started.
fn work(at: SocketAddr, name: &str, stop: &AtomicBool) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for number in 0_u64.. {
        let (verb, rest) = if number % 2 == 0 {
            ("stop", "online")
        } else {
            ("start", "offline")
        };
        if verb == "stop" && stop.load(Ordering::SeqCst) {
            break;
        }
        until(&format!("{name} is {rest}"), PATIENCE, || {
            let answer = http::ask(at, "GET", &format!("/api/v1/agents/{name}"), &[], "")?;
            (answer.json()["phase"] == rest).then_some(())
        });
        let key = format!("{name}-{number}");
        let path = format!("/api/v1/agents/{name}/lifecycle/{verb}");
        // The same key until it is answered: a change is made once, however often it is asked for.
        let headers = [("Idempotency-Key", key.as_str()), ("X-Correlation-Id", key.as_str())];
        until(
            &format!("{verb} of {name} is acknowledged"),
            PATIENCE,
            || match http::ask(at, "POST", &path, &headers, "{}")? {
                answer if answer.status == 202 => Some(()),
                answer if answer.status == 503 => None,
                answer => panic!("{verb} of {name}: {answer:?}"),
            },
        );
        acknowledged.insert(key);
    }
    acknowledged
}
