//! The clocks of the operating system and of the runtime.

use core::time::Duration;

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use super::{AnyClock, Clock, Moment, nanos};

/// The kernel's coarse monotonic clock (`CLOCK_MONOTONIC_COARSE`): stands still between two timer ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Coarse;

impl Clock for Coarse {
    fn now(&self) -> Moment {
        read(ClockId::MonotonicCoarse)
    }

    fn sleep_until(&self, until: Moment) -> impl Future<Output = ()> + Send + 'static {
        sleep_by(Self, until)
    }

    fn lag(&self) -> Duration {
        let tick = clock_getres(ClockId::MonotonicCoarse);
        moment(tick).since(Moment::default())
    }

    fn any(&self) -> AnyClock {
        (*self).into()
    }
}

/// The kernel's monotonic clock (`CLOCK_MONOTONIC`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Precise;

impl Clock for Precise {
    fn now(&self) -> Moment {
        read(ClockId::Monotonic)
    }

    fn sleep_until(&self, until: Moment) -> impl Future<Output = ()> + Send + 'static {
        sleep_by(Self, until)
    }

    fn any(&self) -> AnyClock {
        (*self).into()
    }
}

/// tokio's clock: real time, or the paused time of `#[tokio::test(start_paused = true)]`. Its origin is its making.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokioClock {
    origin: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that reads zero now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: tokio::time::Instant::now(),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Moment {
        let past = tokio::time::Instant::now().saturating_duration_since(self.origin);
        Moment::from_nanos(nanos(past))
    }

    fn sleep_until(&self, until: Moment) -> impl Future<Output = ()> + Send + 'static {
        sleep_by(*self, until)
    }

    fn any(&self) -> AnyClock {
        (*self).into()
    }
}

fn read(clock: ClockId) -> Moment {
    moment(clock_gettime(clock))
}

fn moment(time: Timespec) -> Moment {
    let (seconds, rest) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Moment::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

/// Sleeps on tokio's timer until `clock` agrees that the time has come: a coarse clock lags behind the timer.
pub(super) async fn sleep_by<C: Clock>(clock: C, until: Moment) {
    loop {
        let left = until.since(clock.now());
        if left == Duration::ZERO {
            return;
        }
        tokio::time::sleep(left).await;
    }
}
