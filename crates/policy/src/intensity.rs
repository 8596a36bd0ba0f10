//! How many restarts are too many.
//!
//! The rule is that of Erlang/OTP supervisors: more than `restarts` within the last `period` means that restarting does
//! not help. OTP then ends the supervisor; here the caller learns it and decides.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// How many restarts are allowed within which time.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `restarts` | 5 | an agent with a rough start is given up | a broken one is restarted for long |
/// | `period` | 10 min | slow crash loops are never noticed | old troubles count against a healthy agent |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntensityLimit {
    /// Restarts allowed within `period`; 0 allows none at all.
    pub restarts: u32,
    /// The time looked back over, its start excluded. Zero counts nothing, hence limits nothing, unless `restarts` is 0.
    pub period: Duration,
}

impl Default for IntensityLimit {
    fn default() -> Self {
        Self {
            restarts: 5,
            period: Duration::from_secs(600),
        }
    }
}

/// The restarts of late. Holds no more of them than the limit allowed when they were recorded.
///
/// Points in time are durations since an origin of the caller's own. They must not be stored, as another boot has
/// another origin: [`Intensity::ages`] and [`Intensity::from_ages`] carry them over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Intensity {
    /// When restarts took place, oldest first: nanoseconds since the origin, negative before it.
    at: VecDeque<i64>,
}

impl Intensity {
    /// No restarts yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { at: VecDeque::new() }
    }

    /// Asks for one more restart at `now` and, if it is within the limit, counts it.
    ///
    /// One that is refused does not take place, hence is not counted: it cannot push its own pardon further away.
    /// A `now` before the latest restart counts as the time of that one.
    #[must_use = "a restart beyond the limit must not take place"]
    pub fn record(&mut self, limit: &IntensityLimit, now: Duration) -> Verdict {
        let now = nanos(now).max(self.at.back().copied().unwrap_or(i64::MIN));
        while self.at.front().is_some_and(|at| !counts(*at, now, limit)) {
            self.at.pop_front();
        }
        let used = count(self.at.len());
        if used < limit.restarts {
            self.at.push_back(now);
            return Verdict::Within {
                left: limit.restarts - used - 1,
            };
        }
        Verdict::Exceeded {
            clears_in: self.clears_in(limit, now),
        }
    }

    /// How many restarts the limit still allows at `now`.
    #[must_use]
    pub fn left(&self, limit: &IntensityLimit, now: Duration) -> u32 {
        let now = nanos(now);
        let used = self.at.iter().filter(|at| counts(**at, now, limit)).count();
        limit.restarts.saturating_sub(count(used))
    }

    /// Forgets all restarts, as after a stable period or on a person's word.
    pub fn clear(&mut self) {
        self.at.clear();
    }

    /// How long ago each restart was, for storing.
    #[must_use]
    pub fn ages(&self, now: Duration) -> Ages {
        let now = nanos(now);
        Ages(
            self.at
                .iter()
                .map(|at| now.saturating_sub(*at).max(0).unsigned_abs())
                .collect(),
        )
    }

    /// Restores what [`Intensity::ages`] gave, on a clock that shows `now`, whatever its origin.
    ///
    /// Time that went by between the two is added first, by [`Ages::later`].
    #[must_use]
    pub fn from_ages(ages: &Ages, now: Duration) -> Self {
        let now = nanos(now);
        let mut at: Vec<i64> = ages.0.iter().map(|age| now.saturating_sub_unsigned(*age)).collect();
        at.sort_unstable();
        Self { at: at.into() }
    }

    /// How long each restart still counts, oldest first, for storing as waits.
    pub fn waits(&self, limit: &IntensityLimit, now: Duration) -> impl Iterator<Item = Duration> {
        let (now, period) = (nanos(now), limit.period);
        let age = move |at: &i64| Duration::from_nanos(now.saturating_sub(*at).max(0).unsigned_abs());
        self.at
            .iter()
            .map(move |at| period.saturating_sub(age(at)))
            .filter(|wait| !wait.is_zero())
    }

    /// Restores what [`Intensity::waits`] gave, on a clock that shows `now`, whatever its origin.
    ///
    /// A wait that is over is left out; one longer than the period counts as the period.
    #[must_use]
    pub fn from_waits(limit: &IntensityLimit, now: Duration, waits: impl IntoIterator<Item = Duration>) -> Self {
        let running = waits.into_iter().filter(|wait| !wait.is_zero());
        let ages = running
            .map(|wait| nanos(limit.period.saturating_sub(wait)).unsigned_abs())
            .collect();
        Self::from_ages(&Ages(ages), now)
    }

    /// The time until one more restart is allowed: until the oldest of the last `restarts` no longer counts.
    fn clears_in(&self, limit: &IntensityLimit, now: i64) -> Duration {
        let Some(deciding) = usize::try_from(limit.restarts)
            .ok()
            .filter(|restarts| *restarts > 0)
            .and_then(|restarts| self.at.len().checked_sub(restarts))
            .and_then(|index| self.at.get(index))
        else {
            return Duration::MAX;
        };
        limit
            .period
            .saturating_sub(Duration::from_nanos(now.saturating_sub(*deciding).unsigned_abs()))
    }
}

/// Whether one more restart is within the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is, and was counted.
    Within {
        /// How many more would be within the limit at this moment.
        left: u32,
    },
    /// It is not, and was not counted.
    Exceeded {
        /// The time until one more would be allowed; [`Duration::MAX`] where the limit allows none at all.
        clears_in: Duration,
    },
}

/// How long ago restarts were, in nanoseconds, oldest first: what is stored of an [`Intensity`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ages(Vec<u64>);

impl Ages {
    /// The same ages after `more` time has gone by.
    #[must_use]
    pub fn later(mut self, more: Duration) -> Self {
        let more = nanos(more).unsigned_abs();
        for age in &mut self.0 {
            *age = age.saturating_add(more);
        }
        self
    }
}

/// Nanoseconds since the origin. 292 years fit; what is later counts as then.
fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn counts(at: i64, now: i64, limit: &IntensityLimit) -> bool {
    Duration::from_nanos(now.saturating_sub(at).max(0).unsigned_abs()) < limit.period
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
