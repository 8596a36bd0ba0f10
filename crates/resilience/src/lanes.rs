//! Places for threads that would stand in each other's way.

use core::cell::Cell;
use std::sync::OnceLock;

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// So many places there are, which threads get in turn; in a loom test as few as are more than one.
pub(crate) const LANES: usize = if cfg!(all(test, loom)) { 2 } else { 8 };

/// Two lines of a cache apart, so that neighbours do not share one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

/// A counter that spreads over lanes once two callers meet on it. From then on nobody writes to where it began, which may lie
/// beside what everybody reads.
#[derive(Debug, Default)]
pub(crate) struct Tally(OnceLock<Box<[Apart<AtomicU64>; LANES]>>);

impl Tally {
    /// Counts one, in `first` as long as nobody is in the way.
    #[inline]
    pub(crate) fn add(&self, first: &AtomicU64) {
        // Relaxed: a counter is read for its number alone.
        if let Some(lanes) = self.0.get() {
            lanes[lane() % LANES].0.fetch_add(1, Relaxed);
            return;
        }
        let seen = first.load(Relaxed);
        if first
            .compare_exchange(seen, seen.wrapping_add(1), Relaxed, Relaxed)
            .is_err()
        {
            self.spread(first);
        }
    }

    /// What the lanes have counted, `first` not included.
    pub(crate) fn get(&self) -> u64 {
        let lanes = self.0.get().map_or(&[][..], |lanes| &lanes[..]);
        lanes.iter().map(|lane| lane.0.load(Relaxed)).sum()
    }

    #[cold]
    fn spread(&self, first: &AtomicU64) {
        first.fetch_add(1, Relaxed);
        self.0.get_or_init(Box::default);
    }
}

/// A [`Tally`] with its first place beside it.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    first: AtomicU64,
    lanes: Tally,
}

impl Spread {
    #[inline]
    pub(crate) fn add(&self) {
        self.lanes.add(&self.first);
    }

    pub(crate) fn get(&self) -> u64 {
        self.first.load(Relaxed) + self.lanes.get()
    }
}

thread_local! {
    /// One more than the thread's place; 0 while it has none.
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// The caller's place, if it has one already.
#[inline]
pub(crate) fn known_lane() -> Option<usize> {
    LANE.get().checked_sub(1)
}

/// The caller's place, from 0 to [`LANES`] - 1; threads get them in turn.
#[inline]
pub(crate) fn lane() -> usize {
    known_lane().unwrap_or_else(first_lane)
}

/// Not that of the atomics of a loom test, which this counter is not one of.
const COUNTING: core::sync::atomic::Ordering = Relaxed;

#[cold]
fn first_lane() -> usize {
    use core::sync::atomic::AtomicUsize;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: the number alone matters, and sharing one does no harm.
    let mine = NEXT.fetch_add(1, COUNTING) % LANES;
    LANE.set(mine + 1);
    mine
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_apart_is_one_sum() {
        let counter = Spread::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * LANES {
                scope.spawn(|| (0..1000).for_each(|_| counter.add()));
            }
        });
        assert_eq!(counter.get(), 1000 * 2 * u64::try_from(LANES).unwrap());
    }
}
