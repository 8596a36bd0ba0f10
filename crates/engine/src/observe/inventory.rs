//! After the node was away: what the driver finds against what is written.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use stead_model::spec::ReadinessSource;
use stead_model::{AgentId, Driver, Exit, InstanceId, Inventory, LiveInstance, Order, Reason, Role, Wanted};

use super::report::SILENCE;
use super::{SETTLED, alive, exited, serves};
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
    note_strays(step, record, inventory);
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
    // Whatever was left of an earlier boot is settled.
    record.row.boot = step.boot.boot;
    if let (Role::Preparing, Some(process)) = (record.role(), record.process()) {
        // The order may have been lost with the driver that got it.
        step.order(Order::Prepare {
            agent: record.row.id,
            process: Box::new(process.clone()),
        });
    }
    if record.spec.driver == Driver::None {
        // The node's own absence is not the agent's silence.
        record.put_off(Timer::Deadline, step.now.moment.after(SILENCE));
        record.forgive_silence();
    }
    plan(step, record);
}

/// The agents that the inventory names.
pub(crate) fn named(inventory: &Inventory) -> impl Iterator<Item = AgentId> + '_ {
    let live = inventory.live.iter().map(|live| live.instance.agent);
    live.chain(inventory.exited.iter().map(|(instance, _)| instance.agent))
}

/// Notes runs of the agent that nobody knows of, as after a store that was away: their numbers are taken, and nothing is started beside
/// one that lives.
fn note_strays(step: &mut Step, record: &mut Record, inventory: &Inventory) {
    let current = record.instance_id();
    let of_it = |instance: &InstanceId| instance.agent == record.row.id && Some(*instance) != current;
    let live = inventory.live.iter().map(|live| live.instance);
    let ended = inventory.exited.iter().map(|(instance, _)| *instance);
    let strays: BTreeSet<_> = live
        .clone()
        .filter(of_it)
        .map(|instance| instance.incarnation)
        .collect();
    let newest = live
        .chain(ended)
        .filter(of_it)
        .map(|instance| instance.incarnation)
        .max();
    record.strays = strays;
    if let Some(newest) = newest.filter(|newest| *newest > record.row.incarnation) {
        record.row.incarnation = newest;
        record.row.incarnations_reserved = record.row.incarnations_reserved.max(newest);
        step.touch();
    }
}

/// Orders for what the inventory names and nobody knows.
pub(crate) fn strangers<'a>(
    inventory: &'a Inventory,
    known: impl Fn(InstanceId) -> bool + 'a,
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
    // It is looked at again for a while before it is judged by what nobody saw meanwhile.
    record.put_off(Timer::Deadline, step.now.moment.after(SETTLED));
    if record.ending() {
        // The order to end may have been lost with the node that gave it.
        if let Some(row) = &mut record.row.instance {
            row.ending = false;
        }
        match record.role() {
            Role::Stopping | Role::Maintenance | Role::Suspended | Role::Updating => {
                step.set_deadline(record);
                plan::end(step, record);
            }
            Role::Initial
            | Role::Preparing
            | Role::Prepared
            | Role::Starting
            | Role::Restarting
            | Role::Ready
            | Role::Busy
            | Role::Idle
            | Role::Impaired
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
    if record.row.frozen {
        // The order may have been lost with the node that gave it.
        crate::command::freeze(step, record, true);
    }
    plan::tell_again(step, record);
    let rises = matches!(record.role(), Role::Starting | Role::Restarting);
    record.set_timer(Timer::Settle, None);
    match record.spec.readiness() {
        ReadinessSource::Notify if live.ready => serves(step, record, Reason::ReadinessComplete, "it had said READY=1"),
        ReadinessSource::Spawn if record.role() != Role::Error => {
            serves(step, record, Reason::NormalStartup, "its process was found alive");
        }
        ReadinessSource::Spawn | ReadinessSource::Notify | ReadinessSource::Probe | ReadinessSource::Report => {}
    }
    let unseen = !record.spec.probes.look_at_runs();
    if unseen && record.role().serves() && record.row.health == stead_model::Health::Recovering {
        // Its long life alone is to show that it does well: it begins anew with the node.
        record.set_timer(Timer::Settle, Some(step.now.moment.after(SETTLED)));
    }
    if let (false, Some(watchdog)) = (rises, record.watchdog()) {
        // A full period of grace: the node's own absence is not the agent's silence.
        record.set_timer(Timer::Silence, Some(step.now.moment.after(watchdog.0)));
    }
}

fn missing(step: &mut Step, record: &mut Record) {
    let Some((instance, row)) = record.instance_id().zip(record.row.instance.as_ref()) else {
        return;
    };
    let begun = row.process.is_some();
    // Of an earlier boot nobody can tell whether it was begun.
    let same_boot = record.row.boot == step.boot.boot;
    if !begun && same_boot {
        // The same order twice is one run; one with another spec may succeed where the first, still under way, fails.
        let same_order = !record.ordered || row.spec_revision == record.row.spec_revision;
        if !row.ending
            && same_order
            && plan::wanted(record) == Wanted::Running
            && let Some(process) = record.process().cloned()
        {
            // It was written down and not begun, or is about to be: twice is once, under the same number.
            step.order(spawn(record, instance, process));
            if let Some(row) = &mut record.row.instance {
                row.spec_revision = record.row.spec_revision;
            }
            return;
        }
        if record.ordered {
            // It may be begun yet. An order to end it comes after that, and is answered by its end either way.
            plan::kill_again(step, record);
            return;
        }
    }
    exited(step, record, Exit::Unknown, 0);
}
