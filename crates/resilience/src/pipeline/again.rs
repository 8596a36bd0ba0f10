//! What makes a call more than once, as it is written in configuration.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use stead_policy::{Backoff, Factor, First, Growth, Jitter, OutOfRange, Spread, span};

use crate::setting::require;
use crate::{HedgeConfig, HedgeDelay, InvalidSetting, Preset, RetryConfig};

/// A retry in configuration.
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
    /// How waits grow.
    pub growth: GrowthPolicy,
    /// Whether the second try waits, too.
    pub first: First,
    /// How waits are spread.
    pub jitter: JitterPolicy,
    /// No try begins later than this after the first.
    #[serde(with = "span::optional")]
    pub max_elapsed: Option<Duration>,
    /// The longest wait that a service may ask for.
    #[serde(with = "span")]
    pub max_retry_after: Duration,
    /// No try begins where the deadline leaves less.
    #[serde(with = "span")]
    pub attempt_needs: Duration,
}

/// How waits grow: `"fixed"`, `"linear"`, or by a factor from 1 to 100 each time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "growth is \"fixed\", \"linear\", or a factor from 1 to 100")]
pub enum GrowthPolicy {
    /// By this factor.
    Factor(Factor),
    /// In one of these ways.
    Named(NamedGrowth),
}

/// Ways to grow without a factor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedGrowth {
    /// All waits are the first one.
    Fixed,
    /// By the first one each time.
    Linear,
}

/// How waits are spread: `"none"`, `"full"`, `"equal"`, `"decorrelated"`, or by a share from 0 to 1 up and down.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "jitter is \"none\", \"full\", \"equal\", \"decorrelated\", or a share from 0 to 1"
)]
pub enum JitterPolicy {
    /// By this share.
    Share(f64),
    /// In one of these ways.
    Named(NamedJitter),
}

/// Ways to spread without a share; see [`Jitter`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedJitter {
    /// [`Jitter::None`].
    None,
    /// [`Jitter::Full`].
    Full,
    /// [`Jitter::Equal`].
    Equal,
    /// [`Jitter::Decorrelated`].
    Decorrelated,
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
    growth: Option<GrowthPolicy>,
    first: Option<First>,
    jitter: Option<JitterPolicy>,
    #[serde(default, with = "span::optional")]
    max_elapsed: Option<Duration>,
    #[serde(default, with = "span::optional")]
    max_retry_after: Option<Duration>,
    #[serde(default, with = "span::optional")]
    attempt_needs: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_secs(1),
            max: Duration::from_secs(60),
            growth: GrowthPolicy::Factor(Factor::DOUBLE),
            first: First::Waits,
            jitter: JitterPolicy::Share(0.1),
            max_elapsed: None,
            max_retry_after: Duration::from_secs(60),
            attempt_needs: Duration::ZERO,
        }
    }
}

impl From<Preset> for RetryPolicy {
    fn from(preset: Preset) -> Self {
        let Backoff {
            first,
            initial,
            growth,
            max,
            jitter,
        } = preset.backoff();
        Self {
            max_attempts: preset.attempts(),
            base: initial,
            max,
            growth: growth.into(),
            first,
            jitter: jitter.into(),
            ..Self::default()
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
            growth: written.growth.unwrap_or(rest.growth),
            first: written.first.unwrap_or(rest.first),
            jitter: written.jitter.unwrap_or(rest.jitter),
            max_elapsed: written.max_elapsed,
            max_retry_after: written.max_retry_after.unwrap_or(rest.max_retry_after),
            attempt_needs: written.attempt_needs.unwrap_or(rest.attempt_needs),
        }
    }
}

impl RetryPolicy {
    pub(crate) fn config(self) -> Result<RetryConfig, OutOfRange> {
        Ok(RetryConfig {
            max_attempts: self.max_attempts,
            backoff: Backoff {
                first: self.first,
                initial: self.base,
                growth: self.growth.into(),
                max: self.max,
                jitter: self.jitter.try_into()?,
            },
            max_elapsed: self.max_elapsed,
            max_retry_after: self.max_retry_after,
            attempt_needs: self.attempt_needs,
        })
    }
}

impl From<Growth> for GrowthPolicy {
    fn from(growth: Growth) -> Self {
        match growth {
            Growth::Fixed => Self::Named(NamedGrowth::Fixed),
            Growth::Linear => Self::Named(NamedGrowth::Linear),
            Growth::Exponential(factor) => Self::Factor(factor),
        }
    }
}

impl From<GrowthPolicy> for Growth {
    fn from(growth: GrowthPolicy) -> Self {
        match growth {
            GrowthPolicy::Named(NamedGrowth::Fixed) => Self::Fixed,
            GrowthPolicy::Named(NamedGrowth::Linear) => Self::Linear,
            GrowthPolicy::Factor(factor) => Self::Exponential(factor),
        }
    }
}

impl From<Jitter> for JitterPolicy {
    fn from(jitter: Jitter) -> Self {
        match jitter {
            Jitter::None => Self::Named(NamedJitter::None),
            Jitter::Proportional(share) => Self::Share(share.get()),
            Jitter::Full => Self::Named(NamedJitter::Full),
            Jitter::Equal => Self::Named(NamedJitter::Equal),
            Jitter::Decorrelated => Self::Named(NamedJitter::Decorrelated),
        }
    }
}

impl TryFrom<JitterPolicy> for Jitter {
    type Error = OutOfRange;

    fn try_from(jitter: JitterPolicy) -> Result<Self, OutOfRange> {
        Ok(match jitter {
            JitterPolicy::Share(share) => Self::Proportional(Spread::try_from(share)?),
            JitterPolicy::Named(NamedJitter::None) => Self::None,
            JitterPolicy::Named(NamedJitter::Full) => Self::Full,
            JitterPolicy::Named(NamedJitter::Equal) => Self::Equal,
            JitterPolicy::Named(NamedJitter::Decorrelated) => Self::Decorrelated,
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
    pub(crate) fn config(self) -> Result<HedgeConfig, InvalidSetting> {
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
