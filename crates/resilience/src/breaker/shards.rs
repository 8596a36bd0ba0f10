//! The calls of the last while, counted per bucket of time, in one shard or in several.
//!
//! A bucket is one word: whose it is (epoch and tick) and what it counts, so that beginning it anew and adding to it are
//! each one exchange, and nothing of an older epoch or tick survives in it. Sixteen buckets are a shard. Everybody uses
//! the first until two callers meet on one word; from then on threads are dealt out over several.

use std::sync::OnceLock;

use stead_policy::{Bucket, Counts, Mark};

use super::word::later;
use crate::lanes::{Apart, LANES, known_lane, lane};
use crate::sync::{AtomicU64, Once, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// Not on lines of its own, which would take half as much again: what everybody reads of breakers and tickers is on theirs.
#[derive(Default)]
pub(super) struct Shards {
    first: Shard,
    more: Once<Box<[Apart<Shard>; LANES - 1]>>,
}

#[derive(Default)]
struct Shard {
    /// The latest tick that somebody counted in.
    latest: AtomicU64,
    buckets: [AtomicU64; 16],
    slow: OnceLock<Box<[AtomicU64; 16]>>,
}

/// A point in time as a window sees it.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) epoch: u64,
    pub(super) tick: u64,
    pub(super) reach: u64,
}

/// What came of a call that was to be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Came {
    /// It is counted, or too old to be.
    Counted,
    /// It is counted, and somebody was in the way.
    Crowded,
    /// It is still to be counted: in another way, or in the window that takes this one's place.
    Not,
}

impl Shards {
    /// Whether a call at `at` is the first of its tick in the caller's shard, so that older calls may have been forgotten.
    #[inline]
    pub(super) fn turns(&self, at: At) -> bool {
        self.mine().latest.load(Relaxed) < at.tick
    }

    /// Goes on to the tick of `at` in the caller's shard, and empties what was skipped. Under the lock, where the window is
    /// still that of `at`: ticks of another one may be of another length.
    #[cold]
    pub(super) fn turn(&self, at: At) {
        self.mine().turn(at);
    }

    /// Adds a call; one that is older than its bucket is not counted any more.
    #[inline]
    pub(super) fn add(&self, at: At, mark: Mark) -> Came {
        let shard = self.mine();
        let one = 1 | if mark.failed() { 1 << FAILED } else { 0 };
        let came = add(&shard.buckets[slot(at.tick)], at, one);
        if mark.slow() && came != Came::Not {
            let slow = shard
                .slow
                .get_or_init(|| Box::new(core::array::from_fn(|_| AtomicU64::default())));
            add(&slow[slot(at.tick)], at, 1);
        }
        came
    }

    /// Adds a success, if that is a matter of one exchange.
    #[inline]
    pub(super) fn add_good(&self, at: At) -> Came {
        let shard = match self.more.get() {
            None => Some(&self.first),
            Some(more) => known_lane().map(|lane| more.get(lane).map_or(&self.first, |apart| &apart.0)),
        };
        let Some(shard) = shard else { return Came::Not };
        if shard.latest.load(Relaxed) != at.tick {
            return Came::Not;
        }
        // Added first and looked at after, as a look before would have to wait for the addition before it.
        let bucket = &shard.buckets[slot(at.tick)];
        let found = bucket.fetch_add(1, AcqRel);
        if found >> TICK != mark(at) || found & u64::from(MOST) > u64::from(MOST / 2) {
            return take_back(bucket, found, mark(at));
        }
        if found & 63 == 0 && bucket.load(Relaxed) != found + 1 {
            return Came::Crowded;
        }
        Came::Counted
    }

    /// What the window holds.
    pub(super) fn counts(&self, at: At) -> Counts {
        let alive = self.all().filter(|shard| shard.alive(at));
        let buckets = alive.flat_map(|shard| (0..16).map(|slot| held(shard.words(slot), at, slot)));
        buckets.fold(Counts::default(), |sum, (_, counts)| sum.plus(counts))
    }

    /// The buckets that are not empty, oldest first.
    pub(super) fn buckets(&self, at: At) -> Vec<Bucket> {
        self.aged(at, Shard::words)
    }

    /// Takes the buckets that are not empty, oldest first, and leaves empty ones of the window `next`: so a call is either
    /// taken or finds that it is still to be counted. Under the lock.
    pub(super) fn take(&self, at: At, next: At) -> Vec<Bucket> {
        self.aged(at, |shard, slot| shard.take(next, slot))
    }

