//! Points in time and spans of it. Nothing here can ask what time it is: the shell hands it in.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::serde_as_text;

/// A point on the node's monotonic clock: nanoseconds since the node started. Only differences mean anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(u64);

impl Moment {
    /// When the node started.
    pub const START: Self = Self(0);

    /// The moment `since_start` after the node started; saturates after 584 years.
    #[must_use]
    pub fn at(since_start: Duration) -> Self {
        Self(u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long ago the node had started.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long it is from `earlier` to here; nothing if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `wait` later; saturates.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// A point in civil time, to the millisecond, as RFC 3339 in UTC. Decides calendar matters alone; it may jump.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Wall(i64);

impl Wall {
    /// The time `millis` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// The time `wait` later; saturates.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The time `wait` earlier; saturates.
    #[must_use]
    pub fn before(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long it is from `earlier` to here; nothing if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_beyond) => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Wall {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => Ok(Self(at.as_millisecond())),
            Err(_) => Err(InvalidTime::Wall(text.to_string())),
        }
    }
}

serde_as_text!(Wall, "Time", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T");

/// Both clocks, as the shell read them just before a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Monotonic; decides every wait.
    pub moment: Moment,
    /// Civil; stamps rows, decides retention.
    pub wall: Wall,
}

/// Ties the node's clock to the machine's boot, so that a wait survives the node but not more than it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BootClock {
    /// Which boot of which machine, folded from the kernel's boot id; 0 is never a real one.
    pub boot: u64,
    /// `CLOCK_BOOTTIME` when the node's clock stood at [`Moment::START`].
    pub at_start: Duration,
}

/// A wait as it is stored: what was left, and when by the clock of that boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredWait {
    /// The boot that `due_ms` belongs to.
    pub boot: u64,
    /// `CLOCK_BOOTTIME` in milliseconds at which the wait ends.
    pub due_ms: u64,
    /// What was left when it was stored, in milliseconds; counts after a reboot.
    pub left_ms: u64,
}

impl BootClock {
    /// Turns a wait until `due` into what outlives this node.
    #[must_use]
    pub fn store(&self, now: Moment, due: Moment) -> StoredWait {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        StoredWait {
            boot: self.boot,
            due_ms: millis(self.at_start.saturating_add(due.since_start())),
            left_ms: millis(due.since(now)),
        }
    }

    /// Finds when a stored wait ends on this node's clock: at the same instant in the same boot, else what was left from `now`.
    #[must_use]
    pub fn restore(&self, now: Moment, wait: StoredWait) -> Moment {
        if wait.boot == self.boot {
            Moment::at(Duration::from_millis(wait.due_ms).saturating_sub(self.at_start))
        } else {
            now.after(Duration::from_millis(wait.left_ms))
        }
    }
}

/// A span of time as people write it: `250ms`, `15s`, `1h 30m`. Never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// A span of milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The next whole number of seconds, as people are told how long to wait.
    #[must_use]
    pub const fn up_to_secs(self) -> Self {
        let more = if self.0.subsec_nanos() == 0 { 0 } else { 1 };
        Self(Duration::from_secs(self.0.as_secs().saturating_add(more)))
    }

    /// The next whole number of milliseconds.
    #[must_use]
    pub const fn up_to_millis(self) -> Self {
        let nanos = self.0.subsec_nanos();
        match nanos % NANOS_OF_MILLI {
            0 => self,
            beyond => Self(
                self.0
                    .saturating_add(Duration::from_nanos((NANOS_OF_MILLI - beyond) as u64)),
            ),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            Ok(span) => write!(f, "{span:#}"),
            Err(_beyond) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Span {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let refused = || InvalidTime::Span(text.to_string());
        let span: jiff::SignedDuration = text.parse().map_err(|_unreadable| refused())?;
        Duration::try_from(span).map(Self).map_err(|_negative| refused())
    }
}

serde_as_text!(Span, "Duration", "^[0-9]");

/// What was no time. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidTime {
    /// Not RFC 3339.
    #[error("`{0}` is no time: write it as 2026-01-31T12:00:00Z")]
    Wall(String),
    /// Not a span.
    #[error("`{0}` is no duration: write a number and a unit, such as 250ms, 15s, 5m or 1h 30m")]
    Span(String),
}

const NANOS_OF_MILLI: u32 = 1_000_000;

#[cfg(test)]
mod tests;
