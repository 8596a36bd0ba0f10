//! When what an agent depends on is down: it is held rather than restarted, and let go on a ramp.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use stead_model::{Condition, Health, Reason, Wanted};

use crate::cause;
use crate::depend;
use crate::observe::SETTLED;
use crate::plan;
use crate::record::{Record, Timer};
use crate::step::Step;
use crate::view;

/// Over how long those are let go that were held by one thing.
const RAMP: Duration = Duration::from_secs(10);

/// What it depends on and is down, if that is so: then no restart of its own can help.
pub(crate) fn outage(record: &Record) -> Option<String> {
    let known = |name| record.standings.get(name).is_some_and(Option::is_some);
    let (name, condition) = depend::unmet(record).find(|(name, _)| known(*name))?;
    let until = view::condition_word(condition);
    Some(format!(
        "it depends on `{name}`, which is down: no restart can help until {name} {until}, and then it is let go by itself"
    ))
}

/// Holds one that fails while what it depends on is down: no restart, and none is counted. Says whether it is held.
pub(crate) fn hold(step: &mut Step, record: &mut Record, seen: &str) -> bool {
    if record.process().is_none() {
        return false;
    }
    let Some(why) = outage(record) else {
        return false;
    };
    if record.row.recovery.sheltered {
        return true;
    }
    cause::note_reason(step, record, Reason::CriticalDependency, seen);
    step.raise(record, Condition::Held, why);
    record.row.recovery.sheltered = true;
    step.touch();
    true
}

/// Lets one that serves live on though it fails, while what it depends on is down. Says whether it does.
pub(crate) fn shelter(step: &mut Step, record: &mut Record, seen: &str) -> bool {
    if !record.role().serves() || record.ending() || !hold(step, record, seen) {
        return false;
    }
    step.health(record, Health::Critical, seen);
    step.ready(record, false, seen);
    record.set_timer(Timer::Settle, None);
    feed(step, record, Duration::ZERO);
    true
}

/// Lets one go, once all that it depends on is there: at a moment of its own, so that not all come at once.
pub(crate) fn look(step: &mut Step, record: &mut Record) {
    if !record.row.recovery.sheltered || depend::unmet(record).next().is_some() {
        return;
    }
    release(step, record);
    let wanted = plan::wanted(record) == Wanted::Running;
    if record.role().serves() && !record.ending() {
        // What it showed meanwhile says nothing: it is looked at anew.
        record.probes = [0; 3];
        let said = "what it depends on is back";
        step.health(record, Health::Recovering, said);
        feed(step, record, RAMP);
        let probes = &record.spec.probes;
        if probes.readiness.is_none() {
            let unseen = probes.liveness.is_none();
            step.ready(record, true, said);
            record.set_timer(Timer::Settle, unseen.then(|| step.now.moment.after(SETTLED)));
        }
    } else if wanted && !record.has_instance() && record.timer(Timer::Restart).is_none() {
        record.set_timer(Timer::Restart, Some(step.now.moment.after(place(record))));
    }
}

/// Holds no longer what somebody wants otherwise.
pub(crate) fn overtaken(step: &mut Step, record: &mut Record) {
    if record.row.recovery.sheltered && plan::wanted(record) != Wanted::Running {
        release(step, record);
    }
}

fn release(step: &mut Step, record: &mut Record) {
    record.row.recovery.sheltered = false;
    step.clear(record, Condition::Held);
    step.touch();
}

/// Gives it the time of its watchdog, and some more, to show that it lives.
fn feed(step: &Step, record: &mut Record, more: Duration) {
    if let Some(watchdog) = record.watchdog() {
        let wait = watchdog.0.saturating_add(more);
        record.set_timer(Timer::Silence, Some(step.now.moment.after(wait)));
    }
}

/// Where on the ramp an agent is let go: spread evenly by its id, the same every time.
fn place(record: &Record) -> Duration {
    let hash = record.row.id.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let millis = u64::try_from(RAMP.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(hash.saturating_mul(millis) >> 16)
}
