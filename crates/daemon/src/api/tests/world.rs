//! A whole API with everything behind it but the system: what is played are the processes alone.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use stead_model::{
    Action, Exit, InstanceId, Observation, Order, ProcessIdentity, Signal, Slot, SpawnFailure, SpawnFailureKind, Wall,
};
use stead_store::{Lease, MemoryStore, Owner, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::api::{ApiState, DaemonInfo, Host, LogReader, LogRequest, LogSource, Ports, ShutdownOrder, router};
use crate::app::Config;
use crate::clock::Clock;
use crate::driver::{Driven, Driver, Seat};
use crate::pump::{Incoming, Parts, Pump, thaw};
use crate::{Handle, Status, Views};

/// Everything around one API.
pub(super) struct World {
    router: axum::Router,
    pub(super) handle: Handle,
    pub(super) store: Arc<MemoryStore>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status and code of a problem.
    pub(super) fn problem(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), code)
    }
}

impl World {
    pub(super) fn new() -> Self {
        let (incoming, from_world) = mpsc::unbounded_channel();
        let completions = incoming.clone();
        let store = Arc::new(MemoryStore::new(Box::new(move |completion| {
            let _gone = completions.send(Incoming::Completed(completion));
        })));
        let slots: Vec<Slot> = Slot::all().collect();
        store
            .take(&slots, &Owner::new("test"), Lease::unending(Wall::default()))
            .unwrap();
        let (asks, asked) = mpsc::channel(256);
        let (committed, commits) = watch::channel(0);
        let (views, status) = (Arc::new(Views::default()), Arc::new(Status::default()));
        let clock = Clock::start();
        let mut pump = Pump::new(Parts {
            clock,
            database: "stead.db".into(),
            note_away: Box::new(|_| {}),
            store: Arc::<MemoryStore>::clone(&store),
            driver: Box::new(Player(incoming.clone())),
            views: Arc::clone(&views),
            status: Arc::clone(&status),
            gate: Arc::default(),
            committed,
            incoming: (incoming.clone(), from_world),
            asks: asked,
        });
        pump.adopt(thaw(&*store, &slots, clock, None, None).unwrap().unwrap());
        tokio::spawn(pump.run());
        tokio::spawn(commit(Arc::clone(&store)));
        let surveyed = Driven::Surveyed {
            live: Vec::new(),
            exited: Vec::new(),
            names: std::collections::BTreeMap::new(),
        };
        incoming.send(Incoming::Driven(surveyed, Seat::default())).unwrap();
        let handle = Handle::new(asks, views, Arc::<MemoryStore>::clone(&store), commits, status);
        let ports = Arc::new(Nothing);
        let config = Arc::new(Config::new(handle.clone(), Clock::start(), None));
        let state = ApiState {
            handle: handle.clone(),
            ports: Ports {
                host: ports.clone(),
                logs: ports,
                config,
            },
            token: None,
            listen: "127.0.0.1:7878".parse().unwrap(),
            hosts: Vec::new(),
            closing: CancellationToken::new(),
        };
        Self {
            router: router(state),
            handle,
            store,
        }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(at(path)).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        self.send(Request::delete(at(path)).body(Body::empty()).unwrap()).await
    }

