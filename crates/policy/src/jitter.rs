//! Spreads waits, so that what failed together does not come back together.
//!
//! The kinds *full*, *equal* and *decorrelated* are those of Marc Brooker's article "Exponential Backoff And Jitter"
//! (AWS Architecture Blog, 2015); *proportional* is the usual plus or minus some percent. Random numbers come from
//! `SplitMix64` (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): its n-th output
//! can be computed on its own, so there is no generator whose state would have to be kept or saved.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::OutOfRange;

/// How a wait is spread. `wait` below is what the growth asks for, already capped.
///
/// | kind | result lies in | good for |
/// |---|---|---|
/// | `None` | exactly `wait` | tests, a single client |
/// | `Proportional` | `wait` ± share | restarts: predictable, yet not in step (default: ± 0.2) |
/// | `Full` | 0 to `wait` | many clients of one overloaded service |
/// | `Equal` | half of `wait` to `wait` | the same, where some pause must be kept |
/// | `Decorrelated` | initial wait to three times the wait before, capped | the same; replaces the growth by a random walk |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Jitter {
    /// Every wait is exactly what the growth says.
    None,
    /// Up to this share shorter or longer. The result may exceed the cap by the share: a cap without spread would
    /// bring everybody who has reached it back into step.
    Proportional(Spread),
    /// Anything up to the wait, next to nothing included.
    Full,
    /// One half is kept, the other is drawn.
    Equal,
    /// From the initial wait to three times the wait before. The growth has no say.
    Decorrelated,
}

impl Default for Jitter {
    /// Proportional, by [`Spread::default`].
    fn default() -> Self {
        Self::Proportional(Spread::default())
    }
}

impl Jitter {
    /// Spreads `wait` by one random `draw`, a number from [`draw`].
    ///
    /// [`Jitter::Decorrelated`] needs more than one wait to work on, hence acts here as [`Jitter::Full`];
    /// [`Backoff::delay`](crate::Backoff::delay) walks it properly.
    #[must_use]
    pub fn spread(self, wait: Duration, draw: u64) -> Duration {
        match self {
            Self::None => wait,
            Self::Proportional(share) => {
                let reach = scale(wait, share.get());
                between(wait.saturating_sub(reach), wait.saturating_add(reach), draw)
            }
            Self::Full | Self::Decorrelated => between(Duration::ZERO, wait, draw),
            Self::Equal => between(wait / 2, wait, draw),
        }
    }
}

/// A share of a wait: 0 (none of it) to 1 (all of it), never NaN. Default 0.2.
///
/// Too small and the members of a fleet retry in step; too large and waits tell nobody anything.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Spread(f64);

// A spread is never NaN, so its equality is a full one.
impl Eq for Spread {}

impl Spread {
    /// So many percent; more than all of it is all of it.
    #[must_use]
    pub const fn percent(share: u8) -> Self {
        Self(if share < 100 { share as f64 / 100.0 } else { 1.0 })
    }

    /// The share as a number from 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self(0.2)
    }
}

impl TryFrom<f64> for Spread {
    type Error = OutOfRange;

    fn try_from(share: f64) -> Result<Self, OutOfRange> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self(share))
        } else {
            Err(OutOfRange::Spread(share))
        }
    }
}

impl From<Spread> for f64 {
    fn from(share: Spread) -> Self {
        share.0
    }
}

/// The `n`-th number (from 0) of the `SplitMix64` stream that starts at `seed`: 64 evenly spread bits, the same every time.
#[must_use]
pub const fn draw(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A time from `low` to `high`, chosen by the bits of `draw`; `low` where the two are the wrong way round.
pub(crate) fn between(low: Duration, high: Duration, draw: u64) -> Duration {
    // The upper 53 bits fill the mantissa of an f64 exactly: a number from 0 up to, not including, 1.
    let unit = (draw >> 11) as f64 / (1_u64 << 53) as f64;
    low.saturating_add(scale(high.saturating_sub(low), unit))
        .min(high.max(low))
}

/// `wait` times `by`, at most the longest time there is.
pub(crate) fn scale(wait: Duration, by: f64) -> Duration {
    Duration::try_from_secs_f64(wait.as_secs_f64() * by).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
