//! What of its features a namespace gives up while something that they need is down, as it is asked for and shown.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AgentId, AgentName, Namespace, Origin, Outcome, Revision, Sequence, Span, Wall};

/// How much a namespace has given up, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DegradationLevel {
    /// Nothing.
    #[default]
    Full,
    /// What hardly anybody misses.
    Minor,
    /// Optional features.
    Moderate,
    /// Important features too.
    Severe,
    /// All but what is essential.
    Minimal,
    /// All but what is essential, and that may not work either.
    Emergency,
}

impl DegradationLevel {
    /// All of them, the least severe first.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::Minor,
        Self::Moderate,
        Self::Severe,
        Self::Minimal,
        Self::Emergency,
    ];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Minor => "minor",
            Self::Moderate => "moderate",
            Self::Severe => "severe",
            Self::Minimal => "minimal",
            Self::Emergency => "emergency",
        }
    }
}

impl fmt::Display for DegradationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DegradationLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let found = Self::ALL.into_iter().find(|level| level.as_str() == text);
        found.ok_or(UnknownLevel)
    }
}

/// A word that is no level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no level of degradation; there are full, minor, moderate, severe, minimal and emergency")]
pub struct UnknownLevel;

/// How much depends on something, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// Nice to have.
    Optional,
    /// Missed, and worked around.
    #[default]
    Important,
    /// Little works without it.
    Critical,
    /// Nothing works without it.
    Essential,
}

impl Criticality {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Important => "important",
            Self::Critical => "critical",
            Self::Essential => "essential",
        }
    }
}

/// How work is to be done while something is short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkMode {
    /// The processor is short: do less of it.
    Simplified,
    /// Memory is short: do it in smaller pieces.
    Batch,
    /// Something that is needed is down: use what is there already.
    Offline,
}

impl WorkMode {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simplified => "simplified",
            Self::Batch => "batch",
            Self::Offline => "offline",
        }
    }
}

/// Whether something that features need does what it is there for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentStanding {
    /// It does, perhaps badly.
    Up,
    /// It does not.
    Down,
    /// Nobody knows yet: nothing is given up for it.
    Unknown,
}

/// How much a namespace has given up, and why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DegradationView {
    /// The namespace.
    pub namespace: Namespace,
    /// How much.
    pub level: DegradationLevel,
    /// Why, in words.
    pub cause: String,
    /// The rule that decides, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How work is to be done, the most pressing first; empty where as always.
    #[serde(default)]
    pub modes: Vec<WorkMode>,
    /// Since when it is as it is; absent where nothing was ever given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Wall>,
    /// The share of features that are off, from 0 to 1.
    pub features_off: f64,
    /// The same by weight: the share of what users get that they do not get now.
    pub impact: f64,
    /// Features by name.
    #[serde(default)]
    pub features: Vec<FeatureView>,
    /// What features need, by name.
    #[serde(default)]
    pub components: Vec<NeededView>,
    /// The level that somebody holds, until it is released.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub held: Option<LevelHeld>,
    /// Version of it: grows with every change.
    pub revision: Revision,
}

impl DegradationView {
    /// Of a namespace that has never given anything up.
    #[must_use]
    pub fn full(namespace: Namespace) -> Self {
        Self {
            namespace,
            level: DegradationLevel::Full,
            cause: CALM.into(),
            rule: None,
            modes: Vec::new(),
            since: None,
            features_off: 0.0,
            impact: 0.0,
            features: Vec::new(),
            components: Vec::new(),
            held: None,
            revision: Revision(0),
        }
    }

    /// What agents of the namespace are told; nothing where nothing is given up.
    #[must_use]
    pub fn told(&self) -> Option<DegradationTold> {
        let off: Vec<AgentName> = self.off().map(|feature| feature.name.clone()).collect();
        let calm = self.level == DegradationLevel::Full && self.modes.is_empty() && off.is_empty();
        (!calm).then(|| DegradationTold {
            level: self.level,
            modes: self.modes.clone(),
            off,
        })
    }

    /// Features that are off.
    pub fn off(&self) -> impl Iterator<Item = &FeatureView> {
        self.features.iter().filter(|feature| feature.off_because.is_some())
    }
}

/// What agents are told of what their namespace has given up, so that they can reduce their work.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DegradationTold {
    /// How much.
    pub level: DegradationLevel,
    /// How work is to be done, the most pressing first; empty where as always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<WorkMode>,
    /// Features that are off, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub off: Vec<AgentName>,
}

