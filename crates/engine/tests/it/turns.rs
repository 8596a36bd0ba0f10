//! Many that fail at once are ended and started again a few at a time.

use std::collections::BTreeSet;

use stead_engine::Input;
use stead_model::journal::SlotState;
use stead_model::spec::ProbeKind;
use stead_model::{AgentRef, Command, Epoch, FailureKind, Namespace, Origin, Request, Wanted};

use crate::fleet::Fleet;
use crate::rig::at;

const PROBED: &str = r#"{"command":["x"],"recovery":{"at_once":3},
    "probes":{"liveness":{"tcp_socket":{"port":1}},"readiness":{"tcp_socket":{"port":1}}}}"#;

fn fleet(size: usize) -> (Fleet, Vec<String>) {
    let names: Vec<String> = (0..size).map(|n| format!("web-{n:02}")).collect();
    let mut fleet = Fleet::new(&names);
    for name in &names {
        fleet.register(name, PROBED);
        fleet.probe(name, ProbeKind::Readiness, true);
        fleet.probe(name, ProbeKind::Liveness, true);
    }
    fleet.starts.clear();
    (fleet, names)
}

/// Three failures of its liveness probe, one agent after the other.
fn hang(fleet: &mut Fleet, names: &[String]) {
    for name in names {
        for _ in 0..3 {
            fleet.probe(name, ProbeKind::Liveness, false);
        }
    }
    fleet.wait(0);
}

/// Who was started again and is not up yet.
fn coming(fleet: &Fleet, names: &[String]) -> Vec<String> {
    let phase = |name: &str| view(fleet, name).phase.into_owned();
    let mut coming = names.to_vec();
    coming.retain(|name| phase(name) == "starting");
    coming
}

fn view(fleet: &Fleet, name: &str) -> stead_model::AgentView {
    let name = AgentRef::Name(name.parse().unwrap());
    let now = at(fleet.millis);
    fleet.engine.explain(now, &Namespace::default(), &name).unwrap().agent
}

fn want(fleet: &mut Fleet, name: &str, wanted: Wanted) {
    let origin = Origin::engine("c".into());
    fleet.step(Input::Command(Box::new(Command {
        origin,
        namespace: Namespace::default(),
        agent: AgentRef::Name(name.parse().unwrap()),
        expected: None,
        idempotency: None,
        reason: None,
        request: Request::Want(wanted),
    })));
}

#[test]
fn ten_that_hang_at_once_are_all_brought_back_a_few_at_a_time() {
    let (mut fleet, names) = fleet(10);
    hang(&mut fleet, &names);
    let mut back = BTreeSet::new();
    while back.len() < names.len() {
        let now = coming(&fleet, &names);
        assert_eq!(now.len(), 3.min(names.len() - back.len()), "{back:?}");
        let first = now.first().unwrap();
        fleet.probe(first, ProbeKind::Readiness, true);
        fleet.wait(0);
        assert!(back.insert(first.clone()));
    }
    let helped: BTreeSet<_> = fleet.attempts.iter().map(|attempt| attempt.name.to_string()).collect();
    assert_eq!(helped, names.iter().cloned().collect());
    assert!(
        fleet
            .attempts
            .iter()
            .all(|attempt| attempt.failure == FailureKind::Stuck)
    );
    assert_eq!(fleet.starts.len(), names.len(), "each once");
}

#[test]
fn who_waits_for_its_turn_says_so_and_comes_back_by_itself_where_it_can() {
    let (mut fleet, names) = fleet(4);
    hang(&mut fleet, &names);
    let last = &names[3];
    let waiting = view(&fleet, last);
    assert_eq!(waiting.phase, "error");
    let next = waiting.next.unwrap().what;
    assert!(
        next.contains("when its turn comes, as at most 3 of its namespace"),
        "{next}"
    );
    fleet.probe(last, ProbeKind::Readiness, true);
    assert_eq!(view(&fleet, last).phase, "online");
    for name in &names[..3] {
        fleet.probe(name, ProbeKind::Readiness, true);
    }
    fleet.wait(0);
    assert_eq!(fleet.starts.len(), 3, "it was not ended after all");
}

#[test]
fn a_turn_comes_in_the_end_though_those_before_it_never_come_up() {
    let (mut fleet, names) = fleet(4);
    hang(&mut fleet, &names);
    fleet.wait(301_000);
    assert!(fleet.starts.iter().any(|(_, run)| run.agent == fleet.ids[&names[3]]));
}

#[test]
fn what_a_person_wants_otherwise_waits_for_nothing_and_frees_its_place() {
    let (mut fleet, names) = fleet(5);
    hang(&mut fleet, &names);
    want(&mut fleet, &names[4], Wanted::Stopped);
    assert_ne!(view(&fleet, &names[4]).phase, "error", "it is being stopped");
    want(&mut fleet, &names[0], Wanted::Stopped);
    fleet.wait(0);
    assert!(
        coming(&fleet, &names).contains(&names[3]),
        "the place of the first is free"
    );
}

#[test]
fn turns_and_places_are_known_again_after_the_node_was_away() {
    let (mut fleet, names) = fleet(5);
    hang(&mut fleet, &names);
    let before = coming(&fleet, &names);
    let slots: BTreeSet<_> = fleet.ids.values().map(|id| id.slot()).collect();
    for slot in slots {
        // The same rows come back from the store; the engine's own table of turns is made anew.
        let mut state = SlotState::empty(slot, Epoch(1));
        state.position = fleet.positions[&slot];
        state.agents = fleet.engine.freeze(at(fleet.millis), slot).unwrap();
        state.specs = fleet
            .specs
            .values()
            .filter(|spec| spec.agent.slot() == slot)
            .cloned()
            .collect();
        let _views = fleet.engine.thaw(at(fleet.millis), state).unwrap();
    }
    fleet.engine.check_invariants().unwrap();
    fleet.wait(0);
    assert_eq!(coming(&fleet, &names), before, "nobody is ended beyond the limit");
}
