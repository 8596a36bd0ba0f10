//! Rows to write: small, valid, and told apart by their numbers.

use stead_model::group::UpdateSpec;
use stead_model::journal::{
    AgentRow, AnswerRow, Append, Change, DegradationRow, Durability, GroupRow, RecoveryRow, RevisionRow, SpecRow,
};
use stead_model::{
    AccessRole, AgentId, AgentSpec, AuditKind, AuditRow, Epoch, Event, Happening, Health, Incarnation, Intent,
    Namespace, Outcome, Position, Reason, Revision, Sequence, Slot, Transition, Wall, Wanted,
};
use stead_model::{AttemptState, DegradationLevel, FailureKind, LevelChange, RecoveryAttempt, Strategy};
use stead_store::{Lease, Owner};

pub(crate) fn slot(number: u16) -> Slot {
    Slot::try_from(number).unwrap()
}

pub(crate) fn node(name: &str) -> Owner {
    Owner::new(name)
}

pub(crate) fn at(millis: i64) -> Wall {
    Wall::from_unix_millis(millis)
}

pub(crate) fn unending() -> Lease {
    Lease::unending(at(0))
}

/// The agent that was registered as number `number` of a slot.
pub(crate) fn agent(slot: Slot, number: u64) -> AgentId {
    AgentId::new(slot, number)
}

/// Request number `number` of Ada's.
pub(crate) fn audit(number: u32, verb: &str) -> AuditRow {
    AuditRow {
        at: at(number.into()),
        actor: "ada".into(),
        role: AccessRole::Admin,
        namespace: Namespace::default(),
        kind: AuditKind::Agent,
        id: None,
        name: "web".into(),
        verb: verb.into(),
        outcome: Outcome::Accepted,
        revision: Revision(1),
        reason: None,
        correlation_id: format!("c-{number}"),
        trace_id: None,
    }
}

/// What the default namespace has given up after its change of this number.
pub(crate) fn degradation(id: AgentId, number: u32) -> DegradationRow {
    DegradationRow {
        id,
        namespace: Namespace::default(),
        revision: Revision(number.into()),
        sequence: Sequence(number.into()),
        level: DegradationLevel::Moderate,
        cause: "search is down".into(),
        rule: Some("important_down".into()),
        modes: vec![],
        since: at(number.into()),
        down: vec!["search".parse().unwrap()],
        hot: vec![],
        off: vec!["web_search".parse().unwrap()],
        held: None,
    }
}

/// The change of this number.
pub(crate) fn level(number: u32) -> LevelChange {
    LevelChange {
        sequence: Sequence(number.into()),
        namespace: Namespace::default(),
        at: at(number.into()),
        from: DegradationLevel::Full,
        to: DegradationLevel::Moderate,
        cause: "search is down".into(),
        rule: Some("important_down".into()),
        down: vec!["search".parse().unwrap()],
        went_off: vec!["web_search".parse().unwrap()],
        came_back: vec![],
        impact: 0.25,
        actor: "stead".into(),
        correlation_id: format!("c-{number}"),
    }
}

/// An attempt to bring `web` back that is under way.
pub(crate) fn attempt(id: AgentId, number: u32) -> RecoveryAttempt {
    RecoveryAttempt {
        agent: id,
        namespace: Namespace::default(),
        name: "web".parse().unwrap(),
        number: number.into(),
        incident: 1,
        strategy: Strategy::Restart,
        failure: FailureKind::ProcessExit,
        cause: "exited with code 1".into(),
        incarnation: Incarnation(2),
        triggered_by: "stead".into(),
        began: at(number.into()),
        ended: None,
        state: AttemptState::Running,
        detail: String::new(),
        correlation_id: format!("c-{number}"),
    }
}

pub(crate) fn empty(slot: Slot, epoch: Epoch, position: u64, durability: Durability) -> Append {
    Append {
        slot,
        epoch,
        first: Position(position),
        position: Position(position),
        durability,
        changes: Vec::new(),
        transitions: Vec::new(),
        events: Vec::new(),
    }
}

/// An append that registers an agent: its row, spec, answer and event.
pub(crate) fn registering(slot: Slot, epoch: Epoch, position: u64, name: &str) -> Append {
    let id = agent(slot, position);
    Append {
        changes: vec![
            Change::Agent(Box::new(row(id, name))),
            Change::Spec(Box::new(spec(id, 1))),
            Change::Answer(answer(id, &format!("key-{name}"))),
        ],
        events: vec![event(
            id,
            Happening::AgentRegistered {
                profile: "agent".into(),
            },
        )],
        ..empty(slot, epoch, position, Durability::Flushed)
    }
}

