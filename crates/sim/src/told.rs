//! Events and orders as lines of a transcript.

use stead_model::{Happening, Order, Word};

pub(crate) fn happening(what: &Happening) -> String {
    match what {
        Happening::AgentRegistered { profile } => format!("registered as {profile}"),
        Happening::PhaseChanged {
            from,
            to,
            reason,
            description,
            via,
            ..
        } => {
            let via = if *via { " (via)" } else { "" };
            format!("{from} -> {to}{via}  {reason}: {description}")
        }
        Happening::HealthChanged { from, to, detail } => format!("health {from} -> {to}: {detail}"),
        Happening::ReadinessChanged { ready: true, detail } => format!("takes work: {detail}"),
        Happening::ReadinessChanged { ready: false, detail } => format!("takes no work: {detail}"),
        Happening::IntentChanged { from, to, .. } => format!("wanted {from} -> {to}"),
        Happening::ConditionRaised { condition, detail } => format!("+{condition}: {detail}"),
        Happening::ConditionCleared { condition } => format!("-{condition}"),
        Happening::SpecChanged { spec_revision } => format!("spec {spec_revision}"),
        Happening::RestartScheduled { attempt, due } => format!("attempt {attempt} due {due}"),
        Happening::RecoveryStarted {
            number,
            strategy,
            failure,
            cause,
        } => format!("try {number}: {strategy} for {failure}: {cause}"),
        Happening::RecoveryEnded {
            number, state, detail, ..
        } => format!("try {number} {state}: {detail}"),
        Happening::TaskAssigned { task, in_flight } => format!("got {task}, {in_flight} in flight"),
        Happening::TaskCompleted { task, in_flight } => format!("did {task}, {in_flight} in flight"),
        Happening::GroupCreated { replicas } => format!("a group of {replicas}"),
        Happening::GroupScaled { from, to } => format!("scaled {from} -> {to}"),
        Happening::RolloutStarted { from, to, .. } => format!("update {from} -> {to}"),
        Happening::RolloutFailed {
            revision,
            back_to,
            detail,
        } => {
            let back = back_to.map_or_else(|| "nowhere".to_owned(), |back| back.to_string());
            format!("update to {revision} failed, back to {back}: {detail}")
        }
        Happening::RolloutEnded { revision, state } => format!("update ended at {revision}: {}", state.as_str()),
        Happening::GroupDeleted => "the group is gone".to_owned(),
        Happening::DegradationChanged { from, to, cause, .. } => format!("degradation {from} -> {to}: {cause}"),
        Happening::Gap { detail } => format!("gap: {detail}"),
    }
}

/// An order; those that only look at things are left out.
pub(crate) fn order(order: &Order) -> Option<String> {
    match order {
        Order::Prepare { .. } => Some("prepare".to_owned()),
        Order::Spawn { instance, .. } => Some(format!("spawn run {}", instance.incarnation)),
        Order::Signal { instance, signal } => Some(format!("{signal} to run {}", instance.incarnation)),
        Order::Freeze { instance, frozen: true } => Some(format!("freeze run {}", instance.incarnation)),
        Order::Freeze {
            instance,
            frozen: false,
        } => Some(format!("thaw run {}", instance.incarnation)),
        Order::Kill { instance } => Some(format!("kill run {}", instance.incarnation)),
        Order::Tell { instance, word, .. } => {
            let word = match word {
                Word::Pause => "pause",
                Word::Checkpoint => "checkpoint",
                Word::Resume => "resume",
            };
            Some(format!("{word} said to run {}", instance.incarnation))
        }
        Order::Acknowledge { .. } | Order::Probe { .. } => None,
    }
}
