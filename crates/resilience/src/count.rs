//! Counters: in one place what is rare, and in several what may come thick and fast from many threads.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    // Relaxed: a counter is read for its number alone.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A counter that threads do not take from each other: each has a place of its own, as far as there are enough.
#[derive(Debug, Default)]
pub(crate) struct Spread(Box<[Apart; PLACES]>);

/// So far from the next that two cores never share a cache line, nor the one that is fetched with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart(Counter);

const PLACES: usize = 4;

impl Spread {
    pub(crate) fn add(&self) {
        if let Some(Apart(counter)) = self.0.get(place()) {
            counter.add();
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.iter().map(|Apart(counter)| counter.get()).sum()
    }
}

/// The place of this thread; threads take turns in getting one.
fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let mut place = PLACE.get();
    if place == usize::MAX {
        place = NEXT.fetch_add(1, Relaxed) % PLACES;
        PLACE.set(place);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_apart_is_one_sum() {
        let counter = Spread::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * PLACES {
                scope.spawn(|| (0..100).for_each(|_| counter.add()));
            }
        });
        assert_eq!(counter.get(), 200 * u64::try_from(PLACES).unwrap());
    }
}
