//! The words that decide: what each bit of them means.
//!
//! ```text
//! STATE  63..61 mode | 60 timed | 59 warm | 58 calm | 57..31 generation | 30..28 shape | 27..14 slow | 13..0 failed
//! SHAPE  shape | kind | by rate | size, or shift and reach | minimum | fewest failures | fewest slow calls
//! ```
//!
//! - **generation** grows with every change of the mode; a permit of another one changes nothing.
//! - **shape** grows when a window is rebuilt for other settings; generation and shape together are the *epoch* with which
//!   every word of a window is marked, so that a window is emptied by nobody and old results find their word gone.
//! - **calm**: a success changes nothing, so that a healthy breaker is only read.
//! - **warm**: the window of time holds enough calls for a rate.
//! - **timed**: calls have to be timed.

use stead_policy::{BreakerSettings, Buckets, CircuitState, Window};

/// What `STATE` holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const FAILED: u32 = 0;
const SLOW: u32 = 14;
const SHAPE: u32 = 28;
const GENERATION: u32 = 31;
const CALM: u64 = 1 << 58;
const WARM: u64 = 1 << 59;
const TIMED: u64 = 1 << 60;
const MODE: u32 = 61;

const COUNT: u64 = (1 << 14) - 1;
const GENERATIONS: u64 = ((1 << 27) - 1) << GENERATION;
const SHAPES: u64 = 0b111 << SHAPE;
const EPOCHS: u64 = (1 << 30) - 1;

impl Word {
    pub(super) fn new(mode: CircuitState, generation: u64, shape: u64) -> Self {
        let mode = match mode {
            CircuitState::Closed => 0_u64,
            CircuitState::Open => 1,
            CircuitState::HalfOpen => 2,
            CircuitState::Recovering => 3,
            CircuitState::Isolated => 4,
            CircuitState::ForcedOpen => 5,
            CircuitState::ForcedClosed => 6,
            CircuitState::Disabled => 7,
        };
        Self(mode << MODE | (generation << GENERATION) & GENERATIONS | (shape << SHAPE) & SHAPES)
    }

    pub(super) const fn mode(self) -> CircuitState {
        match self.0 >> MODE {
            0 => CircuitState::Closed,
            1 => CircuitState::Open,
            2 => CircuitState::HalfOpen,
            3 => CircuitState::Recovering,
            4 => CircuitState::Isolated,
            5 => CircuitState::ForcedOpen,
            6 => CircuitState::ForcedClosed,
            _ => CircuitState::Disabled,
        }
    }

    /// Closed, and calls are not timed: admission has nothing to do.
    #[inline]
    pub(super) const fn admits_at_once(self) -> bool {
        self.0 >> MODE << 1 | (self.0 & TIMED) >> 60 == 0
    }

    /// The success of a call that was admitted under `then` changes nothing.
    #[inline]
    pub(super) const fn calm_since(self, then: Self) -> bool {
        (self.0 ^ then.0) & GENERATIONS | (self.0 & (CALM | TIMED)) ^ CALM == 0
    }

    /// The success of a call that was admitted under `then` is only counted, by a window of time.
    #[inline]
    pub(super) const fn warm_since(self, then: Self) -> bool {
        (self.0 ^ then.0) & GENERATIONS | (self.0 & (WARM | TIMED)) ^ WARM == 0
    }

    #[inline]
    pub(super) const fn same_generation(self, other: Self) -> bool {
        (self.0 ^ other.0) & GENERATIONS == 0
    }

    pub(super) const fn epoch(self) -> u64 {
        self.0 >> SHAPE & EPOCHS
    }

    pub(super) const fn shape(self) -> u64 {
        (self.0 & SHAPES) >> SHAPE
    }

    pub(super) const fn timed(self) -> bool {
        self.0 & TIMED != 0
    }

    pub(super) const fn warm(self) -> bool {
        self.0 & WARM != 0
    }

    /// As it stands: failures in a row, failures of the window, or percent of a ramp's step.
    pub(super) const fn failed(self) -> u32 {
        (self.0 >> FAILED & COUNT) as u32
    }

    pub(super) const fn slow(self) -> u32 {
        (self.0 >> SLOW & COUNT) as u32
    }

    pub(super) const fn with_failed(self, failed: u32) -> Self {
        Self(self.0 & !(COUNT << FAILED) | (failed as u64 & COUNT) << FAILED)
    }

    pub(super) const fn with_slow(self, slow: u32) -> Self {
        Self(self.0 & !(COUNT << SLOW) | (slow as u64 & COUNT) << SLOW)
    }

