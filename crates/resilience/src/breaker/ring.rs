//! The last so many calls, a bit for each.
//!
//! ```text
//! CURSOR  63 frozen | 61..32 epoch | 31 full | 30..13 how often bits have changed | 12..0 the next place
//! ```
//!
//! Bits change under the breaker's lock alone, and with them, before it is let go, the counts in `STATE`: so a failure that
//! is judged there finds each call that took its place before as it was reported. All that is done without the lock is the
//! success that finds no bit to clear at its place, which is one exchange on the cursor. It fails where bits have changed since
//! they were looked at, as they are counted in the cursor; that number comes round after 262,144 changes, and a thread that
//! slept through exactly so many would take its place for a clear one.
//!
//! A window that begins with a new epoch is emptied by the first call that counts in it.

use std::sync::OnceLock;

use stead_policy::{Counts, Mark};

use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// Rings of three sizes, the larger ones made when they are first needed.
#[derive(Default)]
#[repr(C)] // what is written most comes last, away from what every call through the breaker reads
pub(super) struct Rings {
    more: OnceLock<Box<More>>,
    /// The failures of the smallest ring.
    failed: [AtomicU64; SMALL],
    cursor: AtomicU64,
}

/// What few windows need.
#[derive(Default)]
struct More {
    /// The slow calls of the smallest ring.
    slow: [AtomicU64; SMALL],
    /// Failures and slow calls, half of the words each.
    larger: [OnceLock<Box<[AtomicU64]>>; 2],
}

/// The words of one ring, 64 calls each. There are none for slow calls where nobody times any.
struct Bits<'a> {
    failed: &'a [AtomicU64],
    slow: &'a [AtomicU64],
}

/// A window, as the calls that it counts know it.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    pub(super) epoch: u64,
    pub(super) size: u32,
    /// A success that makes it hold so many calls is looked at; with 0 none is.
    pub(super) looks_at: u32,
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
    pub(super) fn prepare(&self, size: u32, timed: bool) {
        let class = Class::of(size);
        if class == Class::Small && !timed {
            return;
        }
        let more = self.more.get_or_init(Box::default);
        if let Some((place, words)) = class.larger() {
            more.larger[place].get_or_init(|| (0..2 * words).map(|_| AtomicU64::default()).collect());
        }
    }

    /// Adds a success, if that changes no bit and nobody has to look at it. For everybody, at any time.
    #[inline]
    pub(super) fn add_good(&self, ring: Ring) -> bool {
        let seen = self.cursor.load(Acquire);
        if seen >> 32 != ring.epoch {
            return false;
        }
        let Step { place, next, total } = Step::from(seen, ring.size);
        // The success that fills the window tells `STATE` whether all is calm.
        let fills = seen & FULL == 0 && total == ring.size;
        !fills
            && total != ring.looks_at
            && self.bits(ring.size).clear_at(place)
            && self.cursor.compare_exchange(seen, next, AcqRel, Acquire).is_ok()
    }

    /// Adds a call. Under the lock.
    pub(super) fn add(&self, ring: Ring, mark: Mark) -> Added {
        let bits = self.bits(ring.size);
        let mut seen = self.cursor.load(Acquire);
        if seen >> 32 != ring.epoch {
            bits.empty();
            seen = ring.epoch << 32;
            self.cursor.store(seen, Release);
        }
        let (mut failed, mut slow) = (0, 0);
        let mut put = |place, mark: Mark| {
            failed += put(bits.failed, place, mark.failed());
            slow += put(bits.slow, place, mark.slow());
        };
        let total = loop {
            let Step { place, next, total } = Step::from(seen, ring.size);
            // Before the cursor moves on, so that nobody comes round to this place and finds it as it was.
            put(place, mark);
            match self.cursor.compare_exchange(seen, changed(next), AcqRel, Acquire) {
                Ok(_) => break total,
                Err(now) => {
                    // A success has taken the place first.
                    put(place, Mark::Good);
                    seen = now;
                }
            }
        };
        Added { total, failed, slow }
    }

    /// Lets nobody add without the lock, until the window of another epoch begins. Under the lock.
    pub(super) fn freeze(&self) {
        self.cursor.fetch_or(FROZEN, AcqRel);
    }

    /// The calls of `epoch`, oldest first. Under the lock.
    pub(super) fn marks(&self, epoch: u64, size: u32) -> Vec<Mark> {
        let cursor = self.cursor.load(Acquire) & !FROZEN;
        let (next, bits) = (Step::from(cursor, size).place, self.bits(size));
        let places = match (cursor >> 32 == epoch, cursor & FULL == FULL) {
            (true, true) => (next..size).chain(0..next),
            (true, false) => (0..next).chain(0..0),
            (false, _) => (0..0).chain(0..0),
        };
        places.map(|place| bits.mark(place)).collect()
    }

    /// Fills the window of a new epoch, and says what it holds. Under the lock.
    pub(super) fn fill(&self, epoch: u64, size: u32, marks: &[Mark]) -> Counts {
        let latest = &marks[marks.len().saturating_sub(size as usize)..];
        let bits = self.bits(size);
        bits.empty();
        let (mut failed, mut slow) = (0, 0);
        for (place, mark) in (0..).zip(latest) {
            failed += put(bits.failed, place, mark.failed());
            slow += put(bits.slow, place, mark.slow());
        }
        let total = u32::try_from(latest.len()).unwrap_or(size);
        let (full, next) = if total == size {
            (FULL, 0)
        } else {
            (0, u64::from(total))
        };
        self.cursor.store(epoch << 32 | full | next, Release);
        Counts {
            total,
            failed: failed.unsigned_abs(),
            slow: slow.unsigned_abs(),
        }
    }

    #[inline]
    fn bits(&self, size: u32) -> Bits<'_> {
        let class = Class::of(size);
        let more = self.more.get();
        match class.larger() {
            None => Bits {
                failed: &self.failed,
                slow: more.map_or(&[], |more| &more.slow),
            },
            Some((place, words)) => {
                let larger = more.and_then(|more| more.larger[place].get());
                let (failed, slow) = larger.map_or((&[][..], &[][..]), |larger| larger.split_at(words));
                Bits { failed, slow }
            }
        }
    }
}

