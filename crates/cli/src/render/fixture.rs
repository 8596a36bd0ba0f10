//! An agent and its story, for tests of what is shown.

use stead_model::{AgentView, Condition, ConditionView, Evidence, Health, Incarnation, Revision, Wall, Wanted};

/// When the tests look.
pub(crate) const NOW: Wall = Wall::from_unix_millis(1_767_225_600_000);

/// So many seconds before [`NOW`].
pub(crate) fn ago(secs: i64) -> Wall {
    Wall::from_unix_millis(NOW.unix_millis() - secs * 1000)
}

/// An agent that does well.
pub(crate) fn agent(name: &str) -> AgentView {
    AgentView {
        id: stead_model::AgentId::from_bits(0x0123_4567_89ab_cdef),
        name: name.parse().unwrap(),
        namespace: stead_model::Namespace::default(),
        profile: "agent".into(),
        kind: "worker".into(),
        phase: "online".into(),
        since: ago(192),
        health: Health::Healthy,
        ready: true,
        intent: Wanted::Running,
        pause: None,
        incarnation: Incarnation(3),
        pid: Some(4711),
        restarts: 2,
        tasks: 0,
        revision: Revision(17),
        spec_revision: 1,
        restart_pending: false,
        group: None,
        labels: [("team".to_owned(), "red".to_owned())].into(),
        conditions: vec![ConditionView {
            condition: Condition::Unverified,
            since: ago(192),
            detail: "nothing but its process says that it works".into(),
        }],
        evidence: vec![Evidence {
            kind: "process".into(),
            observed_at: ago(192),
            source: "keeper".into(),
            detail: "pid 4711 started".into(),
        }],
        next: None,
    }
}
