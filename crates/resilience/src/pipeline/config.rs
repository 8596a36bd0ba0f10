//! Pipelines as they are written in configuration.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use stead_policy::{BreakerRefused, BreakerSettings, OutOfRange, Quota, span};

use super::again::{HedgePolicy, RetryPolicy};
use super::lint::{Finding, Gravity, PolicyKind, Traits, lint};
use crate::{BulkheadConfig, InvalidSetting, LimiterConfig, Order, TimeoutConfig};

/// A pipeline in configuration: its policies, the outermost first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// Whether the operation may be done twice. Unless given it may not, but where a hedge says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Traits>,
    /// The policies, the outermost first.
    pub policies: Vec<PolicyConfig>,
}

/// One policy in configuration. What is left out has the policy's own default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PolicyConfig {
    /// See [`TimeoutConfig`].
    Timeout(TimeoutPolicy),
    /// See [`RetryConfig`](crate::RetryConfig).
    Retry(RetryPolicy),
    /// See [`HedgeConfig`](crate::HedgeConfig).
    Hedge(HedgePolicy),
    /// A [`Fallback`](crate::Fallback) that the program hands in: see [`StandIns`](crate::StandIns).
    Fallback(StandInPolicy),
    /// A [`StaleCache`](crate::StaleCache) that the program hands in: see [`StandIns`](crate::StandIns).
    Cache(StandInPolicy),
    /// See [`BreakerConfig`](crate::BreakerConfig).
    Breaker(Box<BreakerSettings>),
    /// See [`LimiterConfig`].
    Limiter(LimiterPolicy),
    /// See [`BulkheadConfig`].
    Bulkhead(BulkheadPolicy),
}

/// A timeout in configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutPolicy {
    /// The longest that what is inside may take.
    #[serde(with = "span")]
    pub limit: Duration,
}

/// A fallback or a cache in configuration: functions cannot be written there, so it is named.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandInPolicy {
    /// What the program calls it.
    pub name: String,
}

/// A limiter in configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimiterPolicy {
    /// Units per period in the long run: calls, where each costs one.
    pub calls: u32,
    /// The period.
    #[serde(with = "span")]
    pub period: Duration,
    /// Units at once after a rest; as many as `calls` unless given.
    #[serde(default)]
    pub burst: Option<u32>,
    /// Units that a call costs.
    #[serde(default = "limiter_cost")]
    pub cost: u32,
    /// Callers that wait at once.
    #[serde(default = "limiter_queue")]
    pub max_queue: u32,
    /// How long a caller waits at most.
    #[serde(default = "wait", with = "span")]
    pub max_wait_duration: Duration,
}

/// A bulkhead in configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BulkheadPolicy {
    /// Calls under way at once.
    pub max_concurrent_calls: u32,
    /// Callers that wait for a seat at once.
    pub max_queue: u32,
    /// How long a caller waits at most.
    #[serde(with = "span")]
    pub max_wait_duration: Duration,
    /// Who of those that wait is next: `fifo` or `lifo`.
    pub order: Order,
}

impl Default for BulkheadPolicy {
    fn default() -> Self {
        let config = BulkheadConfig::default();
        Self {
            max_concurrent_calls: config.max_concurrent_calls,
            max_queue: config.max_queue,
            max_wait_duration: config.max_wait_duration,
            order: config.order,
        }
    }
}

fn limiter_cost() -> u32 {
    LimiterConfig::default().cost
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
    /// A fallback or cache of this name was not handed in.
    #[error("policy {place} of the pipeline: no {kind} is called {name:?}; {}", handed_in(.known))]
    Unknown {
        /// The policy's place, from 0.
        place: usize,
        /// Whether a fallback or a cache is missing.
        kind: PolicyKind,
        /// The name that nobody has.
        name: String,
        /// The names of this kind that were handed in.
        known: Vec<String>,
    },
    /// The order cannot work as meant.
    #[error("{0}")]
    Order(Finding),
}

fn handed_in(known: &[String]) -> String {
    if known.is_empty() {
        "the program hands in none".to_owned()
    } else {
        format!("the program hands in {}", known.join(", "))
    }
}

impl PipelineConfig {
    /// What the linter has to say of the order.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let order: Vec<_> = self.policies.iter().map(PolicyConfig::kind).collect();
        lint(&order, self.traits())
    }

    /// What is said of the operation; where nothing is, a hedge that says that it may be done twice says it for all.
    fn traits(&self) -> Traits {
        if let Some(operation) = self.operation {
            return operation;
        }
        let hedged = |policy: &PolicyConfig| matches!(policy, PolicyConfig::Hedge(hedge) if hedge.idempotent);
        if self.policies.iter().any(hedged) {
            Traits::Idempotent
        } else {
            Traits::OnceOnly
        }
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
            Self::Hedge(_) => PolicyKind::Hedge,
            Self::Fallback(_) => PolicyKind::Fallback,
            Self::Cache(_) => PolicyKind::Cache,
            Self::Breaker(_) => PolicyKind::Breaker,
            Self::Limiter(_) => PolicyKind::Limiter,
            Self::Bulkhead(_) => PolicyKind::Bulkhead,
        }
    }
}

impl PolicyConfig {
    /// The name of what the program hands in.
    pub(super) fn stand_in(&self) -> Option<&str> {
        match self {
            Self::Fallback(policy) | Self::Cache(policy) => Some(&policy.name),
            Self::Timeout(_)
            | Self::Retry(_)
            | Self::Hedge(_)
            | Self::Breaker(_)
            | Self::Limiter(_)
            | Self::Bulkhead(_) => None,
        }
    }
}

impl TimeoutPolicy {
    pub(crate) const fn config(self) -> TimeoutConfig {
        TimeoutConfig {
            limit: Some(self.limit),
        }
    }
}

impl LimiterPolicy {
    pub(crate) fn config(self) -> LimiterConfig {
        LimiterConfig {
            quota: Quota {
                units: self.calls,
                period: self.period,
                burst: self.burst.unwrap_or(self.calls),
            },
            cost: self.cost,
            max_queue: self.max_queue,
            max_wait_duration: self.max_wait_duration,
        }
    }
}

impl BulkheadPolicy {
    pub(crate) fn config(self) -> BulkheadConfig {
        BulkheadConfig {
            max_concurrent_calls: self.max_concurrent_calls,
            max_queue: self.max_queue,
            max_wait_duration: self.max_wait_duration,
            order: self.order,
        }
    }
}