impl DegradationTold {
    /// Whether a feature is off.
    #[must_use]
    pub fn is_off(&self, feature: &str) -> bool {
        self.off.iter().any(|off| off.as_str() == feature)
    }
}

/// The cause of a level where there is none.
pub const CALM: &str = "nothing that features need is down";

/// One feature.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FeatureView {
    /// Its name.
    pub name: AgentName,
    /// How much users depend on it.
    pub importance: Criticality,
    /// What it counts for in the impact.
    pub weight: u32,
    /// What it needs.
    pub requires: Vec<AgentName>,
    /// Why it is off; absent where it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_because: Option<String>,
    /// The feature to use where this one was meant: itself, or one that does instead; absent where none is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<AgentName>,
}

/// One thing that features need.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NeededView {
    /// The agent, component or group.
    pub name: AgentName,
    /// How much depends on it.
    pub criticality: Criticality,
    /// Whether it does what it is there for.
    pub standing: ComponentStanding,
}

/// A level that somebody holds, whatever rules say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LevelHeld {
    /// The level.
    pub level: DegradationLevel,
    /// Who.
    pub actor: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub since: Wall,
    /// When it ends by itself; absent: when somebody releases it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Wall>,
}

/// One change of what a namespace has given up. Durable before anybody is told of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LevelChange {
    /// Its number in the namespace's history, contiguous from 1.
    pub sequence: Sequence,
    /// The namespace.
    pub namespace: Namespace,
    /// When.
    pub at: Wall,
    /// The level before.
    pub from: DegradationLevel,
    /// The level since.
    pub to: DegradationLevel,
    /// Why it is as it is since.
    pub cause: String,
    /// The rule that decides since, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What was down then.
    #[serde(default)]
    pub down: Vec<AgentName>,
    /// Features that went off.
    #[serde(default)]
    pub went_off: Vec<AgentName>,
    /// Features that came back.
    #[serde(default)]
    pub came_back: Vec<AgentName>,
    /// The share of features that are off since, by weight, from 0 to 1.
    pub impact: f64,
    /// Who caused it: the asker of a request, or `stead`.
    pub actor: String,
    /// Binds together all that one cause led to.
    pub correlation_id: String,
}

/// What a namespace has given up, as it is stored. What features there are is not: that is configuration.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DegradationRow {
    /// Its id, of the slot that is the namespace's home.
    pub id: AgentId,
    /// The namespace.
    pub namespace: Namespace,
    /// Version of this row, contiguous from 1.
    pub revision: Revision,
    /// Number of its last change.
    pub sequence: Sequence,
    /// How much is given up.
    pub level: DegradationLevel,
    /// Why.
    pub cause: String,
    /// The rule that decides, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How work is to be done, the most pressing first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<WorkMode>,
    /// Since when it is as it is.
    pub since: Wall,
    /// What counts as down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<AgentName>,
    /// Rules about load that hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hot: Vec<String>,
    /// Features that are off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub off: Vec<AgentName>,
    /// The level that somebody holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<LevelHeld>,
}

/// What somebody asks of the degradation of a namespace.
#[derive(Clone, PartialEq, Debug)]
pub struct DegradationCommand {
    /// Who asks, and which request it is.
    pub origin: Origin,
    /// The namespace.
    pub namespace: Namespace,
    /// Why, in the asker's words.
    pub reason: Option<String>,
    /// What.
    pub request: DegradationRequest,
}

/// What can be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DegradationRequest {
    /// Hold a level, whatever rules say.
    Hold {
        /// The level.
        level: DegradationLevel,
        /// For how long; absent: until somebody releases it.
        lasts: Option<Span>,
    },
    /// Hold it no longer: what rules say is in force again.
    Release,
}

impl DegradationRequest {
    /// The word for it in the audit.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "hold",
            Self::Release => "release",
        }
    }
}

/// The answer to a request about the degradation of a namespace.
#[derive(Clone, PartialEq, Debug)]
pub struct DegradationAnswer {
    /// Whether it changed anything.
    pub outcome: Outcome,
    /// How it is now.
    pub degradation: DegradationView,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_level_reads_back_from_its_word_and_another_word_is_refused() {
        for level in DegradationLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!("none".parse::<DegradationLevel>(), Err(UnknownLevel));
    }

    #[test]
    fn more_severe_is_greater() {
        assert!(DegradationLevel::ALL.is_sorted());
        assert!(Criticality::Essential > Criticality::Optional);
    }
}
