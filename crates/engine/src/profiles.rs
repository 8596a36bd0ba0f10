//! The profiles that agents may have.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::Profile;
use stead_model::profile::{agent, agent_original, component};

/// Profiles by name.
#[derive(Debug, Clone)]
pub(crate) struct Profiles(Arc<[Arc<Profile>]>);

impl Profiles {
    /// The built-in profiles and these; one of these stands in for a built-in one of its name.
    pub(crate) fn with(own: Vec<Profile>) -> Self {
        Self(
            own.into_iter()
                .chain([agent(), agent_original(), component()])
                .map(Arc::new)
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Profile>> {
        self.0.iter().find(|profile| profile.name() == name).map(Arc::clone)
    }
}

/// A profile or a state that an agent is in cannot be taken away. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{agent} is {state} by profile `{profile}`, so that cannot be removed; move it on, or delete it first")]
pub struct StateInUse {
    /// What it is, with its namespace and name.
    pub agent: String,
    /// The profile.
    pub profile: String,
    /// The state.
    pub state: String,
}
