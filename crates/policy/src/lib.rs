//! Policies as data: backoff, jitter, restart intensity, circuit breakers and their windows.
//!
//! Nothing here waits, draws random numbers or asks the time. A policy is a plain value; its caller hands in the point
//! in time (a [`Duration`](core::time::Duration) since an origin of the caller's own) and a seed, and gets an answer
//! that is the same every time.
//!
//! ```
//! use core::time::Duration;
//! use stead_policy::{Backoff, Intensity, IntensityLimit, StableReset, Streak, Verdict};
//!
//! let (backoff, limit, reset) = (Backoff::default(), IntensityLimit::default(), StableReset::default());
//! let (mut streak, mut intensity) = (Streak::new(), Intensity::new());
//!
//! // A first crash after a quiet time: restart at once, four more allowed within ten minutes.
//! let now = Duration::from_secs(3600);
//! assert_eq!(intensity.record(&limit, now), Verdict::Within { left: 4 });
//! assert_eq!(backoff.delay(streak.next_attempt(now), 42), Duration::ZERO);
//!
//! // It crashes again ten seconds later: about a second to wait.
//! let now = now + Duration::from_secs(10);
//! let wait = backoff.delay(streak.next_attempt(now), 42);
//! assert!((800..=1200).contains(&wait.as_millis()));
//!
//! // It stays well for ten minutes: the next crash is a first one again.
//! streak.healthy(&reset, now + wait);
//! assert_eq!(streak.next_attempt(now + wait + reset.after), 0);
//! ```
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

mod adaptive;
mod amplification;
mod backoff;
mod breaker;
mod criticality;
mod deadlines;
pub mod degrade;
mod flap;
mod gcra;
mod guard;
mod hysteresis;
mod intensity;
mod jitter;
mod latencies;
mod learned;
mod lease;
pub mod span;
mod streak;
mod stuck;
mod tick;
mod trend;
mod warning;
mod window;

pub use adaptive::{Adaptive, Aimd, Gradient, LimitRange, Sample, Vegas};
pub use amplification::{Amplification, Extra};
pub use backoff::{Backoff, Factor, First, Growth};
pub use breaker::{
    BreakerConfig, BreakerImage, BreakerRefused, BreakerSettings, Bucket, Circuit, CircuitState, Marks, Outcome,
    PhaseImage, RETRY_AFTER_MOST, Ramp, Recorded, Refusal, SlowCalls, Ticket, Tripped, UnknownMark, Window,
    WindowImage, share,
};
pub use criticality::Criticality;
pub use deadlines::Deadlines;
pub use flap::{Flap, FlapConfig};
pub use gcra::{Gcra, Quota};
pub use guard::{Census, Guard, GuardConfig, Ruling};
pub use hysteresis::{Hysteresis, Patience, Sign, Turn};
pub use intensity::{Ages, Intensity, IntensityLimit, Verdict};
pub use jitter::{Jitter, Spread, draw};
pub use latencies::Latencies;
pub use learned::{Learned, LearnedConfig};
pub use lease::{Beaten, HOLD_BEATS, Lease, LeaseConfig, LeaseRules, Missed, Silence};
pub use streak::{FrozenStreak, StableReset, Streak};
pub use stuck::{Pace, PaceConfig, Pacing, Round, Rounds, RoundsConfig, Standstill, Still, Work};
pub use tick::Tick;
pub use trend::Trend;
pub use warning::{Novelty, Season, SeasonConfig, Warnings, Watch, WatchConfig, time_to};
pub use window::{Buckets, CountWindow, Counts, Leaky, Mark, TimeWindow, aged};

/// A number that a policy cannot work with. Nothing was built from it.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum OutOfRange {
    /// A growth factor must be a number from 1 to 100.
    #[error("backoff factor {0} is not a number from 1 to 100")]
    Factor(f64),
    /// A rate must be at least one unit per period, and at most one per nanosecond.
    #[error("a rate of {units} units in {period:?} is not from 1 unit per period to 1 per nanosecond")]
    Rate {
        /// The units asked for.
        units: u32,
        /// In which time.
        period: core::time::Duration,
    },
    /// A burst must be at least 1.
    #[error("burst of 0 lets nothing through: it must be at least 1")]
    Burst,
    /// The share of extra calls must be a number from 0 to 10.
    #[error("ratio {0} of extra calls is not a number from 0 to 10")]
    Ratio(f64),
    /// The bounds of a limit must not be zero, nor the wrong way round, nor leave out where it starts.
    #[error("limit from {least} to {most}, starting at {initial}, is not 1 <= least <= initial <= most")]
    Limit {
        /// The lower bound.
        least: u32,
        /// Where it starts.
        initial: u32,
        /// The upper bound.
        most: u32,
    },
    /// A factor of an adaptive limit is out of its range.
    #[error("{what} of {value} is not a number from {low} to {high}")]
    Adaptive {
        /// Which one.
        what: &'static str,
        /// What it was set to.
        value: f64,
        /// The least that works.
        low: f64,
        /// The most that works.
        high: f64,
    },
    /// A jitter ratio must be a number from 0 to 1.
    #[error("jitter ratio {0} is not a number from 0 to 1")]
    Spread(f64),
}
