//! After the node was away: what the driver finds against what is written.

use alloc::boxed::Box;

use stead_model::spec::ReadinessSource;
use stead_model::{Driver, Exit, Inventory, LiveInstance, Order, Reason, Role, Wanted};

use super::report::SILENCE;
use super::{alive, exited, serves};
use crate::plan::{self, plan, spawn};
use crate::record::{Record, Timer};
use crate::step::Step;

/// What the inventory says of one agent.
enum Finding<'a> {
    Lives(&'a LiveInstance),
    Ended(Exit),
    Missing,
}

/// Compares one agent with the inventory, and goes on from there.
pub(crate) fn take_inventory(step: &mut Step, record: &mut Record, inventory: &Inventory) {
    if let Some(instance) = record.instance_id() {
        let finding = match inventory.live.iter().find(|live| live.instance == instance) {
            Some(live) => Finding::Lives(live),
            None => match inventory.exited.iter().find(|(ended, _)| *ended == instance) {
                Some((_, exit)) => Finding::Ended(*exit),
                None => Finding::Missing,
            },
        };
        match finding {
            Finding::Lives(live) => adopt(step, record, live),
            Finding::Ended(exit) => {
                step.order(Order::Acknowledge { instance });
                exited(step, record, exit, 0);
            }
            Finding::Missing => missing(step, record),
        }
    }
    if let (Role::Preparing, Some(process)) = (record.role(), record.process()) {
        // The order may have been lost with the driver that got it.
        step.order(Order::Prepare { agent: record.row.id, process: Box::new(process.clone()) });
    }
    if record.spec.driver == Driver::None && record.role().serves() {
        // The node's own absence is not the agent's silence.
        record.set_timer(Timer::Silence, Some(step.now.moment.after(SILENCE)));
    }
    plan(step, record);
}

/// Orders for what the inventory names and nobody knows.
pub(crate) fn strangers<'a>(
    inventory: &'a Inventory,
    known: impl Fn(stead_model::InstanceId) -> bool + 'a,
) -> impl Iterator<Item = Order> + 'a {
    let live = inventory.live.iter().map(|live| (live.instance, true));
    let ended = inventory.exited.iter().map(|(instance, _)| (*instance, false));
    live.chain(ended)
        .filter(move |(instance, _)| !known(*instance))
        .map(|(instance, lives)| {
            if lives {
                Order::Kill { instance }
            } else {
                Order::Acknowledge { instance }
            }
        })
}

fn adopt(step: &mut Step, record: &mut Record, live: &LiveInstance) {
    alive(step, record, live.process.clone());
    if record.ending() {
        // The order to end may have been lost with the node that gave it.
        if let Some(row) = &mut record.row.instance {
            row.ending = false;
        }
        match record.role() {
            Role::Stopping | Role::Maintenance | Role::Suspended => plan::end(step, record),
            Role::Initial
            | Role::Preparing
            | Role::Prepared
            | Role::Starting
            | Role::Restarting
            | Role::Ready
            | Role::Busy
            | Role::Idle
            | Role::Impaired
            | Role::Updating
            | Role::Scaling
            | Role::Error
            | Role::Failed
            | Role::TimedOut
            | Role::Offline
            | Role::Retired
            | Role::Gone => plan::kill(step, record),
        }
        return;
    }
    let rises = matches!(record.role(), Role::Starting | Role::Restarting);
    match record.spec.readiness() {
        ReadinessSource::Notify if live.ready => serves(step, record, Reason::ReadinessComplete, "it had said READY=1"),
        ReadinessSource::Spawn => serves(step, record, Reason::NormalStartup, "its process was found alive"),
        ReadinessSource::Notify | ReadinessSource::Probe | ReadinessSource::Report => {}
    }
    if let (false, Some(watchdog)) = (rises, record.process().and_then(|process| process.watchdog)) {
        // A full period of grace: the node's own absence is not the agent's silence.
        record.set_timer(Timer::Silence, Some(step.now.moment.after(watchdog.0)));
    }
}

fn missing(step: &mut Step, record: &mut Record) {
    let confirmed = record
        .row
        .instance
        .as_ref()
        .is_some_and(|instance| instance.process.is_some() || instance.ending);
    if !confirmed
        && plan::wanted(record) == Wanted::Running
        && let (Some(instance), Some(process)) = (record.instance_id(), record.process().cloned())
    {
        // It was written down and never begun: begun now, under the same number.
        step.order(spawn(record, instance, process));
        return;
    }
    exited(step, record, Exit::Unknown, 0);
}
