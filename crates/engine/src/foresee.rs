//! What would be done about a failure: the same choice that is made when it comes, on a copy, with nothing done.

use alloc::format;
use alloc::string::{String, ToString};

use stead_model::spec::{RecoveryMode, RestartPolicy};
use stead_model::{FailureKind, Foresight, Now, Remedy, Span, Wanted};

use crate::plan;
use crate::record::Record;
use crate::storm;

/// Chooses for a failure of a kind that would come now.
pub(crate) fn foresee(record: &Record, now: Now, failure: FailureKind) -> Foresight {
    let (would, after, why) = choose(record, now, failure);
    Foresight {
        agent: record.row.id,
        namespace: record.row.namespace.clone(),
        name: record.row.name.clone(),
        failure,
        would,
        after,
        why,
    }
}

fn choose(record: &Record, now: Now, failure: FailureKind) -> (Remedy, Option<Span>, String) {
    let wanted = plan::wanted(record);
    let nothing = |why: String| (Remedy::Nothing, None, why);
    if wanted != Wanted::Running {
        return nothing(format!(
            "{wanted} is wanted by {}: what a person asked for is never undone",
            record.row.intent.actor
        ));
    }
    if record.process().is_none() {
        return nothing("nothing runs it here, so it can only come back by itself".to_string());
    }
    if let Some(block) = &record.row.recovery.block {
        return nothing(format!("it is not started as it is: {}", block.detail));
    }
    if let Some(outage) = storm::outage(record) {
        return (Remedy::Hold, None, outage);
    }
    if failure == FailureKind::DependencyFailure {
        let why = "no restart of its own can help what another one causes; nothing that it depends on is down now";
        return (Remedy::Hold, None, why.to_string());
    }
    if record.spec.restart.policy == RestartPolicy::Never {
        return nothing("its restart policy is never".to_string());
    }
    let mut twin = record.clone();
    match twin.schedule(now) {
        _ if record.spec.recovery.mode == RecoveryMode::Observe => nothing(
            "it would be started again, but for `recovery.mode = \"observe\"`: that it would is noted, and nothing is done"
                .to_string(),
        ),
        Some(wait) => {
            let limit = &record.spec.restart.intensity;
            let used = twin.restarts_used(now.moment);
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let why = format!("restart {used} of {} within {}", limit.max, limit.period);
            (Remedy::Restart, Some(Span::millis(millis)), why)
        }
        None => {
            let limit = &record.spec.restart.intensity;
            let why = format!("more than {} restarts within {}", limit.max, limit.period);
            (Remedy::Quarantine, None, why)
        }
    }
}
