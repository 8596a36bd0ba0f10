//! From what is wanted and what is observed to the next steps, one idempotent order at a time, without hints.

mod outside;
mod restart;
mod way;
mod word;

use alloc::boxed::Box;
use alloc::string::String;

use stead_model::spec::ProbeKind;
use stead_model::{Health, InstanceId, Order, Reason, Role, Strategy, Wanted};

use crate::command;
use crate::depend;
use crate::record::{Record, Timer};
use crate::recovery;
use crate::step::{Step, Why};
use crate::wish::{self, Wish, wish};

pub(crate) use restart::{Verdict, block, judge, mend, schedule};
pub(crate) use way::has_way;
pub(crate) use word::{acknowledged, heard, hibernates, tell_again};

/// No walk is longer; a table that runs in a circle ends here.
const MOST_STEPS: usize = 16;

/// How often an end that does not come is ordered again.
pub(crate) const KILL_AGAIN: core::time::Duration = core::time::Duration::from_secs(10);

/// Goes as far towards what is wanted as can be gone now.
pub(crate) fn plan(step: &mut Step, record: &mut Record) {
    walk(step, record);
    command::chill(step, record);
    word::tell(step, record);
}

fn walk(step: &mut Step, record: &mut Record) {
    advance(step, record);
    outside::look(step, record);
}