    /// With so many failures and slow calls more or fewer.
    #[expect(clippy::cast_sign_loss, reason = "counts wrap within their bits")]
    pub(super) const fn moved(self, failed: i32, slow: i32) -> Self {
        let failures = (self.0 >> FAILED & COUNT).wrapping_add(failed as u64) & COUNT;
        let slowness = (self.0 >> SLOW & COUNT).wrapping_add(slow as u64) & COUNT;
        Self(self.0 & !(COUNT << FAILED | COUNT << SLOW) | failures << FAILED | slowness << SLOW)
    }

    pub(super) const fn uneventful(self) -> bool {
        self.0 & (COUNT << FAILED | COUNT << SLOW) == 0
    }

    pub(super) const fn calmed(self, calm: bool) -> Self {
        Self(if calm { self.0 | CALM } else { self.0 & !CALM })
    }

    pub(super) const fn warmed(self, warm: bool) -> Self {
        Self(if warm { self.0 | WARM } else { self.0 & !WARM })
    }

    pub(super) const fn timing(self, timed: bool) -> Self {
        Self(if timed { self.0 | TIMED } else { self.0 & !TIMED })
    }

    pub(super) const fn calm(self) -> bool {
        self.0 & CALM != 0
    }

    pub(super) const fn with_generation(self, generation: u64) -> Self {
        Self(self.0 & !GENERATIONS | generation << GENERATION & GENERATIONS)
    }

    pub(super) const fn with_shape(self, shape: u64) -> Self {
        Self(self.0 & !SHAPES | shape << SHAPE & SHAPES)
    }
}

/// Which window, and when it has to be looked at: what the paths of reports need of the settings, in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape(pub(super) u64);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Consecutive,
    Leaky,
    Count,
    Time,
}

impl Shape {
    pub(super) fn new(number: u64, settings: &BreakerSettings) -> Self {
        let (kind, size) = match settings.config().window {
            Window::Consecutive => (0_u64, 0),
            Window::Leaky { .. } => (1, 0),
            Window::Count { calls } => (2, u64::from(calls)),
            Window::Time { span } => {
                let cut = Buckets::of(span);
                (3, u64::from(cut.shift()) << 5 | u64::from(cut.reach()))
            }
        };
        let by_rate = u64::from(settings.by_rate());
        let least = u64::from(settings.config().minimum_calls.min(8_191));
        let (failed, slow) = (settings.failures_at_least(), settings.slow_at_least());
        let low = number & 0b111 | kind << 3 | by_rate << 5 | size << 6;
        Self(low | least << 19 | u64::from(failed) << 32 | u64::from(slow) << 46)
    }

    pub(super) const fn number(self) -> u64 {
        self.0 & 0b111
    }

    pub(super) const fn kind(self) -> Kind {
        match self.0 >> 3 & 0b11 {
            0 => Kind::Consecutive,
            1 => Kind::Leaky,
            2 => Kind::Count,
            _ => Kind::Time,
        }
    }

    pub(super) const fn by_rate(self) -> bool {
        self.0 >> 5 & 1 == 1
    }

    /// A success that makes the window hold so many calls may open, as the rate means something from then on; 0 for none.
    pub(super) const fn looks_at(self) -> u32 {
        if self.by_rate() { self.minimum() } else { 0 }
    }

    /// Whether so many failures and slow calls may open.
    pub(super) const fn may_open(self, failed: u32, slow: u32) -> bool {
        failed >= self.failures_at_least() || slow >= self.slow_at_least()
    }

    /// How many calls a count window holds.
    pub(super) const fn size(self) -> u32 {
        (self.0 >> 6 & 0x1fff) as u32
    }

    /// The bucket of a window of time into which `nanos` fall.
    pub(super) const fn tick(self, nanos: u64) -> u64 {
        nanos >> self.shift()
    }

    pub(super) const fn shift(self) -> u32 {
        (self.0 >> 11 & 0x3f) as u32
    }

    pub(super) const fn reach(self) -> u64 {
        self.0 >> 6 & 0x1f
    }

    pub(super) const fn minimum(self) -> u32 {
        (self.0 >> 19 & 0x1fff) as u32
    }

    /// Fewer failures than this open nothing.
    pub(super) const fn failures_at_least(self) -> u32 {
        (self.0 >> 32 & 0x3fff) as u32
    }

    /// Fewer slow calls than this open nothing.
    pub(super) const fn slow_at_least(self) -> u32 {
        (self.0 >> 46 & 0x3fff) as u32
    }
}

/// Whether a word of a window that is marked `mark` belongs to a later epoch than `epoch`, both of `bits` bits.
pub(super) const fn later(mark: u64, epoch: u64, bits: u32) -> bool {
    let ahead = mark.wrapping_sub(epoch) & ((1 << bits) - 1);
    ahead != 0 && ahead < 1 << (bits - 1)
}
