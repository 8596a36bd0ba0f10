//! What a breaker is told.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::window::Counts;
use crate::{Backoff, Factor, First, Growth, Jitter, span};

/// When a breaker opens, for how long, and how it comes back. Checked as a whole where it becomes [`BreakerSettings`].
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `window` | [`Window::Consecutive`] | – | – |
/// | `failure_threshold` | 5 | a hiccup opens | callers wait on what is down |
/// | `failure_rate` | none | an ordinary share of errors opens | half an outage never does |
/// | `minimum_calls` | 10 | one of two calls is a rate of 50 % | quiet services are never protected |
/// | `slow_calls` | none | – | – |
/// | `open_for` | 60 s | what is down is asked without end | what is back is not noticed |
/// | `open_growth` | 1 (none) | – | a short outage after a long one is waited out in full |
/// | `open_max` | 10 min | long outages are probed often | – |
/// | `half_open_max_calls` | 2 | slow calls make slow probes | what just came back is flooded |
/// | `success_threshold` | 2 | one lucky call closes | callers are refused by a healthy service |
/// | `trial_timeout` | 10 s | slow probes never count | a lost probe blocks its place for long |
/// | `ramp` | none | – | – |
/// | `enforce` | 100 % | rejections protect nobody: 0 is shadow mode | – |
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// Which calls are looked at.
    pub window: Window,
    /// So many failures open: in a row, in the leaky count, or within the window unless `failure_rate` decides. 1 to 8,000.
    pub failure_threshold: u32,
    /// This share of failures opens, from 0 (excluded) to 1. Needs a count or time window.
    pub failure_rate: Option<f64>,
    /// Rates mean nothing before the window holds so many calls. 1 to 8,000, and at most the size of a count window.
    pub minimum_calls: u32,
    /// Slow calls open as well. Needs a count or time window.
    pub slow_calls: Option<SlowCalls>,
    /// How long it stays open at first. Above zero.
    #[serde(with = "span")]
    pub open_for: Duration,
    /// By how much the open period grows each time a probe fails, from 1 to 100.
    pub open_growth: f64,
    /// The longest open period that growth leads to. At least `open_for`; a service's own `Retry-After` may be longer.
    #[serde(with = "span")]
    pub open_max: Duration,
    /// How many probes may be in flight while half-open. 1 to 1,000.
    pub half_open_max_calls: u32,
    /// So many successful probes close. 1 to 8,000.
    pub success_threshold: u32,
    /// A probe that has not reported for so long is given up: its place is free, its result is ignored. Above zero.
    #[serde(with = "span")]
    pub trial_timeout: Duration,
    /// Where there is one, closing goes by steps: a growing share of the calls is admitted.
    pub ramp: Option<Ramp>,
    /// So many percent of the rejections are enforced; the other calls are let through and do not count. 0 is shadow mode.
    pub enforce: u8,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Window::Consecutive,
            failure_threshold: 5,
            failure_rate: None,
            minimum_calls: 10,
            slow_calls: None,
            open_for: Duration::from_secs(60),
            open_growth: 1.0,
            open_max: Duration::from_secs(600),
            half_open_max_calls: 2,
            success_threshold: 2,
            trial_timeout: Duration::from_secs(10),
            ramp: None,
            enforce: 100,
        }
    }
}

/// Which calls a breaker looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Window {
    /// Failures in a row; one success starts over.
    #[default]
    Consecutive,
    /// Failures, of which one is forgotten each time `leak` has passed.
    Leaky {
        /// Above zero.
        #[serde(with = "span")]
        leak: Duration,
    },
    /// The last so many calls.
    Count {
        /// 1 to 8,000.
        calls: u32,
    },
    /// The calls of the last while. Each is counted once and goes out once, up to the edge's steps. A number of failures opens at
    /// exactly that many; a share of them is judged when a failure comes, or the call that makes up the minimum, over all calls
    /// that were reported before: those that other threads report at that very moment may be part of it or not.
    Time {
        /// 1 ms to 30 days; its edge moves in steps of an eighth or less.
        #[serde(with = "span")]
        span: Duration,
    },
}

/// When slowness opens a breaker.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowCalls {
    /// A call that takes longer is slow. Above zero, and no finer than the breaker's clock.
    #[serde(with = "span")]
    pub over: Duration,
    /// This share of slow calls opens, from 0 (excluded) to 1.
    pub rate: f64,
}

