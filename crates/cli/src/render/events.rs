//! What happens, as it happens: events and lines of output.

use std::time::Duration;

use owo_colors::OwoColorize;
use serde_json::Value;
use stead_client::LogLine;
use stead_model::{AgentName, AgentView, DegradationLevel, Event, Happening};

use super::{age, paint};

/// One event in one line.
pub(crate) fn event(event: &Event) -> String {
    let who = format!("{}/{}", event.namespace, event.name);
    let by = if event.actor == "stead" {
        String::new()
    } else {
        format!(" (by {})", event.actor)
    };
    format!("{} {} {}{by}\n", event.at.dimmed(), who.bold(), happening(&event.what))
}

fn happening(what: &Happening) -> String {
    let because = |detail: &str| {
        if detail.is_empty() {
            String::new()
        } else {
            format!(": {detail}")
        }
    };
    match what {
        Happening::AgentRegistered { profile } => format!("registered with profile {profile}"),
        Happening::PhaseChanged {
            from,
            to,
            reason,
            description,
            via,
            ..
        } => {
            let text = format!("{from} → {to}  {reason}{}", because(description));
            if *via { text.dimmed().to_string() } else { text }
        }
        Happening::HealthChanged { from, to, detail } => {
            format!("health {from} → {}{}", paint::health(*to).painted(0), because(detail))
        }
        Happening::ReadinessChanged { ready: true, detail } => format!("takes work{}", because(detail)),
        Happening::ReadinessChanged { ready: false, detail } => format!("takes no work{}", because(detail)),
        Happening::IntentChanged { from, to, reason } => {
            format!("wanted {from} → {to}{}", because(reason.as_deref().unwrap_or_default()))
        }
        Happening::ConditionRaised { condition, detail } => format!("{}{}", condition.yellow(), because(detail)),
        Happening::ConditionCleared { condition } => format!("no longer {condition}"),
        Happening::SpecChanged { spec_revision } => format!("has spec {spec_revision}"),
        Happening::RestartScheduled { attempt, due } => format!("restart {attempt} due at {due}"),
        Happening::RecoveryStarted {
            number,
            strategy,
            failure,
            cause,
        } => {
            format!("recovery {number}: {strategy} for {failure}{}", because(cause))
        }
        Happening::RecoveryEnded {
            number, state, detail, ..
        } => format!("recovery {number} {state}{}", because(detail)),
        Happening::TaskAssigned { task, in_flight } => format!("got task {task}, {in_flight} in flight"),
        Happening::TaskCompleted { task, in_flight } => format!("completed task {task}, {in_flight} in flight"),
        Happening::GroupCreated { replicas } => format!("group of {replicas} created"),
        Happening::GroupScaled { from, to } => format!("scaled {from} → {to}"),
        Happening::RolloutStarted { from, to, reason } => {
            format!(
                "update {from} → {to} begins{}",
                because(reason.as_deref().unwrap_or_default())
            )
        }
        Happening::RolloutFailed {
            revision,
            back_to,
            detail,
        } => {
            let back = back_to.map_or_else(
                || "there is nothing to go back to".to_owned(),
                |back| format!("it goes back to revision {back}"),
            );
            format!(
                "{} revision {revision}{}; {back}",
                "update failed".red(),
                because(detail)
            )
        }
        Happening::RolloutEnded { revision, state } => {
            format!("update ended at revision {revision}: {}", state.as_str())
        }
        Happening::GroupDeleted => "group deleted".to_owned(),
        Happening::DegradationChanged {
            from,
            to,
            cause,
            went_off,
            came_back,
            ..
        } => degradation((*from, *to), cause, went_off, came_back),
        Happening::Gap { detail } => format!("{} {detail}", "gap:".red()),
    }
}

fn degradation(
    (from, to): (DegradationLevel, DegradationLevel),
    cause: &str,
    went_off: &[AgentName],
    came_back: &[AgentName],
) -> String {
    let word = if to > from {
        to.to_string().red().to_string()
    } else {
        to.to_string().green().to_string()
    };
    let names = |said: &str, names: &[AgentName]| match names {
        [] => String::new(),
        names => format!(
            "; {said} {}",
            names.iter().map(AgentName::as_str).collect::<Vec<_>>().join(", ")
        ),
    };
    let (off, back) = (names("off:", went_off), names("back:", came_back));
    format!("degradation {from} -> {word}: {cause}{off}{back}")
}

/// Events that nobody can show any more.
pub(crate) fn gap(detail: &str) -> String {
    format!("{} {detail}\n", "gap:".red())
}

/// An event of a type that this version has no words for.
pub(crate) fn other_event(kind: &str, data: &Value) -> String {
    format!("{kind} {data}\n")
}

/// One line of output.
pub(crate) fn log_line(line: &LogLine, timestamps: Timestamps) -> String {
    match timestamps {
        Timestamps::Shown => format!("{} {}\n", line.at.dimmed(), line.line),
        Timestamps::Hidden => format!("{}\n", line.line),
    }
}

/// Why there is no line of an agent's output.
pub(crate) fn no_lines(agent: &AgentView, all: bool) -> String {
    let name = &agent.name;
    if agent.incarnation.0 == 0 {
        format!("{name} was never started, so it has printed nothing; `stead why {name}` says why")
    } else if all {
        format!("{name} has printed nothing yet")
    } else {
        format!("{name} has printed nothing like that")
    }
}

/// Whether lines begin with their time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timestamps {
    /// They do.
    Shown,
    /// They do not.
    Hidden,
}

/// A followed stream broke and goes on.
pub(crate) fn interrupted(cause: &str, retry_in: Duration) -> String {
    let wait = if retry_in < Duration::from_secs(1) {
        "at once".to_owned()
    } else {
        format!("in {}", age::span(retry_in))
    };
    format!("{} {cause}; trying again {wait}", "interrupted:".yellow())
}