/// An append that moves an agent on: its row, one row of history, one event.
pub(crate) fn moving(id: AgentId, name: &str, epoch: Epoch, position: u64, durability: Durability) -> Append {
    let sequence = Sequence(position);
    let mut state = row(id, name);
    state.revision = Revision(position);
    state.sequence = sequence;
    Append {
        changes: vec![Change::Agent(Box::new(state))],
        transitions: vec![transition(id, name, sequence)],
        events: vec![event(
            id,
            Happening::PhaseChanged {
                sequence,
                from: "offline".into(),
                to: "starting".into(),
                reason: Reason::Crash,
                description: format!("move {position}"),
                via: false,
            },
        )],
        ..empty(id.slot(), epoch, position, durability)
    }
}

pub(crate) fn row(id: AgentId, name: &str) -> AgentRow {
    AgentRow {
        id,
        namespace: Namespace::default(),
        name: name.parse().unwrap(),
        profile: "agent".into(),
        revision: Revision(1),
        phase: "offline".into(),
        phase_since: at(1),
        sequence: Sequence(0),
        intent: Intent {
            wanted: Wanted::Running,
            actor: "tester".into(),
            at: at(1),
            reason: None,
            correlation_id: "c-1".into(),
            pause: None,
        },
        health: Health::Unknown,
        claim: None,
        vital: None,
        health_since: at(1),
        ready: false,
        conditions: Vec::new(),
        evidence: Vec::new(),
        spec_revision: 1,
        incarnation: Incarnation(0),
        incarnations_reserved: Incarnation(0),
        instance: None,
        last_exit: None,
        restarts: 0,
        restart_wanted: false,
        halted: false,
        halt_reason: None,
        renewal: None,
        boot: 0,
        recovery: RecoveryRow::default(),
        deadline: None,
        tasks: Vec::new(),
        correlation_id: "c-1".into(),
        expiry: None,
        frozen: false,
        word: None,
        asked: Vec::new(),
        member: None,
        draining: false,
        drain: None,
        removed: false,
    }
}

pub(crate) fn spec(id: AgentId, revision: u32) -> SpecRow {
    SpecRow {
        agent: id,
        revision,
        actor: "tester".into(),
        at: at(i64::from(revision)),
        spec: AgentSpec::reporting("agent"),
    }
}

pub(crate) fn answer(id: AgentId, key: &str) -> AnswerRow {
    AnswerRow {
        namespace: Namespace::default(),
        key: key.into(),
        fingerprint: u64::MAX,
        at: at(1),
        agent: id,
        answer: "{}".into(),
    }
}

pub(crate) fn transition(id: AgentId, name: &str, sequence: Sequence) -> Transition {
    Transition {
        sequence,
        agent: id,
        namespace: Namespace::default(),
        name: name.parse().unwrap(),
        group: sequence.0.is_multiple_of(3).then(|| "pool".parse().unwrap()),
        incarnation: Incarnation(1),
        from: "offline".into(),
        to: if sequence.0.is_multiple_of(2) {
            "starting"
        } else {
            "online"
        }
        .into(),
        at: at(i64::try_from(sequence.0).unwrap() * 10),
        reason: if sequence.0.is_multiple_of(3) {
            Reason::Crash
        } else {
            Reason::Request
        },
        description: format!("row {sequence}"),
        triggered_by: "stead".into(),
        via: sequence.0.is_multiple_of(5),
        correlation_id: format!("c-{sequence}"),
        trace_id: None,
        metadata: serde_json::Map::from_iter([("n".to_owned(), sequence.0.into())]),
    }
}

pub(crate) fn event(id: AgentId, what: Happening) -> Event {
    Event {
        at: at(1),
        namespace: Namespace::default(),
        agent: id,
        name: "some".parse().unwrap(),
        group: None,
        revision: Revision(1),
        actor: "tester".into(),
        correlation_id: "c-1".into(),
        trace_id: None,
        what,
    }
}

/// A group whose oldest kept revision is the second.
pub(crate) fn group(id: AgentId, name: &str) -> GroupRow {
    let revision = |number| RevisionRow {
        number,
        actor: "ann".into(),
        at: at(0),
        reason: None,
        failed: false,
    };
    GroupRow {
        id,
        namespace: Namespace::default(),
        name: name.parse().unwrap(),
        revision: Revision(1),
        intent: row(id, name).intent,
        replicas: 2,
        update: UpdateSpec::default(),
        target: 3,
        good: 2,
        revisions: vec![revision(2), revision(3)],
        rollout: None,
        correlation_id: "c-1".into(),
        removed: false,
    }
}
