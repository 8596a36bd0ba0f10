//! What is known of all checks at one moment.

use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use stead_policy::Criticality;

use super::Health;

/// What is known of one check. Durations are written as seconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CheckReport {
    /// What it is called.
    pub name: Arc<str>,
    /// What it means to the whole.
    pub criticality: Criticality,
    /// How it stands; unknown before the first finding and once that is stale.
    pub health: Health,
    /// Why, where it is not healthy.
    pub message: Cow<'static, str>,
    /// How old the finding is; `None` before the first.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Option<Duration>,
    /// How long the run took that found it.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Option<Duration>,
    /// For how long runs have found the same health.
    #[serde(rename = "for_seconds", serialize_with = "seconds")]
    pub unchanged_for: Option<Duration>,
    /// Runs that came to a finding.
    pub runs: u64,
    /// How many of them in a row, up to the last, found it other than healthy.
    pub failed_in_a_row: u64,
}

/// What is known of all checks at one moment.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HealthReport {
    /// The whole: as bad as the worst check is, where an unhealthy optional or important one only degrades. Unknown while any
    /// check is (and nothing is worse), and where there are none.
    pub health: Health,
    /// Every check, by name.
    pub checks: Vec<CheckReport>,
}

impl HealthReport {
    pub(super) fn of(checks: Vec<CheckReport>) -> Self {
        let health = checks
            .iter()
            .map(|check| weigh(check.health, check.criticality))
            .max()
            .unwrap_or(Health::Unknown);
        Self { health, checks }
    }

    /// Whether every check was found healthy lately, and there is one.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.health == Health::Healthy
    }

    /// The names of all checks that are not healthy, the worst first.
    #[must_use]
    pub fn failed_checks(&self) -> Vec<&str> {
        let mut failed: Vec<&CheckReport> = self.checks.iter().filter(|c| c.health != Health::Healthy).collect();
        failed.sort_by_key(|check| core::cmp::Reverse(check.health));
        failed.into_iter().map(|check| &*check.name).collect()
    }

    /// One check by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&CheckReport> {
        self.checks.iter().find(|check| &*check.name == name)
    }
}

/// What one check's health does to the whole.
const fn weigh(health: Health, criticality: Criticality) -> Health {
    match (health, criticality) {
        (Health::Unhealthy, Criticality::Essential | Criticality::Critical) => Health::Unhealthy,
        (Health::Unhealthy, Criticality::Important | Criticality::Optional) => Health::Degraded,
        (Health::Healthy | Health::Unknown | Health::Degraded, _) => health,
    }
}

// serde hands over a reference to the field.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn seconds<S: serde::Serializer>(wait: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    wait.map(|wait| wait.as_secs_f64()).serialize(serializer)
}
