//! Graceful degradation: what to give up, in which order, while something that is needed is down.
//!
//! ```text
//!              worse, at once
//!      full ─► minor ─► moderate ─► severe ─► minimal ─► emergency
//!           ◄──────────────────────────────────────────
//!              better: once its cause has been gone for as long as `Calm` says
//!      any level ── override ──► the level that was asked for ── release ──► what rules say
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Criticality;

mod latch;
mod machine;
mod plan;
mod rule;

pub use machine::{Change, Degrader, Memory};
pub use plan::{Calm, Feature, Plan, PlanRefused};
pub use rule::{Rule, When};

/// The name of a component, a feature, a rule or a person.
pub type Name = Arc<str>;

/// How much has been given up, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
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

impl Level {
    /// All of them, the least severe first.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::Minor,
        Self::Moderate,
        Self::Severe,
        Self::Minimal,
        Self::Emergency,
    ];

    /// Up to which importance features are off at this level: the least important go first.
    #[must_use]
    pub const fn sheds(self) -> Option<Criticality> {
        match self {
            Self::Full | Self::Minor => None,
            Self::Moderate => Some(Criticality::Optional),
            Self::Severe => Some(Criticality::Important),
            Self::Minimal | Self::Emergency => Some(Criticality::Critical),
        }
    }

    /// As it is written: `full`, `minor` and so on.
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

/// How work is to be done while something is short. Several may hold at once; the first is the most pressing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The processor is short: do less of it.
    Simplified,
    /// Memory is short: do it in smaller pieces.
    Batch,
    /// Something that is needed is down: use what is there already.
    Offline,
}

/// How busy the machine is: shares from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Load {
    /// Of the processors.
    pub cpu: f64,
    /// Of memory.
    pub memory: f64,
}

/// Whether a component does what it is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It does, perhaps badly.
    Up,
    /// It does not.
    Down,
}

/// Why a feature is off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OffBecause {
    /// It needs a component that is down.
    Needs(Name),
    /// A rule turns it off.
    Rule(Name),
    /// The level gives up features of its importance.
    Shed(Level),
}

/// Why the level is what it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No rule applies.
    Calm,
    /// The rule of this name does.
    Rule(Name),
    /// Somebody asked for it, until it is released.
    Override {
        /// Who.
        by: Name,
        /// Why.
        why: Name,
    },
}

/// What is on and what is off at one moment.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Degraded {
    /// How much has been given up.
    pub level: Level,
    /// Why.
    pub cause: Cause,
    /// How work is to be done, the most pressing first; empty where as always.
    pub modes: Vec<Mode>,
    /// Components that count as down, by name.
    pub down: Vec<Name>,
    /// Features that are off, by name, and why.
    pub off: Vec<(Name, OffBecause)>,
    /// The share of features that are off, from 0 to 1.
    pub features_off: f64,
    /// The same by weight: the share of what users get that they do not get now.
    pub impact: f64,
}

impl Degraded {
    /// How work is to be done; `None` where as always.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        self.modes.first().copied()
    }

    /// Why a feature is off; `None` where it is on.
    #[must_use]
    pub fn why_off(&self, feature: &str) -> Option<&OffBecause> {
        self.off.iter().find(|(name, _)| &**name == feature).map(|(_, why)| why)
    }
}

/// What a degrader hears.
#[derive(Clone, PartialEq, Debug)]
pub enum Signal {
    /// A component was seen up or down. Unknown ones are ignored.
    Component(Name, Standing),
    /// The load was measured. What is not a number is ignored.
    Load(Load),
    /// Somebody wants this level, whatever rules say.
    Override {
        /// The level.
        level: Level,
        /// Who.
        by: Name,
        /// Why.
        why: Name,
    },
    /// The override is over.
    Release,
    /// Nothing, but time has passed.
    Tick,
}

/// A point in time, since an origin of the caller's own.
type At = Duration;

#[cfg(test)]
mod tests;
