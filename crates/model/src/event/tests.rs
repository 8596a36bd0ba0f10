use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::group::RolloutState;

/// One of each.
fn each() -> Vec<Happening> {
    let text = || "because".to_owned();
    vec![
        Happening::AgentRegistered { profile: text() },
        Happening::PhaseChanged {
            sequence: Sequence(3),
            from: "online".into(),
            to: "error".into(),
            reason: Reason::Crash,
            description: text(),
            via: true,
        },
        Happening::HealthChanged {
            from: Health::Healthy,
            to: Health::Failed,
            detail: text(),
        },
        Happening::ReadinessChanged {
            ready: true,
            detail: text(),
        },
        Happening::IntentChanged {
            from: Wanted::Running,
            to: Wanted::Stopped,
            reason: Some(text()),
        },
        Happening::ConditionRaised {
            condition: Condition::Held,
            detail: text(),
        },
        Happening::ConditionCleared {
            condition: Condition::Held,
        },
        Happening::SpecChanged { spec_revision: 4 },
        Happening::RestartScheduled {
            attempt: 2,
            due: Wall::from_unix_millis(5),
        },
        Happening::RecoveryStarted {
            number: 7,
            strategy: Strategy::Restart,
            failure: FailureKind::ProcessExit,
            cause: text(),
        },
        Happening::RecoveryEnded {
            number: 7,
            strategy: Strategy::Restart,
            state: AttemptState::Failed,
            detail: text(),
        },
        Happening::TaskAssigned {
            task: text(),
            in_flight: 1,
        },
        Happening::TaskCompleted {
            task: text(),
            in_flight: 0,
        },
        Happening::GroupCreated { replicas: 3 },
        Happening::GroupScaled { from: 3, to: 5 },
        Happening::RolloutStarted {
            from: 1,
            to: 2,
            reason: None,
        },
        Happening::RolloutFailed {
            revision: 2,
            back_to: Some(1),
            detail: text(),
        },
        Happening::RolloutEnded {
            revision: 2,
            state: RolloutState::Completed,
        },
        Happening::GroupDeleted,
        Happening::DegradationChanged {
            sequence: Sequence(2),
            from: DegradationLevel::Full,
            to: DegradationLevel::Moderate,
            cause: text(),
            modes: vec![WorkMode::Offline],
            went_off: vec!["web_search".parse().unwrap()],
            came_back: vec![],
            impact: 0.25,
        },
        Happening::Gap { detail: text() },
    ]
}

fn event(what: Happening) -> Event {
    Event {
        at: Wall::from_unix_millis(1_000),
        namespace: Namespace::default(),
        agent: AgentId::from_bits(7),
        name: "web".parse().unwrap(),
        group: Some("web".parse().unwrap()),
        revision: Revision(9),
        actor: "ada".to_owned(),
        correlation_id: "c-1".to_owned(),
        trace_id: Some("t-1".to_owned()),
        what,
    }
}

#[test]
fn every_event_is_read_as_it_was_written() {
    for what in each() {
        let written = serde_json::to_string(&event(what.clone())).unwrap();
        let read: Event = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(read, event(what), "{written}");
    }
}

#[test]
fn one_of_each_is_one_of_each() {
    let schema = schemars::schema_for!(Happening).to_value();
    let known: BTreeSet<_> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["properties"]["type"]["const"].as_str().unwrap().to_string())
        .collect();
    let told: BTreeSet<_> = each().iter().map(|what| what.kind().to_string()).collect();
    assert_eq!(told, known);
}
