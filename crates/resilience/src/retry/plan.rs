//! Whether and when there is a next try.

use core::time::Duration;

use super::{GaveUp, RetryConfig};
use crate::{Budget, Clock, Deadline, Moment};
use stead_policy::Extra;

/// No limit, in nanoseconds.
pub(super) const NONE: u64 = u64::MAX;

pub(super) fn nanos(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX).min(NONE - 1)
}

/// One call's tries.
pub(super) struct Plan {
    config: RetryConfig,
    begun: Option<Moment>,
    seed: u64,
    made: u32,
}

impl Plan {
    /// After the first try.
    pub(super) const fn new(config: RetryConfig, begun: Option<Moment>, seed: u64) -> Self {
        Self {
            config,
            begun,
            seed,
            made: 1,
        }
    }

    /// Tries made so far.
    pub(super) const fn made(&self) -> u32 {
        self.made
    }

    pub(super) const fn begin(&mut self) {
        self.made += 1;
    }

    /// How long to wait for the next try, or why there is none. The budget is asked last: what is not made costs nothing.
    pub(super) fn next<C: Clock>(
        &self,
        clock: &C,
        retry_after: Option<Duration>,
        budget: Option<&Budget>,
    ) -> Result<Duration, GaveUp> {
        let config = &self.config;
        if self.made >= config.max_attempts {
            return Err(GaveUp::Attempts);
        }
        let asked = retry_after.unwrap_or_default();
        if asked > config.max_retry_after {
            return Err(GaveUp::RetryAfter);
        }
        let wait = self.backoff().max(asked);
        if let (Some(most), Some(begun)) = (config.max_elapsed, self.begun)
            && clock.now().since(begun).saturating_add(wait) > most
        {
            return Err(GaveUp::Elapsed);
        }
        let needs = wait.saturating_add(config.attempt_needs);
        if Deadline::remaining_now().is_some_and(|left| left <= wait || left < needs) {
            return Err(GaveUp::Deadline);
        }
        if budget.is_some_and(|budget| !budget.withdraw(Extra::Retry)) {
            return Err(GaveUp::Budget);
        }
        Ok(wait)
    }

    /// The wait by the backoff alone. What jitter would put above the cap is put as far below it, so that waits at the cap
    /// are spread too.
    fn backoff(&self) -> Duration {
        let (backoff, retry) = (&self.config.backoff, self.made - 1);
        let wait = backoff.delay(retry, self.seed);
        let above = wait.saturating_sub(backoff.max);
        wait.min(backoff.max).saturating_sub(above)
    }
}
