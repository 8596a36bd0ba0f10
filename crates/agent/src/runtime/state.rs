//! Where the runtime is in its life, and which way leads on.

use std::fmt;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::Serialize;
use stead_model::profile::{self, Profile};

/// A state of the `runtime` profile.
///
/// ```text
///   stopped ──► starting ──► running ⇄ paused
///      ▲           │ │          │         │
///      │           │ └► paused  ▼         ▼
///      └───────────┴──────────── stopping
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeState {
    /// Up, and takes nothing.
    Stopped,
    /// Its start is under way.
    Starting,
    /// Takes work.
    Running,
    /// Takes no work until it is resumed.
    Paused,
    /// Drains.
    Stopping,
}

impl RuntimeState {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Paused,
        Self::Stopping,
    ];

    /// The word that it is written as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
        }
    }

    /// Whether the profile has an edge from here to `to`.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        let table = table();
        let phases = table.phase(self.as_str()).zip(table.phase(to.as_str()));
        phases.is_some_and(|(from, to)| table.has_edge(from, to))
    }

    /// The states that may follow, in the profile's order.
    #[must_use]
    pub fn possible(self) -> Vec<&'static str> {
        let next = Self::ALL.iter().filter(|to| self.may_become(**to));
        next.map(|to| to.as_str()).collect()
    }
}

impl fmt::Display for RuntimeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn table() -> &'static Profile {
    static TABLE: OnceLock<Profile> = OnceLock::new();
    TABLE.get_or_init(profile::runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_one_of_the_profile_and_every_edge_of_it_is_followed() {
        let table = table();
        assert_eq!(table.phases().count(), RuntimeState::ALL.len());
        for state in RuntimeState::ALL {
            let phase = table.phase(state.as_str()).unwrap();
            let next: Vec<_> = table.next(phase).map(|to| table.name_of(to)).collect();
            assert_eq!(
                next.iter().collect::<std::collections::BTreeSet<_>>(),
                state.possible().iter().collect()
            );
        }
    }
}
