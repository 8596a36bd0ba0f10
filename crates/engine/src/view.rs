//! From a record to what readers see.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use stead_model::spec::RestartPolicy;
use stead_model::{AgentView, Class, LifecycleView, Moment, NextStep, Now, Role, Wall};

use crate::depend;
use crate::plan;
use crate::record::{Record, Timer};

/// The agent as the API shows it.
pub(crate) fn agent(record: &Record, now: Now) -> AgentView {
    let row = &record.row;
    AgentView {
        id: row.id,
        name: row.name.clone(),
        namespace: row.namespace.clone(),
        profile: record.profile.name().to_string().into(),
        kind: record.spec.kind.clone(),
        phase: record.profile.label(record.phase),
        since: row.phase_since,
        health: record.health(),
        ready: row.ready,
        intent: row.intent.wanted,
        pause: row.intent.shown_pause().map(|mut pause| {
            pause.acknowledged = plan::acknowledged(record, pause.mode);
            pause
        }),
        incarnation: row.incarnation,
        pid: row
            .instance
            .as_ref()
            .and_then(|instance| instance.process.as_ref())
            .map(|process| process.pid),
        restarts: row.restarts,
        tasks: u32::try_from(row.tasks.len()).unwrap_or(u32::MAX),
        revision: row.revision,
        spec_revision: row.spec_revision,
        restart_pending: row
            .instance
            .as_ref()
            .is_some_and(|instance| instance.spec_revision != row.spec_revision),
        group: row.member.as_ref().map(|member| member.group_name.clone()),
        labels: record.spec.labels.clone(),
        conditions: row.conditions.clone(),
        evidence: row.evidence.clone(),
        next: next_published(record, now),
    }
}

/// Where it may go, and what its state means.
pub(crate) fn lifecycle(record: &Record) -> LifecycleView {
    let profile = &record.profile;
    let is = |class| profile.is(record.phase, class);
    LifecycleView {
        current_state: profile.label(record.phase),
        valid_transitions: profile.next(record.phase).map(|to| profile.label(to)).collect(),
        is_operational: is(Class::Operational),
        is_available_for_tasks: is(Class::Available) && record.row.ready,
        is_in_error_state: is(Class::Error),
        is_in_maintenance: is(Class::Maintenance),
        states: profile.phases().map(|phase| profile.label(phase)).collect(),
    }
}

/// The first of what happens next that stays true until the agent changes again.
///
/// A sign of life moves the wait for the next one without changing the agent, so that wait is for [`next`] alone.
fn next_published(record: &Record, now: Now) -> Option<NextStep> {
    steps(
        record,
        now,
        &[
            Timer::Deadline,
            Timer::Restart,
            Timer::Kill,
            Timer::Drain,
            Timer::Settle,
            Timer::Expiry,
            Timer::Attempt,
        ],
    )
    .into_iter()
    .next()
}

/// What happens next by itself, the soonest first; what waits for something other than time last.
pub(crate) fn next(record: &Record, now: Now) -> Vec<NextStep> {
    steps(record, now, &SHOWN)
}

/// The waits that people care for.
const SHOWN: [Timer; 8] = [
    Timer::Deadline,
    Timer::Restart,
    Timer::Kill,
    Timer::Drain,
    Timer::Settle,
    Timer::Silence,
    Timer::Expiry,
    Timer::Attempt,
];

fn steps(record: &Record, now: Now, timers: &[Timer]) -> Vec<NextStep> {
    // The end of a pause is shown as it was promised, whatever the clocks did since.
    let promised = |timer: Timer| {
        let pause = record.row.intent.pause.as_ref().filter(|_| timer == Timer::Expiry);
        pause.and_then(|pause| pause.until)
    };
    let mut timed: Vec<(Moment, Option<Wall>, String)> = timers
        .iter()
        // Where its tasks are waited for, nobody cares when it would count as healthy.
        .filter(|timer| **timer != Timer::Settle || !record.row.draining)
        .filter_map(|timer| {
            record
                .timer(*timer)
                .map(|due| (due, promised(*timer), says(record, *timer)))
        })
        .collect();
    timed.sort_by_key(|(due, ..)| *due);
    let mut next: Vec<NextStep> = timed
        .into_iter()
        .map(|(due, promised, what)| NextStep {
            what,
            at: promised.or_else(|| Some(wall(now, due))),
        })
        .collect();
    next.extend(after_its_tasks(record));
    next.extend(after_its_end(record));
    next.extend(depend_on(record));
    next
}

/// What follows on the end of a run that failed and is being ended.
fn after_its_end(record: &Record) -> Option<NextStep> {
    let failed = matches!(record.role(), Role::Error | Role::Failed | Role::TimedOut);
    let again =
        plan::wanted(record) == stead_model::Wanted::Running && record.spec.restart.policy != RestartPolicy::Never;
    (record.ending() && failed).then(|| NextStep {
        what: if again {
            "once it has ended: started again, as its restart policy says".into()
        } else {
            "once it has ended: it stays down".into()
        },
        at: None,
    })
}

