//! Why a protected call gave no value.

use core::time::Duration;

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
    /// The operation took longer than one call may. It was cancelled.
    #[error("operation took longer than {limit:?}")]
    Timeout {
        /// How long one call may take.
        limit: Duration,
    },
    /// The deadline of the whole request has passed, or would before an attempt could end.
    #[error("deadline exceeded")]
    DeadlineExceeded,
    /// Every try failed, or the next was not worth it. `last` is what the last try said.
    #[error("gave up after {attempts} attempts")]
    Exhausted {
        /// How many tries were made, the first one included.
        attempts: u32,
        /// When the service said to come back, where that is later than a retry may wait.
        retry_after: Option<Duration>,
        /// What the last try said.
        #[source]
        last: E,
    },
}

fn after(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!(", try again in {wait:?}"))
}
