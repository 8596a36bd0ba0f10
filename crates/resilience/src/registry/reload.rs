//! Settings of what is registered, from configuration.

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stead_policy::{BreakerSettings, OutOfRange};

use crate::{InvalidSetting, PipelineConfig, PipelineRefused, PolicyConfig};

/// What a registry is reloaded from, all of it by name.
///
/// Breakers are made where they are missing, as they need nothing from the program. Everything else is registered by the program
/// first, which knows its clock and what counts as a failure, and gets its settings here.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// All breakers there shall be.
    pub breakers: BTreeMap<String, BreakerSettings>,
    /// Settings of timeouts, retries, hedges, limiters and bulkheads that are registered.
    pub policies: BTreeMap<String, PolicyConfig>,
    /// Settings of pipelines that are registered.
    pub pipelines: BTreeMap<String, PipelineConfig>,
}

/// New settings for something that is registered.
#[derive(Clone, PartialEq, Debug)]
pub enum Settings {
    /// For a policy of this kind.
    Policy(PolicyConfig),
    /// For a pipeline.
    Pipeline(PipelineConfig),
}

impl RegistryConfig {
    /// What is for those that the program registers: each with its name and kind.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, String, Settings)> {
        let policies = self.policies.iter().map(|(name, config)| {
            let settings = Settings::Policy(config.clone());
            (name.as_str(), config.kind().to_string(), settings)
        });
        let pipelines = self.pipelines.iter().map(|(name, config)| {
            let settings = Settings::Pipeline(config.clone());
            (name.as_str(), super::PIPELINE.to_owned(), settings)
        });
        policies.chain(pipelines)
    }
}

/// Why something kept the settings that it had.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadRefused {
    /// Nothing of this kind is called so.
    #[error("none is registered: the program does so with `Registry::register`")]
    Unknown,
    /// A setting makes no sense.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// A share is no share.
    #[error(transparent)]
    Share(#[from] OutOfRange),
    /// The pipeline cannot be built so.
    #[error(transparent)]
    Pipeline(#[from] PipelineRefused),
}

/// Some kept the settings that they had: which, of what kind, and why. All others have their new ones.
#[derive(Clone, PartialEq, Debug)]
pub struct NotReloaded(pub Vec<(String, String, ReloadRefused)>);

impl core::error::Error for NotReloaded {}

impl fmt::Display for NotReloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, kind, why)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{kind} {name:?} keeps its settings: {why}")?;
        }
        Ok(())
    }
}

/// Something of this kind is called so already. Nothing was registered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is a {kind} called {name:?} already; take it out first, or choose another name")]
pub struct NameTaken {
    /// Of what kind.
    pub kind: &'static str,
    /// The name.
    pub name: String,
}
