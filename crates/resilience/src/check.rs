//! Health checks: what an agent depends on, asked in time, by name.
//!
//! ```text
//!   add ──► unknown ──► healthy ⇄ degraded ⇄ unhealthy        by what the check finds;
//!              ▲            │         │          │            timeout and panic find "unhealthy"
//!              └────────────┴─────────┴──────────┘            no finding for longer than `stale_after`
//! ```

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use stead_policy::Criticality;

use crate::rounds::Rounds;
use crate::{Clock, Coarse, Watch};

mod board;
mod finding;
mod report;
mod run;

pub use finding::{Finding, Health};
pub use report::{CheckReport, HealthReport};

use board::Board;
use run::Check;

/// How one check is run.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `timeout` | 5 s | a busy service looks dead | a dead one is found late |
/// | `interval` | 30 s | the checks are a load of their own | an outage is found late |
/// | `cache` | 1 s | everybody who asks makes a check run | an answer is older than it needs to be |
/// | `stale_after` | 90 s | a skipped run makes health unknown | what was true long ago is taken for true |
/// | `criticality` | critical | an outage is told as a blemish | a blemish is told as an outage |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckConfig {
    /// How long one run may take; then it is cancelled, and the finding is unhealthy.
    pub timeout: Duration,
    /// From the start of one periodic run to the start of the next.
    pub interval: Duration,
    /// For so long a finding answers whoever asks again. Nothing: every question that finds no run in flight starts one.
    pub cache: Duration,
    /// A finding older than this counts as unknown. At least `interval` and `timeout` together.
    pub stale_after: Duration,
    /// What an unhealthy finding means for the whole: critical and essential ones make it unhealthy, the others degraded.
    pub criticality: Criticality,
}

impl Default for CheckConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            interval: Duration::from_secs(30),
            cache: Duration::from_secs(1),
            stale_after: Duration::from_secs(90),
            criticality: Criticality::Critical,
        }
    }
}

impl CheckConfig {
    fn refusal(&self) -> Option<&'static str> {
        if self.timeout.is_zero() {
            Some("timeout is zero: no check could answer in time; give it at least a few milliseconds")
        } else if self.interval.is_zero() {
            Some("interval is zero: the check would run without a pause; give it seconds")
        } else if self.stale_after < self.interval.saturating_add(self.timeout) {
            Some("stale_after is shorter than interval and timeout together: health would be unknown between two runs")
        } else {
            None
        }
    }
}

/// A check was not added. Nothing changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckRefused {
    /// There is a check of this name; remove it first.
    #[error("there is a check named {name:?} already")]
    NameTaken {
        /// The name.
        name: Arc<str>,
    },
    /// The configuration makes no sense.
    #[error("check {name:?}: {why}")]
    Config {
        /// The name.
        name: Arc<str>,
        /// Which field, and what to do.
        why: &'static str,
    },
}

/// Runs named checks, on demand and periodically, and says how things stand as a whole. Clones share everything.
///
/// A check that hangs, panics or fails is its own finding and delays no other. However many ask at once, each check runs
/// once; one that ignores its cancellation (because it blocks its thread) is not started a second time beside itself.
///
/// Checks run as tasks of the tokio runtime that asks. They outlive whoever asked, by [`CheckConfig::timeout`] at most.
///
/// # Examples
///
/// ```
/// use stead_resilience::{CheckConfig, Finding, Health, HealthChecker};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let checker = HealthChecker::new();
/// checker.add("database", CheckConfig::default(), || async { Ok::<(), std::io::Error>(()) })?;
/// checker.add("search", CheckConfig::default(), || async { Finding::degraded("one of two replicas answers") })?;
///
/// let report = checker.check_all().await;
/// assert_eq!(report.health, Health::Degraded);
/// assert_eq!(report.failed_checks(), ["search"]);
/// # Ok::<(), stead_resilience::CheckRefused>(())
/// # }).unwrap();
/// ```
pub struct HealthChecker<C: Clock = Coarse> {
    board: Arc<Board<C>>,
    rounds: Arc<Rounds>,
}

impl HealthChecker {
    /// A checker without checks, on the coarse clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Coarse)
    }
}

impl Default for HealthChecker {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock> HealthChecker<C> {
    /// A checker without checks that takes its time from `clock`.
    #[must_use]
    pub fn with_clock(clock: C) -> Self {
        Self {
            board: Arc::new(Board::new(clock)),
            rounds: Arc::default(),
        }
    }

    /// Adds a check. Where periodic runs are on, its first begins at once.
    ///
    /// `check` makes one run each time it is called; what it returns becomes a [`Finding`], so a `Result` does. It must not
    /// block its thread: wrap what blocks in `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// The name is taken, or the configuration makes no sense. Nothing changed.
    pub fn add<F, Fut>(&self, name: impl Into<Arc<str>>, config: CheckConfig, check: F) -> Result<(), CheckRefused>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Into<Finding>,
    {
        let name = name.into();
        if let Some(why) = config.refusal() {
            return Err(CheckRefused::Config { name, why });
        }
        let check = Arc::new(Check::new(Arc::clone(&name), config, self.board.clock.clone(), check));
        if !self.board.add(Arc::clone(&check)) {
            return Err(CheckRefused::NameTaken { name });
        }
        self.rounds.join(Arc::clone(&self.board).rounds_of(check));
        Ok(())
    }

    /// Removes a check and says whether there was one. A run in flight ends by itself and is told to nobody.
    #[expect(clippy::must_use_candidate, reason = "whether there was one matters to few")]
    pub fn remove(&self, name: &str) -> bool {
        self.board.remove(name)
    }

    /// Runs every check whose finding is older than its `cache`, all at once, and reports. Cancel safe: the runs go on.
    pub async fn check_all(&self) -> Arc<HealthReport> {
        // All begin before the first is waited for.
        let begun: Vec<_> = self.board.checks().iter().map(Check::begin).collect();
        for run in begun {
            run.ended().await;
        }
        self.board.publish()
    }

    /// Runs one check, where its finding is older than its `cache`; `None` where nobody is called so. Cancel safe.
    pub async fn check(&self, name: &str) -> Option<CheckReport> {
        let check = self.board.find(name)?;
        check.begin().ended().await;
        self.board.publish();
        Some(check.report(self.board.clock.now()))
    }

    /// What is known now; runs nothing.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        self.board.report()
    }

    /// Reports as they come: after each periodic run and each question.
    #[must_use]
    pub fn watch(&self) -> Watch<Arc<HealthReport>> {
        self.board.watch()
    }

    /// Runs every check now and then once per its interval, until [`HealthChecker::stop`] or until the last clone of this
    /// checker is dropped. Started twice, it runs once. Must be called on a tokio runtime.
    pub fn start(&self) {
        let checks = self.board.checks().into_iter();
        self.rounds
            .start(checks.map(|check| Arc::clone(&self.board).rounds_of(check)));
    }

    /// Ends the periodic runs and waits until none begins any more; nothing where there are none.
    pub async fn stop(&self) {
        self.rounds.stop().await;
    }
}

impl<C: Clock> Clone for HealthChecker<C> {
    fn clone(&self) -> Self {
        Self {
            board: Arc::clone(&self.board),
            rounds: Arc::clone(&self.rounds),
        }
    }
}

impl<C: Clock> fmt::Debug for HealthChecker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthChecker")
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
