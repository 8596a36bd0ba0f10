//! The fixed mode: so many intervals of silence, so bad.

use core::time::Duration;

use crate::Tick;

/// How bad a silence is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Silence {
    /// Nothing is missing yet.
    Fine,
    /// One beat was missed.
    Degraded,
    /// Two beats were missed.
    Critical,
    /// As many as it takes were missed, and the timeout is over.
    Failed,
}

/// The rule of missed beats: a beat is missed once it is a whole interval late.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `timeout` | 15 s | a pause of the machine fails its agents | a hung agent stays in service |
/// | `threshold` | 3 | one lost beat fails an agent | as above |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missed {
    /// The least silence, since the last beat, that is a failure.
    pub timeout: Duration,
    /// Missed beats that are a failure; below 3 it counts as 3, so that degraded and critical come first.
    pub threshold: u32,
}

impl Default for Missed {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            threshold: 3,
        }
    }
}

impl Missed {
    /// When a silence that began with the beat at `last` becomes degraded, critical and failed, with beats every
    /// `interval`: strictly one after the other for any interval but zero.
    #[must_use]
    pub fn steps(&self, last: Tick, interval: Duration) -> [(Tick, Silence); 3] {
        let missed = |beats: u32| last.after(interval.saturating_mul(beats.saturating_add(1)));
        [
            (missed(1), Silence::Degraded),
            (missed(2), Silence::Critical),
            (
                missed(self.threshold.max(3)).max(last.after(self.timeout)),
                Silence::Failed,
            ),
        ]
    }

    /// How bad the silence since `last` is at `now`, and when it gets worse.
    #[must_use]
    pub fn judge(&self, last: Tick, interval: Duration, now: Tick) -> (Silence, Option<Tick>) {
        let mut found = Silence::Fine;
        for (at, silence) in self.steps(last, interval) {
            if now < at {
                return (found, Some(at));
            }
            found = silence;
        }
        (found, None)
    }
}
