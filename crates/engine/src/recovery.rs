//! Attempts to bring an agent back: each is a row from its first moment, and has helped only when that was seen.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use stead_model::journal::Change;
use stead_model::spec::ReadinessSource;
use stead_model::{AttemptState, Condition, FailureKind, Happening, Health, RecoveryAttempt, Strategy, Wanted};

use crate::abstain;
use crate::cause;
use crate::plan;
use crate::record::{Record, Timer};
use crate::step::Step;
use crate::storm;

/// Notes that an agent is being started again, in the append that has it started.
pub(crate) fn begin(step: &mut Step, record: &mut Record, strategy: Strategy) {
    let attempt = attempt(step, record, strategy);
    record.row.recovery.open = Some(Box::new(attempt.clone()));
    let within = record.time_to_start().saturating_add(record.spec.recovery.timeout.0);
    record.set_timer(Timer::Attempt, Some(step.now.moment.after(within)));
    step.event(
        record,
        Happening::RecoveryStarted {
            number: attempt.number,
            strategy,
            failure: attempt.failure,
            cause: attempt.cause.clone(),
        },
    );
    step.put(Change::Recovery(Box::new(attempt)));
}

/// Notes what would have been done, had it been permitted.
pub(crate) fn note_observed(step: &mut Step, record: &mut Record, strategy: Strategy) {
    close(step, record, AttemptState::Failed, "it failed again");
    let mut observed = attempt(step, record, strategy);
    observed.ended = Some(step.now.wall);
    observed.state = AttemptState::Observed;
    observed.detail = "nothing was done: `recovery.mode` is \"observe\"".into();
    ended(step, record, observed);
}

/// A new attempt, numbered.
fn attempt(step: &Step, record: &mut Record, strategy: Strategy) -> RecoveryAttempt {
    let row = &mut record.row;
    let recovery = &mut row.recovery;
    recovery.attempts = recovery.attempts.saturating_add(1);
    let number = recovery.attempts;
    if recovery.incident == 0 {
        recovery.incident = number;
    }
    let (failure, cause) = match &recovery.failure {
        Some(failure) => (failure.kind, failure.detail.clone()),
        None => (FailureKind::ProcessExit, "it was down".to_string()),
    };
    RecoveryAttempt {
        agent: row.id,
        namespace: row.namespace.clone(),
        name: row.name.clone(),
        number,
        incident: recovery.incident,
        strategy,
        failure,
        cause,
        incarnation: row.incarnation,
        triggered_by: step.origin.actor.clone(),
        began: step.now.wall,
        ended: None,
        state: AttemptState::Running,
        detail: String::new(),
        correlation_id: row.correlation_id.clone(),
    }
}

/// Looks at an attempt after the agent's health changed, or something showed how it does.
pub(crate) fn look(step: &mut Step, record: &mut Record, detail: &str) {
    match record.health() {
        Health::Healthy => {
            cause::forget(step, record);
            abstain::well(step, record);
            if is_shown(record) {
                let state = if is_inferred(record) {
                    AttemptState::Unverified
                } else {
                    AttemptState::Verified
                };
                close(step, record, state, detail);
            }
        }
        Health::Failed => close(step, record, AttemptState::Failed, detail),
        Health::Unknown | Health::Degraded | Health::Critical | Health::Recovering => {}
    }
}

/// Whether the best source that there is has shown that it does well. With a readiness probe that is the probe, whatever it says itself.
fn is_shown(record: &Record) -> bool {
    let readiness = record.probes[stead_model::spec::ProbeKind::Readiness as usize];
    record.spec.probes.readiness.is_none() || readiness > 0
}

/// Whether only its long life tells that it does well.
fn is_inferred(record: &Record) -> bool {
    let beats = record.row.instance.as_ref().is_some_and(|instance| instance.beats);
    record.spec.readiness() == ReadinessSource::Spawn && record.spec.probes.liveness.is_none() && !beats
}

/// Gives up what somebody else's word has overtaken, as the step ends.
pub(crate) fn overtaken(step: &mut Step, record: &mut Record) {
    storm::overtaken(step, record);
    if record.row.recovery.open.is_none() {
        return;
    }
    let wanted = plan::wanted(record);
    if wanted != Wanted::Running || record.row.removed {
        abandon(step, record, &format!("{wanted} is wanted"));
    } else if !record.has_instance() {
        // It ended without a word on its health, as one does whose work is done.
        abandon(step, record, "its run is over");
    }
}

/// Nothing showed in time that it helped: that is a failure.
pub(crate) fn overdue(step: &mut Step, record: &mut Record) {
    close(
        step,
        record,
        AttemptState::Failed,
        "nothing showed in time that it does well",
    );
}

/// Gives up an attempt whose run another one replaces.
pub(crate) fn replaced(step: &mut Step, record: &mut Record) {
    abandon(step, record, "another start took its place");
}

fn abandon(step: &mut Step, record: &mut Record, detail: &str) {
    close(step, record, AttemptState::Abandoned, detail);
}

fn close(step: &mut Step, record: &mut Record, state: AttemptState, detail: &str) {
    let Some(open) = record.row.recovery.open.take() else {
        return;
    };
    record.set_timer(Timer::Attempt, None);
    if matches!(state, AttemptState::Verified | AttemptState::Unverified) {
        record.row.recovery.incident = 0;
    }
    let attempt = RecoveryAttempt {
        ended: Some(step.now.wall),
        state,
        detail: detail.into(),
        ..*open
    };
    ended(step, record, attempt);
}

fn ended(step: &mut Step, record: &Record, attempt: RecoveryAttempt) {
    step.event(
        record,
        Happening::RecoveryEnded {
            number: attempt.number,
            strategy: attempt.strategy,
            state: attempt.state,
            detail: attempt.detail.clone(),
        },
    );
    step.put_recovery(attempt);
}

/// What holds while an attempt is under way; for the invariants.
pub(crate) fn check(record: &Record) -> Result<(), String> {
    let recovery = &record.row.recovery;
    let Some(open) = &recovery.open else {
        return if record.timer(Timer::Attempt).is_none() {
            Ok(())
        } else {
            Err("an attempt is waited for that is not under way".into())
        };
    };
    let run = record.row.instance.as_ref().map(|instance| instance.incarnation);
    let current = open.number == recovery.attempts && run == Some(open.incarnation);
    let sound = current
        && open.state == AttemptState::Running
        && record.timer(Timer::Attempt).is_some()
        && plan::wanted(record) == Wanted::Running
        && !record
            .row
            .conditions
            .iter()
            .any(|held| held.condition == Condition::Quarantined);
    if sound {
        Ok(())
    } else {
        Err(format!("the attempt under way does not fit its agent: {open:?}"))
    }
}
