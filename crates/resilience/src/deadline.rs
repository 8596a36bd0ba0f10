//! Until when an answer is of use, known to everything that works on it.
//!
//! A deadline travels with the task: whatever is awaited inside [`Deadline::scope`] sees it through [`Deadline::current`],
//! and no policy of this crate that waits, queues or tries again begins an attempt once it has passed (a breaker asks only how
//! the service is: it does not look at the clock while all is well). A spawned task does not inherit it: hand it over, `deadline.scope(work)`. To
//! another process it travels as a header (see [`Deadline::to_header`]).

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::time::Duration;

mod header;

pub use header::InvalidHeader;

use crate::clock::Plain;
use crate::{AnyClock, Clock, Coarse, Failure, Moment, Precise};

/// The point in time after which nobody waits for the answer any more.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use stead_resilience::{Deadline, Virtual};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let clock = Virtual::new();
/// let outer = Deadline::after(&clock, Duration::from_secs(10));
/// outer.scope(async {
///     clock.advance(Duration::from_secs(7));
///     // Work adapts to what is left…
///     assert_eq!(Deadline::remaining_now(), Some(Duration::from_secs(3)));
///     // …and an inner deadline is never later than the outer one.
///     let inner = Deadline::after(&clock, Duration::from_secs(60));
///     inner.scope(async { assert_eq!(Deadline::remaining_now(), Some(Duration::from_secs(3))) }).await;
/// }).await;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Deadline {
    at: Moment,
    clock: AnyClock,
}

impl Deadline {
    /// The deadline that is `limit` away.
    #[must_use]
    pub fn after<C: Clock>(clock: &C, limit: Duration) -> Self {
        Self::at(clock.now().after(limit), clock)
    }

    /// The deadline at that moment of `clock`.
    #[must_use]
    pub fn at<C: Clock>(at: Moment, clock: &C) -> Self {
        Self { at, clock: clock.any() }
    }

    /// The deadline of the task that runs now, if it has one.
    #[must_use]
    pub fn current() -> Option<Self> {
        let at = AT.get();
        (at != NONE).then(|| Self {
            at: Moment::from_nanos(at),
            clock: PLAIN.get().map_or_else(|| CLOCK.with_borrow(Clone::clone), Into::into),
        })
    }

    /// How much time the task that runs now has left; `None` where it has no deadline.
    #[must_use]
    #[inline]
    pub fn remaining_now() -> Option<Duration> {
        let at = AT.get();
        if at == NONE {
            return None;
        }
        let now = match PLAIN.get() {
            Some(Plain::Coarse) => Coarse.now(),
            Some(Plain::Precise) => Precise.now(),
            None => elsewhere(),
        };
        Some(Moment::from_nanos(at).since(now))
    }

    /// Refuses an attempt of the task that runs now, once its deadline has passed.
    #[inline]
    pub(crate) fn check_now<E>() -> Result<(), Failure<E>> {
        match Self::remaining_now() {
            Some(Duration::ZERO) => Err(Failure::DeadlineExceeded),
            Some(_) | None => Ok(()),
        }
    }

    /// As [`Deadline::check_now`], for the first try: a [`Looked`] of this very poll need not be looked at again.
    #[inline]
    pub(crate) fn check_first<E>() -> Result<(), Failure<E>> {
        if LOOKED.get() {
            return Ok(());
        }
        Self::check_now()
    }

    /// How much time is left; nothing once it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.at.since(self.clock.now())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.remaining() == Duration::ZERO
    }

    /// The one of the two that comes first, on whatever clocks they are.
    #[must_use]
    pub fn or_earlier(self, other: Self) -> Self {
        if other.remaining() < self.remaining() {
            other
        } else {
            self
        }
    }

    /// Runs `work` under this deadline, or under the task's own where that comes first.
    ///
    /// `work` sees it and adapts; it is not cut off (a [`Timeout`](crate::Timeout) does that). Cancel safe.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        let mut scope = Scope(Some(match Self::current() {
            Some(outer) => self.or_earlier(outer),
            None => self,
        }));
        let mut work = pin!(work);
        poll_fn(|context| scope.enter(|| work.as_mut().poll(context))).await
    }
}

/// A deadline that is in force only while the work under it is polled.
pub(crate) struct Scope(Option<Deadline>);

impl Scope {
    pub(crate) const fn new(deadline: Option<Deadline>) -> Self {
        Self(deadline)
    }

    /// Runs `poll` with the deadline in force; one that is not there leaves in force what is.
    #[inline]
    pub(crate) fn enter<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        let Some(deadline) = &mut self.0 else { return poll() };
        let entered = Entered::enter(deadline);
        let result = poll();
        drop(entered);
        result
    }
}

/// While it lives, the deadline in force counts as looked at: policies inside that begin at once need not look again.
pub(crate) struct Looked(());

impl Looked {
    /// For a deadline that has not passed. With `at_once` unset, whoever is inside looks for himself.
    #[inline]
    pub(crate) fn just_now(at_once: bool) -> Self {
        LOOKED.set(at_once);
        Self(())
    }
}

/// Something begins that may take its time before it asks: whoever is inside of it looks at the clock.
#[inline]
pub(crate) fn time_goes_on() {
    LOOKED.set(false);
}

impl Drop for Looked {
    #[inline]
    fn drop(&mut self) {
        time_goes_on();
    }
}

/// Puts back what was in force, also when the work panics.
struct Entered<'a> {
    at: u64,
    plain: Option<Plain>,
    /// Holds the clock that was in force, where it was taken away.
    clock: Option<&'a mut AnyClock>,
}

impl<'a> Entered<'a> {
    #[inline]
    fn enter(deadline: &'a mut Deadline) -> Self {
        let plain = deadline.clock.plain();
        let clock = match plain {
            Some(_) => None,
            None => {
                CLOCK.with_borrow_mut(|clock| core::mem::swap(clock, &mut deadline.clock));
                Some(&mut deadline.clock)
            }
        };
        Self {
            at: AT.replace(deadline.at.as_nanos().min(NONE - 1)),
            plain: PLAIN.replace(plain),
            clock,
        }
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        AT.set(self.at);
        PLAIN.set(self.plain);
        if let Some(held) = &mut self.clock {
            CLOCK.with_borrow_mut(|clock| core::mem::swap(clock, held));
        }
    }
}

/// The present of the clock in force, where that keeps state.
#[cold]
#[inline(never)]
fn elsewhere() -> Moment {
    CLOCK.with_borrow(Clock::now)
}

/// No deadline, in nanoseconds.
const NONE: u64 = u64::MAX;

// The deadline in force, in parts: nearly all of them are on clocks without state, and setting two numbers costs nothing.
thread_local! {
    static AT: Cell<u64> = const { Cell::new(NONE) };
    /// `None`: it is on [`CLOCK`].
    static PLAIN: Cell<Option<Plain>> = const { Cell::new(Some(Plain::Coarse)) };
    /// The deadline in force was looked at in this very poll, and nothing has run since that may take its time.
    static LOOKED: Cell<bool> = const { Cell::new(false) };
    static CLOCK: RefCell<AnyClock> = const { RefCell::new(AnyClock::COARSE) };
}

#[cfg(test)]
mod tests;
