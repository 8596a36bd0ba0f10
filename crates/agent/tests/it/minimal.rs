//! The examples that people begin with, as they are: how long they are, and what they answer when they run alone.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::process::{PATIENCE, built, http};

const MINIMAL: &str = include_str!("../../examples/agent_minimal.rs");

#[test]
fn a_useful_agent_has_fewer_than_25_lines_and_a_whole_one_fewer_than_100() {
    assert!(MINIMAL.lines().count() < 25);
    let whole = include_str!("../../examples/agent_complete.rs").lines().count();
    assert!(whole < 100, "{whole}");
}

/// The smallest agent, with nothing of Stead around it.
struct Alone {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Alone {
    fn start() -> Self {
        let (address, dir) = (free(), tempfile::tempdir().unwrap());
        let child = Command::new(built("agent_minimal"))
            .env_clear()
            .env("HOME", dir.path())
            .env("STEAD_LIFECYCLE_PORT", address.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let alone = Self {
            child,
            address,
            _dir: dir,
        };
        alone.until("it is ready", |alone| alone.ask("GET", "/health/ready", "").0 == 200);
        alone
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let answer = http(self.address, method, path, body);
        answer.map_or((0, Value::Null), |answer| {
            (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
        })
    }

    /// Whether the health check of the image says that it lives.
    fn probed(&self) -> bool {
        let probe = Command::new(built("agent_probe"))
            .env_clear()
            .env("STEAD_LIFECYCLE_PORT", self.address.port().to_string())
            .status();
        probe.unwrap().success()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "never: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A port of 127.0.0.1 that no connection gets by chance: Linux gives those from 32,768 on by itself.
fn free() -> SocketAddr {
    let first = 12_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let listener = (first..first + 10_000).find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    listener.unwrap().local_addr().unwrap()
}

/// The body of the request that its own first lines name.
fn request() -> &'static str {
    let rest = MINIMAL.split_once("--json '").unwrap().1;
    rest.split_once('\'').unwrap().0
}

#[test]
fn the_smallest_agent_runs_alone_and_answers_what_its_first_lines_say_pauses_goes_on_and_drains() {
    let mut alone = Alone::start();
    let (status, done) = alone.ask("POST", "/api/v1/executions", request());
    assert_eq!(
        (status, &done["status"], &done["result"]),
        (200, &json!("succeeded"), &json!(6))
    );
    let own = alone.ask("GET", "/api/v1/status", "").1;
    assert_eq!(
        (&own["state"], &own["entry_points"], &own["total_executions"]),
        (&json!("running"), &json!(["count"]), &json!(1))
    );
    let probes = |alone: &Alone| {
        let asked = |path| alone.ask("GET", path, "").0;
        (asked("/health/live"), asked("/health/ready"), alone.probed())
    };
    assert_eq!(probes(&alone), (200, 200, true));
    assert_eq!(alone.ask("POST", "/api/v1/lifecycle/pause", "").0, 200);
    assert_eq!(probes(&alone), (200, 503, true));
    assert_eq!(alone.ask("POST", "/api/v1/executions", request()).0, 503);
    assert_eq!(alone.ask("POST", "/api/v1/lifecycle/resume", "").0, 200);
    assert_eq!(alone.ask("POST", "/api/v1/executions", request()).0, 200);
    let pid = Pid::from_raw(i32::try_from(alone.child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    alone.until("it is gone", |alone| alone.ask("GET", "/health/live", "").0 == 0);
    assert_eq!(alone.child.wait().unwrap().code(), Some(0));
    assert!(!alone.probed());
}
