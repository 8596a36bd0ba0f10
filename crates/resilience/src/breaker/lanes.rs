//! Places for threads that would stand in each other's way.

use core::cell::Cell;
use std::sync::OnceLock;

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// So many places there are; the last one is shared by all who find no other.
pub(super) const LANES: usize = 8;

/// Two lines of a cache apart, so that neighbours do not share one.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

/// A counter that spreads over lanes once two callers meet on it.
#[derive(Default)]
pub(super) struct Tally(OnceLock<Box<[Apart<AtomicU64>; LANES - 1]>>);

impl Tally {
    /// Counts one, in `first` as long as nobody is in the way.
    #[inline]
    pub(super) fn add(&self, first: &AtomicU64) {
        // Relaxed: a counter is read for its number alone.
        if let Some(lanes) = self.0.get() {
            let lane = lanes.get(lane()).map_or(first, |lane| &lane.0);
            lane.fetch_add(1, Relaxed);
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
    pub(super) fn get(&self) -> u64 {
        let lanes = self.0.get().map_or(&[][..], |lanes| &lanes[..]);
        lanes.iter().map(|lane| lane.0.load(Relaxed)).sum()
    }

    #[cold]
    fn spread(&self, first: &AtomicU64) {
        first.fetch_add(1, Relaxed);
        self.0.get_or_init(Box::default);
    }
}

thread_local! {
    /// One more than the thread's place; 0 while it has none.
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// The caller's place, if it has one already.
#[inline]
pub(super) fn known_lane() -> Option<usize> {
    LANE.get().checked_sub(1)
}

/// The caller's place, from 0 to [`LANES`] - 1; threads get them in turn.
#[inline]
pub(super) fn lane() -> usize {
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
