//! Work that does not get on, though the one who does it is alive.
//!
//! Three signs: an operation takes far longer than those of its kind ever do ([`Pace`]); the counter of useful work
//! stands still while work is in flight ([`Standstill`]); the same calls are made again and again ([`Rounds`]).

use core::time::Duration;

use crate::{Latencies, Tick};

mod rounds;

pub use rounds::{Round, Rounds, RoundsConfig};

/// When an operation takes too long.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `slow` | 2 | the slowest of a thousand is called slow | it is seen late |
/// | `stuck` | 6 | what is only slow is ended | a hang lasts |
/// | `least` | 10 s | a hiccup of quick operations counts | quick operations hang for that long |
/// | `unknown` | 10 min | the first of a kind are called stuck | the first of a kind hang for that long |
/// | `enough` | 50 | a kind is judged by a few | for long, all are judged by `unknown` |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PaceConfig {
    /// Times the 99.9th percentile of its kind: slow.
    pub slow: f64,
    /// Times the same: stuck. Not below `slow`.
    pub stuck: f64,
    /// Nothing is slow before it ran for that long, nor stuck before three times that.
    pub least: Duration,
    /// What counts as slow while too little is known of a kind; three times that is stuck.
    pub unknown: Duration,
    /// Operations of a kind that must have ended for it to be known.
    pub enough: u32,
}

impl Default for PaceConfig {
    fn default() -> Self {
        Self {
            slow: 2.0,
            stuck: 6.0,
            least: Duration::from_secs(10),
            unknown: Duration::from_secs(600),
            enough: 50,
        }
    }
}

/// How an operation gets on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pacing {
    /// As others of its kind.
    Usual,
    /// Longer than they ever take.
    Slow,
    /// So long that it will hardly end.
    Stuck,
}

/// How long operations of one kind take in one class of agents: 2 KB, shared by the class. Old ones weigh less and less.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    took: Latencies,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            took: Latencies::remembering(REMEMBERED),
        }
    }
}

impl Pace {
    /// Counts an operation that ended, after `took`.
    pub fn record(&mut self, took: Duration) {
        self.took.record(took);
    }

    /// From when on an operation is slow, and from when on stuck.
    #[must_use]
    pub fn limits(&self, config: &PaceConfig) -> [Duration; 2] {
        let known = (self.took.weight() >= config.enough.max(1))
            .then(|| self.took.quantile(0.999))
            .flatten();
        let Some(longest) = known else {
            return [config.unknown, config.unknown.saturating_mul(3)];
        };
        let times = |factor: f64| Duration::try_from_secs_f64(longest.as_secs_f64() * factor).unwrap_or(Duration::MAX);
        let slow = times(config.slow).max(config.least);
        [slow, times(config.stuck).max(config.least.saturating_mul(3)).max(slow)]
    }

    /// Judges an operation that has been running for `running`.
    #[must_use]
    pub fn judge(&self, config: &PaceConfig, running: Duration) -> Pacing {
        let [slow, stuck] = self.limits(config);
        if running >= stuck {
            Pacing::Stuck
        } else if running >= slow {
            Pacing::Slow
        } else {
            Pacing::Usual
        }
    }
}

/// What a beat says about work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Work {
    /// The counter of useful work. One that goes back has begun anew, which is progress, too.
    pub progress: u64,
    /// Tokens used, in all.
    pub tokens: u64,
    /// Pieces of work in flight.
    pub in_flight: u32,
}

/// How long work has stood still, and what it cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Still {
    /// Since the last progress, or since there has been work.
    pub standing: Duration,
    /// Tokens used in that time.
    pub tokens: u64,
}

/// Whether the counter of useful work moves while there is work: 24 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standstill {
    progress: u64,
    tokens: u64,
    since: Tick,
}

impl Standstill {
    /// Takes what a beat said: for how long nothing has moved. Without work in flight, nothing has to.
    pub fn feed(&mut self, now: Tick, work: Work) -> Still {
        if work.progress != self.progress || work.in_flight == 0 {
            *self = Self {
                progress: work.progress,
                tokens: work.tokens,
                since: now,
            };
        }
        Still {
            standing: now.since(self.since),
            tokens: work.tokens.saturating_sub(self.tokens),
        }
    }

    /// The counter as it was last told.
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.progress
    }

    /// Starts anew at `now`: for what excuses a standstill, such as a person who has to approve.
    pub const fn excuse(&mut self, now: Tick) {
        self.since = now;
    }
}

/// So many operations are remembered: enough for one in a thousand to be seen.
const REMEMBERED: u32 = 10_000;

#[cfg(test)]
mod tests;
