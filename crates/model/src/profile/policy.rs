//! Transition policies: what a request must bring along for an agent to take an edge, and how often it may.
//!
//! They bind requests alone. What is observed, a crash above all, is written down whatever they say.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::InvalidEdge;
use crate::id::serde_as_text;
use crate::state::words;
use crate::{Health, Span};

/// How many policies there may be.
pub const MOST_POLICIES: usize = 256;

/// The most transitions that a rate may permit: each is remembered with its agent.
pub const MOST_PER_RATE: u32 = 100;

/// The longest period of a rate: for so long requests are remembered.
pub const LONGEST_RATE: Duration = Duration::from_secs(24 * 3600);

/// A policy as `[policies.NAME]` has it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySpec {
    /// The profile whose agents it binds; default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The sort of agents that it binds; default all.
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    pub kind: Option<String>,
    /// The edges that it binds, as `"online -> maintenance"`; `*` stands for any state. Default all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<EdgePattern>,
    /// The request must say why.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub require_reason: bool,
    /// The least role that the asker must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_role: Option<AccessRole>,
    /// The agent's health must be one of these. Default any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub require_health: Vec<Health>,
    /// How many transitions requests may cause per agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateSpec>,
}

/// So many within a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateSpec {
    /// How many: 1 to 100.
    pub max: u32,
    /// Within how long.
    pub per: Span,
}

words! {
    /// What somebody may do, from least to most.
    AccessRole {
        /// Looks.
        Viewer = "viewer",
        /// Is an agent that reports about itself.
        Agent = "agent",
        /// Operates agents.
        Operator = "operator",
        /// May do everything.
        Admin = "admin",
    }
}

/// A policy with its name. Valid once it exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransitionPolicy {
    /// Its name, for refusals.
    pub name: String,
    /// What it says.
    pub spec: PolicySpec,
}

impl TransitionPolicy {
    /// Checks a policy.
    ///
    /// # Errors
    /// Says what would mean nothing; see [`InvalidPolicy`].
    pub fn new(name: &str, spec: PolicySpec) -> Result<Self, InvalidPolicy> {
        let asks = spec.require_reason || spec.require_role.is_some() || !spec.require_health.is_empty();
        match spec.rate_limit {
            None if !asks => Err(InvalidPolicy::Empty),
            Some(rate) if !(1..=MOST_PER_RATE).contains(&rate.max) => Err(InvalidPolicy::Rate(rate.max)),
            Some(rate) if rate.per.0.is_zero() || rate.per.0 > LONGEST_RATE => Err(InvalidPolicy::Period),
            Some(_) | None => Ok(Self {
                name: name.into(),
                spec,
            }),
        }
    }

    /// Whether it binds agents of a profile and sort.
    #[must_use]
    pub fn binds(&self, profile: &str, kind: &str) -> bool {
        let spec = &self.spec;
        spec.profile.as_deref().is_none_or(|bound| bound == profile)
            && spec.kind.as_deref().is_none_or(|bound| bound == kind)
    }

    /// Whether it binds an edge.
    #[must_use]
    pub fn covers(&self, from: &str, to: &str) -> bool {
        let edges = &self.spec.edges;
        edges.is_empty() || edges.iter().any(|edge| edge.matches(from, to))
    }
}

/// A policy that would mean nothing. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidPolicy {
    /// It asks for nothing.
    #[error(
        "it asks for nothing; give it `require_reason`, `require_role`, `require_health` or `rate_limit`, or remove it"
    )]
    Empty,
    /// None, or more than are remembered.
    #[error("`rate_limit.max` must be 1 to 100, not {0}")]
    Rate(u32),
    /// No period, or one longer than requests are remembered.
    #[error("`rate_limit.per` must be longer than nothing and at most 24h")]
    Period,
}

/// Edges, written `from -> to`, where `*` stands for any state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EdgePattern {
    from: Option<String>,
    to: Option<String>,
}

impl EdgePattern {
    fn matches(&self, from: &str, to: &str) -> bool {
        self.from.as_deref().is_none_or(|wanted| wanted == from) && self.to.as_deref().is_none_or(|wanted| wanted == to)
    }

    /// The states that it names.
    pub fn states(&self) -> impl Iterator<Item = &str> {
        [&self.from, &self.to].into_iter().flatten().map(String::as_str)
    }
}

impl fmt::Display for EdgePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = |state: &Option<String>| state.clone().unwrap_or_else(|| "*".into());
        write!(f, "{} -> {}", any(&self.from), any(&self.to))
    }
}

impl FromStr for EdgePattern {
    type Err = InvalidEdge;

    fn from_str(text: &str) -> Result<Self, InvalidEdge> {
        let edge: super::spec::Edge = text.parse()?;
        let named = |state: String| (state != "*").then_some(state);
        Ok(Self {
            from: named(edge.from),
            to: named(edge.to),
        })
    }
}

serde_as_text!(EdgePattern, "EdgePattern", "^.+->.+$");

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> Result<TransitionPolicy, InvalidPolicy> {
        TransitionPolicy::new("p", serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_policy_binds_the_edges_profiles_and_sorts_that_it_names_and_else_all() {
        let all = policy(r#"{"require_reason":true}"#).unwrap();
        assert!(all.binds("agent", "worker") && all.covers("online", "stopping"));
        let some =
            policy(r#"{"profile":"agent","type":"api","edges":["* -> maintenance"],"require_role":"admin"}"#).unwrap();
        assert!(some.binds("agent", "api") && !some.binds("agent", "worker") && !some.binds("component", "api"));
        assert!(some.covers("idle", "maintenance") && !some.covers("maintenance", "online"));
        assert_eq!(some.spec.edges[0].to_string(), "* -> maintenance");
    }

    #[test]
    fn a_policy_that_means_nothing_is_refused() {
        let wrong = [
            "{}",
            r#"{"rate_limit":{"max":0,"per":"1s"}}"#,
            r#"{"rate_limit":{"max":101,"per":"1s"}}"#,
            r#"{"rate_limit":{"max":1,"per":"0s"}}"#,
            r#"{"rate_limit":{"max":1,"per":"25h"}}"#,
        ];
        for json in wrong {
            assert!(policy(json).is_err(), "{json}");
        }
        assert!(serde_json::from_str::<PolicySpec>(r#"{"edges":["online"]}"#).is_err());
    }

    #[test]
    fn roles_are_ordered_from_least_to_most() {
        assert!(AccessRole::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
