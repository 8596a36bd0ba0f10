//! An absence of the node itself, and work of its own, are nobody's silence.

use std::time::Duration;

use stead_engine::Input;
use stead_model::{AgentSpec, Beat, BeatOf, BeatOutcome, Exit, InstanceId, Notice, Observation, Request, Wanted};

use crate::rig::{Rig, at, identity};

fn up(spec: &str) -> (Rig, InstanceId) {
    let spec: AgentSpec = serde_json::from_str(spec).unwrap();
    let mut rig = Rig::new(Vec::new());
    rig.ask(Request::Register {
        spec: Box::new(spec),
        wanted: Wanted::Running,
    });
    let agent = rig.row().unwrap().id;
    rig.step(Input::Observed(Observation::Prepared { agent, result: Ok(()) }));
    let instance = spawned(&mut rig);
    let notice = Notice::Ready;
    rig.step(Input::Observed(Observation::Notified { instance, notice }));
    (rig, instance)
}

fn spawned(rig: &mut Rig) -> InstanceId {
    let row = rig.row().unwrap();
    let instance = InstanceId {
        agent: row.id,
        incarnation: row.instance.as_ref().unwrap().incarnation,
    };
    let result = Ok(identity());
    rig.step(Input::Observed(Observation::Spawned { instance, result }));
    instance
}

fn phase(rig: &Rig) -> String {
    rig.row().unwrap().phase.clone()
}

/// The node stands still for so long, and says so when it goes on.
fn stall(rig: &mut Rig, millis: u64) {
    let now = u64::try_from(rig.now.wall.unix_millis()).unwrap();
    rig.now = at(now + millis);
    rig.engine.stalled(rig.now, Duration::from_millis(millis));
    rig.engine.check_invariants().unwrap();
    rig.wait(0);
}

#[test]
fn a_watchdog_that_could_not_be_heard_while_the_node_stood_still_has_its_time_again() {
    let (mut rig, instance) = up(r#"{"command":["x"],"notify":true,"watchdog":"3s"}"#);
    stall(&mut rig, 60_000);
    rig.wait(2_900);
    assert_eq!(phase(&rig), "online");
    let notice = Notice::Watchdog;
    rig.step(Input::Observed(Observation::Notified { instance, notice }));
    rig.wait(2_900);
    assert_eq!(phase(&rig), "online");
    rig.wait(200);
    assert_eq!(phase(&rig), "error", "its own silence is found as ever");
}

#[test]
fn a_start_and_an_attempt_that_were_due_while_the_node_stood_still_are_looked_at_before_they_are_judged() {
    let (mut rig, first) = up(r#"{"command":["x"],"notify":true}"#);
    rig.step(Input::Observed(Observation::Exited {
        instance: first,
        exit: Exit::Code { code: 1 },
        swept: 0,
    }));
    let instance = spawned(&mut rig);
    stall(&mut rig, 600_000);
    rig.wait(9_000);
    assert_eq!(phase(&rig), "starting");
    let notice = Notice::Ready;
    rig.step(Input::Observed(Observation::Notified { instance, notice }));
    assert_eq!(phase(&rig), "online");
    assert_eq!(rig.attempts.len(), 1);
}

#[test]
fn beats_are_taken_while_a_recovery_is_under_way() {
    let (mut rig, first) = up(r#"{"command":["x"],"notify":true,"health":{"expected":true,"timeout":"1m"}}"#);
    rig.step(Input::Observed(Observation::Exited {
        instance: first,
        exit: Exit::Code { code: 1 },
        swept: 0,
    }));
    let second = spawned(&mut rig);
    let position = rig.position;
    for _ in 0..100 {
        let beat = Beat {
            incarnation: Some(second.incarnation),
            ..Beat::bare(BeatOf::Id(second.agent))
        };
        let mut answers = Vec::new();
        rig.engine.beats(rig.now, &[beat], &mut answers);
        assert_eq!(answers[0].outcome, BeatOutcome::Accepted);
    }
    assert!(rig.row().unwrap().recovery.open.is_some());
    assert_eq!(rig.position, position, "they wait for no write of it");
}
