//! What is noted of attempts to bring an agent back, and when one counts as having helped.

use stead_engine::Input;
use stead_model::spec::ProbeKind;
use stead_model::{
    AgentRef, AgentSpec, AttemptState, Beat, BeatOf, Exit, FailureKind, Health, InstanceId, Namespace, Notice,
    Observation, Order, RecoveryAttempt, Remedy, Request, Span, Wanted,
};

use crate::rig::{Rig, identity};

/// An agent that was prepared and started, with its run.
fn started(spec: &str) -> (Rig, InstanceId) {
    let spec: AgentSpec = serde_json::from_str(spec).unwrap();
    let mut rig = Rig::new(Vec::new());
    rig.ask(Request::Register {
        spec: Box::new(spec),
        wanted: Wanted::Running,
    });
    let agent = rig.row().unwrap().id;
    let orders = rig.step(Input::Observed(Observation::Prepared { agent, result: Ok(()) }));
    assert!(orders.iter().any(|action| matches!(action.order, Order::Spawn { .. })));
    let instance = spawned(&mut rig);
    (rig, instance)
}

/// Its run begins.
fn spawned(rig: &mut Rig) -> InstanceId {
    let row = rig.row().unwrap();
    let instance = InstanceId {
        agent: row.id,
        incarnation: row.instance.as_ref().unwrap().incarnation,
    };
    rig.step(Input::Observed(Observation::Spawned {
        instance,
        result: Ok(identity()),
    }));
    instance
}

fn exited(rig: &mut Rig, instance: InstanceId, exit: Exit) {
    rig.step(Input::Observed(Observation::Exited {
        instance,
        exit,
        swept: 0,
    }));
}

fn told(rig: &Rig) -> Vec<(u64, u64, FailureKind, AttemptState)> {
    let told = |row: &RecoveryAttempt| (row.number, row.incident, row.failure, row.state);
    rig.attempts.values().map(told).collect()
}

fn last(rig: &Rig) -> &RecoveryAttempt {
    rig.attempts.values().next_back().unwrap()
}

const CRASH: Exit = Exit::Code { code: 1 };

#[test]
fn a_restart_that_is_carried_out_and_shows_nothing_has_failed() {
    let spec = r#"{"command":["x"],"notify":true,"restart":{"backoff":{"jitter":0}},
        "probes":{"readiness":{"tcp_socket":{"port":1}}}}"#;
    let (mut rig, first) = started(spec);
    exited(&mut rig, first, Exit::OutOfMemory);
    let second = spawned(&mut rig);
    assert_eq!(told(&rig), [(1, 1, FailureKind::MemoryError, AttemptState::Running)]);
    rig.step(Input::Observed(Observation::Notified {
        instance: second,
        notice: Notice::Ready,
    }));
    assert_eq!(last(&rig).state, AttemptState::Running, "its probe has not said so yet");
    rig.wait(90_001);
    assert_eq!(last(&rig).state, AttemptState::Failed);
    exited(&mut rig, second, Exit::Unknown);
    rig.wait(2_000);
    let third = spawned(&mut rig);
    let ready = |instance| {
        [
            Observation::Notified {
                instance,
                notice: Notice::Ready,
            },
            Observation::Probed {
                instance,
                kind: ProbeKind::Readiness,
                result: Ok(()),
            },
        ]
    };
    for seen in ready(third) {
        rig.step(Input::Observed(seen));
    }
    let told = told(&rig);
    assert_eq!(
        told[1],
        (2, 1, FailureKind::Stuck, AttemptState::Verified),
        "the same incident"
    );
    assert_eq!(last(&rig).detail, "readiness probe succeeded");
    exited(&mut rig, third, CRASH);
    rig.wait(3_000);
    assert_eq!((last(&rig).number, last(&rig).incident), (3, 3), "another incident");
}