fn advance(step: &mut Step, record: &mut Record) {
    for _ in 0..MOST_STEPS {
        match outlook(record) {
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

/// What is wanted right now: one that is to be restarted is to be down first, one whose fleet is down with it.
pub(crate) const fn wanted(record: &Record) -> Wanted {
    match record.row.intent.wanted {
        Wanted::Running | Wanted::Paused | Wanted::Maintenance if record.row.restart_wanted || record.row.halted => {
            Wanted::Stopped
        }
        wanted @ (Wanted::Running
        | Wanted::Paused
        | Wanted::Maintenance
        | Wanted::Stopped
        | Wanted::Terminated
        | Wanted::Deleted) => wanted,
    }
}

/// What the table says to what is wanted right now.
pub(crate) fn outlook(record: &Record) -> Wish {
    let wanted = wanted(record);
    if record.timer(Timer::Drain).is_some() {
        // Its tasks go first.
        return Wish::Wait;
    }
    // Fresh reports show that something lives; there is nothing in them that could be ended.
    let instance = record.has_instance() || wanted == Wanted::Running && record.reports();
    match wish(wanted, record.role(), instance) {
        Wish::Next(wish::Step::Enter(Role::Ready)) if record.ending() => Wish::Wait,
        answer @ (Wish::Satisfied | Wish::Wait | Wish::Refused | Wish::Next(_)) => answer,
    }
}

/// Whether nothing is to be done about it before something happens: planning it anew would change nothing.
pub(crate) fn is_done(record: &Record) -> bool {
    match outlook(record) {
        Wish::Satisfied => !record.row.restart_wanted,
        Wish::Wait | Wish::Refused => true,
        // That nothing was surveyed stands only against what runs here.
        Wish::Next(wish::Step::Start) => record.has_instance() || obstacle(true, record).is_some(),
        Wish::Next(_) => false,
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
            let went = take_up_work(step, record, asked(record));
            if went {
                let ready = record.probes[ProbeKind::Readiness as usize] >= 0;
                step.ready(record, ready, "it was resumed");
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
    let process = record.process().cloned();
    let why = if process.is_some() {
        asked(record)
    } else {
        asked(record).via()
    };
    step.hop(record, Role::Preparing, why);
    match process {
        Some(process) => {
            step.order(Order::Prepare {
                agent: record.row.id,
                process: Box::new(process),
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

/// Enters the phase in which it serves; with tasks from before, the one in which it is busy. A watchdog is to be fed from now on.
pub(crate) fn take_up_work(step: &mut Step, record: &mut Record, why: Why) -> bool {
    let tasks = record.row.tasks.len();
    if !step.hop(record, Role::Ready, if tasks > 0 { why.via() } else { why }) {
        return false;
    }
    if tasks > 0 {
        let detail = alloc::format!("tasks in flight: {tasks}");
        step.hop(record, Role::Busy, Why::new(Reason::Progress, detail));
    }
    if let Some(watchdog) = record.watchdog() {
        record.set_timer(Timer::Silence, Some(step.now.moment.after(watchdog.0)));
    }
    true
}

/// Has the phase of one that serves say how well it does, where its profile has a phase for that: a component is `degraded` while its
/// health is, and `ready` again with it. One at work stays `active`.
pub(crate) fn reflect(step: &mut Step, record: &mut Record) {
    let (role, health) = (record.role(), record.health());
    let ill = matches!(health, Health::Degraded | Health::Critical);
    if role == Role::Ready && ill && record.profile.has_role(Role::Impaired) {
        let why = alloc::format!("its health is {health}");
        step.hop(record, Role::Impaired, Why::new(Reason::PartialFunctionality, why));
    } else if role == Role::Impaired && matches!(health, Health::Unknown | Health::Healthy) {
        step.hop(record, Role::Ready, Why::new(Reason::SelfHealing, "it does well again"));
    }
}

/// Starts it where nothing stands against it; see [`obstacle`].
fn start(step: &mut Step, record: &mut Record) -> bool {
    if record.has_instance() || obstacle(step.surveyed, record).is_some() {
        return false;
    }
    // One that was held for what no start can help comes out of it by word that the cause is gone.
    let helped = |failure: &stead_model::Failure| !failure.restart_helps;
    let recovery = &record.row.recovery;
    let cleared =
        record.role() == Role::Offline && !recovery.sheltered && recovery.failure.as_deref().is_some_and(helped);
    let again = matches!(record.role(), Role::Error | Role::Failed | Role::TimedOut) || cleared;
    if !matches!(record.role(), Role::Starting | Role::Restarting) && !begin(step, record, again) {
        return false;
    }
    launch(step, record, again);
    false
}

/// Gives the order to start the next run; with `again`, because the last one failed.
pub(crate) fn launch(step: &mut Step, record: &mut Record, again: bool) {
    recovery::replaced(step, record);
    let incarnation = step.next_incarnation(record);
    record.probes = [0; 3];
    record.row.renewal = None;
    record.row.boot = step.boot.boot;
    step.claim(record, None, "it is being started");
    step.vital(record, None, "it is being started");
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
            watchdog: None,
            listens: word::listens(&record.spec),
            beats: false,
        });
        let instance = InstanceId {
            agent: record.row.id,
            incarnation,
        };
        // A start that somebody asked for is none: it forgave the failure.
        if again && record.row.recovery.failure.is_some() {
            recovery::begin(step, record, Strategy::Restart);
        }
        step.order(spawn(record, instance, process));
    }
}

/// Takes one that nothing runs to where a report finds it, on the way to serving.
pub(crate) fn come_back(step: &mut Step, record: &mut Record) {
    let why = Why::new(Reason::SelfHealing, "it reports again").via();
    if rise(step, record, why) {
        step.next_incarnation(record);
    }
}

/// The order that starts an instance; twice is once.
pub(crate) fn spawn(record: &mut Record, instance: InstanceId, process: stead_model::spec::ProcessSpec) -> Order {
    record.ordered = true;
    Order::Spawn {
        instance,
        namespace: record.row.namespace.clone(),
        name: record.row.name.clone(),
        process: Box::new(process),
    }
}

/// Takes one that nothing runs to where its probes found it up. That it is another run, nothing tells.
pub(crate) fn found_again(step: &mut Step, record: &mut Record, said: &str) {
    rise(step, record, Why::new(Reason::SelfHealing, said).via());
}

/// Enters the phase in which it comes up.
fn begin(step: &mut Step, record: &mut Record, again: bool) -> bool {
    let why = if again {
        Why::new(Reason::RestartRecovery, "it is started again")
    } else {
        asked(record)
    };
    rise(step, record, why)
}

fn rise(step: &mut Step, record: &mut Record, why: Why) -> bool {
    if way::up(record, record.phase).is_none()
        && let Some(failed) = way::up_from_failed(record)
    {
        let why = Why::new(Reason::Progress, "on the way to its next start").via();
        step.enter(record, failed, why);
    }
    match way::up(record, record.phase) {
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
    /// An earlier run of it is still being ended.
    Stray,
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
    } else if !record.strays.is_empty() {
        Some(Obstacle::Stray)
    } else if record.timer(Timer::Restart).is_some() {
        Some(Obstacle::Backoff)
    } else if depend::unmet(record).next().is_some() {
        Some(Obstacle::Dependencies)
    } else if !runs && awaits_report(record.role()) {
        Some(Obstacle::Reports)
    } else {
        None
    }
}

/// Whether one that nothing runs can only come from this role by its own report.
pub(crate) const fn awaits_report(role: Role) -> bool {
    matches!(
        role,
        Role::Starting | Role::Restarting | Role::Error | Role::Failed | Role::TimedOut
    )
}

/// Asks the instance to end, and makes it after its grace. Asking twice is asking once.
pub(crate) fn end(step: &mut Step, record: &mut Record) {
    let (Some(instance), Some(process)) = (record.instance_id(), record.process()) else {
        return;
    };
    if record.ending() {
        return;
    }
    let stop = process.stop.clone();
    if stop.grace.0.is_zero() {
        kill(step, record);
        return;
    }
    mark_ending(step, record);
    if record.row.frozen {
        // It could not answer.
        command::freeze(step, record, false);
    }
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
    go_down(step, record, &why)
}

/// Takes one step towards down, for any reason; never back.
pub(crate) fn go_down(step: &mut Step, record: &mut Record, why: &Why) -> bool {
    let here = record.role();
    way::DOWN.into_iter().take_while(|role| *role != here).any(|role| {
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
    if wanted(record) == Wanted::Stopped && record.row.halted {
        let mut why = String::from("it goes down with its whole fleet");
        if let Some(reason) = &record.row.halt_reason {
            why += ": ";
            why += reason;
        }
        return Why::new(Reason::Request, why);
    }
    if let Some(warning) = &record.row.renewal {
        return Why::new(Reason::MetricThreshold, alloc::format!("its metrics warn: {warning}"));
    }
    let wanted = if record.row.restart_wanted {
        "a restart"
    } else {
        intent.wanted.as_str()
    };
    let mut why = alloc::format!("{wanted} wanted by {}", intent.actor);
    if let Some(reason) = &intent.reason {
        why += ": ";
        why += reason;
    }
    Why::new(Reason::Request, why)
}
