//! Points in time as detection counts them: a million of them are held and compared at once.

use core::time::Duration;

/// A point in time: microseconds since an origin of the caller's own. Arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tick(u64);

impl Tick {
    /// So many microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The point in time `wait` later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(Self::from(wait).0))
    }

    /// How long it is from `earlier` to here; nothing if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A span since the origin, rounded down to the microsecond.
impl From<Duration> for Tick {
    fn from(since_origin: Duration) -> Self {
        let whole = since_origin.as_secs().saturating_mul(1_000_000);
        Self(whole.saturating_add(u64::from(since_origin.subsec_micros())))
    }
}

impl From<Tick> for Duration {
    fn from(tick: Tick) -> Self {
        Self::from_micros(tick.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_a_duration_to_the_microsecond() {
        let span = Duration::new(3, 4_567_890);
        assert_eq!(Duration::from(Tick::from(span)), Duration::new(3, 4_567_000));
        assert_eq!(Tick::from(Duration::MAX).after(Duration::MAX).micros(), u64::MAX);
        assert_eq!(Tick::from_micros(1).since(Tick::from_micros(5)), Duration::ZERO);
    }
}