// Relaxed throughout: the lock orders those who change bits, and the cursor those who only look. Who loads the cursor sees at
// least the bits that were there when it was stored; where they have changed since, its exchange fails.
impl Bits<'_> {
    #[inline]
    fn clear_at(&self, place: u32) -> bool {
        !bit(self.failed, place) && !bit(self.slow, place)
    }

    fn mark(&self, place: u32) -> Mark {
        match (bit(self.failed, place), bit(self.slow, place)) {
            (true, true) => Mark::FailedSlowly,
            (true, false) => Mark::Failed,
            (false, true) => Mark::Slow,
            (false, false) => Mark::Good,
        }
    }

    fn empty(&self) {
        for word in self.failed.iter().chain(self.slow) {
            word.store(0, Relaxed);
        }
    }
}

#[inline]
fn bit(words: &[AtomicU64], place: u32) -> bool {
    let word = words.get(place as usize / 64).map_or(0, |word| word.load(Relaxed));
    word >> (place % 64) & 1 == 1
}

/// Sets or clears a bit and says by how much that moved their number.
fn put(words: &[AtomicU64], place: u32, to: bool) -> i32 {
    let Some(word) = words.get(place as usize / 64) else {
        return 0;
    };
    let (before, bit) = (word.load(Relaxed), 1 << (place % 64));
    let after = if to { before | bit } else { before & !bit };
    if before != after {
        word.store(after, Relaxed);
    }
    i32::from(to) - i32::from(before & bit != 0)
}

/// A call takes the next place.
struct Step {
    place: u32,
    /// The cursor after it.
    next: u64,
    /// How many calls the window holds after it.
    total: u32,
}

impl Step {
    #[inline]
    fn from(cursor: u64, size: u32) -> Self {
        let place = (cursor & PLACE) as u32;
        let (rest, next) = (cursor & !PLACE, place + 1);
        if next >= size {
            return Self {
                place,
                next: rest | FULL,
                total: size,
            };
        }
        Self {
            place,
            next: rest | u64::from(next),
            total: if cursor & FULL == FULL { size } else { next },
        }
    }
}

/// The cursor with one more change of bits counted.
const fn changed(cursor: u64) -> u64 {
    cursor & !CHANGES | cursor.wrapping_add(CHANGE) & CHANGES
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Small,
    Middle,
    Large,
}

impl Class {
    #[inline]
    const fn of(size: u32) -> Self {
        match size {
            0..=128 => Self::Small,
            129..=1024 => Self::Middle,
            _ => Self::Large,
        }
    }

    /// Which of the larger rings, and how many words each half of it has.
    #[inline]
    const fn larger(self) -> Option<(usize, usize)> {
        match self {
            Self::Small => None,
            Self::Middle => Some((0, 16)),
            Self::Large => Some((1, 125)),
        }
    }
}

/// Where the cursor lies in [`Rings`].
#[cfg(all(test, not(loom)))]
pub(super) const CURSOR: usize = core::mem::offset_of!(Rings, cursor);

/// Words of the smallest ring.
const SMALL: usize = 2;

const PLACE: u64 = (1 << 13) - 1;
const CHANGE: u64 = 1 << 13;
const CHANGES: u64 = ((1 << 18) - 1) << 13;
const FULL: u64 = 1 << 31;
const FROZEN: u64 = 1 << 63;
