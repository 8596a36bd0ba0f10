//! What kinds of failure there are, whoever noticed them.

use alloc::string::String;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Wall;
use crate::state::words;

words! {
    /// What sort of failure it is; decides what can help.
    FailureKind {
        /// Its signs of life stopped.
        HeartbeatTimeout = "heartbeat_timeout",
        /// It lives and cannot be reached.
        CommunicationFailure = "communication_failure",
        /// It cannot do its work: it says so itself, or it cannot be started as it is told to be.
        ProcessingError = "processing_error",
        /// It ran out of memory.
        MemoryError = "memory_error",
        /// The machine, or a budget, has not enough for it.
        ResourceExhaustion = "resource_exhaustion",
        /// It has more to do than it can.
        HighLoad = "high_load",
        /// It works worse than it should.
        PerformanceDegradation = "performance_degradation",
        /// Something that it depends on failed.
        DependencyFailure = "dependency_failure",
        /// Its process ended unasked.
        ProcessExit = "process_exit",
        /// It lives and does not get on.
        Stuck = "stuck",
    }
}

impl core::str::FromStr for FailureKind {
    type Err = UnknownFailure;

    fn from_str(text: &str) -> Result<Self, UnknownFailure> {
        let mut kinds = Self::ALL.iter().copied();
        kinds.find(|kind| kind.as_str() == text).ok_or(UnknownFailure)
    }
}

/// Not a kind of failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "not a kind of failure; there are heartbeat_timeout, communication_failure, processing_error, memory_error, \
     resource_exhaustion, high_load, performance_degradation, dependency_failure, process_exit and stuck"
)]
pub struct UnknownFailure;

/// The failure that an agent is in, or is being brought back from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Of which kind.
    pub kind: FailureKind,
    /// Whether starting it again can help; if not, it is held until the cause is gone.
    pub restart_helps: bool,
    /// What was seen.
    pub detail: String,
    /// When.
    pub at: Wall,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_word_and_is_named_where_none_is_known() {
        let known = UnknownFailure.to_string();
        for kind in FailureKind::ALL {
            assert_eq!(kind.as_str().parse::<FailureKind>(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), alloc::format!("\"{kind}\""));
            assert!(known.contains(kind.as_str()));
        }
        assert_eq!("tired".parse::<FailureKind>(), Err(UnknownFailure));
    }
}
