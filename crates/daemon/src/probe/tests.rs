//! Whole probes against real sockets and processes; time is paused where only time matters.

mod exec;
mod grpc;
mod grpc_server;
mod http;
mod rounds;
mod shared;
mod web;

use std::time::Duration;

use serde_json::{Value, json};
use stead_model::spec::{ProbeKind, Probes};
use stead_model::{AgentId, Incarnation, InstanceId, Observation, Slot};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{ExecContext, Prober};

/// A prober and what it hands in.
struct Rig {
    prober: Prober,
    seen: mpsc::UnboundedReceiver<Seen>,
    closing: CancellationToken,
    tasks: TaskTracker,
    started: Instant,
}

/// A result, and when it was handed in.
#[derive(PartialEq, Debug)]
struct Seen {
    after: Duration,
    instance: InstanceId,
    kind: ProbeKind,
    result: Result<(), String>,
}

impl Rig {
    fn new() -> Self {
        let (sender, seen) = mpsc::unbounded_channel();
        let (closing, tasks, started) = (CancellationToken::new(), TaskTracker::new(), Instant::now());
        let sink = move |observation| {
            let Observation::Probed { instance, kind, result } = observation else {
                panic!("no result of a probe: {observation:?}");
            };
            let after = Instant::now() - started;
            let _test_over = sender.send(Seen {
                after,
                instance,
                kind,
                result,
            });
        };
        Self {
            prober: Prober::new(sink, closing.clone(), tasks.clone()),
            seen,
            closing,
            tasks,
            started,
        }
    }

    fn watch(&self, agent: u64, probes: Value) {
        self.prober.watch(instance(agent), read(probes), self.context());
    }

    /// Where nothing is special, started with the rig.
    fn context(&self) -> ExecContext {
        ExecContext::of(None, self.started)
    }

    async fn next(&mut self) -> Seen {
        let seen = timeout(BOUND, self.seen.recv()).await;
        seen.expect("a result within the bound").expect("a prober")
    }

    async fn result(&mut self) -> Result<(), String> {
        self.next().await.result
    }

    async fn kinds<const N: usize>(&mut self) -> [ProbeKind; N] {
        let mut kinds = [ProbeKind::Startup; N];
        for kind in &mut kinds {
            *kind = self.next().await.kind;
        }
        kinds
    }

    /// Waits until no task is left.
    async fn idle(&self) {
        self.tasks.close();
        timeout(BOUND, self.tasks.wait()).await.expect("all tasks end");
    }
}

/// The result of one attempt of a probe.
async fn result_of(probe: Value) -> Result<(), String> {
    let mut rig = Rig::new();
    rig.watch(1, json!({ "readiness": probe }));
    rig.result().await
}

fn read(probes: Value) -> Probes {
    serde_json::from_value(probes).expect("probes")
}

fn instance(agent: u64) -> InstanceId {
    InstanceId {
        agent: AgentId::new(Slot::try_from(7).expect("a slot"), agent),
        incarnation: Incarnation(1),
    }
}

/// A port of this machine where connections are accepted and never answered.
async fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// A port that is taken but where nobody listens.
fn closed() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
}

/// How long anything may take before a test fails, by the clock of the test.
const BOUND: Duration = Duration::from_secs(60);
