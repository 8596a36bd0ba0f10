//! What the rest of the daemon does for the API.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use stead_model::spec::Deadlines;
use stead_model::{Origin, Problem, Wall};

use super::config::{ConfigApplied, ConfigCheck, ConfigRevision, ConfigText, ConfigView};
use super::daemon::{DaemonInfo, ShutdownOrder};
use super::logs::LogSource;

/// Everything that the API needs beside the [`Handle`](crate::Handle).
#[derive(Clone)]
pub struct Ports {
    /// Time, and the process itself.
    pub host: Arc<dyn Host>,
    /// What agents wrote.
    pub logs: Arc<dyn LogSource>,
    /// The fleet file.
    pub config: Arc<dyn ConfigDoor>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// The daemon as a process.
pub trait Host: Send + Sync {
    /// Civil time, for filters that are relative to it.
    fn now(&self) -> Wall;

    /// Who and where it is. Called for each request; must not wait.
    fn info(&self) -> DaemonInfo;

    /// Begins to go down. Returns at once; the answer is sent before the listener closes.
    fn shut_down(&self, order: ShutdownOrder);
}

/// The configuration in force and the way to change it.
pub trait ConfigDoor: Send + Sync {
    /// What is in force. Must not wait.
    fn view(&self) -> ConfigView;

    /// What agents of a type have in common by the configuration in force. Must not wait.
    fn deadlines_of(&self, kind: &str) -> Deadlines;

    /// Checks a fleet file without applying it. May take as long as parsing takes; called where blocking is allowed.
    fn check(&self, document: &FleetText) -> ConfigCheck;

    /// Applies a fleet file as a diff, or says with `dry_run` what would change.
    ///
    /// Resolves once every change is durable. Fails with `invalid-config` and nothing changed, each fault in `errors`.
    fn apply(
        &self,
        document: FleetText,
        order: ApplyOrder,
        origin: Origin,
    ) -> BoxFuture<'_, Result<ConfigApplied, Problem>>;

    /// The newest revisions of the configuration, newest first. Reads the store; called where blocking is allowed.
    ///
    /// # Errors
    /// `store-unavailable`.
    fn revisions(&self) -> Result<Vec<ConfigRevision>, Problem>;

    /// One revision with its text, in which the values of secrets are replaced. Called where blocking is allowed.
    ///
    /// # Errors
    /// `not-found` for one that is not kept, `store-unavailable`.
    fn revision(&self, revision: u64) -> Result<ConfigText, Problem>;

    /// Applies the text of an old revision as a new one, as [`ConfigDoor::apply`] does.
    fn roll_back(
        &self,
        revision: u64,
        order: ApplyOrder,
        origin: Origin,
    ) -> BoxFuture<'_, Result<ConfigApplied, Problem>>;

    /// Reads the fleet file in force again and applies it if it changed.
    fn reload(&self, order: ApplyOrder, origin: Origin) -> BoxFuture<'_, Result<ConfigApplied, Problem>>;
}

/// How a configuration is applied.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ApplyOrder {
    /// Whether anything is changed at all.
    pub mode: ApplyMode,
    /// What becomes of agents whose new spec comes in force with their next start.
    pub restarts: Restarts,
    /// Why, for the history.
    pub reason: Option<String>,
}

/// What becomes of agents that must be restarted for their new spec to be in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Restarts {
    /// They go on with the old one until somebody restarts them.
    #[default]
    Wait,
    /// They are restarted at once.
    Now,
}

/// A fleet file that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetText {
    /// What is in it.
    pub toml: String,
    /// Where it lies, as an absolute path; absent: as if it lay where the one in force does.
    pub file: Option<PathBuf>,
}

/// Whether a change is made or only told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ApplyMode {
    /// Change.
    #[default]
    Apply,
    /// Say what would change.
    DryRun,
}
