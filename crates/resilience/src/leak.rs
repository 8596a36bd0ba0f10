//! Finds what a process holds and does not let go: memory, file handles, connections, threads, and what it tracks itself.
//!
//! ```text
//!                  over its limit, or rising
//!        quiet ──────────────────────────────► found (since when, who holds what)
//!          ▲                                     │
//!          └─────────────────────────────────────┘
//!                  neither, at the next look
//! ```

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use crate::rounds::Rounds;
use crate::{Clock, Coarse, Watch};

mod config;
mod ledger;
mod proc;
mod report;
mod sample;
mod series;
mod watchman;

pub use config::{LeakConfig, LeakConfigRefused};
pub use ledger::{HandleId, Holder, Tracked};
pub use proc::ProcSampler;
pub use report::{LeakFinding, LeakReport, Sign};
pub use sample::{Resource, Sample, Usage};

use watchman::Watchman;

/// Watches what this process holds, and says what seems to leak: what is over its limit, and what rises slowly.
///
/// One look costs time in proportion to what is held and open, and in between nothing. Clones share everything.
///
/// # Examples
///
/// ```
/// use stead_resilience::{LeakConfig, LeakDetector, Resource};
///
/// let detector = LeakDetector::new(LeakConfig { connections: 1, ..LeakConfig::default() })?;
/// let first = detector.track(Resource::Connections, "to the database, by the importer");
/// let second = detector.track(Resource::Connections, "to the database, by the importer");
/// drop(first);
/// assert_eq!(detector.held(Resource::Connections)[0].id, second.id());
/// # Ok::<(), stead_resilience::LeakConfigRefused>(())
/// ```
pub struct LeakDetector<C: Clock = Coarse> {
    watchman: Arc<Watchman<C>>,
    rounds: Arc<Rounds>,
}

impl LeakDetector {
    /// A detector on the coarse clock that samples this process by `/proc`.
    ///
    /// # Errors
    ///
    /// The configuration makes no sense.
    pub fn new(config: LeakConfig) -> Result<Self, LeakConfigRefused> {
        Self::with(config, Coarse, ProcSampler::new())
    }
}

impl<C: Clock> LeakDetector<C> {
    /// A detector that takes its time from `clock` and its numbers from `sampler`.
    ///
    /// # Errors
    ///
    /// The configuration makes no sense.
    pub fn with(config: LeakConfig, clock: C, sampler: impl Sample) -> Result<Self, LeakConfigRefused> {
        config.validate()?;
        Ok(Self {
            watchman: Arc::new(Watchman::new(config, clock, Box::new(sampler))),
            rounds: Arc::default(),
        })
    }

    /// Notes that something is held from now on until the returned guard is dropped. Each guard is its own entry, also where
    /// `what` is the same: none covers another.
    pub fn track(&self, resource: Resource, what: impl Into<Cow<'static, str>>) -> Tracked {
        self.watchman.track(resource, what.into())
    }

    /// What is tracked of one resource, the longest held first.
    #[must_use]
    pub fn held(&self, resource: Resource) -> Vec<Holder> {
        self.watchman.held(resource)
    }

    /// Takes a look now. Reads `/proc` on the calling thread: a link per open file, and the system's TCP sockets if this process
    /// has any.
    #[expect(clippy::must_use_candidate, reason = "watchers see it too")]
    pub fn check(&self) -> Arc<LeakReport> {
        self.watchman.look()
    }

    /// What the last look found; nothing before the first.
    #[must_use]
    pub fn report(&self) -> Arc<LeakReport> {
        self.watchman.last()
    }

    /// Reports as they come.
    #[must_use]
    pub fn watch(&self) -> Watch<Arc<LeakReport>> {
        self.watchman.watch()
    }

    /// Looks now and then every `check_interval`, until [`LeakDetector::stop`] or until the last clone of this detector is
    /// dropped. Started twice, it looks once. Must be called on a tokio runtime.
    pub fn start(&self) {
        self.rounds.start([Arc::clone(&self.watchman).rounds()]);
    }

    /// Ends the periodic looks; what is tracked stays so. Nothing where there are none.
    pub async fn stop(&self) {
        self.rounds.stop().await;
    }
}

impl<C: Clock> Clone for LeakDetector<C> {
    fn clone(&self) -> Self {
        Self {
            watchman: Arc::clone(&self.watchman),
            rounds: Arc::clone(&self.rounds),
        }
    }
}

impl<C: Clock> fmt::Debug for LeakDetector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakDetector")
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

/// For how long something has been so, as people read it.
fn rounded(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs())
}

#[cfg(test)]
mod tests;
