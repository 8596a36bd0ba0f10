//! Whether the cause is gone for which an agent is held: asked from outside, as no start can tell.

use alloc::format;
use alloc::string::String;

use stead_model::{Condition, InstanceId};

use crate::plan::{self, plan};
use crate::record::Record;
use crate::step::Step;

/// Takes in one answer. A cause that is gone has it started again, which counts as a restart: a probe that is wrong leads to quarantine,
/// not to a start after every answer.
pub(crate) fn probed(step: &mut Step, record: &mut Record, instance: InstanceId, result: Result<(), String>) {
    if instance.incarnation != record.row.incarnation || !record.awaits_clearance() {
        return;
    }
    let Some(need) = record.spec.probes.clear.as_ref().map(|probe| probe.success_threshold) else {
        return;
    };
    match result {
        Ok(()) => {
            record.cleared = record.cleared.saturating_add(1);
            let said = format!("clear probe succeeded ({} of {need})", record.cleared);
            note(step, record, said);
            if record.cleared >= need {
                release(step, record);
            }
        }
        Err(seen) => {
            record.cleared = 0;
            note(step, record, format!("clear probe failed: {seen}"));
        }
    }
}

/// Keeps what was found; written down where it says something new.
fn note(step: &mut Step, record: &mut Record, said: String) {
    let known = record
        .row
        .evidence
        .iter()
        .any(|known| known.kind == KIND && known.detail == said);
    step.evidence(record, KIND, "prober", said);
    if !known {
        step.touch();
    }
}

fn release(step: &mut Step, record: &mut Record) {
    record.cleared = 0;
    record.row.recovery.block = None;
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    step.clear(record, Condition::Held);
    step.touch();
    plan::schedule(step, record);
    plan(step, record);
}

const KIND: &str = "probe.clear";
