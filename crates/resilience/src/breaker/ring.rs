//! The last so many calls, a bit for each.
//!
//! A call takes a place from the cursor and sets its bits there; whoever sets a bit that was clear, or clears one that was
//! set, moves the count in `STATE` by what the bit operation returned. So bits and counts agree whenever nobody is
//! between the two; a failure that comes while somebody is may see one that is just about to go. Every word carries its
//! epoch: one of an older epoch reads as empty, one of a newer tells its finder that it came too late.

use std::sync::OnceLock;

use stead_policy::{Counts, Mark};

use super::word::later;
use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// Rings of three sizes, made when they are first needed: a window that grows finds its old ring untouched.
#[derive(Default)]
pub(super) struct Rings {
    cursor: AtomicU64,
    rings: [OnceLock<Box<[Cell]>>; 3],
}

/// The bits of 32 calls.
#[derive(Default)]
struct Cell {
    failed: AtomicU64,
    slow: AtomicU64,
}

/// What adding a call did.
pub(super) struct Added {
    /// How many calls the window holds.
    pub(super) total: u32,
    /// By how much the number of failures moved.
    pub(super) failed: i32,
    /// By how much the number of slow calls moved.
    pub(super) slow: i32,
}

impl Rings {
    /// Makes the ring for `size` calls. To be called before the first of them is added.
    pub(super) fn prepare(&self, size: u32) {
        let (class, cells) = class(size);
        self.rings[class].get_or_init(|| (0..cells).map(|_| Cell::default()).collect());
    }

    /// Adds a call in `epoch`; nothing where the window belongs to a later one.
    pub(super) fn add(&self, epoch: u64, size: u32, mark: Mark, timed: bool) -> Option<Added> {
        let (place, total) = self.take(epoch, size)?;
        let cell = self.cell(size, place)?;
        let bit = 1 << (place % 32);
        let failed = set(&cell.failed, epoch, bit, mark.failed())?;
        let slow = if timed {
            set(&cell.slow, epoch, bit, mark.slow())?
        } else {
            0
        };
        Some(Added { total, failed, slow })
    }

    /// Adds a success to a full window, if that is a matter of taking a place where no failure has to go.
    #[inline]
    pub(super) fn add_good(&self, epoch: u64, size: u32) -> bool {
        let seen = self.cursor.load(Acquire);
        let place = u32::try_from(seen & !FULL & LOW).unwrap_or(0);
        if seen >> 32 != epoch || seen & FULL == 0 {
            return false;
        }
        let clear = self.cell(size, place).is_some_and(|cell| {
            let bits = cell.failed.load(Acquire);
            bits >> 32 != epoch || bits >> (place % 32) & 1 == 0
        });
        let next = if place + 1 >= size { 0 } else { u64::from(place) + 1 };
        clear
            && self
                .cursor
                .compare_exchange(seen, epoch << 32 | FULL | next, AcqRel, Acquire)
                .is_ok()
    }

    /// The calls of `epoch`, oldest first.
    pub(super) fn marks(&self, epoch: u64, size: u32) -> Vec<Mark> {
        let (full, next) = self.position(epoch);
        let places = if full {
            (next..size).chain(0..next)
        } else {
            (0..next).chain(0..0)
        };
        places.map(|place| self.mark(epoch, size, place)).collect()
    }

    /// Fills the window of a new epoch, which nobody else uses yet, and says what it holds.
    pub(super) fn fill(&self, epoch: u64, size: u32, marks: &[Mark]) -> Counts {
        let latest = &marks[marks.len().saturating_sub(size as usize)..];
        for (cell, marks) in self.cells(size).iter().zip(latest.chunks(32)) {
            let bits = |is: fn(Mark) -> bool| {
                let set = marks.iter().enumerate().filter(|(_, mark)| is(**mark));
                set.fold(epoch << 32, |bits, (place, _)| bits | 1 << place)
            };
            cell.failed.store(bits(Mark::failed), Release);
            cell.slow.store(bits(Mark::slow), Release);
        }
        // The rest of the cells may be of any earlier epoch, so they are empty.
        let held = u32::try_from(latest.len()).unwrap_or(size);
        let (full, next) = if held == size { (FULL, 0) } else { (0, u64::from(held)) };
        self.cursor.store(epoch << 32 | full | next, Release);
        latest.iter().fold(Counts::default(), |counts, mark| counts.and(*mark))
    }

    fn take(&self, epoch: u64, size: u32) -> Option<(u32, u32)> {
        // Acquire and release throughout: who sees an epoch in a word sees what was written before it began.
        let mut seen = self.cursor.load(Acquire);
        loop {
            if seen != 0 && later(seen >> 32, epoch, 30) {
                return None;
            }
            let (full, place) = if seen >> 32 == epoch {
                (seen & FULL, seen & !FULL & LOW)
            } else {
                (0, 0)
            };
            let place = u32::try_from(place).unwrap_or(0);
            let (full, next) = if place + 1 >= size {
                (FULL, 0)
            } else {
                (full, place + 1)
            };
            let total = if full == FULL { size } else { next };
            match self
                .cursor
                .compare_exchange_weak(seen, epoch << 32 | full | u64::from(next), AcqRel, Acquire)
            {
                Ok(_) => return Some((place, total)),
                Err(now) => seen = now,
            }
        }
    }

    fn position(&self, epoch: u64) -> (bool, u32) {
        let cursor = self.cursor.load(Acquire);
        if cursor >> 32 != epoch {
            return (false, 0);
        }
        (cursor & FULL != 0, u32::try_from(cursor & !FULL & LOW).unwrap_or(0))
    }

    fn mark(&self, epoch: u64, size: u32, place: u32) -> Mark {
        let bit = |word: &AtomicU64| {
            let word = word.load(Relaxed);
            word >> 32 == epoch && word >> (place % 32) & 1 == 1
        };
        match self.cell(size, place).map(|cell| (bit(&cell.failed), bit(&cell.slow))) {
            Some((true, true)) => Mark::FailedSlowly,
            Some((true, false)) => Mark::Failed,
            Some((false, true)) => Mark::Slow,
            Some((false, false)) | None => Mark::Good,
        }
    }

    fn cell(&self, size: u32, place: u32) -> Option<&Cell> {
        self.cells(size).get(place as usize / 32)
    }

    fn cells(&self, size: u32) -> &[Cell] {
        self.rings[class(size).0].get().map_or(&[], |cells| cells)
    }
}

/// Sets or clears a bit of `epoch` and says by how much that moved their number; nothing where the word is of a later epoch.
fn set(word: &AtomicU64, epoch: u64, bit: u64, to: bool) -> Option<i32> {
    let mut seen = word.load(Acquire);
    loop {
        if seen != 0 && later(seen >> 32, epoch, 30) {
            return None;
        }
        let bits = if seen >> 32 == epoch { seen & LOW } else { 0 };
        let was = bits & bit != 0;
        if was == to && (seen >> 32 == epoch || !to) {
            return Some(0);
        }
        let bits = if to { bits | bit } else { bits & !bit };
        match word.compare_exchange_weak(seen, epoch << 32 | bits, AcqRel, Acquire) {
            Ok(_) => return Some(i32::from(to) - i32::from(was)),
            Err(now) => seen = now,
        }
    }
}

/// Which of the rings holds `size` calls, and its cells.
const fn class(size: u32) -> (usize, usize) {
    match size {
        0..=128 => (0, 4),
        129..=1024 => (1, 32),
        _ => (2, 250),
    }
}

const FULL: u64 = 1 << 31;
const LOW: u64 = (1 << 32) - 1;
