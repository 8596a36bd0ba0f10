//! How long to wait before trying again.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::OutOfRange;
use crate::jitter::{Jitter, between, draw, scale};

/// How long to wait before each try. Every combination of the fields is valid.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `first` | [`First::AtOnce`] | – | – |
/// | `initial` | 1 s | a crash loop burns a core | a single crash costs availability |
/// | `growth` | exponential, factor 2 | a broken agent is tried for ever at the same pace | the cap is reached after two tries |
/// | `max` | 5 min | as `initial` | a mended agent stays down for long |
/// | `jitter` | proportional, 0.2 | a fleet comes back in step | waits cannot be foretold |
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use stead_policy::{Backoff, Jitter};
///
/// let backoff = Backoff { jitter: Jitter::None, ..Backoff::default() };
/// let waits: Vec<u64> = (0..5).map(|attempt| backoff.delay(attempt, 0).as_secs()).collect();
/// assert_eq!(waits, [0, 1, 2, 4, 8]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// What happens on the first try after a stable period.
    pub first: First,
    /// The first wait that is not nothing.
    pub initial: Duration,
    /// How waits grow from one try to the next.
    pub growth: Growth,
    /// The longest wait before jitter. Below `initial` it stands in for it.
    pub max: Duration,
    /// How a wait is spread around its length.
    pub jitter: Jitter,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: First::AtOnce,
            initial: Duration::from_secs(1),
            growth: Growth::Exponential(Factor::DOUBLE),
            max: Duration::from_secs(300),
            jitter: Jitter::default(),
        }
    }
}

impl Backoff {
    /// Always waits `wait`, unspread, from the first try on.
    #[must_use]
    pub const fn fixed(wait: Duration) -> Self {
        Self {
            first: First::Waits,
            initial: wait,
            growth: Growth::Fixed,
            max: wait,
            jitter: Jitter::None,
        }
    }

    /// Tells how long to wait before try number `attempt`, counted from 0 since the last stable period.
    ///
    /// The same arguments always give the same answer; `seed` (a hash of the agent's id, say) is what sets agents
    /// apart. The answer is at most [`Backoff::longest`]. Costs a few dozen multiplications at most where waits double,
    /// 4,096 where they hardly grow.
    #[must_use]
    pub fn delay(&self, attempt: u32, seed: u64) -> Duration {
        let step = match self.first {
            First::AtOnce if attempt == 0 => return Duration::ZERO,
            First::AtOnce => attempt - 1,
            First::Waits => attempt,
        };
        match self.jitter {
            Jitter::None | Jitter::Proportional(_) | Jitter::Full | Jitter::Equal => {
                self.jitter.spread(self.unspread(step), draw(seed, u64::from(attempt)))
            }
            Jitter::Decorrelated => self.walk(step, seed),
        }
    }

    /// The longest wait that [`Backoff::delay`] can answer: `max`, and the share that proportional jitter adds to it.
    #[must_use]
    pub fn longest(&self) -> Duration {
        match self.jitter {
            Jitter::Proportional(share) => self.max.saturating_add(scale(self.max, share.get())),
            Jitter::None | Jitter::Full | Jitter::Equal | Jitter::Decorrelated => self.max,
        }
    }

    fn unspread(&self, step: u32) -> Duration {
        match self.growth {
            Growth::Fixed => self.initial.min(self.max),
            Growth::Linear => self.initial.saturating_mul(step.saturating_add(1)).min(self.max),
            Growth::Exponential(factor) => self.exponential(factor, step),
        }
    }

    /// Multiplies step by step: unlike a power function this never shrinks by rounding, and is the same everywhere.
    fn exponential(&self, factor: Factor, step: u32) -> Duration {
        let max = self.max.as_secs_f64();
        let mut wait = self.initial.as_secs_f64();
        for _ in 0..step.min(STEPS) {
            let longer = wait * factor.get();
            if wait >= max || longer <= wait {
                break;
            }
            wait = longer;
        }
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX).min(self.max)
    }

    /// The random walk of [`Jitter::Decorrelated`]. Beyond [`STEPS`] it draws anew around the last wait walked to.
    fn walk(&self, step: u32, seed: u64) -> Duration {
        let initial = self.initial.min(self.max);
        let next = |previous: Duration, n: u32| {
            between(
                initial,
                previous.saturating_mul(3).min(self.max),
                draw(seed, u64::from(n)),
            )
        };
        let walked = (0..step.min(STEPS)).fold(initial, next);
        next(walked, step)
    }
}

/// What happens on the first try after a stable period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// No wait: most single failures are over by then. The second try waits `initial`.
    AtOnce,
    /// The first try waits `initial` already.
    Waits,
}

/// How waits grow from one try to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Growth {
    /// They do not: always `initial`.
    Fixed,
    /// By `initial` each time: 1 s, 2 s, 3 s.
    Linear,
    /// By this factor each time: 1 s, 2 s, 4 s.
    Exponential(Factor),
}

/// By how much a wait grows: a number from 1 to 100, never NaN. Default 2.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Factor(f64);

// A factor is never NaN, so its equality is a full one.
impl Eq for Factor {}

impl Factor {
    /// Each wait is twice the one before.
    pub const DOUBLE: Self = Self(2.0);

    /// The factor as a number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Default for Factor {
    fn default() -> Self {
        Self::DOUBLE
    }
}

impl TryFrom<f64> for Factor {
    type Error = OutOfRange;

    fn try_from(factor: f64) -> Result<Self, OutOfRange> {
        if (1.0..=100.0).contains(&factor) {
            Ok(Self(factor))
        } else {
            Err(OutOfRange::Factor(factor))
        }
    }
}

impl From<Factor> for f64 {
    fn from(factor: Factor) -> Self {
        factor.0
    }
}

/// After so many tries a wait grows no more, so that a factor just above 1 costs no long loop.
const STEPS: u32 = 4096;

#[cfg(test)]
mod tests;
