//! The profiles that agents may have.

use alloc::sync::Arc;

use stead_model::Profile;
use stead_model::profile::{agent, component};

/// Profiles by name.
#[derive(Debug, Clone)]
pub(crate) struct Profiles([Arc<Profile>; 2]);

impl Profiles {
    pub(crate) fn built_in() -> Self {
        Self([Arc::new(agent()), Arc::new(component())])
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Profile>> {
        self.0.iter().find(|profile| profile.name() == name).map(Arc::clone)
    }
}
