//! When something counts as leaking.

use core::time::Duration;

/// When something counts as leaking.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `check_interval` | 60 s | looking is a load of its own | a fast leak is found late |
/// | `memory` | 0.8 | a busy process is suspected | it is killed before anybody is told |
/// | `file_handles` | 1000 | as `memory` | `open` fails before anybody is told |
/// | `connections` | 100 | as `memory` | the other side refuses first |
/// | `threads` | 256 | as `memory` | the system refuses first |
/// | `tracked` | 1000 | as `memory` | a leak of what only you know of is told by its growth alone |
/// | `held_for` | none | what is meant to last is suspected | – |
/// | `window` | 60 samples | noise looks like growth | growth is seen late |
/// | `warm_up` | 5 min | filling caches look like growth | – |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeakConfig {
    /// From one look to the next.
    pub check_interval: Duration,
    /// Resident memory over the limit of the cgroup, or of the host where that is lower: above 0, at most 1.
    pub memory: f64,
    /// Open file descriptors, sockets included.
    pub file_handles: u64,
    /// Connected TCP sockets.
    pub connections: u64,
    /// Threads.
    pub threads: u64,
    /// Guards of each kind of one's own ([`Resource::Custom`](crate::Resource::Custom)) that may be held at once.
    pub tracked: u64,
    /// A guard that is held for longer is found, however few there are. `None`: no such limit.
    pub held_for: Option<Duration>,
    /// Growth is looked for in the last so many samples, and in as many low points of a window each: an hour and two and a
    /// half days by default. 12 to 1000.
    pub window: usize,
    /// What is seen this soon after the first look counts for no growth.
    pub warm_up: Duration,
}

impl Default for LeakConfig {
    fn default() -> Self {
        Self {
            check_interval: Duration::from_secs(60),
            memory: 0.8,
            file_handles: 1000,
            connections: 100,
            threads: 256,
            tracked: 1000,
            held_for: None,
            window: 60,
            warm_up: Duration::from_secs(300),
        }
    }
}

impl LeakConfig {
    pub(super) fn validate(&self) -> Result<(), LeakConfigRefused> {
        if self.check_interval.is_zero() {
            return Err(LeakConfigRefused::Interval);
        }
        if !(self.memory > 0.0 && self.memory <= 1.0) {
            return Err(LeakConfigRefused::Memory(self.memory));
        }
        let limits = [
            ("file_handles", self.file_handles),
            ("connections", self.connections),
            ("threads", self.threads),
            ("tracked", self.tracked),
        ];
        if let Some((field, _)) = limits.into_iter().find(|(_, limit)| *limit == 0) {
            return Err(LeakConfigRefused::Limit(field));
        }
        if self.held_for.is_some_and(|most| most.is_zero()) {
            return Err(LeakConfigRefused::HeldFor);
        }
        if !(12..=1000).contains(&self.window) {
            return Err(LeakConfigRefused::Window(self.window));
        }
        Ok(())
    }
}

/// A configuration that makes no sense. Nothing was built from it.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeakConfigRefused {
    /// The detector would look without a pause.
    #[error("check_interval is zero; give it seconds")]
    Interval,
    /// Not a share.
    #[error("memory {0} is not a share above 0 and up to 1")]
    Memory(f64),
    /// Everything would be over this limit.
    #[error("{0} is zero, so every process would be over it; give it the most that is normal")]
    Limit(&'static str),
    /// Every guard would be held for longer.
    #[error("held_for is zero, so every guard would be found; give it the longest that is normal, or leave it out")]
    HeldFor,
    /// Too few samples tell no growth from noise; too many cost their square.
    #[error("window of {0} samples is not one of 12 to 1000")]
    Window(usize),
}
