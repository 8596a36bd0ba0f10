//! An agent that is held for what no start can help: asked whether the cause is gone, and started again once it is.

use stead_engine::Input;
use stead_model::spec::{ProbeKind, Probes};
use stead_model::{
    Action, AgentSpec, AttemptState, Condition, Exit, FailureKind, Incarnation, InstanceId, Notice, Observation, Order,
    Request, Wanted,
};

use crate::rig::{Rig, identity};

const SPEC: &str = r#"{"command":["x"],"notify":true,
    "restart":{"final_exit_codes":[77],"backoff":{"jitter":0},"intensity":{"max":2}},
    "probes":{"clear":{"tcp_socket":{"port":1},"success_threshold":2}}}"#;

/// One that came up and then ended with exit code 77, and what was ordered then.
fn held(spec: &str) -> (Rig, InstanceId, Vec<Action>) {
    let spec: AgentSpec = serde_json::from_str(spec).unwrap();
    let mut rig = Rig::new(Vec::new());
    rig.ask(Request::Register {
        spec: Box::new(spec),
        wanted: Wanted::Running,
    });
    let agent = rig.row().unwrap().id;
    rig.step(Input::Observed(Observation::Prepared { agent, result: Ok(()) }));
    let instance = come_up(&mut rig);
    let orders = expire(&mut rig, instance);
    (rig, instance, orders)
}

/// Its run begins and says that it is ready.
fn come_up(rig: &mut Rig) -> InstanceId {
    let row = rig.row().unwrap();
    let instance = InstanceId {
        agent: row.id,
        incarnation: row.instance.as_ref().unwrap().incarnation,
    };
    let result = Ok(identity());
    rig.step(Input::Observed(Observation::Spawned { instance, result }));
    let notice = Notice::Ready;
    rig.step(Input::Observed(Observation::Notified { instance, notice }));
    instance
}

fn expire(rig: &mut Rig, instance: InstanceId) -> Vec<Action> {
    rig.step(Input::Observed(Observation::Exited {
        instance,
        exit: Exit::Code { code: 77 },
        swept: 0,
    }))
}

fn answer(rig: &mut Rig, instance: InstanceId, result: Result<(), &str>) -> Vec<Action> {
    rig.step(Input::Observed(Observation::Probed {
        instance,
        kind: ProbeKind::Clear,
        result: result.map_err(Into::into),
    }))
}

/// What was ordered to be asked of which run.
fn asked(orders: &[Action]) -> Vec<(InstanceId, Probes)> {
    let asked = |action: &Action| match &action.order {
        Order::Probe { instance, probes, .. } => Some((*instance, Probes::clone(probes))),
        _other => None,
    };
    orders.iter().filter_map(asked).collect()
}

fn starts(orders: &[Action]) -> bool {
    orders.iter().any(|action| matches!(action.order, Order::Spawn { .. }))
}

fn is_held(rig: &Rig) -> bool {
    let row = rig.row().unwrap();
    row.conditions.iter().any(|held| held.condition == Condition::Held)
}

#[test]
fn what_no_start_can_help_is_asked_for_and_started_once_the_cause_is_gone() {
    let (mut rig, first, orders) = held(SPEC);
    let probes = rig.spec().probes.clone();
    assert_eq!(asked(&orders), [(first, probes)], "by its clear probe alone");
    assert!(is_held(&rig) && !starts(&orders));
    let said = rig.explain();
    assert!(said.summary.contains("its clear probe is asked"), "{}", said.summary);
    for seen in [Err("401"), Ok(()), Err("401"), Ok(())] {
        let orders = answer(&mut rig, first, seen);
        assert!(!starts(&orders), "two in a row are needed");
    }
    let evidence = rig.explain().agent.evidence;
    assert!(
        evidence
            .iter()
            .any(|seen| seen.detail == "clear probe succeeded (1 of 2)")
    );
    let orders = answer(&mut rig, first, Ok(()));
    assert!(starts(&orders) && !is_held(&rig));
    assert_eq!(asked(&orders), [(first, Probes::default())], "nobody asks any more");
    come_up(&mut rig);
    let attempt = rig.attempts.values().next_back().unwrap();
    assert_eq!(attempt.state, AttemptState::Verified);
    assert_eq!(attempt.failure, FailureKind::ProcessingError);
    assert!(rig.row().unwrap().recovery.failure.is_none());
}

#[test]
fn a_probe_that_says_wrongly_that_the_cause_is_gone_ends_in_quarantine() {
    let (mut rig, mut run, _) = held(SPEC);
    for _ in 0..2 {
        answer(&mut rig, run, Ok(()));
        answer(&mut rig, run, Ok(()));
        rig.wait(10_000);
        run = come_up(&mut rig);
        let orders = expire(&mut rig, run);
        assert_eq!(asked(&orders).len(), 1);
    }
    answer(&mut rig, run, Ok(()));
    let orders = answer(&mut rig, run, Ok(()));
    assert!(!starts(&orders));
    let conditions = &rig.row().unwrap().conditions;
    assert!(conditions.iter().any(|known| known.condition == Condition::Quarantined));
    assert_eq!(asked(&orders), [(run, Probes::default())]);
}

#[test]
fn where_recovery_only_observes_nobody_asks_as_no_answer_would_change_anything() {
    let spec = SPEC.replacen('{', r#"{"recovery":{"mode":"observe"},"#, 1);
    let (mut rig, run, orders) = held(&spec);
    assert_eq!(asked(&orders), []);
    let (attempts, revision) = (rig.attempts.len(), rig.row().unwrap().revision);
    for _ in 0..4 {
        assert!(!starts(&answer(&mut rig, run, Ok(()))));
    }
    assert_eq!((rig.attempts.len(), rig.row().unwrap().revision), (attempts, revision));
    assert!(is_held(&rig));
}

#[test]
fn what_a_person_wants_down_is_asked_for_no_longer() {
    let (mut rig, run, _) = held(SPEC);
    let orders = rig.ask(Request::Want(Wanted::Stopped));
    assert_eq!(asked(&orders), [(run, Probes::default())]);
    for _ in 0..2 {
        assert!(!starts(&answer(&mut rig, run, Ok(()))), "a late answer");
    }
}

#[test]
fn an_answer_about_an_earlier_run_and_one_that_serves_changes_nothing() {
    let (mut rig, run, _) = held(SPEC);
    let other = InstanceId {
        incarnation: Incarnation(run.incarnation.0 + 1),
        ..run
    };
    for _ in 0..3 {
        assert!(!starts(&answer(&mut rig, other, Ok(()))));
    }
    rig.ask(Request::Want(Wanted::Running));
    let second = come_up(&mut rig);
    let before = rig.row().unwrap().revision;
    answer(&mut rig, second, Err("401"));
    assert_eq!(rig.row().unwrap().revision, before);
}

#[test]
fn without_a_clear_probe_it_stays_held() {
    let (mut rig, run, orders) = held(r#"{"command":["x"],"notify":true,"restart":{"final_exit_codes":[77]}}"#);
    assert_eq!(asked(&orders), []);
    assert!(!starts(&answer(&mut rig, run, Ok(()))));
    rig.wait(3_600_000);
    assert!(is_held(&rig));
}

#[test]
fn one_that_is_held_is_asked_for_again_after_a_start_of_the_node() {
    let (mut rig, run, _) = held(SPEC);
    let orders = rig.restart();
    assert_eq!(asked(&orders).first().map(|(instance, _)| *instance), Some(run));
    answer(&mut rig, run, Ok(()));
    assert!(starts(&answer(&mut rig, run, Ok(()))));
}
