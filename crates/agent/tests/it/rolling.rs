//! Replicas behind a real proxy, rolled one after the other under constant load: nobody sees a failure, and what was taken in is
//! done.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{Answer, PATIENCE, Process, http};

const REPLICAS: usize = 3;
const CLIENTS: usize = 4;
/// Text of what only finds out who answers.
const HELLO: &str = "hello";

#[test]
fn a_rolling_update_behind_a_proxy_fails_no_request_and_loses_no_execution() {
    let Some(mut stage) = Stage::set() else { return };
    let load = Load::begin(stage.front);
    for which in 0..REPLICAS {
        load.served_more();
        stage.replicas[which].signal(Signal::TERM);
        assert_eq!(stage.replicas[which].ended().code(), Some(0));
        stage.begin_again(which);
    }
    load.served_more();
    let done = load.end();
    stage.judge(&done);
    // Nobody was killed: each came to its end once.
    for (which, id, _) in &done.taken {
        let completed = stage.completed(*which, id);
        assert_eq!(completed.len(), 1, "{id}: {completed:?}");
    }
}

#[test]
fn with_one_killed_in_the_middle_of_its_drain_every_accepted_execution_is_still_done_once() {
    let Some(mut stage) = Stage::set() else { return };
    let load = Load::begin(stage.front);
    for which in 0..REPLICAS {
        load.served_more();
        let replica = &stage.replicas[which];
        // So that there is something to kill it in.
        let long = replica.begin("enter", r#"{"text": "long", "millis": 3000}"#, "long");
        load.taken.lock().unwrap().push((which, long, "long".to_owned()));
        replica.signal(Signal::TERM);
        replica.until("readiness falls", |one| one.ask("GET", "/health/ready", "").0 != 200);
        replica.signal(Signal::KILL);
        assert_eq!(stage.replicas[which].ended().code(), None);
        stage.begin_again(which);
    }
    load.served_more();
    let done = load.end();
    stage.judge(&done);
    // A kill after the effect and before its end was written down has the next process find the effect: no try ends twice, and what
    // was done by one that lived is not done again.
    let mut again = 0;
    for (which, id, _) in &done.taken {
        let completed = stage.completed(*which, id);
        assert!(
            completed.windows(2).all(|pair| pair[0] < pair[1]),
            "{id}: {completed:?}"
        );
        assert!((1..=2).contains(&completed.len()), "{id}: {completed:?}");
        again += completed.len() - 1;
    }
    assert!(again < done.taken.len() / 2, "{again} of {}", done.taken.len());
}

/// A proxy and the replicas behind it.
struct Stage {
    dir: tempfile::TempDir,
    proxy: Child,
    front: SocketAddr,
    replicas: Vec<Process>,
    addresses: Vec<SocketAddrV4>,
}

impl Stage {
    /// Nothing where there is no proxy to be had; in CI that is a failure.
    fn set() -> Option<Self> {
        let Some(haproxy) = haproxy() else {
            let in_ci = ["CI", "STEAD_CI"].iter().any(|name| std::env::var_os(name).is_some());
            assert!(!in_ci, "haproxy is not here: apt-get install haproxy");
            eprintln!("skipped: haproxy is not here");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        // Addresses of its own on the loopback network, so that a port that is free now is free after a restart too.
        let at = |last: u8| {
            SocketAddrV4::new(Ipv4Addr::from([127, 77, random(), last]), 0)
                .ip()
                .to_owned()
        };
        let addresses: Vec<_> = (0..REPLICAS)
            .map(|_| SocketAddrV4::new(at(random() | 1), 20_080))
            .collect();
        let front = SocketAddr::from((at(random() | 1), 20_090));
        let replicas = addresses.iter().enumerate();
        let replicas = replicas.map(|(which, address)| replica(dir.path(), which, *address));
        let replicas: Vec<_> = replicas.collect();
        let config = dir.path().join("haproxy.cfg");
        std::fs::write(&config, configured(&front, &addresses)).unwrap();
        let proxy = Command::new(haproxy)
            .args(["-db", "-f"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stage = Self {
            dir,
            proxy,
            front,
            replicas,
            addresses,
        };
        (0..REPLICAS).for_each(|which| stage.reached(which));
        Some(stage)
    }

    /// Starts a replica again on the directory and the address that it had, and waits until the proxy sends it work.
    fn begin_again(&mut self, which: usize) {
        self.replicas[which] = replica(self.dir.path(), which, self.addresses[which]);
        self.reached(which);
    }

    fn reached(&self, which: usize) {
        let begun = Instant::now();
        let order = order(HELLO, 0, 5);
        while enter(self.front, &order).is_none_or(|answer| replica_of(&answer) != Some(which)) {
            assert!(begun.elapsed() < PATIENCE, "the proxy never reaches replica {which}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Nothing failed, and all that was taken in is done, each with its one page in the ledger.
    fn judge(&self, done: &Done) {
        assert_eq!(done.failed, Vec::<String>::new());
        assert!(done.answered > 0 && !done.taken.is_empty());
        for (which, id, text) in &done.taken {
            // Results are of the process that ended it; its page of the ledger is there whichever that was.
            let page = self.ledger(*which).join(id);
            self.replicas[*which].until("it is done", |_| page.exists());
            assert_eq!(std::fs::read_to_string(page).unwrap(), *text);
        }
        for replica in &self.replicas {
            replica.until("nothing is in flight", |one| {
                let (_, status) = one.ask("GET", "/api/v1/status", "");
                serde_json::from_str::<Value>(&status).unwrap()["active_streams"] == 0
            });
        }
    }

    /// The tries of an execution that came to their end, in order.
    fn completed(&self, which: usize, id: &str) -> Vec<u32> {
        let all = std::fs::read_to_string(self.dir.path().join(which.to_string()).join("completed")).unwrap();
        let tries = all.lines().filter_map(|line| line.split_once(' '));
        tries
            .filter(|(of, _)| *of == id)
            .map(|(_, attempt)| attempt.parse().unwrap())
            .collect()
    }

    fn ledger(&self, which: usize) -> PathBuf {
        self.dir.path().join(which.to_string()).join("ledger")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ended_already = self.proxy.kill();
        let _reaped = self.proxy.wait();
    }
}

fn replica(dir: &Path, which: usize, address: SocketAddrV4) -> Process {
    let dir = dir.join(which.to_string());
    std::fs::create_dir_all(&dir).unwrap();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let env = [
        ("STEAD_LIFECYCLE_HOST", host.as_str()),
        ("STEAD_LIFECYCLE_PORT", port.as_str()),
        ("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", "20"),
    ];
    Process::spawn_with("agent_ledger", &dir, &env)
}

/// The configuration that people are given, with the addresses of this test.
fn configured(front: &SocketAddr, replicas: &[SocketAddrV4]) -> String {
    let given = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/haproxy/agent.cfg");
    let mut config = std::fs::read_to_string(given).unwrap();
    let mut replace = |from: &str, to: String| {
        assert!(config.contains(from), "{from}");
        config = config.replace(from, &to);
    };
    replace("127.0.0.1:8080", front.to_string());
    for (address, port) in replicas.iter().zip(8081..) {
        replace(&format!("127.0.0.1:{port}"), address.to_string());
    }
    config
}

fn haproxy() -> Option<PathBuf> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<_> = std::env::split_paths(&places).chain(["/usr/sbin".into()]).collect();
    let mut found = places.iter().map(|place| place.join("haproxy"));
    found.find(|program| program.exists())
}

/// Clients that ask without a pause, until they are told to stop.
struct Load {
    clients: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<(usize, String, String)>>>,
    failed: Arc<Mutex<Vec<String>>>,
    answered: Arc<Mutex<u64>>,
}

/// What the clients saw.
struct Done {
    answered: u64,
    /// Replica, execution and text of what was answered with 202.
    taken: Vec<(usize, String, String)>,
    failed: Vec<String>,
}

impl Load {
    fn begin(front: SocketAddr) -> Self {
        let mut load = Self {
            clients: Vec::new(),
            over: Arc::default(),
            taken: Arc::default(),
            failed: Arc::default(),
            answered: Arc::default(),
        };
        load.clients = (0..CLIENTS).map(|client| load.client(front, client)).collect();
        load
    }

    fn client(&self, front: SocketAddr, client: usize) -> JoinHandle<()> {
        let (over, taken, failed) = (
            Arc::clone(&self.over),
            Arc::clone(&self.taken),
            Arc::clone(&self.failed),
        );
        let answered = Arc::clone(&self.answered);
        std::thread::spawn(move || {
            for number in 0_u32.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let text = format!("{client}-{number}");
                // Every other waits for its end; the rest is only taken in.
                let waits = number % 2 == 0;
                let order = if waits {
                    order(&text, 20, 30)
                } else {
                    order(&text, 300, 0)
                };
                match enter(front, &order) {
                    Some(answer) if waits && answer.status == 200 => *answered.lock().unwrap() += 1,
                    Some(answer) if !waits && answer.status == 202 => {
                        let id = serde_json::from_str::<Value>(&answer.body).unwrap()["id"].clone();
                        let id = id.as_str().unwrap().to_owned();
                        taken.lock().unwrap().push((replica_of(&answer).unwrap(), id, text));
                    }
                    Some(answer) => failed
                        .lock()
                        .unwrap()
                        .push(format!("{} {}", answer.status, answer.body)),
                    None => failed.lock().unwrap().push(format!("{text}: the connection broke")),
                }
            }
        })
    }

    /// Waits until more was served than now, so that there is load at each step.
    fn served_more(&self) {
        let (begun, before) = (Instant::now(), *self.answered.lock().unwrap());
        while *self.answered.lock().unwrap() < before + 20 {
            assert!(
                begun.elapsed() < PATIENCE,
                "nothing is served: {:?}",
                self.failed.lock().unwrap()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(self) -> Done {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        let answered = *self.answered.lock().unwrap();
        Done {
            answered,
            taken: std::mem::take(&mut self.taken.lock().unwrap()),
            failed: std::mem::take(&mut self.failed.lock().unwrap()),
        }
    }
}

fn order(text: &str, millis: u32, wait: u32) -> Value {
    let input = json!({ "text": text, "millis": millis });
    if wait == 0 {
        json!({ "entry_point": "enter", "input": input })
    } else {
        json!({ "entry_point": "enter", "input": input, "wait": wait })
    }
}

fn enter(front: SocketAddr, order: &Value) -> Option<Answer> {
    http(front, "POST", "/api/v1/executions", &order.to_string())
}

fn replica_of(answer: &Answer) -> Option<usize> {
    answer.header("x-replica")?.parse().ok()
}

fn random() -> u8 {
    use std::hash::{BuildHasher, Hasher};
    let drawn = std::hash::RandomState::new().build_hasher().finish();
    drawn.to_le_bytes()[0] | 1
}