/// How a breaker comes back by steps.
///
/// A step that has lasted `step_for` is over at the next success. Failures send it one step back, from the first back to
/// open.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `steps` | 10, 25, 50 % | a cold service is flooded | callers are refused for long |
/// | `step_for` | 10 s | a step proves nothing | the same |
/// | `failures` | 1 | an ordinary error sends it back | a service that cannot bear the load breaks down first |
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ramp {
    /// The percentages of calls that are admitted, growing, from 1 to 99; 100 is the end of the ramp.
    pub steps: Vec<u8>,
    /// How long a step lasts at least. Above zero.
    #[serde(with = "span")]
    pub step_for: Duration,
    /// So many failures within a step send it back. At least 1.
    pub failures: u32,
}

impl Default for Ramp {
    fn default() -> Self {
        Self {
            steps: [10, 25, 50].into(),
            step_for: Duration::from_secs(10),
            failures: 1,
        }
    }
}

/// A [`BreakerConfig`] that makes sense. The only way to one is the check.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "BreakerConfig", into = "BreakerConfig")]
pub struct BreakerSettings {
    config: BreakerConfig,
}

/// A setting that a breaker cannot work with. Nothing was built from it.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum BreakerRefused {
    /// A number is outside of its range.
    #[error("breaker: {field} must be a number from {low} to {high}, not {found}")]
    Number {
        /// Its name in [`BreakerConfig`].
        field: &'static str,
        /// The least that is accepted.
        low: u32,
        /// The most that is accepted.
        high: u32,
        /// What was given.
        found: u32,
    },
    /// A share is zero, negative, above 1 or no number.
    #[error("breaker: {field} must be above 0 and at most 1, not {found}")]
    Share {
        /// Its name in [`BreakerConfig`].
        field: &'static str,
        /// What was given.
        found: f64,
    },
    /// A span is zero, or outside of its range.
    #[error("breaker: {field} must last from {low:?} to {high:?}, not {found:?}")]
    Span {
        /// Its name in [`BreakerConfig`].
        field: &'static str,
        /// The shortest that is accepted.
        low: Duration,
        /// The longest that is accepted.
        high: Duration,
        /// What was given.
        found: Duration,
    },
    /// The growth of the open period is below 1, above 100 or no number.
    #[error("breaker: open_growth must be a number from 1 to 100, not {0}")]
    Growth(f64),
    /// A rate was asked of a window that counts failures alone.
    #[error("breaker: {0} needs a window of kind `count` or `time`")]
    NoRate(&'static str),
    /// The steps of the ramp do not grow from 1 to 99 percent.
    #[error("breaker: ramp.steps must be percentages that grow, each from 1 to 99: leave out 100, which is the end")]
    Steps,
}

impl BreakerSettings {
    /// What was asked for.
    #[must_use]
    pub const fn config(&self) -> &BreakerConfig {
        &self.config
    }

    /// The open period after `reopened` failed probes in a row.
    #[must_use]
    pub fn open_period(&self, reopened: u32) -> Duration {
        let backoff = Backoff {
            first: First::Waits,
            initial: self.config.open_for,
            max: self.config.open_max,
            growth: Growth::Exponential(Factor::try_from(self.config.open_growth).unwrap_or_default()),
            jitter: Jitter::None,
        };
        backoff.delay(reopened, 0)
    }

    /// How many percent of the calls step `step` of the ramp admits; nothing beyond its last step.
    #[must_use]
    pub fn share(&self, step: usize) -> Option<u8> {
        self.config.ramp.as_ref().and_then(|ramp| ramp.steps.get(step).copied())
    }

    /// Whether calls have to be timed.
    #[must_use]
    pub const fn timed(&self) -> bool {
        self.config.slow_calls.is_some()
    }

    /// Whether a call that took `took` was a slow one.
    #[must_use]
    pub fn slow(&self, took: Duration) -> bool {
        self.config.slow_calls.is_some_and(|slow| took > slow.over)
    }

    /// Why a window that holds `counts` opens the breaker; nothing where it does not.
    #[must_use]
    pub fn trips(&self, counts: Counts) -> Option<Tripped> {
        let enough = counts.total >= self.config.minimum_calls;
        let failing = match self.config.failure_rate {
            Some(rate) => enough && reaches(counts.failed, counts.total, rate),
            None => counts.failed >= self.config.failure_threshold,
        };
        if failing {
            return Some(Tripped::Failures);
        }
        let slow = self.config.slow_calls?;
        (enough && reaches(counts.slow, counts.total, slow.rate)).then_some(Tripped::SlowCalls)
    }

    /// Whether a success may open: it may be the call that makes a rate mean something.
    #[must_use]
    pub const fn by_rate(&self) -> bool {
        self.config.failure_rate.is_some() || self.config.slow_calls.is_some()
    }

