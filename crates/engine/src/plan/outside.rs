//! Looking from outside at those of whom no run here tells: at what runs elsewhere, while it may be up, and at what keeps one held.

use alloc::boxed::Box;
use alloc::sync::Arc;

use stead_model::spec::Probes;
use stead_model::{Incarnation, InstanceId, Order, Role, Wanted};

use super::wanted;
use crate::record::Record;
use crate::step::Step;

/// Has one that nothing runs probed as its spec says, from the moment it is wanted up until it is not; and asks of one that is held
/// whether the cause is gone.
pub(crate) fn look(step: &mut Step, record: &mut Record) {
    let held = record.awaits_clearance();
    let looks = held || record.is_watched() && may_be_up(record);
    let due = looks.then(|| (record.row.incarnation, Arc::clone(&record.spec)));
    let same = match (&due, &record.watched) {
        (None, None) => true,
        (Some((run, spec)), Some((known, by))) => run == known && spec.probes == by.probes,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if same {
        return;
    }
    if let Some((run, _)) = record.watched.take()
        && due.as_ref().is_none_or(|(next, _)| *next != run)
    {
        step.order(order(record, run, Probes::default()));
    }
    if !held {
        record.cleared = 0;
    }
    if let Some((run, spec)) = &due {
        let mut probes = if held {
            Probes {
                clear: spec.probes.clear.clone(),
                ..Probes::default()
            }
        } else {
            spec.probes.of_run()
        };
        if record.role().serves() {
            // It has come up before and need not show that again.
            probes.startup = None;
        }
        step.order(order(record, *run, probes));
    }
    record.watched = due;
    if record.process().is_some() {
        return;
    }
    // One source tells whether it is there: its probes where it has some, else its reports.
    record.heard = !record.is_watched() && record.role().is_up();
}

fn order(record: &Record, run: Incarnation, probes: Probes) -> Order {
    Order::Probe {
        instance: InstanceId {
            agent: record.row.id,
            incarnation: run,
        },
        namespace: record.row.namespace.clone(),
        name: record.row.name.clone(),
        probes: Box::new(probes),
        process: record.process().cloned().map(Box::new),
    }
}

/// Whether looking at it can change anything: it is wanted up, and it has been begun.
fn may_be_up(record: &Record) -> bool {
    let begun = match record.role() {
        Role::Initial
        | Role::Preparing
        | Role::Prepared
        | Role::Stopping
        | Role::Offline
        | Role::Retired
        | Role::Gone => false,
        Role::Starting
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
        | Role::Maintenance
        | Role::Suspended => true,
    };
    let up = match wanted(record) {
        Wanted::Running | Wanted::Paused | Wanted::Maintenance => true,
        Wanted::Stopped | Wanted::Terminated | Wanted::Deleted => false,
    };
    begun && up && !record.row.removed
}
