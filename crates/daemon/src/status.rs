//! How the daemon itself does: what `/health/ready`, `doctor` and `why` say about it.

use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::Wall;

use crate::tally::Tally;

/// The parts of the daemon that can be away while the rest goes on.
#[derive(Debug)]
pub struct Status {
    report: Mutex<StatusReport>,
    tally: Tally,
}

/// What [`Status`] says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StatusReport {
    /// Whether changes can be written down.
    pub store: Part,
    /// Whether processes can be started and watched.
    pub keeper: Part,
    /// Whether everything that ran before is adopted.
    pub adopted: Part,
    /// Requests that were refused since the start: by the agent's phase, by a policy, or by their own terms.
    #[serde(default)]
    pub refused: u64,
}

/// One part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Part {
    /// It works.
    Up,
    /// It is not there yet.
    Starting,
    /// It is away.
    Away {
        /// Since when.
        since: Wall,
        /// What is wrong, and what to do.
        detail: String,
    },
}

impl StatusReport {
    /// Whether everything works.
    #[must_use]
    pub fn ready(&self) -> bool {
        [&self.store, &self.keeper, &self.adopted]
            .iter()
            .all(|part| **part == Part::Up)
    }
}

impl Default for Status {
    fn default() -> Self {
        Self {
            report: Mutex::new(StatusReport {
                store: Part::Starting,
                keeper: Part::Starting,
                adopted: Part::Starting,
                refused: 0,
            }),
            tally: Tally::default(),
        }
    }
}

impl Status {
    /// What is known now.
    #[must_use]
    pub fn report(&self) -> StatusReport {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has happened since the daemon started.
    pub(crate) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Counts a request that was refused.
    pub(crate) fn count_refused(&self) {
        self.update(|report| report.refused = report.refused.saturating_add(1));
    }

    /// Changes what is known.
    pub fn update(&self, change: impl FnOnce(&mut StatusReport)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
