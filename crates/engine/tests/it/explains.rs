//! What is said of an agent while somebody looks at it.

use stead_engine::Input;
use stead_model::{
    Action, AgentRef, AgentSpec, Explanation, InstanceId, Namespace, Observation, Order, Request, Wanted,
};

use crate::rig::{Rig, identity, name};

fn registered(spec: &str) -> (Rig, Vec<Action>) {
    let spec: AgentSpec = serde_json::from_str(spec).unwrap();
    let mut rig = Rig::new(Vec::new());
    let orders = rig.ask(Request::Register {
        spec: Box::new(spec),
        wanted: Wanted::Running,
    });
    (rig, orders)
}

/// Prepares and starts it; gives its run.
fn started(spec: &str) -> (Rig, InstanceId) {
    let (mut rig, _prepare) = registered(spec);
    let agent = rig.row().unwrap().id;
    let orders = rig.step(Input::Observed(Observation::Prepared { agent, result: Ok(()) }));
    let spawned = orders.iter().find_map(|action| match action.order {
        Order::Spawn { instance, .. } => Some(instance),
        _ => None,
    });
    let instance = spawned.unwrap();
    rig.step(Input::Observed(Observation::Spawned {
        instance,
        result: Ok(identity()),
    }));
    (rig, instance)
}

fn why(rig: &Rig) -> Explanation {
    let agent = AgentRef::Name(name());
    rig.engine.explain(rig.now, &Namespace::default(), &agent).unwrap()
}

#[test]
fn one_that_is_killed_for_being_late_says_what_follows_its_end() {
    let said = |policy: &str| {
        let spec = format!(r#"{{"command":["x"],"notify":true,"restart":{{"policy":"{policy}"}}}}"#);
        let (mut rig, _) = started(&spec);
        rig.wait(60_001);
        let why = why(&rig);
        assert_eq!(why.agent.phase, "timeout");
        why.next.into_iter().map(|step| step.what).collect::<Vec<_>>()
    };
    let again = "SIGKILL to its whole tree once more, unless it has ended by then";
    assert_eq!(
        said("always"),
        [again, "once it has ended: started again, as its restart policy says"]
    );
    assert_eq!(said("never"), [again, "once it has ended: it stays down"]);
}

#[test]
fn a_bare_sign_of_life_leaves_what_was_said_last() {
    let (mut rig, _) = registered(r#"{"driver":"none"}"#);
    let agent = rig.row().unwrap().id;
    let mut report = |detail: Option<&str>| {
        let report = stead_model::Report {
            detail: detail.map(str::to_owned),
            ..stead_model::Report::default()
        };
        rig.step(Input::Observed(Observation::Reported { agent, report }));
        let evidence = &rig.row().unwrap().evidence;
        evidence
            .iter()
            .find(|seen| seen.kind == "report")
            .unwrap()
            .detail
            .clone()
    };
    assert_eq!(report(None), "it gives a sign of life");
    assert_eq!(report(Some("queue is long")), "queue is long");
    assert_eq!(report(None), "queue is long");
}

#[test]
fn a_finished_job_has_nothing_to_clear() {
    let (mut rig, instance) = started(r#"{"command":["x"],"restart":{"policy":"on-failure"}}"#);
    rig.step(Input::Observed(Observation::Exited {
        instance,
        exit: stead_model::Exit::Code { code: 0 },
        swept: 0,
    }));
    let why = why(&rig);
    assert_eq!(why.verdict, "it ended with success; its work is done");
    assert_eq!(why.clears, [""; 0]);
}
