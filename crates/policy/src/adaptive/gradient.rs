//! The trend of the answers' times.

use super::{LimitRange, Sample, within};
use crate::OutOfRange;

/// Compares how long answers take now with how long they take usually: as long as they are no more than `tolerance` times
/// longer the limit grows by a small queue, beyond that it shrinks in proportion.
#[derive(Clone, PartialEq, Debug)]
pub struct Gradient {
    pub(super) range: LimitRange,
    pub(super) limit: f64,
    tolerance: f64,
    smoothing: f64,
    /// Times of answers in seconds, smoothed over many and over few; zero before the first.
    usual: f64,
    now: f64,
}

impl Gradient {
    /// Bears answers `tolerance` (usual: 1.5) times slower than usual, and goes `smoothing` (usual: 0.2) of each step.
    ///
    /// # Errors
    ///
    /// The range is the wrong way round, `tolerance` is not a number from 1 to 10, or `smoothing` not one from 0.01 to 1.
    pub fn new(range: LimitRange, tolerance: f64, smoothing: f64) -> Result<Self, OutOfRange> {
        let range = range.check()?;
        Ok(Self {
            range,
            limit: f64::from(range.initial),
            tolerance: within("tolerance", tolerance, 1.0, 10.0)?,
            smoothing: within("smoothing", smoothing, 0.01, 1.0)?,
            usual: 0.0,
            now: 0.0,
        })
    }

    pub(super) fn learn(&mut self, sample: Sample) {
        let took = sample.took.as_secs_f64();
        if took <= 0.0 {
            return;
        }
        self.now = smooth(self.now, took, SHORT);
        self.usual = smooth(self.usual, took, LONG);
        // After an overload the usual time is far too long: let it come down faster than it learned.
        if self.usual > 2.0 * self.now {
            self.usual *= 0.95;
        }
        let shrunk = (self.tolerance * self.usual / self.now).clamp(0.5, 1.0);
        let gradient = if sample.overloaded { 0.5 } else { shrunk };
        if !sample.overloaded && sample.says_nothing_of(self.limit) {
            return;
        }
        let aim = self.limit * gradient + if sample.overloaded { 0.0 } else { QUEUE };
        let limit = self.limit * (1.0 - self.smoothing) + aim * self.smoothing;
        self.limit = self.range.clamp(limit);
    }
}

fn smooth(before: f64, took: f64, share: f64) -> f64 {
    if before > 0.0 {
        before + (took - before) * share
    } else {
        took
    }
}

/// How much of a sample goes into the time of late, and into the usual one: about 10 and 600 of them.
const SHORT: f64 = 2.0 / 11.0;
const LONG: f64 = 2.0 / 601.0;
/// So many calls may wait at the service.
const QUEUE: f64 = 4.0;
