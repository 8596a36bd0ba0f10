//! The manifest is played: its probes, its timings and its environment, against a running agent.

use rustix::process::Signal;

use crate::process::Process;

const MANIFEST: &str = include_str!("../../../../deploy/kubernetes/agent.yaml");

/// What stands behind the first `key` after `section`, up to the end of its line or of its braces.
fn read(section: &str, key: &str) -> &'static str {
    let rest = MANIFEST.split_once(section).unwrap_or_else(|| panic!("no {section}")).1;
    let value = rest
        .split_once(key)
        .unwrap_or_else(|| panic!("no {key} in {section}"))
        .1;
    value.split(['\n', ',', '}']).next().unwrap().trim().trim_matches('"')
}

fn seconds(section: &str, key: &str) -> f64 {
    read(section, key).parse().unwrap()
}

#[test]
fn the_manifest_leaves_time_for_the_drain_that_it_orders() {
    let grace = seconds("spec:", "terminationGracePeriodSeconds:");
    let drain: f64 = seconds("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", "value:");
    assert!(grace > seconds("preStop:", "seconds:") + drain + 2.0);
    assert_eq!(
        read("STEAD_LIFECYCLE_PORT", "value:"),
        read("name: lifecycle", "containerPort:")
    );
}

#[test]
fn an_agent_probed_as_the_manifest_says_is_live_throughout_and_ready_until_it_is_told_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let (live, ready) = (read("livenessProbe:", "path:"), read("readinessProbe:", "path:"));
    assert_eq!(read("startupProbe:", "path:"), live);
    let budget = read("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", "value:");
    let mut agent = Process::spawn_with(
        "agent_hangs",
        dir.path(),
        &[("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", budget)],
    );
    agent.until("its startup probe succeeds", |agent| {
        agent.ask("GET", live, "").0 == 200
    });
    agent.until("it is ready", |agent| agent.ask("GET", ready, "").0 == 200);
    agent.begin("hang", "1500", "work");
    // preStop: it still takes work, as proxies may still send some.
    agent.begin("hang", "1", "late");
    agent.signal(Signal::TERM);
    agent.until("readiness falls", |agent| agent.ask("GET", ready, "").0 == 503);
    // The kubelet goes on asking whether it lives until it is gone, and never hears anything but 200.
    let answers = std::cell::RefCell::new(Vec::new());
    agent.until("it is gone", |agent| {
        let answer = agent.ask("GET", live, "").0;
        answers.borrow_mut().push(answer);
        answer == 0
    });
    assert!(
        answers.borrow().iter().all(|answer| [0, 200].contains(answer)),
        "{answers:?}"
    );
    assert_eq!(agent.ended().code(), Some(0));
}
