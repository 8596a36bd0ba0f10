//! Where recovery only says what it would have done.

use alloc::format;
use alloc::string::String;

use stead_model::journal::{Block, BlockKind};
use stead_model::spec::RecoveryMode;
use stead_model::{Condition, FailureKind, Health, Strategy};

use crate::plan;
use crate::record::Record;
use crate::recovery;
use crate::step::Step;

/// What is said of one that is left as it is: what would be done, and the verb by which somebody does it.
fn said(record: &Record, would: &str, verb: &str) -> String {
    let name = &record.row.name;
    format!("it would be {would}, but for `recovery.mode = \"observe\"`; `stead {verb} {name}` does it")
}

/// Leaves one down that would be started again, if that is its mode. Says whether it does.
pub(crate) fn down(step: &mut Step, record: &mut Record) -> bool {
    if record.spec.recovery.mode == RecoveryMode::Act {
        return false;
    }
    recovery::note_observed(step, record, Strategy::Restart);
    let detail = said(record, "started again", "start");
    plan::block(
        step,
        record,
        Block {
            kind: BlockKind::Held,
            detail,
        },
    );
    true
}

/// Lets one live on that would be ended and started again, if that is its mode. Says whether it does.
pub(crate) fn up(step: &mut Step, record: &mut Record, seen: &str) -> bool {
    let serves = record.role().serves() && !record.ending();
    if record.spec.recovery.mode == RecoveryMode::Act || !serves {
        return false;
    }
    let held = |record: &Record| {
        record
            .row
            .conditions
            .iter()
            .any(|held| held.condition == Condition::Held)
    };
    if !held(record) {
        recovery::note_observed(step, record, Strategy::Restart);
        let detail = said(record, "restarted", "restart");
        step.raise(record, Condition::Held, detail);
    }
    step.health(record, Health::Critical, seen);
    step.ready(record, false, seen);
    true
}

/// Whether it was left as it is for a failure of this kind: what shows that this is over brings it back.
pub(crate) fn is_left(record: &Record, kind: FailureKind) -> bool {
    let failure = record.row.recovery.failure.as_ref();
    record.spec.recovery.mode == RecoveryMode::Observe
        && record.role().serves()
        && !record.ending()
        && !record.row.recovery.sheltered
        && record.row.health == Health::Critical
        && failure.is_some_and(|failure| failure.kind == kind)
}

/// Takes one back that was left as it is for a failure of this kind, now that it does well again.
pub(crate) fn take_back(step: &mut Step, record: &mut Record, kind: FailureKind, seen: &str) {
    if is_left(record, kind) {
        step.ready(record, true, seen);
        step.health(record, Health::Healthy, seen);
    }
}

/// It does well again: nothing is to be said any more.
pub(crate) fn well(step: &mut Step, record: &mut Record) {
    if record.spec.recovery.mode == RecoveryMode::Observe && !record.row.recovery.sheltered {
        step.clear(record, Condition::Held);
    }
}
