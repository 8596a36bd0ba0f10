//! A count that leaks.

use core::time::Duration;

/// A count of failures that loses one each time a `leak` has passed, counted from the failure that found it empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Leaky {
    level: u32,
    /// When the next one leaks; has no meaning while the level is 0.
    next: Duration,
}

impl Leaky {
    /// A count that stands at `level` and loses the next one at `next`.
    #[must_use]
    pub const fn at(level: u32, next: Duration) -> Self {
        Self { level, next }
    }

    /// Counts a failure and says how many there are now.
    pub fn record(&mut self, now: Duration, leak: Duration) -> u32 {
        self.settle(now, leak);
        if self.level == 0 {
            self.next = now.saturating_add(leak);
        }
        self.level = self.level.saturating_add(1);
        self.level
    }

    /// How many there are at `now`, and when the next one leaks.
    #[must_use]
    pub fn level(mut self, now: Duration, leak: Duration) -> (u32, Duration) {
        self.settle(now, leak);
        (self.level, self.next)
    }

    fn settle(&mut self, now: Duration, leak: Duration) {
        if self.level == 0 || now < self.next || leak.is_zero() {
            return;
        }
        let over = now.saturating_sub(self.next).as_nanos() / leak.as_nanos();
        let leaked = u32::try_from(over).unwrap_or(u32::MAX).saturating_add(1);
        self.level = self.level.saturating_sub(leaked);
        self.next = self.next.saturating_add(leak.saturating_mul(leaked));
    }
}
