//! The 18 states of an agent, as the `agent` profile has them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::profile::Profile;
use stead_model::{Class, PhaseId};

/// Declares the states with the words that they are written as.
macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A state of the `agent` profile. Which may follow which is the profile's to say.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum AgentState { $($(#[$doc])* $variant,)* }

        impl AgentState {
            /// Every state, in the profile's order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that it is written as.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

states! {
    /// Known, nothing else.
    Registered = "registered",
    /// It is made sure that it can run.
    Deploying = "deploying",
    /// It can run.
    Deployed = "deployed",
    /// It comes up.
    Starting = "starting",
    /// Ready; it had no task yet.
    Online = "online",
    /// Tasks are in flight.
    Busy = "busy",
    /// Its tasks are done.
    Idle = "idle",
    /// It goes down.
    Stopping = "stopping",
    /// It gets a new spec.
    Updating = "updating",
    /// It changes its size.
    Scaling = "scaling",
    /// Something is wrong; it may come back by itself.
    Error = "error",
    /// It could not start or keep going.
    Failed = "failed",
    /// It did not start in time.
    Timeout = "timeout",
    /// People work on it.
    Maintenance = "maintenance",
    /// Up, takes no work.
    Suspended = "suspended",
    /// Down, may start again.
    Offline = "offline",
    /// Down for good.
    Terminated = "terminated",
    /// No longer there.
    Deleted = "deleted",
}

impl AgentState {
    pub(super) fn phase(self, profile: &Profile) -> PhaseId {
        // The profile is the built-in one, and a test finds every state in it.
        profile.phase(self.as_str()).unwrap_or(profile.initial())
    }

    pub(super) fn of(profile: &Profile, phase: PhaseId) -> Option<Self> {
        profile.name_of(phase).parse().ok()
    }

    pub(super) fn is(self, profile: &Profile, class: Class) -> bool {
        profile.is(self.phase(profile), class)
    }
}

impl FromStr for AgentState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.iter().find(|state| state.as_str() == text);
        found
            .copied()
            .ok_or_else(|| UnknownState(text.chars().take(80).collect()))
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not a state of an agent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no state of an agent")]
pub struct UnknownState(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_are_those_of_the_profile_in_its_order() {
        let profile = stead_model::profile::agent();
        let names: Vec<_> = profile
            .phases()
            .map(|phase| profile.name_of(phase).to_owned())
            .collect();
        let ours: Vec<_> = AgentState::ALL.iter().map(ToString::to_string).collect();
        assert_eq!((names, ours.len()), (ours.clone(), 18));
        for state in AgentState::ALL {
            assert_eq!(AgentState::of(&profile, state.phase(&profile)), Some(*state));
        }
        assert!("nowhere".parse::<AgentState>().is_err());
    }
}
