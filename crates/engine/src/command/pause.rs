//! Pauses: of which kind, and until when.

use alloc::string::String;
use core::time::Duration;

use stead_model::{Driver, Order, Outcome, Pause, PauseMode, Refusal, Role, Span, Wanted};

use super::{intend, want};
use crate::observe::look;
use crate::plan::plan;
use crate::record::{Record, Timer};
use crate::step::Step;

/// The longest pause that ends by itself.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Has an agent pause.
pub(crate) fn pause(
    step: &mut Step,
    record: &mut Record,
    (mode, lasts): (PauseMode, Option<Span>),
    verb: &'static str,
    reason: Option<String>,
) -> Result<Outcome, Refusal> {
    let offered = match mode {
        PauseMode::Soft => true,
        PauseMode::Freeze => record.process().is_some(),
        PauseMode::Checkpoint | PauseMode::Hibernate => takes_word(record),
    };
    if !offered {
        return Err(Refusal::NotOffered {
            name: record.row.name.clone(),
            mode,
        });
    }
    if lasts.is_some_and(|lasts| lasts.0.is_zero() || lasts.0 > LONGEST) {
        return Err(Refusal::PauseSpan);
    }
    let pause = Pause {
        mode,
        until: lasts.map(|lasts| step.now.wall.after(lasts.0)),
    };
    let before = record.row.intent.pause.clone();
    let outcome = want(step, record, Wanted::Paused, verb, reason.clone())?;
    let same = before.is_none_or(|before| before.mode == mode && before.until.is_none()) && lasts.is_none();
    if outcome == Outcome::Already {
        if same {
            return Ok(Outcome::Already);
        }
        intend(step, record, Wanted::Paused, reason);
    }
    record.row.intent.pause = Some(pause);
    let expiry = lasts.map(|lasts| step.now.moment.after(lasts.0));
    record.set_timer(Timer::Expiry, expiry);
    step.touch();
    plan(step, record);
    Ok(Outcome::Accepted)
}

/// Whether it takes word of pauses itself: as it runs, else as it would be started.
fn takes_word(record: &Record) -> bool {
    match &record.row.instance {
        Some(run) => run.listens.is_some(),
        None => record.process().is_some() && record.spec.lifecycle.is_some(),
    }
}

/// A pause is over by itself.
pub(crate) fn expired(step: &mut Step, record: &mut Record) {
    if record.row.intent.wanted == Wanted::Paused {
        intend(step, record, Wanted::Running, Some("its pause is over".into()));
        plan(step, record);
    }
}

/// Freezes the process of one that is paused so, and lets it go on when it is not any more.
pub(crate) fn chill(step: &mut Step, record: &mut Record) {
    let intent = &record.row.intent;
    let wanted = crate::plan::wanted(record) == Wanted::Paused
        && intent
            .pause
            .as_ref()
            .is_some_and(|pause| pause.mode == PauseMode::Freeze)
        && record.role() == Role::Suspended
        && !record.ending();
    if wanted != record.row.frozen {
        freeze(step, record, wanted);
    }
}

/// Orders a freeze, or its end. Twice is once. What stands still is not looked at, and looked at anew when it goes on.
pub(crate) fn freeze(step: &mut Step, record: &mut Record, frozen: bool) {
    record.row.frozen = frozen;
    step.touch();
    if let (Some(instance), Driver::Process(_)) = (record.instance_id(), &record.spec.driver) {
        step.order(Order::Freeze { instance, frozen });
        if !frozen && !record.ending() {
            look(step, record);
        }
    }
}
