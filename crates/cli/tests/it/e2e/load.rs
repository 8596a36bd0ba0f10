//! Writes under way: clients that ask for changes, and repeat what was not answered, until they are told to stop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::fleet::PATIENCE;
use super::http;
use super::procs::until;

/// Clients at work, one for each agent.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// How many changes of each agent were acknowledged; they have the numbers 1 to that.
    acknowledged: Mutex<BTreeMap<String, u64>>,
}

impl Load {
    /// Stops and starts each of the agents, over and over. The correlation ids of the changes are `NAME-1`, `NAME-2` and so on.
    pub(crate) fn start(at: SocketAddr, agents: &[String]) -> Self {
        let shared = Arc::new(Shared::default());
        let client = |name: &String| {
            let (name, shared) = (name.clone(), Arc::clone(&shared));
            std::thread::spawn(move || work(at, &name, &shared))
        };
        let clients = agents.iter().map(client).collect();
        Self { shared, clients }
    }

    /// How many changes of each agent were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> BTreeMap<String, u64> {
        self.shared.acknowledged.lock().unwrap().clone()
    }

    /// Has all clients end, with their agents started.
    pub(crate) fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
    }
}

/// One client. A change is asked for once its agent has come to rest, so that each of them leaves a row.
fn work(at: SocketAddr, name: &str, shared: &Shared) {
    for number in 1_u64.. {
        let (verb, rest) = if number % 2 == 1 {
            ("stop", "online")
        } else {
            ("start", "offline")
        };
        if verb == "stop" && shared.stop.load(Ordering::SeqCst) {
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
        shared.acknowledged.lock().unwrap().insert(name.to_owned(), number);
    }
}
