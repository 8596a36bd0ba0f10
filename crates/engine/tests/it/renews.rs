//! Replicas whose metrics warn alike: started again one after the other, as an update would.

use stead_engine::Input;
use stead_model::group::{GroupCommand, GroupRequest, GroupSpec};
use stead_model::{
    AccessRole, AgentRef, Beat, BeatOf, Condition, Metric, Namespace, Origin, Reason, Transition, Vitals, Wanted,
};

use crate::fleet::Fleet;
use crate::rig::at;

const REPLICAS: [&str; 3] = ["web-1", "web-2", "web-3"];

/// Three replicas that are up, of a group that lets go as many of them at a time as `update` says.
fn up(update: &str) -> Fleet {
    let names: Vec<String> = REPLICAS.iter().chain(&["web"]).map(ToString::to_string).collect();
    let mut fleet = Fleet::new(&names);
    let spec = r#"{"replicas":3,"update":UPDATE,"template":{"command":["x"],"stop":{"grace":"1s"},
        "health":{"on_warning":"drain","expected":true,"interval":"1s","timeout":"1h"}}}"#;
    let spec: GroupSpec = serde_json::from_str(&spec.replace("UPDATE", update)).unwrap();
    fleet.step(Input::Group(Box::new(GroupCommand {
        origin: Origin {
            actor: "ann".into(),
            role: AccessRole::Admin,
            correlation_id: "g".into(),
            trace_id: None,
        },
        namespace: Namespace::default(),
        group: AgentRef::Name("web".parse().unwrap()),
        expected: None,
        idempotency: None,
        reason: None,
        request: GroupRequest::Create {
            spec: Box::new(spec),
            wanted: Wanted::Running,
        },
    })));
    for _ in 0..10 {
        second(&mut fleet, 0.3);
    }
    fleet
}

/// A second in which each says how full its memory is, whoever of them is up.
fn second(fleet: &mut Fleet, memory: f64) {
    fleet.wait(1_000);
    for name in REPLICAS {
        let mut vitals = Vitals::NONE;
        vitals.set(Metric::MemoryUsage, memory).unwrap();
        let beat = Beat {
            vitals,
            ..Beat::bare(BeatOf::Id(fleet.ids[name]))
        };
        fleet.engine.beats(at(fleet.millis), &[beat], &mut Vec::new());
    }
    fleet.wait(0);
}

fn ready(fleet: &Fleet) -> usize {
    REPLICAS.iter().filter(|name| fleet.explain(name).agent.ready).count()
}

#[test]
fn replicas_that_leak_alike_are_started_again_one_after_the_other() {
    let mut fleet = up(r#"{"min_ready":"2s"}"#);
    let before = fleet.starts.len();
    for n in 0..300_u32 {
        second(&mut fleet, 0.3 + f64::from(n % 2) * 0.02);
        assert_eq!(ready(&fleet), 3);
    }
    let mut memory = 0.33;
    while fleet.starts.len() < before + 3 && memory < 0.85 {
        memory += 0.001;
        second(&mut fleet, memory);
        assert!(ready(&fleet) >= 2, "more than one of them was taken down at a time");
    }
    for _ in 0..5 {
        second(&mut fleet, 0.3);
    }
    let started: Vec<_> = fleet.starts[before..]
        .iter()
        .map(|(at, run)| (*at, run.agent))
        .collect();
    assert_eq!(started.len(), 3, "each of them once: {started:?}");
    assert!(
        started.windows(2).all(|pair| pair[1].0 >= pair[0].0 + 2_000),
        "{started:?}"
    );
    for name in REPLICAS {
        let rows: Vec<&Transition> = fleet.history.iter().filter(|row| row.name.as_str() == name).collect();
        let why: Vec<_> = rows[rows.len() - 4..]
            .iter()
            .map(|row| (row.to.as_ref(), row.reason))
            .collect();
        let warned = Reason::MetricThreshold;
        assert_eq!(
            why,
            [
                ("stopping", warned),
                ("offline", warned),
                ("starting", warned),
                ("online", Reason::NormalStartup)
            ]
        );
        assert!(rows[rows.len() - 3].description.contains("grows without rest"));
    }
}

#[test]
fn where_no_replica_may_be_missing_those_that_leak_are_warned_of_and_go_on() {
    let mut fleet = up(r#"{"max_unavailable":0,"max_surge":1}"#);
    let before = fleet.starts.len();
    for n in 0..300_u32 {
        second(&mut fleet, 0.3 + f64::from(n % 2) * 0.02);
    }
    for n in 1..500_u32 {
        second(&mut fleet, 0.33 + f64::from(n) * 0.001);
        assert_eq!(ready(&fleet), 3);
    }
    assert_eq!(fleet.starts.len(), before, "none was started again");
    let warned = |name: &str| {
        let conditions = fleet.explain(name).agent.conditions;
        conditions.iter().any(|held| held.condition == Condition::Warning)
    };
    assert!(REPLICAS.iter().all(|name| warned(name)));
}
