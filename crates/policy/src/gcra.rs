//! How often is too often: the generic cell rate algorithm.
//!
//! The algorithm is that of ATM's traffic contracts (ITU-T I.371, "virtual scheduling"): all that is kept is one point in
//! time, at which the bucket would be full again. It is a token bucket without anybody who fills it.

use core::time::Duration;

use crate::OutOfRange;

/// How many units per period, and how many of them at once.
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `units` | 10 | calls wait that the service would take | the service refuses what this let through |
/// | `period` | 1 s | – | after a burst everybody waits for long |
/// | `burst` | 10 | calls that come together wait for nothing | the service sees all of them at once |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Units (calls, tokens, cents) per `period` in the long run; at least 1.
    pub units: u32,
    /// The time in which `units` come back; from a nanosecond per unit on.
    pub period: Duration,
    /// Units that may be taken at one moment after a rest; at least 1.
    pub burst: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Self::per_second(10)
    }
}

impl Quota {
    /// So many per second, all at once if they come together.
    #[must_use]
    pub const fn per_second(units: u32) -> Self {
        Self {
            units,
            period: Duration::from_secs(1),
            burst: units,
        }
    }

    /// So many per minute, all at once if they come together.
    #[must_use]
    pub const fn per_minute(units: u32) -> Self {
        Self {
            units,
            period: Duration::from_secs(60),
            burst: units,
        }
    }
}

/// A [`Quota`] as the algorithm counts: nanoseconds.
///
/// The state is the caller's: `full`, the point in time (in nanoseconds since an origin of the caller's own) at which
/// everything used has come back. It starts at 0. Points in time saturate after 584 years.
///
/// # Examples
///
/// ```
/// use stead_policy::{Gcra, Quota};
///
/// let rule = Gcra::try_from(Quota { burst: 2, ..Quota::per_second(10) })?;
/// let full = rule.take(0, 0, 1).unwrap();
/// let full = rule.take(full, 0, 1).unwrap();
/// assert_eq!(rule.take(full, 0, 1), Err(100_000_000), "the third comes back in a tenth of a second");
/// # Ok::<(), stead_policy::OutOfRange>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gcra {
    /// Nanoseconds in which one unit comes back, rounded up, so that the long run never sees more than the quota.
    per_unit: u64,
    /// Nanoseconds in which a whole burst comes back.
    reach: u64,
}

impl TryFrom<Quota> for Gcra {
    type Error = OutOfRange;

    fn try_from(quota: Quota) -> Result<Self, OutOfRange> {
        let period = u64::try_from(quota.period.as_nanos()).unwrap_or(u64::MAX);
        let units = u64::from(quota.units);
        if units == 0 || period < units {
            return Err(OutOfRange::Rate {
                units: quota.units,
                period: quota.period,
            });
        }
        if quota.burst == 0 {
            return Err(OutOfRange::Burst);
        }
        let per_unit = period.div_ceil(units);
        Ok(Self {
            per_unit,
            reach: per_unit.saturating_mul(u64::from(quota.burst)),
        })
    }
}

impl Gcra {
    /// Rebuilds a rule from [`Gcra::per_unit`] and [`Gcra::reach`], so that both can be kept in atomics.
    #[must_use]
    pub const fn from_parts(per_unit: u64, reach: u64) -> Self {
        Self { per_unit, reach }
    }

    /// Nanoseconds in which one unit comes back.
    #[must_use]
    pub const fn per_unit(self) -> u64 {
        self.per_unit
    }

    /// Nanoseconds in which a whole burst comes back.
    #[must_use]
    pub const fn reach(self) -> u64 {
        self.reach
    }

    /// Takes `cost` units: the next `full`. A `now` that goes back is no harm, it only sees less come back.
    ///
    /// # Errors
    ///
    /// Not that many are there: the nanoseconds until they are, if nobody else takes any; [`u64::MAX`] where `cost` is
    /// more than a burst.
    #[inline]
    pub const fn take(self, full: u64, now: u64, cost: u32) -> Result<u64, u64> {
        let next = self.charge(full, now, cost);
        let latest = now.saturating_add(self.reach);
        if next <= latest {
            Ok(next)
        } else if self.cost(cost) > self.reach {
            Err(u64::MAX)
        } else {
            Err(next - latest)
        }
    }

    /// Takes `cost` units whether they are there or not: what is missing is a debt that comes back first.
    #[inline]
    #[must_use]
    pub const fn charge(self, full: u64, now: u64, cost: u32) -> u64 {
        let from = if full > now { full } else { now };
        from.saturating_add(self.cost(cost))
    }

    /// Gives `cost` units back that were taken and not used. More than a burst is never there.
    #[must_use]
    pub const fn refund(self, full: u64, cost: u32) -> u64 {
        full.saturating_sub(self.cost(cost))
    }

    /// Lets nothing through before `until`, and then one unit at a time: a service that asked for rest gets no burst.
    #[must_use]
    pub const fn pause(self, full: u64, until: u64) -> u64 {
        let paused = until.saturating_add(self.reach.saturating_sub(self.per_unit));
        if full > paused { full } else { paused }
    }

    /// Until when a pause lasts that was made of nothing else ([`Gcra::pause`] of 0). `None`: of none.
    #[must_use]
    pub const fn paused_until(self, paused: u64) -> Option<u64> {
        paused.checked_sub(self.reach.saturating_sub(self.per_unit))
    }

    /// How many units could be taken at `now`.
    #[must_use]
    pub const fn free(self, full: u64, now: u64) -> u64 {
        self.reach.saturating_sub(full.saturating_sub(now)) / self.per_unit
    }

    /// How many units are owed at `now`: taken by [`Gcra::charge`], not there.
    #[must_use]
    pub const fn debt(self, full: u64, now: u64) -> u64 {
        full.saturating_sub(now)
            .saturating_sub(self.reach)
            .div_ceil(self.per_unit)
    }

    /// The same use in the terms of another rule, so that a change of the quota forgets nothing.
    #[must_use]
    pub fn convert(self, full: u64, now: u64, to: Self) -> u64 {
        let used = u128::from(full.saturating_sub(now));
        let used = used * u128::from(to.per_unit) / u128::from(self.per_unit);
        now.saturating_add(u64::try_from(used).unwrap_or(u64::MAX))
    }

    const fn cost(self, units: u32) -> u64 {
        self.per_unit.saturating_mul(units as u64)
    }
}

#[cfg(test)]
mod tests;
