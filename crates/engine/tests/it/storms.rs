//! A provider that many depend on goes away and comes back.

use std::time::Duration;

use stead_engine::Input;
use stead_model::spec::ProbeKind;
use stead_model::{AgentRef, Namespace, Notice, Observation};

use crate::fleet::Fleet;
use crate::rig::at;

const PROVIDER: &str = r#"{"command":["x"],"probes":{"readiness":{"tcp_socket":{"port":1}}}}"#;
const DEPENDANT: &str = r#"{"command":["x"],"depends_on":{"provider":"healthy"},
    "probes":{"liveness":{"tcp_socket":{"port":1}}}}"#;

/// A provider and those that depend on it, all of them up.
fn fleet(size: usize) -> (Fleet, Vec<String>) {
    let names: Vec<String> = (0..size).map(|n| format!("web-{n}")).collect();
    let mut all = names.clone();
    all.push("provider".into());
    let mut fleet = Fleet::new(&all);
    fleet.register("provider", PROVIDER);
    fleet.probe("provider", ProbeKind::Readiness, true);
    for name in &names {
        fleet.register(name, DEPENDANT);
        fleet.probe(name, ProbeKind::Liveness, true);
    }
    assert_eq!(fleet.starts.len(), size + 1);
    fleet.starts.clear();
    (fleet, names)
}

fn provider(fleet: &mut Fleet, good: bool) {
    for _ in 0..3 {
        fleet.probe("provider", ProbeKind::Readiness, good);
    }
}

#[test]
fn a_provider_that_is_away_for_ten_minutes_has_none_of_its_five_hundred_dependants_restarted() {
    let (mut fleet, names) = fleet(500);
    provider(&mut fleet, false);
    for _ in 0..20 {
        fleet.wait(30_000);
        for name in &names {
            fleet.probe(name, ProbeKind::Liveness, false);
        }
    }
    assert!(
        names.iter().all(|name| fleet.held(name)),
        "each says why it is left alone"
    );
    provider(&mut fleet, true);
    assert!(!names.iter().any(|name| fleet.held(name)));
    for name in &names {
        fleet.probe(name, ProbeKind::Liveness, true);
    }
    fleet.wait(600_000);
    assert_eq!((&fleet.starts, &fleet.attempts), (&vec![], &vec![]));
}

#[test]
fn those_that_ended_meanwhile_are_started_once_on_a_ramp_and_no_restart_is_counted_against_them() {
    let (mut fleet, names) = fleet(100);
    provider(&mut fleet, false);
    names.iter().for_each(|name| fleet.exit(name));
    fleet.wait(600_000);
    assert_eq!(fleet.starts, []);
    let back = fleet.millis;
    provider(&mut fleet, true);
    fleet.wait(15_000);
    assert_eq!(fleet.starts.len(), 100);
    let mut seconds: Vec<_> = fleet.starts.iter().map(|(at, _)| (at - back) / 1_000).collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert!(
        seconds.len() >= 8 && seconds.iter().all(|second| *second <= 10),
        "{seconds:?}"
    );
    let rows = fleet
        .engine
        .freeze(at(fleet.millis), fleet.ids["web-0"].slot())
        .unwrap();
    let row = rows.iter().find(|row| row.id == fleet.ids["web-0"]).unwrap();
    assert!(row.recovery.attempt == 0 && row.recovery.recent.is_empty());
}

#[test]
fn one_that_fails_for_itself_is_restarted_while_its_provider_does_well() {
    let (mut fleet, _names) = fleet(1);
    for _ in 0..3 {
        fleet.probe("web-0", ProbeKind::Liveness, false);
    }
    fleet.wait(1);
    assert_eq!(fleet.starts.len(), 1);
    let span = Duration::from_millis(fleet.starts[0].0);
    assert!(span < Duration::from_secs(1), "at once");
}

#[test]
fn one_that_is_sheltered_takes_no_work_however_its_watchdog_is_fed() {
    let mut fleet = Fleet::new(&["provider".into(), "web".into()]);
    fleet.register("provider", PROVIDER);
    fleet.probe("provider", ProbeKind::Readiness, true);
    fleet.register(
        "web",
        r#"{"command":["x"],"notify":true,"watchdog":"5s","depends_on":{"provider":"healthy"}}"#,
    );
    let run = fleet.runs[&fleet.ids["web"]];
    let say = |fleet: &mut Fleet, notice| fleet.step(Input::Observed(Observation::Notified { instance: run, notice }));
    say(&mut fleet, Notice::Ready);
    provider(&mut fleet, false);
    fleet.wait(6_000);
    assert!(fleet.held("web"));
    say(&mut fleet, Notice::Watchdog);
    let name = AgentRef::Name("web".parse().unwrap());
    let why = fleet
        .engine
        .explain(at(fleet.millis), &Namespace::default(), &name)
        .unwrap();
    assert!(!why.agent.ready && fleet.held("web"));
}
