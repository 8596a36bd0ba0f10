//! Where the commands of exec probes run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stead_model::spec::{EnvValue, ProcessSpec};
use tokio::time::Instant;

/// When an instance started, and where and how its exec probes run.
#[derive(Clone, Debug)]
pub(crate) struct ExecContext {
    /// When the instance started; initial delays count from here.
    pub(crate) started: Instant,
    /// Working directory; absent: the daemon's.
    pub(crate) dir: Option<PathBuf>,
    /// Variables on top of the daemon's own. Those that mark the instance itself (`STEAD_INSTANCE`, `NOTIFY_SOCKET`)
    /// are never given to a probe: it would be taken for a part of the agent.
    pub(crate) env: BTreeMap<String, EnvValue>,
    /// User (name or number) to run as; absent: the daemon's.
    pub(crate) user: Option<String>,
}

impl ExecContext {
    /// The directory, environment and user of an agent's own process.
    #[must_use]
    pub(crate) fn of(process: &ProcessSpec, started: Instant) -> Self {
        Self {
            started,
            dir: process.dir.as_ref().map(PathBuf::from),
            env: process.env.clone(),
            user: process.user.clone(),
        }
    }

    /// Whether commands would run alike; the start, which is the instance's own, is left out.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        let Self {
            started: _,
            dir,
            env,
            user,
        } = self;
        *dir == other.dir && *env == other.env && *user == other.user
    }
}
