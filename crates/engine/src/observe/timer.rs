//! What happens when a wait is over.

use stead_model::{Condition, Driver, Health, Moment, Reason, Role};

use super::{SETTLED, ill};
use crate::cause;
use crate::plan::{self, plan};
use crate::record::{Record, Timer};
use crate::recovery;
use crate::step::{Step, Why};

/// How long a deadline is put off while it is not known yet what runs.
const UNSURVEYED: core::time::Duration = core::time::Duration::from_secs(1);

/// Handles every wait of an agent that is over at this step's moment.
pub(crate) fn due(step: &mut Step, record: &mut Record) {
    for timer in Timer::ALL {
        if record.timer(timer).is_some_and(|due| due <= step.now.moment) {
            record.set_timer(timer, None);
            fire(step, record, timer);
        }
    }
}

/// Whether it may be judged by what it did not show in time.
pub(crate) fn is_waited_for(record: &Record) -> bool {
    JUDGING.iter().any(|timer| record.timer(*timer).is_some())
}

/// Puts off what it is judged by, as after an absence of the node: what it showed meanwhile is heard first.
pub(crate) fn excuse(record: &mut Record, now: Moment) {
    for timer in JUDGING {
        let fed = record.watchdog().filter(|_| timer == Timer::Silence);
        let patience = fed.map_or(SETTLED, |watchdog| watchdog.0);
        record.put_off(timer, now.after(patience));
    }
}

/// What says that it did not show something in time.
const JUDGING: [Timer; 3] = [Timer::Deadline, Timer::Silence, Timer::Attempt];

fn fire(step: &mut Step, record: &mut Record, timer: Timer) {
    match timer {
        Timer::Deadline => overdue(step, record),
        Timer::Restart => {
            step.touch();
            plan(step, record);
        }
        Timer::Kill => plan::kill_again(step, record),
        Timer::Settle => settled(step, record),
        Timer::Silence => silent(step, record),
        Timer::Drain => {
            record.row.correlation_id.clone_from(&record.row.intent.correlation_id);
            step.touch();
            plan(step, record);
        }
        Timer::Expiry => crate::command::expired(step, record),
        Timer::Attempt => {
            record.row.correlation_id.clone_from(&step.origin.correlation_id);
            recovery::overdue(step, record);
            ill(
                step,
                record,
                Reason::DeadlineExceeded,
                "nothing showed in time that its restart helped",
            );
        }
        Timer::Word => {
            if core::mem::take(&mut record.unpublished) {
                step.touch();
            }
        }
    }
}

/// Its phase has lasted for longer than it may.
fn overdue(step: &mut Step, record: &mut Record) {
    let phase = record.phase_name();
    if record.process().is_some() && !step.surveyed {
        // The node was away; it looks first and judges then.
        record.set_timer(Timer::Deadline, Some(step.now.moment.after(UNSURVEYED)));
        return;
    }
    step.touch();
    if record.role() == Role::Error {
        // It lived on in error and nothing told that it serves again.
        plan::kill(step, record);
        return;
    }
    let Some(deadline) = record.profile.deadline(record.phase) else {
        return;
    };
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    let detail = alloc::format!("it was {phase} for longer than it may");
    cause::note_reason(step, record, Reason::DeadlineExceeded, &detail);
    step.enter(record, deadline.to, Why::new(Reason::DeadlineExceeded, detail.clone()));
    step.health(record, Health::Failed, &detail);
    if record.has_instance() {
        plan::kill_again(step, record);
    } else if record.process().is_some() && plan::wanted(record) == stead_model::Wanted::Running {
        plan::schedule(step, record);
    }
    plan(step, record);
}

/// It has lived for long enough that this alone counts.
fn settled(step: &mut Step, record: &mut Record) {
    if record.role().serves() && matches!(record.row.health, Health::Unknown | Health::Recovering) {
        let detail = "its process has lived for 10 s; nothing else tells how it does";
        step.health(record, Health::Healthy, detail);
        step.raise(record, Condition::Unverified, detail.into());
    }
}

/// It has been silent for too long.
fn silent(step: &mut Step, record: &mut Record) {
    match record.spec.driver {
        Driver::Process(_) if record.role().serves() => {
            record.row.correlation_id.clone_from(&step.origin.correlation_id);
            let detail = "its watchdog was not fed in time";
            ill(step, record, Reason::HeartbeatTimeout, detail);
        }
        Driver::Process(_) | Driver::None => {}
    }
}
