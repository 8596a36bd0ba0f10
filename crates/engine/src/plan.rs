//! From what is wanted and what is observed to the next steps, one idempotent order at a time, without hints.

mod restart;

use stead_model::{Health, InstanceId, Order, Reason, Role, Wanted};

use crate::depend;
use crate::record::{Record, Timer};
use crate::step::{Step, Why};
use crate::wish::{self, Wish, wish};

pub(crate) use restart::{Verdict, block, judge, schedule};

/// No walk is longer; a table that runs in a circle ends here.
const MOST_STEPS: usize = 16;

/// How often an end that does not come is ordered again.
const KILL_AGAIN: core::time::Duration = core::time::Duration::from_secs(10);

/// Goes as far towards what is wanted as can be gone now.
pub(crate) fn plan(step: &mut Step, record: &mut Record) {
    for _ in 0..MOST_STEPS {
        match wish(wanted(record), record.role(), record.has_instance()) {
            Wish::Satisfied if record.row.restart_wanted => {
                record.row.restart_wanted = false;
                step.touch();
            }
            Wish::Satisfied | Wish::Wait | Wish::Refused => return,
            Wish::Next(next) => {
                if !take(step, record, next) {
                    return;
                }
            }
        }
    }
}

/// What is wanted right now: one that is to be restarted is to be down first.
pub(crate) const fn wanted(record: &Record) -> Wanted {
    if record.row.restart_wanted {
        Wanted::Stopped
    } else {
        record.row.intent.wanted
    }
}

/// Takes one step; says whether another may follow at once.
fn take(step: &mut Step, record: &mut Record, next: wish::Step) -> bool {
    match next {
        wish::Step::Enter(Role::Gone) => {
            step.hop(record, Role::Gone, asked(record));
            record.row.removed = true;
            step.touch();
            false
        }
        wish::Step::Enter(Role::Ready) => {
            let went = step.hop(record, Role::Ready, asked(record));
            if went {
                step.ready(record, true, "it was resumed");
            }
            went
        }
        wish::Step::Enter(role) => step.hop(record, role, asked(record)),
        wish::Step::Prepare => prepare(step, record),
        wish::Step::Start => start(step, record),
        wish::Step::Stop => {
            let went = step.hop(record, Role::Stopping, asked(record));
            if record.has_instance() {
                end(step, record);
            }
            went && !record.has_instance()
        }
        wish::Step::End => {
            end(step, record);
            false
        }
        wish::Step::Kill => {
            kill(step, record);
            false
        }
        wish::Step::Down => down(step, record),
    }
}

fn prepare(step: &mut Step, record: &mut Record) -> bool {
    if record.profile.hop(record.phase, Role::Preparing).is_none() {
        return start(step, record);
    }
    step.hop(record, Role::Preparing, asked(record).via());
    match record.process().cloned() {
        Some(process) => {
            step.order(Order::Prepare {
                agent: record.row.id,
                process: alloc::boxed::Box::new(process),
            });
            false
        }
        None => step.hop(
            record,
            Role::Prepared,
            Why::new(Reason::Progress, "nothing runs it, so nothing has to be prepared").via(),
        ),
    }
}

/// Starts it where nothing stands against it; see [`obstacle`].
fn start(step: &mut Step, record: &mut Record) -> bool {
    if obstacle(step.surveyed, record).is_some() {
        return false;
    }
    let again = matches!(record.role(), Role::Error | Role::Failed | Role::TimedOut);
    if !matches!(record.role(), Role::Starting | Role::Restarting) && !begin(step, record, again) {
        return false;
    }
    let incarnation = step.next_incarnation(record);
    record.seen = false;
    record.probes = [0; 3];
    Step::forget_evidence(record, &["exit"]);
    if again {
        record.row.restarts = record.row.restarts.saturating_add(1);
    }
    step.health(
        record,
        if again { Health::Recovering } else { Health::Unknown },
        "it is being started",
    );
    step.touch();
    if let Some(process) = record.process().cloned() {
        record.row.instance = Some(stead_model::journal::InstanceRow {
            incarnation,
            spec_revision: record.row.spec_revision,
            process: None,
            since: step.now.wall,
            ending: false,
        });
        step.order(spawn(
            record,
            InstanceId {
                agent: record.row.id,
                incarnation,
            },
            process,
        ));
    }
    false
}

