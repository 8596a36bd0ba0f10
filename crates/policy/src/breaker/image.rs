//! What is stored of a breaker, free of the clock's origin.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::CircuitState;
use crate::span;
use crate::window::{Counts, Mark};

/// All that a breaker knows, for storing and for looking at. Points in time are spans from the moment it was taken.
///
/// Calls in flight are not part of it: of a breaker that was restored, nobody holds a permit yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BreakerImage {
    /// Counts the changes of state; only grows.
    pub generation: u64,
    /// How many open periods in a row ended with a failed probe.
    #[serde(default)]
    pub reopened: u32,
    /// How long the service asked, by `Retry-After`, not to be called.
    #[serde(default, with = "span")]
    pub not_before: Duration,
    /// The state, with what it knows.
    #[serde(flatten)]
    pub phase: PhaseImage,
}

/// A state, with what it knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PhaseImage {
    /// All calls are admitted.
    Closed {
        /// What is remembered of them.
        window: WindowImage,
    },
    /// No call is admitted.
    Open {
        /// How long still.
        #[serde(with = "span")]
        left: Duration,
    },
    /// Probes are admitted.
    HalfOpen {
        /// Probes that succeeded.
        successes: u32,
    },
    /// A share of the calls is admitted.
    Recovering {
        /// The step of the ramp, from 0.
        step: u32,
        /// How long it lasts still; it may be over and wait for a success.
        #[serde(with = "span")]
        left: Duration,
        /// Failures within the step.
        failures: u32,
    },
    /// The service refuses for good; somebody has to act.
    Isolated,
    /// Opened by hand.
    ForcedOpen,
    /// Closed by hand.
    ForcedClosed,
    /// Switched off.
    Disabled,
}

/// What a window remembers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum WindowImage {
    /// Failures in a row.
    Consecutive {
        /// So many.
        failures: u32,
    },
    /// A leaky count.
    Leaky {
        /// So many.
        level: u32,
        /// When the next one leaks.
        #[serde(with = "span")]
        next: Duration,
    },
    /// The last calls.
    Count {
        /// Oldest first: `.` good, `s` slow, `F` failed, `S` failed slowly.
        calls: Marks,
    },
    /// The calls of the last while.
    Time {
        /// A bucket lasts two to the power of this many nanoseconds.
        shift: u32,
        /// By how many buckets ago, oldest first.
        buckets: Vec<Bucket>,
    },
}

/// The calls of one bucket of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bucket {
    /// How many buckets ago.
    pub age: u64,
    /// All calls.
    pub total: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that took too long.
    pub slow: u32,
}

impl Bucket {
    /// The calls of the bucket `age` buckets ago.
    #[must_use]
    pub const fn new(age: u64, counts: Counts) -> Self {
        Self {
            age,
            total: counts.total,
            failed: counts.failed,
            slow: counts.slow,
        }
    }

    /// How many calls it holds.
    #[must_use]
    pub const fn counts(self) -> Counts {
        Counts {
            total: self.total,
            failed: self.failed,
            slow: self.slow,
        }
    }
}

/// Calls one by one, written as a text with a letter for each.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Marks(pub Vec<Mark>);

/// A letter that stands for no call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` stands for no call: `.` good, `s` slow, `F` failed, `S` failed slowly")]
pub struct UnknownMark(char);

impl TryFrom<String> for Marks {
    type Error = UnknownMark;

    fn try_from(text: String) -> Result<Self, UnknownMark> {
        let mark = |letter| match letter {
            '.' => Ok(Mark::Good),
            's' => Ok(Mark::Slow),
            'F' => Ok(Mark::Failed),
            'S' => Ok(Mark::FailedSlowly),
            other => Err(UnknownMark(other)),
        };
        text.chars().map(mark).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Marks> for String {
    fn from(marks: Marks) -> Self {
        let letter = |mark| match mark {
            Mark::Good => '.',
            Mark::Slow => 's',
            Mark::Failed => 'F',
            Mark::FailedSlowly => 'S',
        };
        marks.0.into_iter().map(letter).collect()
    }
}

impl PhaseImage {
    /// The state alone.
    #[must_use]
    pub const fn state(&self) -> CircuitState {
        match self {
            Self::Closed { .. } => CircuitState::Closed,
            Self::Open { .. } => CircuitState::Open,
            Self::HalfOpen { .. } => CircuitState::HalfOpen,
            Self::Recovering { .. } => CircuitState::Recovering,
            Self::Isolated => CircuitState::Isolated,
            Self::ForcedOpen => CircuitState::ForcedOpen,
            Self::ForcedClosed => CircuitState::ForcedClosed,
            Self::Disabled => CircuitState::Disabled,
        }
    }
}
