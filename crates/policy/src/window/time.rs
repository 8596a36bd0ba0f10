//! The calls of the last while.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::{Counts, Mark};

/// How a window of time is cut: buckets of a power of two of nanoseconds, so that finding one's bucket is a shift.
///
/// A bucket is a sixteenth to an eighth of the span. The window holds the bucket that is being filled and the full ones
/// before it, so what it looks back over is its span, give or take one bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buckets {
    shift: u32,
    reach: u32,
}

impl Buckets {
    /// The buckets of a window over `span`: 8 to 16 of them.
    #[must_use]
    pub fn of(span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).max(8);
        let shift = (nanos / 8).ilog2();
        let reach = u32::try_from(nanos.div_ceil(1 << shift)).unwrap_or(16);
        Self { shift, reach }
    }

    /// A bucket lasts two to the power of this many nanoseconds.
    #[must_use]
    pub const fn shift(self) -> u32 {
        self.shift
    }

    /// How many buckets the window holds, the one that is being filled included.
    #[must_use]
    pub const fn reach(self) -> u32 {
        self.reach
    }

    /// The number of the bucket that `now` falls into.
    #[must_use]
    pub fn tick(self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) >> self.shift
    }
}

/// The calls of the last while, counted per bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeWindow {
    cut: Buckets,
    /// By tick, oldest first; empty ones are left out.
    buckets: VecDeque<(u64, Counts)>,
}

impl TimeWindow {
    /// An empty window over `span`.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        Self {
            cut: Buckets::of(span),
            buckets: VecDeque::new(),
        }
    }

    /// Adds a call at `now`; one before the latest counts as at that time.
    pub fn record(&mut self, now: Duration, mark: Mark) -> Counts {
        self.put(self.cut.tick(now), Counts::default().and(mark));
        self.counts(now)
    }

    /// Adds calls that fell into the bucket `tick`.
    pub fn put(&mut self, tick: u64, counts: Counts) {
        match self.buckets.back_mut() {
            Some((latest, bucket)) if *latest >= tick => *bucket = bucket.plus(counts),
            Some(_) | None => self.buckets.push_back((tick, counts)),
        }
        self.forget(self.buckets.back().map_or(tick, |(latest, _)| *latest));
    }

    /// What the window holds at `now`.
    #[must_use]
    pub fn counts(&self, now: Duration) -> Counts {
        let held = self.buckets(now);
        held.fold(Counts::default(), |sum, (_, counts)| sum.plus(counts))
    }

    /// The buckets that count at `now`, by how many buckets ago they were, oldest first.
    pub fn buckets(&self, now: Duration) -> impl Iterator<Item = (u64, Counts)> {
        let (now, reach) = (self.cut.tick(now), u64::from(self.cut.reach));
        self.buckets
            .iter()
            .map(move |(tick, counts)| (now.saturating_sub(*tick), *counts))
            .filter(move |(age, _)| *age < reach)
    }

    /// How it is cut.
    #[must_use]
    pub const fn cut(&self) -> Buckets {
        self.cut
    }

    /// Looks back over another span from `now` on. What was counted stays, each bucket at the time of its end.
    pub fn resize(&mut self, now: Duration, span: Duration) {
        let cut = Buckets::of(span);
        if cut == self.cut {
            return;
        }
        let mut other = Self {
            cut,
            buckets: VecDeque::new(),
        };
        for (age, counts) in self.buckets(now) {
            other.put(aged(cut, now, age, self.cut.shift), counts);
        }
        *self = other;
    }

    fn forget(&mut self, latest: u64) {
        let reach = u64::from(self.cut.reach);
        while self.buckets.front().is_some_and(|(tick, _)| latest - tick >= reach) {
            self.buckets.pop_front();
        }
    }
}

/// The bucket of `cut` into which falls what was `age` buckets of two to the `shift` nanoseconds ago.
#[must_use]
pub fn aged(cut: Buckets, now: Duration, age: u64, shift: u32) -> u64 {
    let ago = age.checked_shl(shift).unwrap_or(u64::MAX);
    cut.tick(now.saturating_sub(Duration::from_nanos(ago)))
}
