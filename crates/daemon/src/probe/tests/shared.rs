//! What many probes share: the bounds, and the blame.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex};

use rustix::io::Errno;
use serde_json::json;
use stead_model::Observation;
use stead_model::spec::{ProbeKind, Probes};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::exec::until;
use super::{Rig, instance, read, silent};
use crate::probe::attempt::Fault;
use crate::probe::{EXECS, ExecContext, State, Watch};

#[tokio::test]
async fn a_fleet_of_exec_probes_runs_a_bounded_number_of_commands_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (log, gate) = (dir.path().join("log"), dir.path().join("gate"));
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::write(&log, "").unwrap();
    let script = format!(
        "echo + >> {0}; read line < {1}; echo - >> {0}",
        log.display(),
        gate.display()
    );
    let mut rig = Rig::new();
    let agents = 2 * EXECS + 5;
    for agent in 0..agents {
        let probe =
            json!({ "exec": { "command": ["sh", "-c", script] }, "timeout_seconds": 50, "period_seconds": 1000 });
        rig.watch(u64::try_from(agent).unwrap(), json!({ "liveness": probe }));
    }
    let count = |what: &str| fs::read_to_string(&log).unwrap().matches(what).count();
    until(|| count("+") == EXECS).await;
    // Whoever waits at the gate passes when somebody opens and leaves it.
    until(|| {
        let _nobody_there = OpenOptions::new().write(true).custom_flags(libc_nonblock()).open(&gate);
        count("-") == agents
    })
    .await;
    for _ in 0..agents {
        assert_eq!(rig.result().await, Ok(()), "waiting for a turn makes nobody late");
    }
    let mut running = 0_i64;
    let log = fs::read_to_string(&log).unwrap();
    let most = log.lines().map(|line| {
        running += if line == "+" { 1 } else { -1 };
        running
    });
    assert_eq!(most.max(), i64::try_from(EXECS).ok());
}

#[tokio::test(start_paused = true)]
async fn a_result_that_comes_after_the_end_of_its_watch_is_not_handed_in() {
    let handed_in = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let handed_in = Arc::clone(&handed_in);
        move |observation| handed_in.lock().unwrap().push(observation)
    };
    let watch = Watch {
        instance: instance(1),
        probes: Probes::default(),
        context: ExecContext::of(None, Instant::now()),
        sink: Arc::new(sink),
        cancelled: CancellationToken::new(),
        state: Mutex::new(State { wanted: true, up: true }),
    };
    watch.report(ProbeKind::Liveness, Ok(()));
    watch.end();
    watch.report(ProbeKind::Liveness, Err("late".to_owned()));
    let only = Observation::Probed {
        instance: instance(1),
        kind: ProbeKind::Liveness,
        result: Ok(()),
    };
    assert_eq!(*handed_in.lock().unwrap(), [only]);
}

#[tokio::test]
async fn a_prober_is_used_from_threads_that_know_no_runtime() {
    let (_open, port) = silent().await;
    let mut rig = Rig::new();
    let (prober, context) = (rig.prober.clone(), rig.context());
    let probes = read(json!({ "liveness": { "tcp_socket": { "port": port } } }));
    let elsewhere = std::thread::spawn(move || prober.watch(instance(1), probes, context));
    elsewhere.join().unwrap();
    assert_eq!(rig.result().await, Ok(()));
    let prober = rig.prober.clone();
    std::thread::spawn(move || prober.unwatch(instance(1))).join().unwrap();
    rig.idle().await;
}

#[test]
fn a_shortage_of_this_machine_is_not_blamed_on_the_agent() {
    for errno in [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::AGAIN,
        Errno::ADDRNOTAVAIL,
    ] {
        let fault = Fault::of(&io::Error::from(errno), "");
        assert!(matches!(fault, Fault::Own(_)), "{fault:?}");
    }
    for (errno, words) in [
        (Errno::CONNREFUSED, "connection refused"),
        (Errno::CONNRESET, "connection reset"),
        (Errno::HOSTUNREACH, "host unreachable"),
        (Errno::ACCESS, "permission denied"),
    ] {
        assert_eq!(Fault::of(&io::Error::from(errno), ""), Fault::Seen(words.to_owned()));
    }
}

fn libc_nonblock() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap()
}
