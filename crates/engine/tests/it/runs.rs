//! Runs of an agent and their numbers.

use stead_engine::Input;
use stead_model::spec::ProcessSpec;
use stead_model::{Action, AgentSpec, Exit, Incarnation, InstanceId, Observation, Order, Request, Signal, Wanted};

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
