//! Bulkhead: so many calls at once, so many that wait for their turn, and not for long.
//!
//! A service that hangs then takes its own seats with it and nothing else. The seats are counted in one atomic word; the
//! line stands behind a lock that is touched only when there is one.

use core::future::poll_fn;
use core::time::Duration;
use std::sync::Arc;

mod adaptive;

pub use adaptive::{AdaptiveBulkhead, AdaptiveConfig, LimitRule};

use crate::count::Counter;
use crate::events::Events;
use crate::lanes::Spread;
use crate::seats::{MOST, Place, Seats};
use crate::setting::require;
use crate::sync::{Mutex, lock};
use crate::timeout::within;
use crate::{Clock, Coarse, Deadline, Failure, InvalidSetting, Layer, Listener, Next, Order};

/// How many calls at once, and who waits how long.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `max_concurrent_calls` | 10 | calls wait that the service would take | a service that hangs holds as many tasks of ours |
/// | `max_queue` | 100 | a short burst is refused | answers come when nobody needs them any more |
/// | `max_wait_duration` | 30 s | a short stall becomes an error | callers hang instead of doing something else |
/// | `order` | first in, first out | – | – |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BulkheadConfig {
    /// Calls under way at once: 1 to 1,048,575.
    pub max_concurrent_calls: u32,
    /// Callers that wait for a seat at once; with 0 nobody waits. Those who have a seat do not count.
    pub max_queue: u32,
    /// How long a caller waits for a seat at most; not zero, as nobody could wait then (that is `max_queue` 0).
    pub max_wait_duration: Duration,
    /// Who of those who wait is next.
    pub order: Order,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self {
            max_concurrent_calls: 10,
            max_queue: 100,
            max_wait_duration: Duration::from_secs(30),
            order: Order::Fifo,
        }
    }
}

impl BulkheadConfig {
    fn check(&self) -> Result<(), InvalidSetting> {
        require(
            (1..=MOST).contains(&self.max_concurrent_calls),
            "bulkhead.max_concurrent_calls",
            self.max_concurrent_calls,
            "it must be 1 to 1048575",
        )?;
        require(
            !self.max_wait_duration.is_zero(),
            "bulkhead.max_wait_duration",
            self.max_wait_duration,
            "it must be more than nothing; for no waiting set bulkhead.max_queue = 0",
        )
    }
}

/// Lets so many calls run at once.
///
/// # Examples
///
/// ```
/// use stead_resilience::{Bulkhead, BulkheadConfig};
///
/// let bulkhead = Bulkhead::new(BulkheadConfig { max_concurrent_calls: 1, ..BulkheadConfig::default() })?;
/// let seat = bulkhead.try_acquire().expect("nobody is here");
/// assert!(bulkhead.try_acquire().is_none());
/// drop(seat);
/// assert!(bulkhead.try_acquire().is_some());
/// # Ok::<(), stead_resilience::InvalidSetting>(())
/// ```
#[derive(Debug)]
pub struct Bulkhead<C = Coarse> {
    seats: Seats,
    config: Mutex<BulkheadConfig>,
    clock: C,
    waited: Counter,
    refused: Spread,
    timed_out: Counter,
    events: Events<BulkheadEvent>,
}

impl Bulkhead {
    /// A bulkhead on the [`Coarse`] clock.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn new(config: BulkheadConfig) -> Result<Self, InvalidSetting> {
        Self::with_clock(config, Coarse)
    }
}

