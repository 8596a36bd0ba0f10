//! What makes a call more than once, as it is written in configuration.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use stead_policy::{Backoff, Factor, First, Growth, Jitter, OutOfRange, Spread, span};

use crate::setting::require;
use crate::{HedgeConfig, HedgeDelay, InvalidSetting, Preset, RetryConfig};

/// A retry in configuration: exponential waits with proportional jitter.
///
/// It may name a [`Preset`] (`preset = "api"`): then what is left out is as the preset has it, else as the default has it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct RetryPolicy {
    /// Tries, the first one included.
    pub max_attempts: u32,
    /// The wait before the second try.
    #[serde(with = "span")]
    pub base: Duration,
    /// The longest wait before jitter.
    #[serde(with = "span")]
    pub max: Duration,
    /// The share by which waits are spread, from 0 to 1.
    pub jitter: f64,
    /// No try begins later than this after the first.
    #[serde(with = "span::optional")]
    pub max_elapsed: Option<Duration>,
}

/// A retry as it stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    preset: Option<Preset>,
    max_attempts: Option<u32>,
    #[serde(default, with = "span::optional")]
    base: Option<Duration>,
    #[serde(default, with = "span::optional")]
    max: Option<Duration>,
    jitter: Option<f64>,
    #[serde(default, with = "span::optional")]
    max_elapsed: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_secs(1),
            max: Duration::from_secs(60),
            jitter: 0.1,
            max_elapsed: None,
        }
    }
}

impl From<Preset> for RetryPolicy {
    fn from(preset: Preset) -> Self {
        let Backoff {
            initial, max, jitter, ..
        } = preset.backoff();
        Self {
            max_attempts: preset.attempts(),
            base: initial,
            max,
            jitter: match jitter {
                Jitter::Proportional(share) => share.get(),
                Jitter::None | Jitter::Full | Jitter::Equal | Jitter::Decorrelated => 0.0,
            },
            max_elapsed: None,
        }
    }
}

impl From<Written> for RetryPolicy {
    fn from(written: Written) -> Self {
        let rest = written.preset.map_or_else(Self::default, Self::from);
        Self {
            max_attempts: written.max_attempts.unwrap_or(rest.max_attempts),
            base: written.base.unwrap_or(rest.base),
            max: written.max.unwrap_or(rest.max),
            jitter: written.jitter.unwrap_or(rest.jitter),
            max_elapsed: written.max_elapsed,
        }
    }
}

impl RetryPolicy {
    pub(super) fn config(self) -> Result<RetryConfig, OutOfRange> {
        Ok(RetryConfig {
            max_attempts: self.max_attempts,
            backoff: Backoff {
                first: First::Waits,
                initial: self.base,
                growth: Growth::Exponential(Factor::DOUBLE),
                max: self.max,
                jitter: Jitter::Proportional(Spread::try_from(self.jitter)?),
            },
            max_elapsed: self.max_elapsed,
            ..RetryConfig::default()
        })
    }
}

/// A hedge in configuration. It waits for `delay`, or for as long as `percent` of the calls of late took.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HedgePolicy {
    /// Says that the operation may be done twice at once. Without it a hedge is refused.
    pub idempotent: bool,
    /// Further calls beside the first: 1 to 10.
    pub max_hedges: u32,
    /// The wait before each further call, where it is always the same.
    #[serde(with = "span::optional")]
    pub delay: Option<Duration>,
    /// A number above 0 and below 100.
    pub percent: f64,
    /// The wait learned from calls is never shorter.
    #[serde(with = "span")]
    pub least: Duration,
    /// The wait learned from calls is never longer.
    #[serde(with = "span")]
    pub most: Duration,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self {
            idempotent: false,
            max_hedges: 1,
            delay: None,
            percent: 95.0,
            least: Duration::from_millis(10),
            most: Duration::from_secs(1),
        }
    }
}

impl HedgePolicy {
    pub(super) fn config(self) -> Result<HedgeConfig, InvalidSetting> {
        require(
            self.idempotent,
            "hedge.idempotent",
            self.idempotent,
            "a hedge makes the call twice: say `idempotent = true` where that does no harm, else leave the hedge out",
        )?;
        let Self {
            percent, least, most, ..
        } = self;
        let learned = HedgeDelay::Percentile { percent, least, most };
        Ok(HedgeConfig {
            delay: self.delay.map_or(learned, HedgeDelay::After),
            max_hedges: self.max_hedges,
        })
    }
}
