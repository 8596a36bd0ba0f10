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
    /// The directory, environment and user of an agent's own process; the daemon's own, where nothing here runs the agent.
    #[must_use]
    pub(crate) fn of(process: Option<&ProcessSpec>, started: Instant) -> Self {
        Self {
            started,
            dir: process.and_then(|process| process.dir.as_ref()).map(PathBuf::from),
            env: process.map(|process| process.env.clone()).unwrap_or_default(),
            user: process.and_then(|process| process.user.clone()),
        }
    }

    /// The same with variables of Stead's own, which no spec can replace.
    #[must_use]
    pub(crate) fn with(mut self, own: impl IntoIterator<Item = (String, String)>) -> Self {
        let plain = own.into_iter().map(|(name, value)| (name, EnvValue::Plain(value)));
        self.env.extend(plain);
        self
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
