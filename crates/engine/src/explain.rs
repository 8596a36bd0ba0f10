//! Why an agent is as it is, and what happens next.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::journal::BlockKind;
use stead_model::{Condition, Evidence, Explanation, LastExit, Now, RestartBudget, Role, Span};

use crate::depend;
use crate::plan::{self, Obstacle};
use crate::record::Record;
use crate::view;
use crate::wish::Wish;

/// Explains one agent. Its history and what it printed are for the caller to add: the engine keeps neither.
pub(crate) fn explain(surveyed: bool, record: &Record, now: Now) -> Explanation {
    let next = view::next(record, now);
    let verdict = verdict(surveyed, record);
    Explanation {
        features_off: Vec::new(),
        summary: summary(record, &verdict, now),
        agent: view::agent(record, now),
        intent: record.row.intent.clone(),
        verdict,
        waiting_for: depend::unmet(record)
            .map(|(name, condition)| {
                let until = view::condition_word(condition);
                if depend::is_missing(record, name) {
                    format!(
                        "{name} {until}; there is no agent `{name}` in namespace {}",
                        record.row.namespace
                    )
                } else {
                    format!("{name} {until}")
                }
            })
            .collect(),
        next,
        failure: record.row.recovery.failure.clone(),
        attempts: record.row.recovery.open.iter().map(|open| (**open).clone()).collect(),
        restart_budget: RestartBudget {
            used: record.restarts_used(now.moment),
            max: record.spec.restart.intensity.max,
            period: record.spec.restart.intensity.period,
            policy: record.spec.restart.policy,
        },
        clears: clears(record),
        last_exit: record.row.last_exit.as_ref().map(|last| LastExit {
            incarnation: last.incarnation,
            exit: last.exit,
            at: last.at,
        }),
        last_output: Vec::new(),
        history: Vec::new(),
    }
}

fn summary(record: &Record, verdict: &str, now: Now) -> String {
    let row = &record.row;
    let since = Span(Duration::from_secs(now.wall.since(row.phase_since).as_secs()));
    let health = if record.role().serves() {
        format!(" and {}", record.health())
    } else {
        String::new()
    };
    format!(
        "{} has been {}{health} for {since}: {verdict}",
        row.name,
        record.phase_name()
    )
}

/// How its life is judged against what is wanted.
fn verdict(surveyed: bool, record: &Record) -> String {
    let wanted = plan::wanted(record);
    match plan::outlook(record) {
        Wish::Satisfied if record.row.halted => {
            "it is down with its whole fleet; `stead up` or `stead serve` brings it back".into()
        }
        Wish::Satisfied => match (record.role().serves(), record.row.ready) {
            (true, false) => match idle_for(record) {
                Some(why) => format!("{wanted} as wanted, but it takes no work: {why}"),
                None => format!("{wanted} as wanted, but it takes no work"),
            },
            (true, true) | (false, _) => match &record.row.recovery.block {
                Some(block) => block.detail.clone(),
                None => format!("{wanted} as wanted"),
            },
        },
        Wish::Refused if plan::hibernates(record) && !record.has_instance() => {
            "it hibernates: it wrote down where it is, and is started again once it is resumed".into()
        }
        Wish::Refused => format!("{wanted} is wanted and cannot be had from here"),
        Wish::Wait if record.ending() => format!("{wanted} is wanted; its process is being ended"),
        Wish::Wait => match record.role() {
            Role::Starting | Role::Restarting => format!("{wanted} is wanted; it is not ready yet"),
            Role::Preparing => format!("{wanted} is wanted; what it needs is being checked"),
            Role::Initial
            | Role::Prepared
            | Role::Ready
            | Role::Busy
            | Role::Idle
            | Role::Impaired
            | Role::Stopping
            | Role::Updating
            | Role::Scaling
            | Role::Error
            | Role::Failed
            | Role::TimedOut
            | Role::Maintenance
            | Role::Suspended
            | Role::Offline
            | Role::Retired
            | Role::Gone => format!("{wanted} is wanted; what is under way must end first"),
        },
        Wish::Next(next) if !plan::has_way(record, next) => format!(
            "{wanted} is wanted; the table of profile `{}` has no way there from {}",
            record.profile.name(),
            record.phase_name()
        ),
        Wish::Next(_) => match (plan::obstacle(surveyed, record), &record.row.recovery.block) {
            (Some(Obstacle::Blocked), Some(block)) => block.detail.clone(),
            (Some(Obstacle::Blocked), None) | (None, _) => format!("{wanted} is wanted; the next step is under way"),
            (Some(Obstacle::Unsurveyed), _) => format!("{wanted} is wanted; first it is found out what runs already"),
            (Some(Obstacle::Stray), _) => format!("{wanted} is wanted; an earlier run of it is still being ended"),
            (Some(Obstacle::Backoff), _) => format!("{wanted} is wanted; it failed and waits to be started again"),
            (Some(Obstacle::Dependencies), _) => {
                let missing = depend::unmet(record).find(|(name, _)| depend::is_missing(record, name));
                match missing {
                    Some((name, _)) => {
                        format!("{wanted} is wanted; it depends on `{name}`, and there is no such agent")
                    }
                    None => format!("{wanted} is wanted; those it depends on are not there yet"),
                }
            }
            (Some(Obstacle::Reports), _) if record.is_watched() => {
                format!("{wanted} is wanted; nothing runs it here, so its probes must find it up")
            }
            (Some(Obstacle::Reports), _) => {
                format!("{wanted} is wanted; nothing runs it here, so it must report by itself")
            }
        },
    }
}

