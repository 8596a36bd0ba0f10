//! A bulkhead that learns how many calls at once the service bears.

use core::time::Duration;

use stead_policy::{Adaptive, Aimd, Gradient, LimitRange, OutOfRange, Sample, Vegas};

use super::{Bulkhead, BulkheadConfig, BulkheadEvent, BulkheadSnapshot};
use crate::classify::judge;
use crate::setting::require;
use crate::sync::{Mutex, lock};
use crate::{
    AnyError, Classify, Clock, Deadline, Failure, InvalidSetting, Layer, Listener, Next, Order, Precise, Verdict,
};

/// How a limit is learned.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum LimitRule {
    /// [`Aimd`]: one more per round of good answers, a share less on overload.
    Aimd {
        /// What is left of the limit after an overload: 0.1 to 0.99, usually 0.9.
        backoff: f64,
        /// Answers slower than this count as overload.
        slow: Duration,
    },
    /// [`Vegas`]: keeps a queue of three to six calls at the service.
    Vegas {
        /// How much of each step is taken: 0.01 to 1, usually 1.
        smoothing: f64,
    },
    /// [`Gradient`]: follows the trend of the answers' times.
    Gradient {
        /// How many times slower than usual an answer may be: 1 to 10, usually 1.5.
        tolerance: f64,
        /// How much of each step is taken: 0.01 to 1, usually 0.2.
        smoothing: f64,
    },
}

impl Default for LimitRule {
    fn default() -> Self {
        Self::Gradient {
            tolerance: 1.5,
            smoothing: 0.2,
        }
    }
}

/// Between which bounds a limit is learned and how, and who waits how long.
///
/// # Defaults
///
/// | field | default |
/// |---|---|
/// | `range` | 1 to 200, starting at 20 |
/// | `rule` | gradient, tolerance 1.5, smoothing 0.2 |
/// | `max_queue` | 100 |
/// | `max_wait_duration` | 30 s |
/// | `order` | first in, first out |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdaptiveConfig {
    /// The bounds of the limit, and where it starts.
    pub range: LimitRange,
    /// How it is learned.
    pub rule: LimitRule,
    /// As [`BulkheadConfig::max_queue`].
    pub max_queue: u32,
    /// As [`BulkheadConfig::max_wait_duration`].
    pub max_wait_duration: Duration,
    /// As [`BulkheadConfig::order`].
    pub order: Order,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        let fixed = BulkheadConfig::default();
        Self {
            range: LimitRange::default(),
            rule: LimitRule::default(),
            max_queue: fixed.max_queue,
            max_wait_duration: fixed.max_wait_duration,
            order: fixed.order,
        }
    }
}

impl AdaptiveConfig {
    fn rule(&self) -> Result<Adaptive, InvalidSetting> {
        let rule = match self.rule {
            LimitRule::Aimd { backoff, slow } => {
                require(
                    !slow.is_zero(),
                    "adaptive.rule.slow",
                    slow,
                    "it must be more than nothing, else every answer counts as too much",
                )?;
                Aimd::new(self.range, backoff, slow).map(Adaptive::Aimd)
            }
            LimitRule::Vegas { smoothing } => Vegas::new(self.range, smoothing).map(Adaptive::Vegas),
            LimitRule::Gradient { tolerance, smoothing } => {
                Gradient::new(self.range, tolerance, smoothing).map(Adaptive::Gradient)
            }
        };
        rule.map_err(|why| match why {
            OutOfRange::Limit { .. } => {
                InvalidSetting::new("adaptive.range", self.range, "it must be 1 <= least <= initial <= most")
            }
            OutOfRange::Adaptive { .. }
            | OutOfRange::Factor(_)
            | OutOfRange::Rate { .. }
            | OutOfRange::Burst
            | OutOfRange::Ratio(_)
            | OutOfRange::Spread(_) => InvalidSetting::new("adaptive.rule", why, "see the ranges of its numbers"),
        })
    }

    fn fixed(&self, limit: u32) -> BulkheadConfig {
        BulkheadConfig {
            max_concurrent_calls: limit,
            max_queue: self.max_queue,
            max_wait_duration: self.max_wait_duration,
            order: self.order,
        }
    }
}

/// A [`Bulkhead`] whose limit follows what the service bears.
///
/// It learns from calls that succeed and from those that say it was too much: timeouts, and failures with a
/// `retry_after`. Other failures and cancelled calls teach nothing, as they say nothing about the load. Each call costs
/// two readings of the clock.
#[derive(Debug)]
pub struct AdaptiveBulkhead<C = Precise, K = AnyError> {
    bulkhead: Bulkhead<C>,
    rule: Mutex<Adaptive>,
    clock: C,
    classifier: K,
}

impl AdaptiveBulkhead {
    /// An adaptive bulkhead on the [`Precise`] clock, which takes every error as a failure.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn new(config: AdaptiveConfig) -> Result<Self, InvalidSetting> {
        Self::with(config, Precise, AnyError)
    }
}

impl<C: Clock, K> AdaptiveBulkhead<C, K> {
    /// An adaptive bulkhead with a clock and a classifier of one's own. The clock times the calls: a coarse one is too
    /// coarse for answers within milliseconds.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn with(config: AdaptiveConfig, clock: C, classifier: K) -> Result<Self, InvalidSetting> {
        let rule = config.rule()?;
        Ok(Self {
            bulkhead: Bulkhead::with_clock(config.fixed(rule.limit()), clock.clone())?,
            rule: Mutex::new(rule),
            clock,
            classifier,
        })
    }

    /// Changes the settings in place. The limit learned so far is kept, as far as it lies in the new range.
    ///
    /// # Errors
    ///
    /// A setting does not work; everything is as before.
    pub fn reconfigure(&self, config: AdaptiveConfig) -> Result<(), InvalidSetting> {
        let new = config.rule()?;
        let mut rule = lock(&self.rule);
        let new = new.after(&rule);
        self.bulkhead.reconfigure(config.fixed(new.limit()))?;
        *rule = new;
        Ok(())
    }

    /// What is going on, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        self.bulkhead.snapshot()
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<BulkheadEvent> {
        self.bulkhead.events()
    }

    fn learn(&self, sample: Sample) {
        let mut rule = lock(&self.rule);
        let before = rule.limit();
        rule.learn(sample);
        let limit = rule.limit();
        if limit != before {
            self.bulkhead.resize(limit);
        }
    }
}

impl<C: Clock, K: Classify<T, E>, T, E> Layer<T, E> for AdaptiveBulkhead<C, K> {
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        Deadline::check_now()?;
        let seat = self.bulkhead.acquire().await?;
        let in_flight = self.bulkhead.seats.taken();
        let begun = self.clock.now();
        let result = next.once().await;
        let took = self.clock.now().since(begun);
        drop(seat);
        let timed_out = matches!(result, Err(Failure::Timeout { .. }));
        let (verdict, result) = judge(&self.classifier, result);
        let overloaded = match verdict {
            Verdict::Success => Some(false),
            Verdict::Failure { retry_after } => (timed_out || retry_after.is_some()).then_some(true),
            Verdict::Ignored | Verdict::Terminal => None,
        };
        if let Some(overloaded) = overloaded {
            self.learn(Sample {
                took,
                in_flight,
                overloaded,
            });
        }
        result
    }
}
