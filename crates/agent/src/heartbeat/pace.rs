//! How often it is told, and how soon again where that was not taken.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::link::LinkError;
use crate::stagger::stagger;

/// When the next one is due.
#[derive(Debug)]
pub(super) struct Pace {
    /// How often the daemon wishes to be told.
    pub(super) interval: Duration,
    /// How many in a row were not taken.
    pub(super) missed: u32,
    /// Whether one was ever taken.
    taken: bool,
}

impl Pace {
    pub(super) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            missed: 0,
            taken: false,
        }
    }

    /// When the first one is due: at places of their own, so that not all agents beat at once; the answer to it gives the place for good.
    pub(super) fn first(&self) -> Duration {
        stagger(self.interval.min(FIRST))
    }

    /// When one that was silent, or broke, looks again whether it may beat.
    pub(super) fn again(&self) -> Duration {
        LOOK_AGAIN.min(self.interval)
    }

    /// For how long one is waited for.
    pub(super) fn patience(&self) -> Duration {
        self.interval.clamp(Duration::from_secs(1), PATIENCE)
    }

    /// One was taken, and the next is wished for so much later.
    pub(super) fn taken(&mut self, next: Duration) -> Duration {
        if std::mem::take(&mut self.missed) > 0 {
            info!("BeatsTaken: the daemon hears this agent");
        } else if !std::mem::replace(&mut self.taken, true) {
            debug!("Beats");
        }
        self.interval = next.clamp(SHORTEST, LONGEST);
        self.interval
    }

    /// One was not taken.
    pub(super) fn missed(&mut self, error: &LinkError) -> Duration {
        self.missed = self.missed.saturating_add(1);
        // Once is nothing.
        if self.missed == 2 {
            warn!(%error, "BeatsMissed: the daemon does not take the beats of this agent; they are tried on");
        } else {
            debug!(%error, missed = self.missed, "BeatMissed");
        }
        let again = error.retry_after().unwrap_or_else(|| self.soon());
        again.clamp(SHORTEST, LONGEST)
    }

    /// How soon one that was not taken is tried again: an interval later would be missed already.
    pub(super) fn soon(&self) -> Duration {
        let part = (self.interval / 8).saturating_mul(1 << self.missed.min(3));
        part / 2 + stagger(part / 2)
    }
}

/// How long one beat may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Within what time the first one comes.
const FIRST: Duration = Duration::from_millis(500);
/// How soon one that was silent, or broke, looks again whether it may beat.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How soon and how late the next one comes at most, whatever the daemon wishes.
pub(super) const SHORTEST: Duration = Duration::from_millis(50);
pub(super) const LONGEST: Duration = Duration::from_mins(10);