impl<C: Clock> Bulkhead<C> {
    /// A bulkhead on a clock of one's own. The clock is asked only by those who wait.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn with_clock(config: BulkheadConfig, clock: C) -> Result<Self, InvalidSetting> {
        config.check()?;
        Ok(Self {
            seats: Seats::new(config.max_concurrent_calls, config.order),
            config: Mutex::new(config),
            clock,
            waited: Counter::default(),
            refused: Spread::default(),
            timed_out: Counter::default(),
            events: Events::new(),
        })
    }

    /// Takes a seat if one is free and nobody waits for it; else that counts as a refusal.
    #[inline]
    #[must_use]
    pub fn try_acquire(&self) -> Option<Seat<'_, C>> {
        let seat = self.free_seat();
        if seat.is_none() {
            self.refuse();
        }
        seat
    }

    #[inline]
    fn free_seat(&self) -> Option<Seat<'_, C>> {
        self.seats.try_take().then(|| Seat { bulkhead: self })
    }

    #[cold]
    fn refuse(&self) {
        self.refused.add();
        self.events.tell(|| BulkheadEvent::Refused {
            waiting: u32::try_from(self.seats.waiting()).unwrap_or(u32::MAX),
        });
    }

    /// Takes a seat, or waits for one. Cancel safe: who is cancelled while waiting leaves no trace.
    ///
    /// # Errors
    ///
    /// No seat and no place to wait, or no seat within the time that a caller waits or that its [`Deadline`] leaves.
    #[inline]
    pub async fn acquire(&self) -> Result<Seat<'_, C>, NoSeat> {
        match self.free_seat() {
            Some(seat) => Ok(seat),
            // Boxed, so that callers who find a seat carry no timer about.
            None => Box::pin(self.queue()).await,
        }
    }

    /// As [`Bulkhead::acquire`], for a seat that goes to another task.
    ///
    /// # Errors
    ///
    /// As [`Bulkhead::acquire`].
    pub async fn acquire_owned(self: &Arc<Self>) -> Result<OwnedSeat<C>, NoSeat> {
        let seat = self.acquire().await?;
        core::mem::forget(seat);
        Ok(OwnedSeat {
            bulkhead: Arc::clone(self),
        })
    }

    /// Changes the settings in place. Who has a seat keeps it, who waits goes on waiting for as long as before; a larger
    /// limit seats them at once.
    ///
    /// # Errors
    ///
    /// A setting does not work; everything is as before.
    pub fn reconfigure(&self, config: BulkheadConfig) -> Result<(), InvalidSetting> {
        config.check()?;
        *lock(&self.config) = config;
        self.seats.set_order(config.order);
        self.resize(config.max_concurrent_calls);
        Ok(())
    }

    /// What is going on, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        BulkheadSnapshot {
            max_concurrent_calls: self.seats.limit(),
            in_flight: self.seats.taken(),
            waiting: self.seats.waiting(),
            admitted: self.seats.total(),
            waited: self.waited.get(),
            refused: self.refused.get(),
            timed_out: self.timed_out.get(),
        }
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<BulkheadEvent> {
        self.events.listen()
    }

    fn resize(&self, to: u32) {
        let from = self.seats.limit();
        if from != to {
            self.seats.set_limit(to);
            self.events.tell(|| BulkheadEvent::Resized { from, to });
        }
    }

    async fn queue(&self) -> Result<Seat<'_, C>, NoSeat> {
        let config = *lock(&self.config);
        let Ok(place) = self.seats.stand_in_line(config.max_queue) else {
            self.refused.add();
            self.events.tell(|| BulkheadEvent::Refused {
                waiting: config.max_queue,
            });
            return Err(NoSeat::Full);
        };
        self.waited.add();
        let result = self.wait(place, config.max_wait_duration).await;
        if let Err(NoSeat::TimedOut { waited } | NoSeat::DeadlineExceeded { waited }) = result {
            self.timed_out.add();
            self.events.tell(|| BulkheadEvent::TimedOut { waited });
        }
        result
    }

    async fn wait(&self, mut place: Place<'_>, longest: Duration) -> Result<Seat<'_, C>, NoSeat> {
        let begun = self.clock.now();
        let deadline = Deadline::remaining_now().filter(|left| *left < longest);
        let until = begun.after(deadline.unwrap_or(longest));
        let seated = within(&self.clock, until, poll_fn(|context| place.poll(context))).await;
        if seated.is_some() {
            place.keep();
            let seat = Seat { bulkhead: self };
            // Seated as the deadline passed, or woken long after: the seat goes to the next one.
            if deadline.is_none() || self.clock.now() < until {
                return Ok(seat);
            }
        }
        let waited = self.clock.now().since(begun);
        Err(match deadline {
            Some(_) => NoSeat::DeadlineExceeded { waited },
            None => NoSeat::TimedOut { waited },
        })
    }
}

impl<C: Clock, T, E> Layer<T, E> for Bulkhead<C> {
    const AT_ONCE: bool = true;

    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        async move {
            Deadline::check_first()?;
            let _seat = self.acquire().await?;
            next.once().await
        }
    }
}

/// A call under way. Dropped in any way, the seat is free again.
#[derive(Debug)]
#[must_use = "a seat that is dropped at once protects nothing"]
pub struct Seat<'a, C = Coarse> {
    bulkhead: &'a Bulkhead<C>,
}

impl<C> Drop for Seat<'_, C> {
    #[inline]
    fn drop(&mut self) {
        self.bulkhead.seats.give_back();
    }
}

/// A [`Seat`] that holds on to its bulkhead, hence may go anywhere.
#[derive(Debug)]
#[must_use = "a seat that is dropped at once protects nothing"]
pub struct OwnedSeat<C = Coarse> {
    bulkhead: Arc<Bulkhead<C>>,
}

impl<C> Drop for OwnedSeat<C> {
    fn drop(&mut self) {
        self.bulkhead.seats.give_back();
    }
}

/// Why there was no seat. Nothing was begun, and nobody waits any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoSeat {
    /// No seat was free, and no place to wait.
    #[error("bulkhead is full")]
    Full,
    /// None became free within `max_wait_duration`.
    #[error("no seat became free within {waited:?}")]
    TimedOut {
        /// How long the caller waited.
        waited: Duration,
    },
    /// None became free before the caller's [`Deadline`].
    #[error("no seat became free before the deadline, {waited:?} away")]
    DeadlineExceeded {
        /// How long the caller waited.
        waited: Duration,
    },
}

impl<E> From<NoSeat> for Failure<E> {
    fn from(why: NoSeat) -> Self {
        match why {
            NoSeat::Full => Self::BulkheadFull,
            NoSeat::TimedOut { waited } => Self::BulkheadTimeout { waited },
            NoSeat::DeadlineExceeded { .. } => Self::DeadlineExceeded,
        }
    }
}

/// A bulkhead at one moment. The counters are since its making.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BulkheadSnapshot {
    /// The limit in force.
    pub max_concurrent_calls: u32,
    /// Calls under way.
    pub in_flight: u32,
    /// Callers that wait for a seat.
    pub waiting: usize,
    /// Calls that got a seat, modulo 2^43.
    pub admitted: u64,
    /// Calls that had to wait, whatever came of it.
    pub waited: u64,
    /// Calls that found neither a seat nor a place to wait, and those that would not wait.
    pub refused: u64,
    /// Calls that waited in vain.
    pub timed_out: u64,
}

/// What happens at a bulkhead beside calls that come and go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BulkheadEvent {
    /// A call found no seat, and no place to wait or would not.
    Refused {
        /// How many wait.
        waiting: u32,
    },
    /// A call waited in vain.
    TimedOut {
        /// How long.
        waited: Duration,
    },
    /// The limit changed, by hand or by learning.
    Resized {
        /// The limit before.
        from: u32,
        /// The limit now.
        to: u32,
    },
}

#[cfg(test)]
mod tests;
