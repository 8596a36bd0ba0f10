//! Counts over agents.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AgentName, Condition, Health, Metric, Namespace, Wall};

/// Counts over agents: `GET analytics/summary`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// All of them.
    pub total_agents: u64,
    /// Those that work.
    pub operational_agents: u64,
    /// Those that can take a task.
    pub available_agents: u64,
    /// Those with something wrong.
    pub error_agents: u64,
    /// Those taken out of work on purpose.
    pub maintenance_agents: u64,
    /// How many are in each state.
    pub state_distribution: BTreeMap<String, u64>,
}

/// How well agents do, all together: `GET analytics/health`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct HealthSummary {
    /// All of them.
    pub total: u64,
    /// How many do how well; every level is there.
    pub levels: BTreeMap<Health, u64>,
    /// How many have a condition; those that nobody has are left out.
    pub conditions: BTreeMap<Condition, u64>,
    /// What those that measure themselves told last, by metric.
    pub metrics: BTreeMap<Metric, MetricSummary>,
    /// Those that are degraded or worse or have a condition that wants a look, the worst first; so many as were asked for.
    pub troubled: Vec<Troubled>,
    /// How many of those there are.
    pub troubled_total: u64,
}

/// One metric over all who tell it.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct MetricSummary {
    /// How many do.
    pub agents: u64,
    /// The mean of their last values.
    pub mean: f64,
    /// The highest.
    pub max: f64,
}

/// One that does not do well.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Troubled {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: AgentName,
    /// How well it does.
    pub health: Health,
    /// Where it is in its life.
    pub phase: String,
    /// Since when it is there.
    pub since: Wall,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// What says so: its weightiest condition, or what was seen of it last.
    pub detail: String,
}

impl HealthSummary {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            levels: Health::ALL.iter().map(|level| (*level, 0)).collect(),
            ..Self::default()
        }
    }
}

impl MetricSummary {
    /// Counts one more value.
    pub fn add(&mut self, value: f32) {
        let value = f64::from(value);
        self.agents += 1;
        #[expect(clippy::cast_precision_loss, reason = "a mean over fewer than 2^52")]
        let agents = self.agents as f64;
        self.mean += (value - self.mean) / agents;
        self.max = self.max.max(value);
    }
}