/// Why one that serves takes no work, where that is known.
fn idle_for(record: &Record) -> Option<&str> {
    let held = record
        .row
        .conditions
        .iter()
        .find(|held| held.condition == Condition::Held);
    let probed = || record.row.evidence.iter().find(|seen| seen.kind == "probe.readiness");
    held.map(|held| held.detail.as_str())
        .or_else(|| probed().map(|seen| seen.detail.as_str()))
}

/// What a person can do to clear what is wrong; nothing where nothing is.
fn clears(record: &Record) -> Vec<String> {
    let name = &record.row.name;
    let mut clears = Vec::new();
    match record.block_kind() {
        Some(BlockKind::Held) => clears.push(format!("held: {}", plan::mend(record))),
        Some(BlockKind::Quarantined) => clears.push(format!(
            "quarantined: `stead logs {name}` shows what it printed; mend the cause, then `stead start {name}`"
        )),
        Some(BlockKind::Policy) => clears.push(format!("`stead start {name}` runs it again")),
        // Its work is done: nothing is wrong.
        Some(BlockKind::Completed) | None => {}
    }
    if record.row.halted {
        clears.push("`stead up FILE` or `stead serve` brings its whole fleet back".into());
    }
    if let Wish::Next(next) = plan::outlook(record)
        && !plan::has_way(record, next)
    {
        clears.push(format!(
            "want something else of {name}, or add a way on from {} to profile `{}`",
            record.phase_name(),
            record.profile.name()
        ));
    }
    if record
        .row
        .conditions
        .iter()
        .any(|held| held.condition == Condition::Unverified)
    {
        clears.push("unverified: a liveness or readiness probe, or `notify = true`, would show how it does".into());
    }
    for (missing, _) in depend::unmet(record).filter(|(other, _)| depend::is_missing(record, other)) {
        clears.push(format!(
            "add an agent `{missing}`, or take `{missing}` out of what {name} depends on"
        ));
    }
    clears
}

/// How its beats come, as evidence.
pub(crate) fn rhythm(now: Now, (ago, apart, missed): (Duration, Duration, Duration)) -> Evidence {
    let tenths = |span: Duration| Span::millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX) / 100 * 100);
    Evidence {
        kind: "heartbeat".into(),
        observed_at: now.wall.before(ago),
        source: "agent".into(),
        detail: format!(
            "it beats every {}, and is missed after a silence of {}",
            tenths(apart),
            tenths(missed)
        ),
    }
}
