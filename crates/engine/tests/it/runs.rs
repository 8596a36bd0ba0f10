//! Runs of an agent and their numbers.

use stead_engine::Input;
use stead_model::spec::ProcessSpec;
use stead_model::{
    Action, AgentSpec, Exit, Incarnation, InstanceId, Notice, Observation, Order, ProcessIdentity, Request, Signal,
    Span, Wanted,
};

use crate::rig::{Rig, identity};

fn begun(orders: &[Action]) -> Option<InstanceId> {
    orders.iter().find_map(|action| {
        if let Order::Spawn { instance, .. } = action.order {
            Some(instance)
        } else {
            None
        }
    })
}

#[test]
fn no_start_waits_for_a_sync_however_many_there_are() {
    let mut spec = AgentSpec::process(ProcessSpec {
        command: vec!["agent".into()],
        ..ProcessSpec::default()
    });
    spec.restart.intensity.max = 1_000;
    let mut rig = Rig::new(Vec::new());
    rig.ask(Request::Register {
        spec: Box::new(spec),
        wanted: Wanted::Running,
    });
    let agent = rig.row().unwrap().id;
    let mut orders = rig.step(Input::Observed(Observation::Prepared { agent, result: Ok(()) }));
    for run in 1..=200 {
        let instance = begun(&orders).unwrap();
        assert_eq!(instance.incarnation, Incarnation(run));
        rig.step(Input::Observed(Observation::Spawned {
            instance,
            result: Ok(identity()),
        }));
        let exit = Exit::Signal {
            signal: Signal::KILL,
            core: false,
        };
        orders = rig.step(Input::Observed(Observation::Exited {
            instance,
            exit,
            swept: 0,
        }));
        if begun(&orders).is_none() {
            orders = rig.wait(400_000);
        }
    }
    assert_eq!(rig.synced, 1, "the registration alone");
}

#[test]
fn one_whose_numbers_another_store_gave_before_is_numbered_beyond_and_nothing_is_held_against_it() {
    let mut rig = Rig::new(Vec::new());
    let spec: AgentSpec = serde_json::from_str(r#"{"command":["agent"]}"#).unwrap();
    rig.ask(Request::Register {
        spec: Box::new(spec),
        wanted: Wanted::Running,
    });
    let agent = rig.row().unwrap().id;
    let orders = rig.step(Input::Observed(Observation::Prepared { agent, result: Ok(()) }));
    let instance = begun(&orders).unwrap();
    let newest = Incarnation(500);
    let orders = rig.step(Input::Observed(Observation::Outnumbered { instance, newest }));
    let next = begun(&orders).unwrap();
    assert_eq!(next.incarnation, Incarnation(501));
    // The same word again is of a run that is over.
    let orders = rig.step(Input::Observed(Observation::Outnumbered { instance, newest }));
    assert_eq!(begun(&orders), None);
    rig.step(Input::Observed(Observation::Spawned {
        instance: next,
        result: Ok(identity()),
    }));
    let row = rig.row().unwrap();
    assert_eq!((row.phase.as_ref(), row.restarts), ("online", 0));
    assert!(row.incarnations_reserved >= Incarnation(501));
    // Told while it was asked to stop, it is down.
    rig.ask(Request::Want(Wanted::Stopped));
    rig.step(Input::Observed(Observation::Outnumbered {
        instance: next,
        newest: Incarnation(600),
    }));
    assert_eq!(rig.row().unwrap().phase, "offline");
}

#[test]
fn what_a_run_says_of_its_main_process_and_its_watchdog_holds_at_once() {
    let spec: AgentSpec = serde_json::from_str(r#"{"command":["agent"],"notify":true}"#).unwrap();
    let mut rig = Rig::new(Vec::new());
    rig.ask(Request::Register {
        spec: Box::new(spec),
        wanted: Wanted::Running,
    });
    let agent = rig.row().unwrap().id;
    let orders = rig.step(Input::Observed(Observation::Prepared { agent, result: Ok(()) }));
    let instance = begun(&orders).unwrap();
    let result = Ok(identity());
    rig.step(Input::Observed(Observation::Spawned { instance, result }));
    let process = ProcessIdentity { pid: 9, ..identity() };
    for notice in [
        Notice::Ready,
        Notice::MainProcess {
            process: process.clone(),
        },
        Notice::WatchdogInterval { micros: 2_000_000 },
    ] {
        rig.step(Input::Observed(Observation::Notified { instance, notice }));
    }
    let run = rig.row().unwrap().instance.clone().unwrap();
    assert_eq!((run.process, run.watchdog), (Some(process), Some(Span::secs(2))));
    assert_eq!(rig.row().unwrap().phase, "online");
    rig.wait(1_000);
    assert_eq!(rig.row().unwrap().phase, "online");
    rig.wait(2_000);
    assert_eq!(
        rig.row().unwrap().phase,
        "error",
        "it was silent for longer than it said"
    );
}
