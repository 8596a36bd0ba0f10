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

mod backoff;
mod breaker;
mod criticality;
pub mod degrade;
mod intensity;
mod jitter;
pub mod span;
mod streak;
mod trend;
mod window;

pub use backoff::{Backoff, Factor, First, Growth};
pub use breaker::{
    BreakerConfig, BreakerImage, BreakerRefused, BreakerSettings, Bucket, Circuit, CircuitState, Marks, Outcome,
    PhaseImage, RETRY_AFTER_MOST, Ramp, Recorded, Refusal, SlowCalls, Ticket, Tripped, UnknownMark, Window,
    WindowImage, share,
};
pub use criticality::Criticality;
pub use intensity::{Ages, Intensity, IntensityLimit, Verdict};
pub use jitter::{Jitter, Spread, draw};
pub use streak::{FrozenStreak, StableReset, Streak};
pub use trend::Trend;
pub use window::{Buckets, CountWindow, Counts, Leaky, Mark, TimeWindow, aged};

/// A number that a policy cannot work with. Nothing was built from it.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum OutOfRange {
    /// A growth factor must be a number from 1 to 100.
    #[error("backoff factor {0} is not a number from 1 to 100")]
    Factor(f64),
    /// A jitter ratio must be a number from 0 to 1.
    #[error("jitter ratio {0} is not a number from 0 to 1")]
    Spread(f64),
}
