//! The one place that asks the time, and waits for it.
//!
//! | clock | resolution | cost of `now` | for |
//! |---|---|---|---|
//! | [`Coarse`] (default) | a kernel tick, 1 to 10 ms | about 5 ns | policies that count in tens of milliseconds |
//! | [`Precise`] | nanoseconds | about 25 ns | timing slow calls |
//! | [`Ticker`] | its period, 1 ms unless told | under 1 ns | the hottest paths: a thread writes the time down |
//! | [`TokioClock`] | milliseconds | about 25 ns | tests on tokio's paused time |
//! | [`Virtual`] | nanoseconds | about 1 ns | tests that move time by hand |
//!
//! What is counted from a reading of a clock that stands still between ticks may be over a tick early. The open period of a
//! breaker on [`Coarse`] never is, see [`Clock::lag`]; on a ticker, by as much as its thread is late.
//!
//! None of them is the wall clock: setting the machine's time changes nothing here. `cargo xtask tidy` lets nothing in this
//! crate ask for it.

use core::fmt;
use core::future::Future;
use core::time::Duration;

mod any;
mod hand;
mod system;
mod ticker;

pub use any::AnyClock;
pub(crate) use any::Plain;
pub use hand::Virtual;
pub use system::{Coarse, Precise, TokioClock};
pub use ticker::Ticker;

/// A source of monotonic time, and of waits that end by the same time.
pub trait Clock: Clone + fmt::Debug + Send + Sync + 'static {
    /// The present. Never goes back.
    fn now(&self) -> Moment;

    /// Waits until [`Clock::now`] has reached `until`; at once where it has. Cancel safe: dropping the future leaves no trace.
    fn sleep_until(&self, until: Moment) -> impl Future<Output = ()> + Send + 'static;

    /// Waits for `wait` from now on. Cancel safe.
    fn sleep(&self, wait: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.sleep_until(self.now().after(wait))
    }

    /// How far [`Clock::now`] may lie behind the time, for promises that nothing happens too soon: what shall last a time from
    /// now on lasts that much longer. Nothing unless said.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    /// The same clock without its type, for what travels between policies whose clocks differ (a deadline).
    fn any(&self) -> AnyClock {
        AnyClock::other(self)
    }
}

/// A point in time: nanoseconds since an origin of the clock's own. Moments of different clocks do not compare.
///
/// Arithmetic saturates. The range is 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(u64);

impl Moment {
    /// The moment `nanos` nanoseconds after the clock's origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment `wait` later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// How long ago `earlier` was; nothing where it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
