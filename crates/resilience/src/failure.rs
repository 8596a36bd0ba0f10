//! Why a protected call gave no value.

use core::time::Duration;

use crate::{Reasons, Verdict};

/// Why a protected call gave no value: what the operation said, or which policy stepped in and when to come back.
///
/// All policies speak this one type, so that they compose without wrapping each other's errors.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure<E> {
    /// The operation ran, and failed by itself.
    #[error("operation failed")]
    Inner(#[source] E),
    /// The circuit is open: the operation was not begun.
    #[error("circuit is open{}", after(*.retry_after))]
    CircuitOpen {
        /// When a call may be admitted again; `None` where only a person or a configuration change can tell.
        retry_after: Option<Duration>,
    },
    /// No seat was free, and no place to wait for one: the operation was not begun.
    #[error("bulkhead is full")]
    BulkheadFull,
    /// No seat became free within the time that a caller may wait: the operation was not begun.
    #[error("no seat became free within {waited:?}")]
    BulkheadTimeout {
        /// How long this caller waited.
        waited: Duration,
    },
    /// The rate is used up: the operation was not begun.
    #[error("rate limit is used up{}", after(Some(*.retry_after)))]
    RateLimited {
        /// When a call of the same size would be admitted.
        retry_after: Duration,
    },
    /// The operation took longer than it may. It was cancelled.
    #[error("operation took longer than {limit:?}")]
    Timeout {
        /// How long it was allowed: what one call may take, or what was left of the deadline.
        limit: Duration,
    },
    /// The deadline of the whole request has passed, or would before an attempt could end: the operation was not begun.
    #[error("deadline leaves no time for an attempt")]
    DeadlineExceeded,
    /// Every try failed, or the next was not worth it. `last` is what the last try said.
    #[error("gave up after {attempts} attempts")]
    Exhausted {
        /// How many tries were made, the first one included.
        attempts: u32,
        /// When the service said to come back, if it did: maybe later than a retry may wait.
        retry_after: Option<Duration>,
        /// What the last try said.
        #[source]
        last: E,
    },
    /// Neither the operation nor any fallback gave an answer.
    #[error("no fallback answered: {reasons}")]
    NoFallback {
        /// Why each of them did not.
        reasons: Reasons<E>,
    },
}

impl<E> Failure<E> {
    /// What a failure says about the service, where an inner policy and not the operation made it: refusals before the
    /// operation began say nothing, a timeout and an exhausted retry are failures. [`Failure::Inner`] counts as one here;
    /// a classifier knows better.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Inner(_) | Self::Timeout { .. } | Self::NoFallback { .. } => Verdict::FAILURE,
            Self::Exhausted { retry_after, .. } => Verdict::Failure {
                retry_after: *retry_after,
            },
            Self::CircuitOpen { .. }
            | Self::BulkheadFull
            | Self::BulkheadTimeout { .. }
            | Self::RateLimited { .. }
            | Self::DeadlineExceeded => Verdict::Ignored,
        }
    }
}

fn after(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!(", try again in {wait:?}"))
}