/// The order that starts an instance; twice is once.
pub(crate) fn spawn(record: &Record, instance: InstanceId, process: stead_model::spec::ProcessSpec) -> Order {
    Order::Spawn {
        instance,
        namespace: record.row.namespace.clone(),
        name: record.row.name.clone(),
        process: alloc::boxed::Box::new(process),
    }
}

/// Enters the phase in which it comes up.
fn begin(step: &mut Step, record: &mut Record, again: bool) -> bool {
    let why = if again {
        Why::new(Reason::RestartRecovery, "it is started again")
    } else {
        asked(record)
    };
    let rises = |record: &Record| {
        let hop = |role| record.profile.hop(record.phase, role);
        hop(Role::Restarting).or_else(|| hop(Role::Starting))
    };
    if rises(record).is_none() {
        step.hop(
            record,
            Role::Failed,
            Why::new(Reason::Progress, "on the way to its next start").via(),
        );
    }
    match rises(record) {
        Some(to) => {
            step.enter(record, to, why);
            true
        }
        None => false,
    }
}

/// What stands against a start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Obstacle {
    /// A person or a new spec must clear something first.
    Blocked,
    /// The driver has not said yet what runs.
    Unsurveyed,
    /// The backoff is not over.
    Backoff,
    /// Those it depends on are not there yet.
    Dependencies,
    /// Nothing runs it; it must come by itself.
    Reports,
}

/// Finds what stands against a start, the weightiest first.
pub(crate) fn obstacle(surveyed: bool, record: &Record) -> Option<Obstacle> {
    let runs = record.process().is_some();
    if record.row.recovery.block.is_some() {
        Some(Obstacle::Blocked)
    } else if runs && !surveyed {
        Some(Obstacle::Unsurveyed)
    } else if record.timer(Timer::Restart).is_some() {
        Some(Obstacle::Backoff)
    } else if depend::unmet(record).next().is_some() {
        Some(Obstacle::Dependencies)
    } else if !runs && matches!(record.role(), Role::Starting | Role::Restarting | Role::Error) {
        Some(Obstacle::Reports)
    } else {
        None
    }
}

/// Asks the instance to end, and makes it after its grace. Asking twice is asking once.
pub(crate) fn end(step: &mut Step, record: &mut Record) {
    let Some(instance) = record.instance_id() else { return };
    let Some(stop) = record.process().map(|process| process.stop.clone()) else {
        return;
    };
    if record.ending() {
        return;
    }
    if stop.grace.0.is_zero() {
        kill(step, record);
        return;
    }
    mark_ending(step, record);
    step.order(Order::Signal {
        instance,
        signal: stop.signal,
    });
    record.set_timer(Timer::Kill, Some(step.now.moment.after(stop.grace.0)));
}

/// Makes the instance end at once.
pub(crate) fn kill(step: &mut Step, record: &mut Record) {
    if !record.ending() {
        kill_again(step, record);
    }
}

/// Makes the instance end, whatever was tried before.
pub(crate) fn kill_again(step: &mut Step, record: &mut Record) {
    if let Some(instance) = record.instance_id() {
        mark_ending(step, record);
        step.order(Order::Kill { instance });
        record.set_timer(Timer::Kill, Some(step.now.moment.after(KILL_AGAIN)));
    }
}

fn mark_ending(step: &mut Step, record: &mut Record) {
    if let Some(instance) = &mut record.row.instance {
        instance.ending = true;
        step.touch();
    }
}

/// Enters what is nearest to down.
fn down(step: &mut Step, record: &mut Record) -> bool {
    let why = asked(record);
    [Role::Offline, Role::Stopping, Role::Error].into_iter().any(|role| {
        let why = if role == Role::Offline {
            why.clone()
        } else {
            why.clone().via()
        };
        step.hop(record, role, why)
    })
}

/// Why a step is taken that somebody asked for.
fn asked(record: &Record) -> Why {
    let intent = &record.row.intent;
    let wanted = wanted(record);
    match &intent.reason {
        Some(reason) => Why::new(
            Reason::Request,
            alloc::format!("{wanted} wanted by {}: {reason}", intent.actor),
        ),
        None => Why::new(Reason::Request, alloc::format!("{wanted} wanted by {}", intent.actor)),
    }
}
