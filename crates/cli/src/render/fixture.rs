//! An agent and its story, for tests of what is shown.

use stead_model::group::{GroupPhase, GroupView, RolloutState, RolloutView, UpdateSpec};
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

/// A group of three that was updated a while ago.
pub(crate) fn group_view(name: &str) -> GroupView {
    GroupView {
        id: stead_model::AgentId::from_bits(0x0123_4567_89ab_cdee),
        name: name.parse().unwrap(),
        namespace: stead_model::Namespace::default(),
        phase: GroupPhase::Online,
        summary: format!("{name} is online: 3 of 3 available"),
        intent: Wanted::Running,
        replicas: 3,
        present: 3,
        ready: 3,
        available: 3,
        updated: 3,
        pause: None,
        revision: Revision(9),
        spec_revision: 2,
        good_revision: 2,
        update: UpdateSpec::default(),
        labels: [("team".to_owned(), "red".to_owned())].into(),
        rollout: Some(RolloutView {
            state: RolloutState::Completed,
            from: 1,
            to: 2,
            began: ago(120),
            ended: Some(ago(60)),
            deadline: None,
            actor: "ann".into(),
            why: None,
        }),
        members: ["1", "2", "3"]
            .map(|number| format!("{name}-{number}").parse().unwrap())
            .into(),
    }
}