    /// Sends JSON with further headers.
    pub(super) async fn ask(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(at(path))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(super) async fn json(&self, method: &str, path: &str, body: &str) -> Reply {
        self.ask(method, path, body, &[]).await
    }

    /// Makes a group known that is up at once, each replica `served` by such a command.
    pub(super) async fn group(&self, name: &str, replicas: u32, command: &str) -> Value {
        let made = self.json("POST", "/groups", &new_group(name, replicas, command)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        self.until(&format!("/groups/{name}"), |group| group["available"] == replicas)
            .await
    }

    /// Reads something again and again until it is as wanted.
    pub(super) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        // The clock of the machine: that of a test may be paused, and then runs ahead while other threads work.
        let begun = std::time::Instant::now();
        loop {
            let reply = self.get(path).await.json();
            if wanted(&reply) {
                return reply;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} is not as wanted: {reply:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What takes longer does not come any more.
const PATIENCE: Duration = Duration::from_secs(120);

fn at(path: &str) -> String {
    format!("/api/v1{path}")
}

/// The body that makes a group known.
pub(super) fn new_group(name: &str, replicas: u32, command: &str) -> String {
    format!(
        r#"{{"name":"{name}",{},"intent":"running"}}"#,
        group_spec(replicas, command)
    )
}

/// The parts of a body that say what a group is told to be. Replicas pass at once, so that nothing has to be waited for.
pub(super) fn group_spec(replicas: u32, command: &str) -> String {
    let template = format!(
        r#"{{"command":["{command}"],"labels":{{"app":"web"}},"env":{{"KEY":{{"secret":"s3cret"}}}},"restart":{{"policy":"never"}}}}"#
    );
    format!(r#""replicas":{replicas},"update":{{"min_ready":"0s"}},"template":{template}"#)
}

async fn commit(store: Arc<MemoryStore>) {
    loop {
        if store.pump() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Processes that start at once and end when they are told; `broken` cannot be started.
struct Player(mpsc::UnboundedSender<Incoming>);

impl Player {
    fn see(&self, observation: Observation) {
        let _gone = self
            .0
            .send(Incoming::Driven(Driven::Observed(observation), Seat::default()));
    }

    fn exit(&self, instance: InstanceId, exit: Exit) {
        let swept = 0;
        self.see(Observation::Exited { instance, exit, swept });
    }
}

impl Driver for Player {
    fn execute(&mut self, action: Action) {
        match action.order {
            Order::Prepare { agent, .. } => self.see(Observation::Prepared { agent, result: Ok(()) }),
            Order::Spawn { instance, process, .. } => {
                let identity = ProcessIdentity {
                    boot: "b".into(),
                    pid_namespace: 1,
                    pid: 41,
                    start_time: 1,
                };
                let broken = process.command.first().is_some_and(|program| program == "broken");
                let result = if broken {
                    Err(SpawnFailure {
                        kind: SpawnFailureKind::NotFound,
                        detail: "there is no `broken`".into(),
                    })
                } else {
                    Ok(identity)
                };
                self.see(Observation::Spawned { instance, result });
            }
            Order::Signal { instance, .. } => self.exit(instance, Exit::Code { code: 0 }),
            Order::Kill { instance } => {
                let (signal, core) = (Signal::KILL, false);
                self.exit(instance, Exit::Signal { signal, core });
            }
            Order::Acknowledge { .. } | Order::Tell { .. } | Order::Freeze { .. } | Order::Probe { .. } => {}
        }
    }

    fn foresee(&mut self, _start: stead_engine::Foreseen<'_>) {}
    fn survey(&mut self) {}

    fn dismiss(&mut self) {}
}

/// Ports that nobody uses here.
struct Nothing;

impl Host for Nothing {
    fn now(&self) -> Wall {
        Wall::default()
    }

    fn info(&self) -> DaemonInfo {
        DaemonInfo {
            version: String::new(),
            pid: 1,
            started_at: Wall::default(),
            state_dir: String::new(),
            listen: String::new(),
            keeper_pid: None,
        }
    }

    fn shut_down(&self, _: ShutdownOrder) {}
}

impl LogSource for Nothing {
    fn open(&self, _: &LogRequest) -> io::Result<Box<dyn LogReader>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Does something; gives with what came of it all that was logged meanwhile in this thread, which is the daemon's in tests.
pub(super) async fn heard<T>(work: impl Future<Output = T>) -> (T, String) {
    let said = Said::default();
    let log = tracing_subscriber::fmt().with_ansi(false);
    let hearing = tracing::subscriber::set_default(log.with_writer(Mutex::new(said.clone())).finish());
    let done = work.await;
    drop(hearing);
    (done, said.text())
}

/// What was logged.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