    /// Whether the window of `at` was taken meanwhile, where the caller has counted in it.
    pub(super) fn taken(&self, at: At) -> bool {
        self.mine().buckets[slot(at.tick)].load(Acquire) >> (TICK + 6) != epoch(at)
    }

    /// Empties the bucket in which a call at `at` is to be counted, if it is of another epoch: marks of epochs come round, so one
    /// that slept long may look newer than the window. Under the lock, where the window is that of `at`.
    #[cold]
    pub(super) fn clear(&self, at: At) {
        let (shard, slot) = (self.mine(), slot(at.tick));
        let words = [Some(&shard.buckets), shard.slow.get().map(|slow| &**slow)];
        for word in words.iter().flatten().map(|words| &words[slot]) {
            if word.load(Acquire) >> (TICK + 6) != epoch(at) {
                word.store(0, Release);
            }
        }
    }

    fn aged(&self, at: At, words: impl Fn(&Shard, usize) -> (u64, u64)) -> Vec<Bucket> {
        let mut ages = [Counts::default(); 16];
        for shard in self.all() {
            let alive = shard.alive(at);
            for slot in 0..16 {
                let words = words(shard, slot);
                if alive {
                    let (age, counts) = held(words, at, slot);
                    ages[age % 16] = ages[age % 16].plus(counts);
                }
            }
        }
        let oldest_first = (0..16).rev().zip(ages.into_iter().rev());
        let some = oldest_first.filter(|(_, counts)| counts.total > 0 || counts.slow > 0);
        some.map(|(age, counts)| Bucket::new(age, counts)).collect()
    }

