//! Agents in Rust under the daemon, as the guide to writing them has it: what `stead why` says of them from their start to their end.

use std::net::SocketAddr;

use serde_json::json;

use super::checkpoint::built;
use super::fleet::{Fleet, free};
use super::http;

/// The piece of a fleet file that the guide gives, for this program and a port that is free.
fn as_the_guide_says(example: &str, port: u16) -> String {
    let guide = include_str!("../../../../../docs/guides/writing-an-agent.md");
    let under = guide.split_once("## Under the daemon").unwrap().1;
    let block = under.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    assert!(
        block.contains("/usr/local/bin/counter") && block.contains("8080"),
        "{block}"
    );
    let program = built(example).display().to_string();
    let block = block.replace("/usr/local/bin/counter", &program);
    block.replace("8080", &port.to_string()) + "env.STEAD_TEST_COUNT = '@/count'\n"
}

/// One such agent, up and ready.
fn up(example: &str) -> (Fleet, SocketAddr) {
    let at = free();
    let mut fleet = Fleet::of(&as_the_guide_says(example, at.port()));
    fleet.up();
    fleet.until_agent("counter", |agent| agent["ready"] == true);
    (fleet, at)
}

#[track_caller]
fn says(fleet: &Fleet, what: &str) {
    let mut last = String::new();
    fleet.until_shown(what, || {
        last = fleet.must(&["why", "counter"]);
        last.contains(what).then_some(()).ok_or_else(|| last.clone())
    });
}

#[test]
fn the_smallest_agent_shows_its_beats_its_pause_its_resumption_and_its_end_in_why() {
    let (fleet, at) = up("agent_of_the_guide");
    let order = r#"{"entry_point": "count", "input": "to be or not to be", "wait": 5}"#;
    let asked = || http::ask(at, "POST", "/api/v1/executions", &[], order);
    assert_eq!(asked().map(|answer| answer.json()["result"].clone()), Some(json!(6)));
    says(&fleet, "beats");
    says(&fleet, "running: 0 in flight");
    fleet.must(&["pause", "counter", "--note", "new disks"]);
    says(&fleet, "“new disks”");
    says(&fleet, "paused (new disks): 0 in flight");
    assert_eq!(asked().map(|answer| answer.status), Some(503));
    fleet.must(&["resume", "counter"]);
    says(&fleet, "running: 0 in flight");
    assert_eq!(asked().map(|answer| answer.status), Some(200));
    fleet.must(&["stop", "counter", "--wait"]);
    // With nothing in flight a drain has no length; what it leaves is an end of its own accord.
    says(&fleet, "exited with code 0, as Stead ordered");
    assert_eq!(fleet.agent("counter")["phase"], "offline");
}

#[test]
fn one_that_has_work_in_flight_shows_how_far_its_drain_is_in_why() {
    let (fleet, at) = up("agent_counts");
    let begun = http::ask(at, "POST", "/api/v1/executions", &[], r#"{"entry_point":"hold"}"#);
    assert_eq!(begun.map(|answer| answer.status), Some(202));
    says(&fleet, "running: 1 in flight");
    fleet.must(&["pause", "counter", "--note", "new disks"]);
    says(&fleet, "paused (new disks): 1 in flight");
    fleet.must(&["resume", "counter"]);
    says(&fleet, "running: 1 in flight");
    fleet.must(&["stop", "counter"]);
    says(&fleet, "draining: 1 in flight");
    std::fs::write(fleet.path("count.go"), "").unwrap();
    fleet.until_agent("counter", |agent| agent["phase"] == "offline");
    says(&fleet, "exited with code 0, as Stead ordered");
}

#[test]
fn runtimes_that_share_a_process_are_heard_each_under_its_own_name() {
    let program = built("agents_together").display().to_string();
    let mut fleet = Fleet::of(&format!(
        "[agents.host]\ncommand = ['{program}']\n[agents.reader]\ndriver = 'none'\nhealth = {{ interval = '1s', timeout = '3s' }}\n"
    ));
    fleet.up();
    for name in ["host", "reader"] {
        fleet.until_agent(name, |agent| agent["phase"] == "online" && agent["health"] == "healthy");
        fleet.until("its beats are told", |fleet| {
            fleet.must(&["why", name]).contains("beats").then_some(())
        });
    }
    // What nothing starts is silent once the process is stopped that beat for it.
    fleet.must(&["stop", "host", "--wait"]);
    fleet.until_agent("reader", |agent| agent["health"] != "healthy");
}

#[test]
fn an_agent_in_python_beats_as_the_guide_has_it_also_where_a_token_is_asked_for() {
    let guide = include_str!("../../../../../docs/guides/heartbeats.md");
    let program = guide.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let mut fleet = Fleet::of("[agents.snake]\ncommand = ['python3', '@/beats.py']\n");
    std::fs::write(fleet.path("beats.py"), program).unwrap();
    std::fs::create_dir_all(fleet.state()).unwrap();
    std::fs::write(fleet.state().join("token"), "correct-horse-battery-staple\n").unwrap();
    fleet.up();
    fleet.until("its beats are taken", |fleet| {
        fleet.must(&["why", "snake"]).contains("beats").then_some(())
    });
}
