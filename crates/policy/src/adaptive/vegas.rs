//! A small queue at the service, estimated from how much longer than at best an answer takes.

use super::{LimitRange, Sample, within};
use crate::OutOfRange;

/// Of `limit` calls at once, `limit * (1 - best / took)` wait at the service: fewer than 3 and the limit grows, more than
/// 6 and it shrinks. The best time is looked for anew every so often, as services also get slower by themselves.
#[derive(Clone, PartialEq, Debug)]
pub struct Vegas {
    pub(super) range: LimitRange,
    pub(super) limit: f64,
    smoothing: f64,
    /// The shortest time of an answer, in seconds; infinite before the first.
    best: f64,
    /// The same since the last half of the search, to take its place.
    best_of_late: f64,
    /// Samples until the best time is forgotten.
    left: u32,
}

impl Vegas {
    /// Goes `smoothing` (usual: 1) of each step.
    ///
    /// # Errors
    ///
    /// The range is the wrong way round, or `smoothing` is not a number from 0.01 to 1.
    pub fn new(range: LimitRange, smoothing: f64) -> Result<Self, OutOfRange> {
        let range = range.check()?;
        Ok(Self {
            range,
            limit: f64::from(range.initial),
            smoothing: within("smoothing", smoothing, 0.01, 1.0)?,
            best: f64::INFINITY,
            best_of_late: f64::INFINITY,
            left: REMEMBERED,
        })
    }

    pub(super) fn learn(&mut self, sample: Sample) {
        let took = sample.took.as_secs_f64();
        if took <= 0.0 {
            return;
        }
        self.remember(took);
        let queue = self.limit * (1.0 - self.best / took);
        let step = if sample.overloaded {
            -(self.limit * 0.1).max(1.0)
        } else if sample.says_nothing_of(self.limit) {
            return;
        } else if queue < FEW {
            // Several steps' worth spread over the calls of one round trip.
            FEW / self.limit
        } else if queue > MANY {
            -FEW / self.limit
        } else {
            return;
        };
        self.limit = self.range.clamp(self.limit + self.smoothing * step);
    }

    fn remember(&mut self, took: f64) {
        self.best = self.best.min(took);
        self.best_of_late = self.best_of_late.min(took);
        self.left -= 1;
        if self.left == 0 {
            self.best = self.best_of_late;
            self.best_of_late = f64::INFINITY;
            self.left = REMEMBERED;
        }
    }
}

/// A queue shorter than this says that the service could do more.
const FEW: f64 = 3.0;
/// A queue longer than this says that it is asked too much.
const MANY: f64 = 6.0;
/// After so many samples the best time is that of these samples alone.
const REMEMBERED: u32 = 1000;
