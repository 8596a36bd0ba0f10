//! Timeout: no call takes longer than it may, nor than its deadline leaves.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::task::Poll;
use core::time::Duration;

use crate::count::Counter;
use crate::deadline::{Looked, Scope};
use crate::events::Events;
use crate::setting::require;
use crate::{Clock, Coarse, Deadline, Failure, InvalidSetting, Layer, Listener, Moment, Next};

/// How long a call may take.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `limit` | none: only the [`Deadline`] cuts off | good answers are thrown away | a service that hangs holds its callers |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimeoutConfig {
    /// The longest that one call may take: more than nothing, at most 584 years.
    pub limit: Option<Duration>,
}

impl TimeoutConfig {
    fn nanos(self) -> Result<u64, InvalidSetting> {
        let Some(limit) = self.limit else { return Ok(NONE) };
        require(
            !limit.is_zero(),
            "timeout.limit",
            limit,
            "it must be more than nothing; leave it out for no limit",
        )?;
        Ok(nanos(limit))
    }
}

/// No limit, in nanoseconds.
const NONE: u64 = u64::MAX;

fn nanos(limit: Duration) -> u64 {
    u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).min(NONE - 1)
}

/// Cuts calls off that take too long: they are dropped, hence cancelled where they next would wait.
///
/// What runs inside sees the limit as its [`Deadline`]; where the task has one already that comes first, that one cuts
/// off. A deadline that has passed starts nothing. A call that never waits cannot be cut off, by nobody.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use stead_resilience::{Failure, Layer, Timeout, TimeoutConfig};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stead_resilience::InvalidSetting> {
/// let timeout = Timeout::new(TimeoutConfig { limit: Some(Duration::from_millis(20)) })?;
/// let hangs = timeout.call(|| core::future::pending::<Result<(), ()>>()).await;
/// assert_eq!(hangs, Err(Failure::Timeout { limit: Duration::from_millis(20) }));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Timeout<C = Coarse> {
    limit: AtomicU64,
    clock: C,
    cut_off: Counter,
    not_begun: Counter,
    events: Events<TimeoutEvent>,
}

impl Timeout {
    /// A timeout on the [`Coarse`] clock.
    ///
    /// # Errors
    ///
    /// The limit is nothing.
    pub fn new(config: TimeoutConfig) -> Result<Self, InvalidSetting> {
        Self::with_clock(config, Coarse)
    }
}

impl<C: Clock> Timeout<C> {
    /// A timeout on a clock of one's own.
    ///
    /// # Errors
    ///
    /// The limit is nothing.
    pub fn with_clock(config: TimeoutConfig, clock: C) -> Result<Self, InvalidSetting> {
        Ok(Self {
            limit: AtomicU64::new(config.nanos()?),
            clock,
            cut_off: Counter::default(),
            not_begun: Counter::default(),
            events: Events::new(),
        })
    }

    /// Changes the limit for calls that begin from now on.
    ///
    /// # Errors
    ///
    /// The limit is nothing; it is as before.
    pub fn reconfigure(&self, config: TimeoutConfig) -> Result<(), InvalidSetting> {
        // Relaxed: a number by itself.
        self.limit.store(config.nanos()?, Relaxed);
        Ok(())
    }

    /// What is set, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> TimeoutSnapshot {
        TimeoutSnapshot {
            limit: self.limit(),
            cut_off: self.cut_off.get(),
            not_begun: self.not_begun.get(),
        }
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<TimeoutEvent> {
        self.events.listen()
    }

    fn limit(&self) -> Option<Duration> {
        let limit = self.limit.load(Relaxed);
        (limit != NONE).then(|| Duration::from_nanos(limit))
    }
}

impl<C: Clock, T, E> Layer<T, E> for Timeout<C> {
    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        async move {
            let (own, left) = (self.limit.load(Relaxed), Deadline::remaining_now().map_or(NONE, nanos));
            let limit = own.min(left);
            if limit == NONE {
                return next.once().await;
            }
            if limit == 0 {
                self.not_begun.add();
                self.events.tell(|| TimeoutEvent::NotBegun);
                return Err(Failure::DeadlineExceeded);
            }
            let until = Moment::from_nanos(self.clock.now().as_nanos().saturating_add(limit));
            // Where the task's deadline comes first, it is in force already.
            let mut scope = Scope::new((own < left).then(|| Deadline::at(until, &self.clock)));
            let looked = Looked::just_now(N::AT_ONCE);
            let mut work = pin!(scope.enter(|| next.once()));
            // What is ready at once needs no timer.
            let first = poll_fn(|context| Poll::Ready(scope.enter(|| work.as_mut().poll(context)))).await;
            drop(looked);
            // Each arm moves its own part alone: moving the whole result costs several times as much.
            match first {
                Poll::Ready(Ok(value)) => return Ok(value),
                Poll::Ready(Err(failure)) => return Err(failure),
                Poll::Pending => {}
            }
            let work = poll_fn(|context| scope.enter(|| work.as_mut().poll(context)));
            if let Some(result) = within(&self.clock, until, work).await {
                return result;
            }
            let limit = Duration::from_nanos(limit);
            self.cut_off.add();
            self.events.tell(|| TimeoutEvent::CutOff { limit });
            Err(Failure::Timeout { limit })
        }
    }
}

/// A timeout at one moment. The counters are since its making.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeoutSnapshot {
    /// The limit in force.
    pub limit: Option<Duration>,
    /// Calls that took too long.
    pub cut_off: u64,
    /// Calls whose deadline had passed before they began.
    pub not_begun: u64,
}

/// What happens to calls that take too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeoutEvent {
    /// A call was cut off.
    CutOff {
        /// How long it was allowed.
        limit: Duration,
    },
    /// A call was not begun, as its deadline had passed.
    NotBegun,
}

/// Awaits `work` until the clock reads `until`: `None` where that comes first. The work is polled first, so that what is
/// ready needs no timer.
pub(crate) async fn within<C: Clock, F: Future>(clock: &C, until: Moment, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut timer = pin!(None);
    poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if timer.is_none() {
            timer.set(Some(clock.sleep_until(until)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests;
