//! How many tries in a row it took, and when that is forgotten.
//!
//! ```text
//!                 healthy                     steady_at reached
//!     UNPROVEN ────────────► HEALTHY, count n ─────────────────► HEALTHY, count 0
//!        ▲                          │                                   │
//!        └──────────────────────────┴───────────────────────────────────┘
//!                unhealthy (count as it is), next_attempt (count + 1)
//! ```

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// When a count of tries is forgotten.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `after` | 10 min | a crash loop with short good spells never backs off | a single crash a day waits like a crash loop |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StableReset {
    /// How long an agent must be healthy without a break.
    pub after: Duration,
}

impl Default for StableReset {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(600),
        }
    }
}

/// Counts tries since the last stable period. A successful start forgets nothing; only lasting health does.
///
/// Points in time are durations since an origin of the caller's own; [`Streak::freeze`] and [`Streak::thaw`] carry them
/// over to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Streak {
    attempts: u32,
    run: Run,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Run {
    #[default]
    Unproven,
    Healthy {
        steady_at: Duration,
    },
}

impl Streak {
    /// No tries yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts: 0,
            run: Run::Unproven,
        }
    }

    /// Takes the next try: returns its number, from 0, for [`Backoff::delay`](crate::Backoff::delay), and counts it.
    ///
    /// Ends a run of health; if that was a stable one, this try is number 0.
    pub fn next_attempt(&mut self, now: Duration) -> u32 {
        self.unhealthy(now);
        let attempt = self.attempts;
        self.attempts = attempt.saturating_add(1);
        attempt
    }

    /// Notes health at `now`. A run of health that goes on already is not begun anew.
    pub fn healthy(&mut self, reset: &StableReset, now: Duration) {
        match self.run {
            Run::Healthy { .. } => self.settle(now),
            Run::Unproven => {
                self.run = Run::Healthy {
                    steady_at: now.saturating_add(reset.after),
                }
            }
        }
    }

    /// Ends a run of health. If it had become a stable one by `now`, the count starts at 0.
    pub fn unhealthy(&mut self, now: Duration) {
        self.settle(now);
        self.run = Run::Unproven;
    }

    /// Starts the count at 0 if the stable period is over at `now`; a timer at [`Streak::resets_at`] calls this.
    pub fn settle(&mut self, now: Duration) {
        match self.run {
            Run::Healthy { steady_at } if steady_at <= now => self.attempts = 0,
            Run::Healthy { .. } | Run::Unproven => {}
        }
    }

    /// The tries counted since the last stable period that was noticed.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When the count will start at 0 if health lasts; nothing if it is 0 or the agent is not healthy.
    #[must_use]
    pub const fn resets_at(&self) -> Option<Duration> {
        match self.run {
            Run::Healthy { steady_at } if self.attempts > 0 => Some(steady_at),
            Run::Healthy { .. } | Run::Unproven => None,
        }
    }

    /// What is to be stored, free of the clock's origin.
    #[must_use]
    pub const fn freeze(&self, now: Duration) -> FrozenStreak {
        let steady_in = match self.run {
            Run::Unproven => None,
            Run::Healthy { steady_at } => Some(steady_at.saturating_sub(now)),
        };
        FrozenStreak {
            attempts: self.attempts,
            steady_in,
        }
    }

    /// Restores what was frozen, on a clock that shows `now`.
    ///
    /// Time that went by in between counts as neither healthy nor not: the rest of the stable period starts at `now`.
    #[must_use]
    pub const fn thaw(frozen: &FrozenStreak, now: Duration) -> Self {
        let run = match frozen.steady_in {
            None => Run::Unproven,
            Some(rest) => Run::Healthy {
                steady_at: now.saturating_add(rest),
            },
        };
        Self {
            attempts: frozen.attempts,
            run,
        }
    }
}

/// What is stored of a [`Streak`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FrozenStreak {
    /// Tries since the last stable period.
    pub attempts: u32,
    /// What is left of the stable period, if the agent is healthy.
    pub steady_in: Option<Duration>,
}

#[cfg(test)]
mod tests;
