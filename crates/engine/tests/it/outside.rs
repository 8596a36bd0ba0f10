//! Those that nothing here runs are looked at while they may be up, and no longer.

use std::time::Duration;

use stead_model::spec::Probes;
use stead_model::{Action, AgentSpec, Incarnation, Order, Request, Span, Wanted};

use crate::rig::Rig;

fn spec(period: &str) -> Box<AgentSpec> {
    let text = format!(
        r#"{{"driver":"none","profile":"component","probes":{{"liveness":{{"tcp_socket":{{"port":1}},"period_seconds":{period}}}}}}}"#
    );
    Box::new(serde_json::from_str(&text).unwrap())
}

/// What is looked at from now on: which run, and how often; nothing where it is looked at no longer.
fn looked_at(orders: &[Action]) -> Vec<(Incarnation, Option<Span>)> {
    let probe = |action: &Action| match &action.order {
        Order::Probe { instance, probes, .. } => {
            let period = probes.liveness.as_ref().map(|probe| Span(probe.period.duration()));
            assert_eq!(period.is_none(), **probes == Probes::default());
            Some((instance.incarnation, period))
        }
        _ => None,
    };
    orders.iter().filter_map(probe).collect()
}

#[test]
fn probes_begin_when_it_is_wanted_change_with_its_spec_and_end_when_it_is_stopped() {
    let mut rig = Rig::new(Vec::new());
    let wanted = Wanted::Running;
    let orders = rig.ask(Request::Register {
        spec: spec("5"),
        wanted,
    });
    let every = |seconds| Some(Span(Duration::from_secs(seconds)));
    assert_eq!(looked_at(&orders), [(Incarnation(0), every(5))]);
    let orders = rig.ask(Request::Respec { spec: spec("7") });
    assert_eq!(looked_at(&orders), [(Incarnation(0), every(7))]);
    assert_eq!(looked_at(&rig.ask(Request::Want(Wanted::Paused))), []);
    let orders = rig.ask(Request::Want(Wanted::Stopped));
    assert_eq!(looked_at(&orders), [(Incarnation(0), None)]);
    let orders = rig.ask(Request::Want(Wanted::Running));
    assert_eq!(looked_at(&orders), [(Incarnation(1), every(7))]);
    let orders = rig.ask(Request::Want(Wanted::Deleted));
    assert_eq!(looked_at(&orders), [(Incarnation(1), None)]);
}
