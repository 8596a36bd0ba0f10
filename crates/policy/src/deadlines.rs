//! A million deadlines in a dense array, and the few of them that are due.
//!
//! No timer wheel: moving a deadline, which every beat does, is one store. A pass looks at one lower bound for each block
//! of 64 first, and only at blocks that may hold something due; both loops are plain enough to be compiled to vector
//! instructions.

use alloc::vec::Vec;

use crate::Tick;

/// Deadlines by dense index, to about a millisecond (1.024): never early, at most that late.
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    /// Coarse ticks since `origin`, from [`i32::MIN`]: signed numbers are what the oldest vector instructions compare.
    at: Vec<i32>,
    /// No deadline of a block is before its floor; there may be none at it either.
    floors: Vec<i32>,
    /// In coarse ticks.
    origin: u64,
}

impl Deadlines {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            at: Vec::new(),
            floors: Vec::new(),
            origin: 0,
        }
    }

    /// How many there is room for; indexes are below it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there is no room at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Makes room for `len`; what is new has no deadline.
    pub fn resize(&mut self, len: usize) {
        self.at.resize(len, NEVER);
        self.floors.resize(len.div_ceil(BLOCK), NEVER);
    }

    /// Sets the deadline of `index`. An index without room is nothing.
    ///
    /// One more than 25 days after the last pass comes due then, too early: look whether it is meant.
    #[inline]
    pub fn set(&mut self, index: usize, deadline: Tick) {
        // Rounded up: what is due has been due.
        let coarse = (deadline.micros().saturating_add(ROUND) >> COARSE).saturating_sub(self.origin);
        let at = stored(coarse).min(NEVER - 1);
        if let (Some(slot), Some(floor)) = (self.at.get_mut(index), self.floors.get_mut(index / BLOCK)) {
            *slot = at;
            *floor = (*floor).min(at);
        }
    }

    /// Takes the deadline of `index` away.
    pub fn clear(&mut self, index: usize) {
        if let Some(slot) = self.at.get_mut(index) {
            *slot = NEVER;
        }
    }

    /// The deadline of `index`, if it has one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Tick> {
        self.at
            .get(index)
            .filter(|at| **at != NEVER)
            .map(|at| self.restored(*at))
    }

    /// Hands out every index that is due at `now`, in order, and takes its deadline away.
    pub fn due(&mut self, now: Tick, mut each: impl FnMut(usize)) {
        self.move_origin(now);
        let now = stored((now.micros() >> COARSE).saturating_sub(self.origin)).min(NEVER - 1);
        for (group, floors) in self.floors.chunks_mut(BLOCK).enumerate() {
            if !any_due(floors, now) {
                continue;
            }
            for (place, floor) in floors.iter_mut().enumerate() {
                if *floor > now {
                    continue;
                }
                let from = (group * BLOCK + place) * BLOCK;
                let until = self.at.len().min(from + BLOCK);
                let Some(block) = self.at.get_mut(from..until) else {
                    continue;
                };
                if any_due(block, now) {
                    for (offset, at) in block.iter_mut().enumerate() {
                        if *at <= now {
                            *at = NEVER;
                            each(from + offset);
                        }
                    }
                }
                *floor = block.iter().fold(NEVER, |least, at| least.min(*at));
            }
        }
    }

    /// A point in time before which nothing is due; `None` where there are no deadlines.
    #[must_use]
    pub fn next(&self) -> Option<Tick> {
        let least = self.floors.iter().fold(NEVER, |least, at| least.min(*at));
        (least != NEVER).then(|| self.restored(least))
    }

    /// Puts every deadline off by `stall`, a time in which nobody looked.
    pub fn shift(&mut self, stall: core::time::Duration) {
        let by = i32::try_from(Tick::from(stall).micros().saturating_add(ROUND) >> COARSE).unwrap_or(NEVER);
        let later = |at: i32| {
            if at == NEVER {
                NEVER
            } else {
                at.saturating_add(by).min(NEVER - 1)
            }
        };
        self.at.iter_mut().for_each(|at| *at = later(*at));
        self.floors.iter_mut().for_each(|at| *at = later(*at));
    }

    /// Once `now` is half of the range from the origin, the origin follows: about every 25 days.
    fn move_origin(&mut self, now: Tick) {
        let passed = (now.micros() >> COARSE).saturating_sub(self.origin);
        if passed < HALF {
            return;
        }
        self.origin += passed;
        let by = i64::try_from(passed).unwrap_or(i64::MAX);
        let moved = |at: i32| match at {
            NEVER => NEVER,
            at => i32::try_from(i64::from(at).saturating_sub(by)).unwrap_or(i32::MIN),
        };
        self.at.iter_mut().for_each(|at| *at = moved(*at));
        self.floors.iter_mut().for_each(|at| *at = moved(*at));
    }

    fn restored(&self, at: i32) -> Tick {
        let coarse = u64::try_from(i64::from(at) - i64::from(i32::MIN)).unwrap_or(0);
        Tick::from_micros(self.origin.saturating_add(coarse).saturating_mul(1 << COARSE))
    }
}

fn any_due(block: &[i32], now: i32) -> bool {
    block.iter().fold(false, |any, at| any | (*at <= now))
}

fn stored(coarse: u64) -> i32 {
    let coarse = i64::try_from(coarse).unwrap_or(i64::MAX);
    i32::try_from(coarse.saturating_add(i64::from(i32::MIN))).unwrap_or(NEVER)
}

const NEVER: i32 = i32::MAX;
/// Deadlines that share a floor, and floors that are looked at together.
const BLOCK: usize = 64;
/// A coarse tick is 2¹⁰ microseconds.
const COARSE: u32 = 10;
const ROUND: u64 = (1 << COARSE) - 1;
const HALF: u64 = 1 << 31;

#[cfg(test)]
mod tests;