    /// The fewest failures of a window that may open: below it, nothing needs to be looked at.
    #[must_use]
    pub fn failures_at_least(&self) -> u32 {
        match self.config.failure_rate {
            Some(rate) => least(self.config.minimum_calls, rate),
            None => self.config.failure_threshold,
        }
    }

    /// The fewest slow calls of a window that may open.
    #[must_use]
    pub fn slow_at_least(&self) -> u32 {
        self.config
            .slow_calls
            .map_or(MOST, |slow| least(self.config.minimum_calls, slow.rate))
    }
}

/// Which rule opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tripped {
    /// The number of failures, or their rate.
    Failures,
    /// The rate of slow calls.
    SlowCalls,
}

impl TryFrom<BreakerConfig> for BreakerSettings {
    type Error = BreakerRefused;

    fn try_from(config: BreakerConfig) -> Result<Self, BreakerRefused> {
        number("failure_threshold", config.failure_threshold, MOST)?;
        number("success_threshold", config.success_threshold, MOST)?;
        number("half_open_max_calls", config.half_open_max_calls, 1000)?;
        time("open_for", config.open_for, Duration::from_nanos(1), LONGEST)?;
        time("open_max", config.open_max, config.open_for, LONGEST)?;
        time("trial_timeout", config.trial_timeout, Duration::from_nanos(1), LONGEST)?;
        if config.enforce > 100 {
            return Err(BreakerRefused::Number {
                field: "enforce",
                low: 0,
                high: 100,
                found: config.enforce.into(),
            });
        }
        Factor::try_from(config.open_growth).map_err(|_same| BreakerRefused::Growth(config.open_growth))?;
        config.ramp.as_ref().map_or(Ok(()), ramp)?;
        window(&config)?;
        Ok(Self { config })
    }
}

impl From<BreakerSettings> for BreakerConfig {
    fn from(settings: BreakerSettings) -> Self {
        settings.config
    }
}

fn window(config: &BreakerConfig) -> Result<(), BreakerRefused> {
    let most = match config.window {
        Window::Consecutive => 0,
        Window::Leaky { leak } => {
            time("window.leak", leak, Duration::from_nanos(1), LONGEST)?;
            0
        }
        Window::Count { calls } => {
            number("window.calls", calls, MOST)?;
            if config.failure_rate.is_none() {
                number("failure_threshold", config.failure_threshold, calls)?;
            }
            calls
        }
        Window::Time { span } => {
            time("window.span", span, Duration::from_millis(1), LONGEST)?;
            MOST
        }
    };
    let rates = [
        ("failure_rate", config.failure_rate),
        ("slow_calls.rate", config.slow_calls.map(|slow| slow.rate)),
    ];
    for (field, rate) in rates {
        let Some(rate) = rate else { continue };
        if most == 0 {
            return Err(BreakerRefused::NoRate(field));
        }
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(BreakerRefused::Share { field, found: rate });
        }
        number("minimum_calls", config.minimum_calls, most)?;
    }
    match config.slow_calls {
        Some(slow) => time("slow_calls.over", slow.over, Duration::from_nanos(1), LONGEST),
        None => Ok(()),
    }
}

fn ramp(ramp: &Ramp) -> Result<(), BreakerRefused> {
    let grows = ramp.steps.windows(2).all(|pair| pair[0] < pair[1]);
    if ramp.steps.is_empty() || !grows || ramp.steps.iter().any(|step| !(1..100).contains(step)) {
        return Err(BreakerRefused::Steps);
    }
    time("ramp.step_for", ramp.step_for, Duration::from_nanos(1), LONGEST)?;
    number("ramp.failures", ramp.failures, MOST)
}

fn number(field: &'static str, found: u32, high: u32) -> Result<(), BreakerRefused> {
    if (1..=high).contains(&found) {
        return Ok(());
    }
    Err(BreakerRefused::Number {
        field,
        low: 1,
        high,
        found,
    })
}

fn time(field: &'static str, found: Duration, low: Duration, high: Duration) -> Result<(), BreakerRefused> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    Err(BreakerRefused::Span {
        field,
        low,
        high,
        found,
    })
}

/// Whether `some` of `all` is a share of `rate` or more.
fn reaches(some: u32, all: u32, rate: f64) -> bool {
    f64::from(some) >= rate * f64::from(all)
}

/// The least number that [`reaches`] `rate` of any number from `all` up.
fn least(all: u32, rate: f64) -> u32 {
    (1..=all).find(|some| reaches(*some, all, rate)).unwrap_or(all)
}

/// The most calls that a threshold may ask for: their counts share a word with the state.
const MOST: u32 = 8_000;

const LONGEST: Duration = Duration::from_secs(30 * 86_400);
