//! Pauses of an agent that takes word of them itself: a real one, whose work writes down where it is and goes on from there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::fleet::{Fleet, free};
use super::http;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Where cargo put an example of this package.
pub(super) fn built(example: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let place = this.parent().and_then(Path::parent).unwrap();
    let place = place.join("examples").join(example);
    assert!(
        place.exists(),
        "{} is built by `cargo test -p stead`, without `--test`",
        place.display()
    );
    place
}

/// A fleet of one such agent, which counts.
fn counting() -> (Fleet, SocketAddr) {
    let (at, program) = (free(), built("agent_counts"));
    let toml = format!(
        "[agents.counter]
command = ['{}']
lifecycle = {{ port = {port} }}
probes.readiness = {{ http_get = {{ path = '/health/ready', port = {port} }}, period_seconds = 0.1, failure_threshold = 1 }}
[agents.counter.env]
STEAD_TEST_COUNT = '@/count'
STEAD_LIFECYCLE_ENABLED = 'true'
STEAD_LIFECYCLE_HOST = '127.0.0.1'
STEAD_LIFECYCLE_PORT = '{port}'
STEAD_LIFECYCLE_TOKEN = {{ secret = '{TOKEN}' }}
",
        program.display(),
        port = at.port(),
    );
    let mut fleet = Fleet::of(&toml);
    fleet.up();
    fleet.until_agent("counter", |agent| agent["ready"] == true);
    let begun = ask(at, "POST", "/api/v1/executions", r#"{"entry_point":"count"}"#);
    assert_eq!(begun.map(|answer| answer.status), Some(202));
    goes_on(&fleet);
    (fleet, at)
}

fn ask(at: SocketAddr, method: &str, path: &str, body: &str) -> Option<http::Answer> {
    let token = format!("Bearer {TOKEN}");
    http::ask(at, method, path, &[("Authorization", &token)], body)
}

/// Where the agent says itself that it is.
fn own_state(at: SocketAddr) -> Option<Value> {
    Some(ask(at, "GET", "/api/v1/status", "")?.json())
}

fn counted(fleet: &Fleet) -> Vec<u64> {
    let text = fleet.read("count");
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Waits until it has counted on, and shows that nothing was counted twice or left out.
#[track_caller]
fn goes_on(fleet: &Fleet) {
    let before = counted(fleet).len();
    let now = fleet.until("it counts", |fleet| {
        let now = counted(fleet);
        (now.len() > before + 3).then_some(now)
    });
    assert!(now.windows(2).all(|pair| pair[1] == pair[0] + 1), "{now:?}");
}

#[test]
fn an_agent_that_is_paused_with_a_checkpoint_has_written_down_where_it_is_and_goes_on_from_there() {
    let (mut fleet, at) = counting();
    fleet.must(&[
        "pause",
        "counter",
        "--mode",
        "checkpoint",
        "--note",
        "new disks",
        "--wait",
    ]);
    let agent = fleet.agent("counter");
    assert_eq!(agent["phase"], "suspended", "{agent:#}");
    assert!(agent["pause"]["acknowledged"].is_string(), "{agent:#}");
    let why = fleet.must(&["why", "counter"]);
    assert!(why.contains("it has written down where it is"), "{why}");
    assert!(!why.contains("has not said yet"), "{why}");
    let own = own_state(at).unwrap();
    assert_eq!((&own["state"], &own["active_streams"]), (&"paused".into(), &0.into()));
    let stood = counted(&fleet);
    fleet.kill_daemon();
    fleet.up();
    assert_eq!(counted(&fleet), stood);
    fleet.must(&["resume", "counter"]);
    goes_on(&fleet);
    fleet.must(&["pause", "counter"]);
    fleet.until("it was told of the soft pause, too", |_| {
        own_state(at).filter(|own| own["state"] == "paused")
    });
    fleet.must(&["resume", "counter"]);
    fleet.until("and of its end", |_| {
        own_state(at).filter(|own| own["state"] == "running")
    });
    assert_eq!(fleet.agent("counter")["incarnation"], 1);
}

#[test]
fn an_agent_that_hibernates_is_gone_once_it_has_written_down_where_it_is_and_goes_on_in_its_next_run() {
    let (mut fleet, _) = counting();
    fleet.must(&["pause", "counter", "--mode", "hibernate", "--wait"]);
    let agent = fleet.agent("counter");
    assert_eq!(
        (&agent["pid"], &agent["intent"]),
        (&Value::Null, &"paused".into()),
        "{agent:#}"
    );
    fleet.kill_daemon();
    fleet.up();
    let agent = fleet.until_agent("counter", |agent| agent["phase"] == "offline");
    assert_eq!(agent["pause"]["mode"], "hibernate", "{agent:#}");
    let why = fleet.must(&["why", "counter"]);
    assert!(why.contains("it hibernates"), "{why}");
    fleet.must(&["resume", "counter", "--wait"]);
    goes_on(&fleet);
    let agent = fleet.agent("counter");
    assert_eq!(
        (&agent["incarnation"], &agent["restarts"], &agent["phase"]),
        (&2.into(), &0.into(), &"online".into()),
        "{agent:#}"
    );
}

#[test]
fn an_agent_in_rust_beats_by_itself_and_a_copy_of_an_earlier_run_ends_itself() {
    let (fleet, _) = counting();
    fleet.until("its beats are heard", |fleet| {
        fleet.must(&["why", "counter"]).contains("beats").then_some(())
    });
    fleet.must(&["restart", "counter", "--wait"]);
    let mut copy = Command::new(built("agent_counts"))
        .env_clear()
        .env("STEAD_TEST_COUNT", fleet.path("copy"))
        .env("STEAD_AGENT_DIR", fleet.path("copy-dir"))
        .env("STEAD_URL", format!("http://{}", fleet.at()))
        .env("STEAD_AGENT", "counter")
        .env("STEAD_INCARNATION", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ended = fleet.until("the copy ends", |_| copy.try_wait().unwrap());
    assert_eq!(ended.code(), Some(75));
    let agent = fleet.agent("counter");
    assert_eq!(
        (&agent["incarnation"], &agent["phase"]),
        (&2.into(), &"online".into()),
        "{agent:#}"
    );
}