    /// Fills the window of a new epoch, which nobody else uses yet. Ticks come in order.
    pub(super) fn fill(&self, at: At, buckets: impl Iterator<Item = (u64, Counts)>) {
        for shard in self.all() {
            shard.latest.store(0, Release);
        }
        self.first.latest.store(at.tick, Release);
        for (tick, counts) in buckets {
            let at = At { tick, ..at };
            let word = u64::from(counts.failed.min(MOST_FAILED)) << FAILED | u64::from(counts.total.min(MOST));
            add(&self.first.buckets[slot(tick)], at, word);
            if counts.slow > 0 {
                let slow = self.first.slow.get_or_init(Box::default);
                add(&slow[slot(tick)], at, counts.slow.into());
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Shard> {
        let more = self.more.get().map_or(&[][..], |more| &more[..]);
        core::iter::once(&self.first).chain(more.iter().map(|apart| &apart.0))
    }

    #[inline]
    fn mine(&self) -> &Shard {
        match self.more.get() {
            Some(more) => more.get(lane()).map_or(&self.first, |apart| &apart.0),
            None => &self.first,
        }
    }

    pub(super) fn is_spread(&self) -> bool {
        self.more.get().is_some()
    }

    /// Deals out threads over several shards from now on. Under the lock, so that all are there while a window is taken.
    pub(super) fn spread(&self) {
        self.more.get_or_init(Box::default);
    }
}

impl Shard {
    fn turn(&self, at: At) {
        let latest = self.latest.load(Acquire);
        let skips = latest < at.tick;
        if !skips || self.latest.compare_exchange(latest, at.tick, AcqRel, Acquire).is_err() {
            return;
        }
        let paused = at.tick - latest >= 16;
        // A bucket that nobody used in its tick still holds one of a lap ago, whose mark would look right a thousand ticks
        // on. After a long pause this is true of all of them, also of those that look right.
        let skipped = if paused {
            at.tick.saturating_sub(15)..at.tick + 1
        } else {
            latest + 1..at.tick
        };
        let words = [Some(&self.buckets), self.slow.get().map(|slow| &**slow)];
        for tick in skipped {
            for word in words.iter().flatten().map(|words| &words[slot(tick)]) {
                let seen = word.load(Acquire);
                if paused || seen >> TICK != mark(At { tick, ..at }) {
                    // Lost to somebody who began it anew: just as well.
                    let _begun = word.compare_exchange(seen, 0, AcqRel, Acquire);
                }
            }
        }
    }

    /// Whether anything in it may still count. Marks of ticks repeat, so a shard that slept long must not be read.
    fn alive(&self, at: At) -> bool {
        at.tick.saturating_sub(self.latest.load(Acquire)) < 16
    }

    /// A bucket and its slow calls.
    fn words(&self, slot: usize) -> (u64, u64) {
        let slow = self.slow.get().map_or(0, |slow| slow[slot].load(Acquire));
        (self.buckets[slot].load(Acquire), slow)
    }

    /// Takes a bucket and its slow calls, and leaves those of the latest tick of `next` that may use its place.
    fn take(&self, next: At, slot: usize) -> (u64, u64) {
        let ago = next.tick.wrapping_sub(slot as u64) & 15;
        let tick = next.tick.wrapping_sub(ago);
        let empty = mark(At { tick, ..next }) << TICK;
        let word = self.buckets[slot].swap(empty, AcqRel);
        (
            word,
            self.slow
                .get()
                .map_or(0, |slow_calls| slow_calls[slot].swap(empty, AcqRel)),
        )
    }
}

/// The age of a bucket and what it counts; nothing where it is not part of the window.
fn held((word, slow): (u64, u64), at: At, slot: usize) -> (usize, Counts) {
    let slow_age = age(slow, at, slot).filter(|age| *age < at.reach);
    let slow = if slow_age.is_some() {
        number(slow & ((1 << TICK) - 1))
    } else {
        0
    };
    let Some(age) = age(word, at, slot).filter(|age| *age < at.reach) else {
        let age = slow_age.unwrap_or(0);
        return (
            usize::try_from(age).unwrap_or(0),
            Counts {
                slow,
                ..Counts::default()
            },
        );
    };
    let counts = Counts {
        total: number(word & u64::from(MOST)),
        failed: number(word >> FAILED & u64::from(MOST_FAILED)),
        slow,
    };
    (usize::try_from(age).unwrap_or(0), counts)
}

/// Adds `one` to a bucket, beginning it anew where it is of an older tick or epoch. One of a newer epoch it leaves alone: the
/// window was taken.
#[inline]
fn add(word: &AtomicU64, at: At, one: u64) -> Came {
    let mine = mark(at);
    // Acquire and release: who sees a bucket of an epoch sees what was written before that epoch began.
    let mut seen = word.load(Acquire);
    let mut came = Came::Counted;
    loop {
        let next = if seen >> TICK == mine {
            if seen & u64::from(MOST) > u64::from(MOST / 2)
                || seen >> FAILED & u64::from(MOST_FAILED) >= u64::from(MOST_FAILED)
            {
                return came; // it is full: what is missing changes no rate worth speaking of
            }
            seen + one
        } else if seen != 0 && later(seen >> (TICK + 6), epoch(at), 14) {
            return Came::Not;
        } else if seen != 0 && seen >> (TICK + 6) == epoch(at) && later(seen >> TICK & 63, mine & 63, 6) {
            return came;
        } else {
            mine << TICK | one
        };
        match word.compare_exchange_weak(seen, next, AcqRel, Acquire) {
            Ok(_) => return came,
            Err(now) => {
                came = Came::Crowded;
                seen = now;
            }
        }
    }
}

/// Takes back what was added to a bucket of another tick or epoch, or to one that is full.
#[cold]
#[inline(never)]
fn take_back(bucket: &AtomicU64, found: u64, mine: u64) -> Came {
    let mut seen = bucket.load(Acquire);
    // Begun anew in between, the addition has gone with what was there before.
    while seen >> TICK == found >> TICK && seen & u64::from(MOST) > 0 {
        match bucket.compare_exchange_weak(seen, seen - 1, AcqRel, Acquire) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    if found >> TICK == mine {
        Came::Counted
    } else {
        Came::Not
    }
}

/// Whose a bucket is: 14 bits of the epoch, 6 of the tick (its lower 4 are the bucket's place).
#[inline]
const fn mark(at: At) -> u64 {
    epoch(at) << 6 | at.tick >> 4 & 63
}

#[inline]
const fn epoch(at: At) -> u64 {
    at.epoch & ((1 << 14) - 1)
}

/// By how many ticks a bucket is older than `at`; nothing where it is of another epoch. One from ahead is of now: the
/// clocks of two callers need not agree to the tick.
fn age(word: u64, at: At, slot: usize) -> Option<u64> {
    if word >> (TICK + 6) != epoch(at) {
        return None;
    }
    let tick = (word >> TICK & 63) << 4 | slot as u64;
    let age = at.tick.wrapping_sub(tick) & 1023;
    Some(if age >= 1023 - 16 { 0 } else { age })
}

#[inline]
const fn slot(tick: u64) -> usize {
    (tick & 15) as usize
}

fn number(bits: u64) -> u32 {
    u32::try_from(bits).unwrap_or(u32::MAX)
}

/// A word of a bucket: 20 bits of whose it is, 18 of failures, 26 of calls. A bucket that is full looks healthier than it is,
/// not worse: its most failures are less than a hundredth of half its calls.
const TICK: u32 = 44;
const FAILED: u32 = 26;
const MOST: u32 = (1 << 26) - 1;
const MOST_FAILED: u32 = (1 << 18) - 1;
