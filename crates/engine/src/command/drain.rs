//! Down without losing work: no new tasks, those in flight to their end within a time, then stopped.

use alloc::string::String;
use core::time::Duration;

use stead_model::spec::{ProbeKind, WarningStep};
use stead_model::{Condition, Outcome, Refusal, Role, Span, Wanted};

use super::{intend, not_possible, reachable, want};
use crate::plan::{self, plan};
use crate::record::{Record, Timer};
use crate::step::Step;

/// Wants it stopped once its tasks are done. One without tasks is stopped at once.
pub(crate) fn drain(
    step: &mut Step,
    record: &mut Record,
    within: Span,
    verb: &'static str,
    reason: Option<String>,
) -> Result<Outcome, Refusal> {
    if record.timer(Timer::Drain).is_some() {
        return Ok(Outcome::Already);
    }
    if record.role() != Role::Busy || within.0.is_zero() {
        return want(step, record, Wanted::Stopped, verb, reason);
    }
    if !reachable(record, Wanted::Stopped) {
        return Err(not_possible(record, verb));
    }
    record.set_timer(Timer::Restart, None);
    record.set_timer(Timer::Drain, Some(step.now.moment.after(within.0)));
    record.row.restart_wanted = false;
    record.row.draining = true;
    step.ready(record, false, "it finishes its tasks and is stopped then");
    intend(step, record, Wanted::Stopped, reason);
    plan(step, record);
    Ok(Outcome::Accepted)
}

/// Whether its metrics warn and it is to be started again for that, and nothing else is under way.
pub(crate) fn is_to_be_renewed(record: &Record) -> bool {
    let warns = |held: &stead_model::ConditionView| held.condition == Condition::Warning;
    record.spec.health.on_warning == Some(WarningStep::Drain)
        && record.process().is_some()
        && record.role().serves()
        && !record.ending()
        && !record.row.draining
        && plan::wanted(record) == Wanted::Running
        && record.row.conditions.iter().any(warns)
}

/// Has it started again once its tasks are done; one without tasks at once. What is wanted of it stays as it is.
pub(crate) fn restart_drained(step: &mut Step, record: &mut Record, why: &str) {
    record.row.restart_wanted = true;
    record.row.renewal = Some(why.into());
    if record.role() == Role::Busy {
        record.set_timer(Timer::Drain, Some(step.now.moment.after(WITHIN)));
        record.row.draining = true;
        step.ready(
            record,
            false,
            &alloc::format!("it finishes its tasks and is started again then: {why}"),
        );
    }
    step.touch();
    plan(step, record);
}

/// Waits for its tasks no longer: something else is wanted of it.
pub(super) fn end(step: &mut Step, record: &mut Record, wanted: Wanted) {
    if record.timer(Timer::Drain).is_some() {
        record.set_timer(Timer::Drain, None);
        record.row.draining = false;
        if wanted == Wanted::Running && record.role().serves() {
            let ready = record.probes[ProbeKind::Readiness as usize] >= 0;
            step.ready(record, ready, "it is no longer drained");
        }
        step.touch();
    }
}

/// How long one that is to be started again may take to finish its tasks.
const WITHIN: Duration = Duration::from_secs(300);
