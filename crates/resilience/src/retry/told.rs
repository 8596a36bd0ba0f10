//! What a retry tells of itself.

use core::time::Duration;

use crate::count::Counter;

/// What happens to calls that do not succeed at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetryEvent {
    /// A try failed, and there will be another.
    Retrying {
        /// The number of the try to come; the first call was 1.
        attempt: u32,
        /// How long until it begins.
        wait: Duration,
    },
    /// A further try succeeded.
    Recovered {
        /// How many it took.
        attempts: u32,
    },
    /// The last try failed, and there is no other.
    GaveUp {
        /// How many were made.
        attempts: u32,
        /// Why there is no other.
        why: GaveUp,
    },
    /// The deadline left no time for a first try.
    NotBegun,
}

/// Why there is no further try.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GaveUp {
    /// `max_attempts` were made.
    Attempts,
    /// The service asked for a longer wait than `max_retry_after`.
    RetryAfter,
    /// It would begin after `max_elapsed`.
    Elapsed,
    /// It could not end before the [`Deadline`](crate::Deadline).
    Deadline,
    /// The [`Budget`](crate::Budget) is used up.
    Budget,
}

/// A retry at one moment. The counters are since its making; calls that succeed at once are not counted here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RetrySnapshot {
    /// The number of tries in force.
    pub max_attempts: u32,
    /// Further tries that were waited for.
    pub retries: u64,
    /// Calls that succeeded at a further try.
    pub recovered: u64,
    /// Calls given up after [`GaveUp::Attempts`].
    pub out_of_attempts: u64,
    /// Calls given up for [`GaveUp::RetryAfter`].
    pub asked_to_wait_too_long: u64,
    /// Calls given up for [`GaveUp::Elapsed`].
    pub out_of_time: u64,
    /// Calls given up for [`GaveUp::Deadline`].
    pub out_of_deadline: u64,
    /// Calls given up for [`GaveUp::Budget`].
    pub out_of_budget: u64,
    /// Calls whose deadline left no time for a first try.
    pub not_begun: u64,
    /// Hooks that panicked.
    pub hook_panics: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    retries: Counter,
    recovered: Counter,
    attempts: Counter,
    retry_after: Counter,
    elapsed: Counter,
    deadline: Counter,
    budget: Counter,
    not_begun: Counter,
    pub(super) hook_panics: Counter,
}

impl Counters {
    pub(super) fn count(&self, event: &RetryEvent) {
        let counter = match event {
            RetryEvent::Retrying { .. } => &self.retries,
            RetryEvent::Recovered { .. } => &self.recovered,
            RetryEvent::GaveUp { why, .. } => match why {
                GaveUp::Attempts => &self.attempts,
                GaveUp::RetryAfter => &self.retry_after,
                GaveUp::Elapsed => &self.elapsed,
                GaveUp::Deadline => &self.deadline,
                GaveUp::Budget => &self.budget,
            },
            RetryEvent::NotBegun => &self.not_begun,
        };
        counter.add();
    }

    pub(super) fn snapshot(&self, max_attempts: u32) -> RetrySnapshot {
        RetrySnapshot {
            max_attempts,
            retries: self.retries.get(),
            recovered: self.recovered.get(),
            out_of_attempts: self.attempts.get(),
            asked_to_wait_too_long: self.retry_after.get(),
            out_of_time: self.elapsed.get(),
            out_of_deadline: self.deadline.get(),
            out_of_budget: self.budget.get(),
            not_begun: self.not_begun.get(),
            hook_panics: self.hook_panics.get(),
        }
    }
}
