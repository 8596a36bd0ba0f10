//! The profiles that agents may have.

use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::Profile;
use stead_model::profile::{agent, component};

/// Profiles by name.
#[derive(Debug, Clone)]
pub(crate) struct Profiles(Arc<[Arc<Profile>]>);

impl Profiles {
    /// The built-in profiles and these; one of these stands in for a built-in one of its name.
    pub(crate) fn with(own: Vec<Profile>) -> Self {
        Self(own.into_iter().chain([agent(), component()]).map(Arc::new).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Profile>> {
        self.0.iter().find(|profile| profile.name() == name).map(Arc::clone)
    }
}
