//! Random lives on the built-in profiles: invariants after every step, and the same engine after freeze and thaw at any of them.

use std::time::Duration;

use proptest::prelude::*;
use stead_engine::{Engine, Input};
use stead_model::journal::AgentRow;
use stead_model::{AgentRef, InstanceId, Inventory, LiveInstance, Namespace, Notice, Request, Span};

use crate::rig::{BOOT, Event, Rig, event, happen, identity, name};

/// What the keeper would find: every run, also one whose start is on its way.
fn inventory(rig: &Rig) -> Inventory {
    let seen = |row: &AgentRow| {
        let run = row.instance.as_ref()?;
        let instance = InstanceId {
            agent: row.id,
            incarnation: run.incarnation,
        };
        Some(LiveInstance {
            instance,
            process: identity(),
            ready: false,
        })
    };
    Inventory {
        live: rig.rows.values().filter_map(seen).collect(),
        exited: vec![],
    }
}

/// The rows, without how old the newest observations are: those are made anew.
fn state(rig: &Rig) -> Vec<AgentRow> {
    let mut rows = rig.engine.freeze(rig.now, rig.slot).unwrap();
    rows.iter_mut().for_each(|row| row.evidence.clear());
    rows
}

fn check(rig: &Rig) -> Result<(), TestCaseError> {
    rig.engine.check_invariants().map_err(TestCaseError::fail)
}

fn life(events: &[Event]) -> Result<(), TestCaseError> {
    let mut rig = Rig::new(vec![]);
    let mut standing = Vec::new();
    for event in events {
        happen(&mut rig, &mut standing, event);
        check(&rig)?;
    }
    Ok(())
}

/// Lives up to a point, thaws a second engine from the first one's rows there, and lives on with both.
fn twins(events: &[Event], cut: usize) -> Result<(), TestCaseError> {
    let mut one = Rig::new(vec![]);
    let mut standing = Vec::new();
    for event in &events[..cut] {
        happen(&mut one, &mut standing, event);
    }
    let mut other = Rig::new(vec![]);
    let stored = one.stored();
    other.engine = Engine::new(BOOT);
    let _views = other.engine.thaw(one.now, stored).unwrap();
    (other.now, other.position) = (one.now, one.position);
    (other.rows, other.specs) = (one.rows.clone(), one.specs.clone());
    prop_assert_eq!(state(&one), state(&other));
    let see = |rig: &Rig| {
        let seen = rig
            .engine
            .explain(rig.now, &Namespace::default(), &AgentRef::Name(name()));
        // Waits for signs of life begin anew with the node.
        seen.map(|mut seen| {
            seen.agent.evidence.retain(|seen| seen.kind != "heartbeat");
            (
                stead_model::AgentView {
                    next: None,
                    ..seen.agent
                },
                seen.intent,
                seen.restart_budget,
            )
        })
    };
    prop_assert_eq!(see(&one), see(&other));
    standing.clear();
    let found = inventory(&one);
    let slot = one.slot;
    let mut later = (
        one.step(Input::Inventory(slot, found.clone())),
        other.step(Input::Inventory(slot, found)),
    );
    for event in &events[cut..] {
        prop_assert_eq!(state(&one), state(&other));
        happen(&mut one, &mut later.0, event);
        happen(&mut other, &mut later.1, event);
        check(&other)?;
    }
    prop_assert_eq!(state(&one), state(&other));
    prop_assert_eq!(later.0, later.1);
    Ok(())
}

/// What each node counts anew is left out, since twins would differ in it: how long somebody may be silent, and how often what
/// somebody says of itself is published.
fn patient(mut event: Event) -> Event {
    match &mut event {
        Event::Ask(Request::Register { spec, .. } | Request::Respec { spec }) => {
            let hour = Span(Duration::from_secs(3_600));
            (spec.health.interval, spec.health.timeout) = (Some(hour), Some(hour));
            spec.health.adaptive_timeout = Some(false);
            event
        }
        Event::Notice(Notice::Status { .. }) | Event::Beat(..) => Event::Wait(0),
        _ => event,
    }
}

fn cut_of(events: &[Event], cut: prop::sample::Index) -> usize {
    cut.index(events.len())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_agent_keeps_every_invariant_whatever_happens(events in proptest::collection::vec(event("agent"), 1..100)) {
        life(&events)?;
    }

    #[test]
    fn a_component_keeps_every_invariant_whatever_happens(
        events in proptest::collection::vec(event("component"), 1..100),
    ) {
        life(&events)?;
    }

    #[test]
    fn an_engine_thawed_from_what_another_froze_lives_on_as_that_one_does(
        events in proptest::collection::vec(event("agent"), 1..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let events: Vec<_> = events.into_iter().map(patient).collect();
        twins(&events, cut_of(&events, cut))?;
    }
}