#[test]
fn of_one_that_nothing_tells_of_a_long_life_is_all_that_is_claimed() {
    let (mut rig, first) = started(r#"{"command":["x"]}"#);
    exited(&mut rig, first, CRASH);
    spawned(&mut rig);
    rig.wait(9_999);
    assert_eq!(last(&rig).state, AttemptState::Running);
    rig.wait(2);
    assert_eq!(last(&rig).state, AttemptState::Unverified);
    assert!(last(&rig).ended.is_some() && rig.row().unwrap().recovery.failure.is_none());
}

#[test]
fn each_try_that_ends_in_another_crash_has_failed_until_it_is_quarantined() {
    let (mut rig, first) = started(r#"{"command":["x"],"restart":{"intensity":{"max":2}}}"#);
    exited(&mut rig, first, CRASH);
    for _ in 0..2 {
        rig.wait(5_000);
        let run = spawned(&mut rig);
        exited(&mut rig, run, CRASH);
    }
    let states: Vec<_> = told(&rig).into_iter().map(|row| (row.0, row.3)).collect();
    assert_eq!(states, [(1, AttemptState::Failed), (2, AttemptState::Failed)]);
    let recovery = &rig.row().unwrap().recovery;
    assert!(recovery.block.is_some() && recovery.open.is_none());
    assert_eq!(recovery.failure.as_ref().unwrap().kind, FailureKind::ProcessExit);
}

#[test]
fn what_a_person_asks_for_overtakes_an_attempt() {
    let (mut rig, first) = started(r#"{"command":["x"]}"#);
    exited(&mut rig, first, CRASH);
    let second = spawned(&mut rig);
    rig.ask(Request::Want(Wanted::Stopped));
    assert_eq!(last(&rig).state, AttemptState::Abandoned);
    exited(&mut rig, second, CRASH);
    rig.wait(600_000);
    assert_eq!(rig.attempts.len(), 1, "a stop is never undone");
}

#[test]
fn a_cause_that_no_start_can_help_is_named_and_not_answered_with_one() {
    let (mut rig, first) = started(r#"{"command":["x"],"restart":{"final_exit_codes":[78]}}"#);
    exited(&mut rig, first, Exit::Code { code: 78 });
    rig.wait(600_000);
    let failure = rig.row().unwrap().recovery.failure.as_ref().unwrap();
    assert_eq!(
        (failure.kind, failure.restart_helps),
        (FailureKind::ProcessingError, false)
    );
    assert!(rig.attempts.is_empty());
}

#[test]
fn where_recovery_only_observes_it_says_what_it_would_have_done_and_a_person_does_it() {
    let (mut rig, first) = started(r#"{"command":["x"],"recovery":{"mode":"observe"}}"#);
    exited(&mut rig, first, CRASH);
    rig.wait(600_000);
    assert_eq!(told(&rig), [(1, 1, FailureKind::ProcessExit, AttemptState::Observed)]);
    assert!(rig.row().unwrap().instance.is_none());
    rig.ask(Request::Want(Wanted::Running));
    assert!(rig.row().unwrap().instance.is_some());
}

#[test]
fn one_that_hangs_under_observation_lives_on_and_comes_back_by_itself() {
    let spec = r#"{"command":["x"],"notify":true,"watchdog":"5s","recovery":{"mode":"observe"}}"#;
    let (mut rig, run) = started(spec);
    let say = |rig: &mut Rig, notice| {
        rig.step(Input::Observed(Observation::Notified { instance: run, notice }));
    };
    say(&mut rig, Notice::Ready);
    rig.wait(5_001);
    let row = rig.row().unwrap();
    assert_eq!(
        (row.health, row.ready, row.conditions.len()),
        (Health::Critical, false, 1)
    );
    say(&mut rig, Notice::Watchdog);
    let row = rig.row().unwrap();
    assert_eq!(
        (row.health, row.ready, row.conditions.len()),
        (Health::Healthy, true, 0)
    );
    assert_eq!(row.instance.as_ref().unwrap().incarnation, run.incarnation);
}

#[test]
fn what_would_be_done_is_told_without_doing_it() {
    let foresee = |rig: &Rig, failure| {
        let agent = AgentRef::Name(crate::rig::name());
        let told = rig
            .engine
            .foresee(rig.now, &Namespace::default(), &agent, failure)
            .unwrap();
        (told.would, told.after)
    };
    let (mut rig, first) = started(r#"{"command":["x"],"restart":{"intensity":{"max":2},"backoff":{"jitter":0}}}"#);
    let before = rig.engine.freeze(rig.now, rig.slot);
    let at_once = (Remedy::Restart, Some(Span::default()));
    assert_eq!(foresee(&rig, FailureKind::Stuck), at_once);
    assert_eq!(foresee(&rig, FailureKind::DependencyFailure).0, Remedy::Hold);
    assert_eq!(rig.engine.freeze(rig.now, rig.slot), before);
    exited(&mut rig, first, CRASH);
    assert_eq!(
        foresee(&rig, FailureKind::Stuck),
        (Remedy::Restart, Some(Span::secs(1)))
    );
    let second = spawned(&mut rig);
    exited(&mut rig, second, CRASH);
    assert_eq!(foresee(&rig, FailureKind::Stuck).0, Remedy::Quarantine);
    rig.ask(Request::Want(Wanted::Stopped));
    assert_eq!(foresee(&rig, FailureKind::Stuck).0, Remedy::Nothing);
}

#[test]
fn one_that_only_beats_comes_back_by_its_beats_where_recovery_only_observes() {
    let spec = r#"{"command":["x"],"recovery":{"mode":"observe"},"health":{"expected":true,"adaptive_timeout":false}}"#;
    let (mut rig, run) = started(spec);
    let beat = |rig: &mut Rig| {
        let id = rig.row().unwrap().id;
        rig.engine
            .beats(rig.now, &[Beat::bare(BeatOf::Id(id))], &mut Vec::new());
        rig.wait(0);
    };
    beat(&mut rig);
    rig.wait(300_000);
    let row = rig.row().unwrap();
    assert_eq!((row.health, row.ready), (Health::Critical, false));
    beat(&mut rig);
    beat(&mut rig);
    let row = rig.row().unwrap();
    assert_eq!(
        (row.health, row.ready, row.conditions.len()),
        (Health::Healthy, true, 0),
        "{row:?}"
    );
    assert_eq!(row.instance.as_ref().unwrap().incarnation, run.incarnation);
}

#[test]
fn one_of_which_an_error_is_reported_lives_on_where_recovery_only_observes() {
    let (mut rig, run) = started(r#"{"command":["x"],"recovery":{"mode":"observe"}}"#);
    rig.ask(Request::ReportError { detail: "500".into() });
    rig.wait(600_000);
    let row = rig.row().unwrap();
    assert_eq!(row.instance.as_ref().unwrap().incarnation, run.incarnation);
    assert_eq!(told(&rig)[0].3, AttemptState::Observed);
}
