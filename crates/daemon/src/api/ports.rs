//! What the rest of the daemon does for the API.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use stead_model::{Origin, Problem, Wall};

use super::config::{ConfigApplied, ConfigCheck, ConfigView};
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

    /// Checks a fleet file without applying it. May take as long as parsing takes; called where blocking is allowed.
    fn check(&self, document: &FleetText) -> ConfigCheck;

    /// Applies a fleet file as a diff, or says with `dry_run` what would change.
    ///
    /// Resolves once every change is durable. Fails with `invalid-config` and nothing changed, each fault in `errors`.
    fn apply(
        &self,
        document: FleetText,
        mode: ApplyMode,
        origin: Origin,
    ) -> BoxFuture<'_, Result<ConfigApplied, Problem>>;
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApplyMode {
    /// Change.
    Apply,
    /// Say what would change.
    DryRun,
}
