//! Pipelines as they are written in configuration.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use stead_policy::{
    Backoff, BreakerRefused, BreakerSettings, Factor, First, Growth, Jitter, OutOfRange, Quota, Spread, span,
};

use super::lint::{Finding, Gravity, PolicyKind, Traits, lint};
use crate::{BulkheadConfig, InvalidSetting, LimiterConfig, RetryConfig, TimeoutConfig};

/// A pipeline in configuration: its policies, the outermost first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// Whether the operation may be done twice. Default: it may not.
    #[serde(default = "once_only")]
    pub operation: Traits,
    /// The policies, the outermost first.
    pub policies: Vec<PolicyConfig>,
}

const fn once_only() -> Traits {
    Traits::OnceOnly
}

/// One policy in configuration. What is left out has the policy's own default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PolicyConfig {
    /// See [`TimeoutConfig`].
    Timeout(TimeoutPolicy),
    /// See [`RetryConfig`].
    Retry(RetryPolicy),
    /// See [`BreakerConfig`](crate::BreakerConfig).
    Breaker(Box<BreakerSettings>),
    /// See [`LimiterConfig`].
    Limiter(LimiterPolicy),
    /// See [`BulkheadConfig`].
    Bulkhead(BulkheadPolicy),
}

/// A timeout in configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TimeoutPolicy {
    /// The longest that what is inside may take.
    #[serde(with = "span")]
    pub limit: Duration,
}

/// A retry in configuration: exponential waits with proportional jitter.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
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

/// A limiter in configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LimiterPolicy {
    /// Calls per period in the long run.
    pub calls: u32,
    /// The period.
    #[serde(with = "span")]
    pub period: Duration,
    /// Calls at once after a rest; as many as `calls` unless given.
    #[serde(default)]
    pub burst: Option<u32>,
    /// Callers that wait at once.
    #[serde(default = "limiter_queue")]
    pub max_queue: u32,
    /// How long a caller waits at most.
    #[serde(default = "wait", with = "span")]
    pub max_wait_duration: Duration,
}

/// A bulkhead in configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct BulkheadPolicy {
    /// Calls under way at once.
    pub max_concurrent_calls: u32,
    /// Callers that wait for a seat at once.
    pub max_queue: u32,
    /// How long a caller waits at most.
    #[serde(with = "span")]
    pub max_wait_duration: Duration,
}

impl Default for BulkheadPolicy {
    fn default() -> Self {
        let config = BulkheadConfig::default();
        Self {
            max_concurrent_calls: config.max_concurrent_calls,
            max_queue: config.max_queue,
            max_wait_duration: config.max_wait_duration,
        }
    }
}

fn limiter_queue() -> u32 {
    LimiterConfig::default().max_queue
}

fn wait() -> Duration {
    LimiterConfig::default().max_wait_duration
}

/// A pipeline is not built. What was there is unchanged.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineRefused {
    /// A policy's setting makes no sense.
    #[error("policy {place} of the pipeline: {why}")]
    Setting {
        /// The policy's place, from 0.
        place: usize,
        /// Which setting, and what would work.
        why: InvalidSetting,
    },
    /// A breaker's setting makes no sense.
    #[error(transparent)]
    Breaker(#[from] BreakerRefused),
    /// A share is no share.
    #[error("policy {place} of the pipeline: {why}")]
    Share {
        /// The policy's place, from 0.
        place: usize,
        /// What is out of its range.
        why: OutOfRange,
    },
    /// The order cannot work as meant.
    #[error("{0}")]
    Order(Finding),
}

impl PipelineConfig {
    /// What the linter has to say of the order.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let order: Vec<_> = self.policies.iter().map(PolicyConfig::kind).collect();
        lint(&order, self.operation)
    }

    pub(super) fn check(&self) -> Result<(), PipelineRefused> {
        let findings = self.findings();
        let refused = findings.into_iter().find(|finding| finding.gravity == Gravity::Refused);
        refused.map_or(Ok(()), |finding| Err(PipelineRefused::Order(finding)))
    }
}

impl PolicyConfig {
    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> PolicyKind {
        match self {
            Self::Timeout(_) => PolicyKind::Timeout,
            Self::Retry(_) => PolicyKind::Retry,
            Self::Breaker(_) => PolicyKind::Breaker,
            Self::Limiter(_) => PolicyKind::Limiter,
            Self::Bulkhead(_) => PolicyKind::Bulkhead,
        }
    }
}

impl TimeoutPolicy {
    pub(super) const fn config(self) -> TimeoutConfig {
        TimeoutConfig {
            limit: Some(self.limit),
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

impl LimiterPolicy {
    pub(super) fn config(self) -> LimiterConfig {
        LimiterConfig {
            quota: Quota {
                units: self.calls,
                period: self.period,
                burst: self.burst.unwrap_or(self.calls),
            },
            max_queue: self.max_queue,
            max_wait_duration: self.max_wait_duration,
            ..LimiterConfig::default()
        }
    }
}

impl BulkheadPolicy {
    pub(super) fn config(self) -> BulkheadConfig {
        BulkheadConfig {
            max_concurrent_calls: self.max_concurrent_calls,
            max_queue: self.max_queue,
            max_wait_duration: self.max_wait_duration,
            ..BulkheadConfig::default()
        }
    }
}