/// What follows on the end of its last task, if that waits for nothing else.
fn after_its_tasks(record: &Record) -> Option<NextStep> {
    let waits = record.row.draining && record.timer(Timer::Drain).is_none();
    waits.then(|| NextStep {
        what: alloc::format!("draining, {}: updated once none is left", in_flight(record)),
        at: None,
    })
}

fn in_flight(record: &Record) -> String {
    match record.row.tasks.len() {
        1 => "1 task in flight".into(),
        tasks => alloc::format!("{tasks} tasks in flight"),
    }
}

fn depend_on(record: &Record) -> Option<NextStep> {
    let waits =
        plan::wanted(record) == stead_model::Wanted::Running && !record.role().serves() && !record.has_instance();
    let names: Vec<_> = depend::unmet(record)
        .map(|(name, condition)| alloc::format!("{name} {}", condition_word(condition)))
        .collect();
    (waits && !names.is_empty()).then(|| NextStep {
        what: alloc::format!("start once {}", names.join(" and ")),
        at: None,
    })
}

pub(crate) const fn condition_word(condition: stead_model::spec::Condition) -> &'static str {
    match condition {
        stead_model::spec::Condition::Started => "is started",
        stead_model::spec::Condition::Healthy => "is healthy",
        stead_model::spec::Condition::Completed => "has completed",
    }
}

/// The civil time of a moment, as it looks now.
pub(crate) fn wall(now: Now, due: Moment) -> Wall {
    now.wall.after(due.since(now.moment))
}

/// What happens when a wait is over.
fn says(record: &Record, timer: Timer) -> String {
    match timer {
        Timer::Deadline => deadline_says(record),
        Timer::Restart => alloc::format!("started again (restart {})", record.row.restarts.saturating_add(1)),
        Timer::Kill => match record.role() {
            // It was killed when it failed; a stop asks first.
            Role::Error | Role::Failed | Role::TimedOut => {
                "SIGKILL to its whole tree once more, unless it has ended by then"
            }
            Role::Initial
            | Role::Preparing
            | Role::Prepared
            | Role::Starting
            | Role::Restarting
            | Role::Ready
            | Role::Busy
            | Role::Idle
            | Role::Impaired
            | Role::Stopping
            | Role::Updating
            | Role::Scaling
            | Role::Maintenance
            | Role::Suspended
            | Role::Offline
            | Role::Retired
            | Role::Gone => "SIGKILL to its whole tree, unless it has ended by then",
        }
        .into(),
        Timer::Settle => "counted as healthy, if it lives until then".into(),
        Timer::Silence => "taken for hung, unless it gives a sign of life by then".into(),
        Timer::Word => "shown anew".into(),
        Timer::Drain => alloc::format!(
            "draining, {}: stopped once none is left, and then at the latest",
            in_flight(record)
        ),
        Timer::Attempt => "must be seen to do well by then; otherwise its restart counts as failed".into(),
        Timer::Expiry => "resumed: its pause is over then".into(),
    }
}

/// What its phase must have reached when its deadline is over, and what becomes of it otherwise.
fn deadline_says(record: &Record) -> String {
    let to = || {
        let deadline = record.profile.deadline(record.phase);
        deadline.map_or_else(|| "failed".into(), |deadline| record.profile.label(deadline.to))
    };
    let limit = match record.role() {
        Role::Preparing => alloc::format!("must be prepared by then; otherwise it is `{}`", to()),
        Role::Starting | Role::Restarting if record.process().is_some() => alloc::format!(
            "must be ready by then; otherwise this start is given up (`{}`) and its process killed",
            to()
        ),
        Role::Starting | Role::Restarting if record.is_watched() => {
            alloc::format!("its probes must have found it up by then; otherwise it is `{}`", to())
        }
        Role::Starting | Role::Restarting => {
            alloc::format!("must have given a sign of life by then; otherwise it is `{}`", to())
        }
        Role::Stopping => alloc::format!("must be down by then; otherwise it is `{}`", to()),
        Role::Error if record.row.recovery.waits => alloc::format!(
            "ended and started again by then; sooner when its turn comes, as at most {} of its namespace are at the same time",
            record.spec.recovery.at_once
        ),
        Role::Error if plan::wanted(record) == stead_model::Wanted::Running => {
            "must serve again by then; otherwise its process is killed and its restart policy decides".into()
        }
        Role::Error => "must serve again by then; otherwise its process is killed".into(),
        Role::Initial
        | Role::Prepared
        | Role::Ready
        | Role::Busy
        | Role::Idle
        | Role::Impaired
        | Role::Updating
        | Role::Scaling
        | Role::Failed
        | Role::TimedOut
        | Role::Maintenance
        | Role::Suspended
        | Role::Offline
        | Role::Retired
        | Role::Gone => alloc::format!("must have moved on by then; otherwise it is `{}`", to()),
    };
    alloc::format!("deadline of phase {}: {limit}", record.phase_name())
}
