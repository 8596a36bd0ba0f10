//! From what was seen to the kind of failure that it is, and whether a start can help: one total function for each source.

use alloc::boxed::Box;

use stead_model::{Exit, Failure, FailureKind, Health, Reason, SpawnFailureKind};

use crate::record::Record;
use crate::step::Step;

/// What a failure was caused by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cause {
    pub(crate) kind: FailureKind,
    /// Whether starting it again can help.
    pub(crate) restart_helps: bool,
}

const fn helped_by_restart(kind: FailureKind) -> Cause {
    Cause {
        kind,
        restart_helps: true,
    }
}

const fn beyond_restart(kind: FailureKind) -> Cause {
    Cause {
        kind,
        restart_helps: false,
    }
}

/// An end that nobody ordered.
pub(crate) fn of_exit(exit: Exit, final_codes: &[i32]) -> Cause {
    match exit {
        Exit::OutOfMemory => helped_by_restart(FailureKind::MemoryError),
        Exit::Code { code } if final_codes.contains(&code) => beyond_restart(FailureKind::ProcessingError),
        Exit::Code { .. } | Exit::Signal { .. } | Exit::Unknown => helped_by_restart(FailureKind::ProcessExit),
    }
}

/// A process that could not be prepared or started.
pub(crate) const fn of_spawn(kind: SpawnFailureKind) -> Cause {
    match kind {
        SpawnFailureKind::Resources => helped_by_restart(FailureKind::ResourceExhaustion),
        SpawnFailureKind::NotFound
        | SpawnFailureKind::NotExecutable
        | SpawnFailureKind::Directory
        | SpawnFailureKind::User
        | SpawnFailureKind::Setting => beyond_restart(FailureKind::ProcessingError),
    }
}

/// Why a transition happened, if that was a failure: probes, silence, deadlines, reported errors, dependencies, budgets.
pub(crate) const fn of_reason(reason: Reason) -> Option<Cause> {
    Some(match reason {
        Reason::HeartbeatTimeout | Reason::MissedHeartbeats => helped_by_restart(FailureKind::HeartbeatTimeout),
        Reason::CommunicationFailure => helped_by_restart(FailureKind::CommunicationFailure),
        Reason::InternalError | Reason::ErrorRateIncrease | Reason::InitializationError => {
            helped_by_restart(FailureKind::ProcessingError)
        }
        Reason::PartialFunctionality | Reason::LatencyIncrease | Reason::ThroughputReduction => {
            helped_by_restart(FailureKind::PerformanceDegradation)
        }
        Reason::MetricThreshold => helped_by_restart(FailureKind::HighLoad),
        Reason::OutOfMemory => helped_by_restart(FailureKind::MemoryError),
        Reason::ResourceExhaustion | Reason::ResourceStarvation => helped_by_restart(FailureKind::ResourceExhaustion),
        Reason::Crash => helped_by_restart(FailureKind::ProcessExit),
        Reason::Deadlock | Reason::DeadlineExceeded | Reason::Stuck => helped_by_restart(FailureKind::Stuck),
        Reason::DependencyFailure | Reason::CriticalDependency => beyond_restart(FailureKind::DependencyFailure),
        Reason::ConfigError | Reason::VersionMismatch => beyond_restart(FailureKind::ProcessingError),
        Reason::BudgetSpent => beyond_restart(FailureKind::ResourceExhaustion),
        Reason::NormalStartup
        | Reason::FastStartup
        | Reason::SlowStartup
        | Reason::PartialStartup
        | Reason::ReadinessComplete
        | Reason::SelfHealing
        | Reason::DependencyRestored
        | Reason::ResourceRestored
        | Reason::ManualIntervention
        | Reason::ConfigUpdate
        | Reason::RestartRecovery
        | Reason::Reset
        | Reason::Failover
        | Reason::ScaleUp
        | Reason::FallbackMode
        | Reason::Request
        | Reason::HfSpace
        | Reason::Kubernetes
        | Reason::Completed
        | Reason::Progress => return None,
    })
}

/// Notes the failure that an agent is in. One that only reports has none: nothing here can bring it back.
pub(crate) fn note(step: &mut Step, record: &mut Record, cause: Cause, detail: &str) {
    if record.process().is_none() {
        return;
    }
    record.row.recovery.failure = Some(Box::new(Failure {
        kind: cause.kind,
        restart_helps: cause.restart_helps,
        detail: detail.into(),
        at: step.now.wall,
    }));
    step.touch();
}

/// Notes it where the reason of a transition is one.
pub(crate) fn note_reason(step: &mut Step, record: &mut Record, reason: Reason, detail: &str) {
    if let Some(cause) = of_reason(reason) {
        note(step, record, cause, detail);
    }
}

/// Forgets it, now that it does well again.
pub(crate) fn forget(step: &mut Step, record: &mut Record) {
    if record.health() == Health::Healthy && record.row.recovery.failure.take().is_some() {
        step.touch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_failure_or_none_and_all_of_the_category_failure_are() {
        for reason in Reason::ALL {
            let fails = reason.as_str().starts_with("failure.") || reason.as_str().starts_with("degradation.");
            let spent = *reason == Reason::BudgetSpent;
            assert_eq!(of_reason(*reason).is_some(), fails || spent, "{reason}");
        }
    }

    #[test]
    fn no_start_helps_what_is_listed_as_final_or_is_not_there() {
        assert!(!of_exit(Exit::Code { code: 78 }, &[78]).restart_helps);
        assert!(of_exit(Exit::Code { code: 1 }, &[78]).restart_helps);
        assert_eq!(of_exit(Exit::OutOfMemory, &[]).kind, FailureKind::MemoryError);
        assert!(!of_spawn(SpawnFailureKind::NotFound).restart_helps);
        assert!(of_spawn(SpawnFailureKind::Resources).restart_helps);
    }
}
