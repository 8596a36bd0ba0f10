//! Additive increase, multiplicative decrease.

use core::time::Duration;

use super::{LimitRange, Sample, within};
use crate::OutOfRange;

/// One more after as many good answers as the limit; times `backoff` after one that says that it was too much.
#[derive(Clone, PartialEq, Debug)]
pub struct Aimd {
    pub(super) range: LimitRange,
    pub(super) limit: f64,
    backoff: f64,
    slow: Duration,
}

impl Aimd {
    /// Shrinks the limit to `backoff` of itself (usual: 0.9) on overload, and on answers that took longer than `slow`.
    ///
    /// # Errors
    ///
    /// The range is the wrong way round, or `backoff` is not a number from 0.1 to 0.99.
    pub fn new(range: LimitRange, backoff: f64, slow: Duration) -> Result<Self, OutOfRange> {
        let range = range.check()?;
        Ok(Self {
            range,
            limit: f64::from(range.initial),
            backoff: within("backoff", backoff, 0.1, 0.99)?,
            slow,
        })
    }

    pub(super) fn learn(&mut self, sample: Sample) {
        let limit = if sample.overloaded || sample.took > self.slow {
            self.limit * self.backoff
        } else if sample.says_nothing_of(self.limit) {
            return;
        } else {
            self.limit + 1.0 / self.limit
        };
        self.limit = self.range.clamp(limit);
    }
}
