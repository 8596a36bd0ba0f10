//! Rate limiter: so many per second, a burst, debts, and pauses that the service asks for.
//!
//! All of its state is one atomic word: the point in time at which everything used has come back ([`Gcra`]). There is no
//! thread that fills a bucket and no lock; only those who wait stand in a line.

use core::future::poll_fn;
use core::time::Duration;

use stead_policy::{Gcra, Quota, RETRY_AFTER_MOST};
use tokio::sync::Notify;

use crate::classify::judge;
use crate::count::Counter;
use crate::events::Events;
use crate::lanes::Spread;
use crate::seats::{Order, Place, Seats};
use crate::setting::require;
use crate::sync::{
    AtomicU32, AtomicU64, Mutex,
    Ordering::{AcqRel, Acquire, Relaxed},
    lock,
};
use crate::timeout::within;
use crate::{
    AnyError, Classify, Clock, Coarse, Deadline, Failure, InvalidSetting, Layer, Listener, Moment, Next, Verdict,
};

mod priced;

pub use priced::Priced;

/// How often, and who waits how long.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `quota` | 10 per second, bursts of 10 | calls wait that the service would take | the service refuses what this let through |
/// | `cost` | 1 | – | – |
/// | `max_queue` | 1,000 | a short burst is refused | answers come when nobody needs them any more |
/// | `max_wait_duration` | 30 s | a short burst becomes an error | callers hang instead of doing something else |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimiterConfig {
    /// Units per period, and at once.
    pub quota: Quota,
    /// Units that a call costs which goes through this as a [`Layer`]; at most a burst.
    pub cost: u32,
    /// Callers that wait for units at once; with 0 nobody waits.
    pub max_queue: u32,
    /// How long a caller waits for units at most; not zero, as nobody could wait then (that is `max_queue` 0).
    pub max_wait_duration: Duration,
}

impl Default for LimiterConfig {
    fn default() -> Self {
        Self {
            quota: Quota::default(),
            cost: 1,
            max_queue: 1000,
            max_wait_duration: Duration::from_secs(30),
        }
    }
}

impl LimiterConfig {
    fn rule(&self) -> Result<Gcra, InvalidSetting> {
        let Ok(rule) = Gcra::try_from(self.quota) else {
            return Err(InvalidSetting::new(
                "limiter.quota",
                self.quota,
                "units and burst must be at least 1, and units at most one per nanosecond",
            ));
        };
        require(
            (1..=self.quota.burst).contains(&self.cost),
            "limiter.cost",
            self.cost,
            "it must be 1 to limiter.quota.burst",
        )?;
        require(
            !self.max_wait_duration.is_zero(),
            "limiter.max_wait_duration",
            self.max_wait_duration,
            "it must be more than nothing; for no waiting set limiter.max_queue = 0",
        )?;
        Ok(rule)
    }
}

/// Lets calls through at a rate.
///
/// Cost may be known only afterwards (tokens of a model's answer): take what is expected, then [`Limiter::charge`] or
/// [`Limiter::refund`] the difference; [`Limiter::priced_by`] does so by what the answer says. The debt delays whoever comes next.
///
/// As a [`Layer`] it takes [`LimiterConfig::cost`] per call, and pauses for as long as a failure says
/// ([`Verdict::Failure`] with a `retry_after`), a day at most.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use stead_resilience::{AnyError, Limiter, LimiterConfig, Quota, Virtual};
///
/// let clock = Virtual::new();
/// let config = LimiterConfig { quota: Quota { burst: 2, ..Quota::per_second(10) }, ..LimiterConfig::default() };
/// let limiter = Limiter::with(config, clock.clone(), AnyError)?;
/// assert!(limiter.try_acquire(2).is_ok());
/// assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after, Duration::from_millis(100));
/// clock.advance(Duration::from_millis(100));
/// assert!(limiter.try_acquire(1).is_ok());
/// # Ok::<(), stead_resilience::InvalidSetting>(())
/// ```
#[derive(Debug)]
pub struct Limiter<C = Coarse, K = AnyError> {
    /// When everything used has come back, in nanoseconds of the clock. All of the state.
    full: AtomicU64,
    per_unit: AtomicU64,
    reach: AtomicU64,
    /// What the latest pause made of `full` at the least.
    paused: AtomicU64,
    /// How much of `full` is there for pauses alone. Who pauses and who ends a pause take turns by it.
    raised: Mutex<u64>,
    /// Of the configuration: what a call costs that goes through this as a layer.
    cost: AtomicU32,
    clock: C,
    classifier: K,
    config: Mutex<LimiterConfig>,
    /// Those who wait for a turn to wait for units: one sits, the others stand in line.
    turn: Seats,
    waited: Counter,
    refused: Spread,
    pauses: Counter,
    /// Wakes who waits for units when they may be there sooner: a pause was ended, units came back, the rate is another.
    resumed: Notify,
    events: Events<LimiterEvent>,
}

impl Limiter {
    /// A limiter on the [`Coarse`] clock: calls come through in bunches of a kernel tick. For less than that, a
    /// [`Ticker`](crate::Ticker).
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn new(config: LimiterConfig) -> Result<Self, InvalidSetting> {
        Self::with(config, Coarse, AnyError)
    }
}

impl<C: Clock, K> Limiter<C, K> {
    /// A limiter with a clock and a classifier of one's own. The classifier finds the `retry_after` of failures.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn with(config: LimiterConfig, clock: C, classifier: K) -> Result<Self, InvalidSetting> {
        let rule = config.rule()?;
        Ok(Self {
            full: AtomicU64::new(0),
            per_unit: AtomicU64::new(rule.per_unit()),
            reach: AtomicU64::new(rule.reach()),
            paused: AtomicU64::new(0),
            raised: Mutex::new(0),
            cost: AtomicU32::new(config.cost),
            clock,
            classifier,
            config: Mutex::new(config),
            turn: Seats::new(1, Order::Fifo),
            waited: Counter::default(),
            refused: Spread::default(),
            pauses: Counter::default(),
            resumed: Notify::new(),
            events: Events::new(),
        })
    }

    /// Takes `cost` units if they are there and nobody waits for any.
    ///
    /// # Errors
    ///
    /// They are not: when to ask again. Nothing was taken.
    #[inline]
    pub fn try_acquire(&self, cost: u32) -> Result<(), RateExceeded> {
        if self.turn.is_busy() {
            return Err(self.behind_the_line(cost));
        }
        self.take(cost).map_err(|retry_after| self.refuse(retry_after))
    }

    /// Takes `cost` units, or waits for them; who waits is served in order. Cancel safe: who is cancelled while waiting
    /// leaves no trace.
    ///
    /// # Errors
    ///
    /// `cost` is more than a burst; or there is no place to wait; or the units would not be there within the time that a
    /// caller waits or that its [`Deadline`] leaves (said as soon as it is known). Nothing was taken.
    #[inline]
    pub async fn acquire(&self, cost: u32) -> Result<(), RateExceeded> {
        if self.takes_at_once(cost) {
            return Ok(());
        }
        // Boxed, so that callers who need not wait carry no timer about.
        Box::pin(self.queue(cost)).await
    }

    /// Takes `cost` units whether they are there or not: what a call turned out to cost beyond what was taken for it. The
    /// debt comes back before anybody gets more.
    pub fn charge(&self, cost: u32) {
        let now = self.now();
        self.update(|rule, full| rule.charge(full, now, cost));
    }

    /// Gives `cost` units back that were taken and turned out not to be needed. No pause ends sooner for it.
    pub fn refund(&self, cost: u32) {
        // Relaxed: whoever sees the pause in `full` sees it here, see `update`.
        self.update(|rule, full| rule.refund(full, cost).max(full.min(self.paused.load(Relaxed))));
        if self.turn.is_busy() {
            self.resumed.notify_one();
        }
    }

    /// Lets nothing through before `until`, and then one unit at a time: what `Retry-After` asks for. A pause that ends
    /// later already is not shortened. Those who wait go on waiting.
    pub fn pause_until(&self, until: Moment) {
        let (rule, until_nanos) = (self.rule(), until.as_nanos());
        let mut raised = lock(&self.raised);
        let before = self.paused.fetch_max(rule.pause(0, until_nanos), Relaxed);
        if before <= rule.pause(0, self.now()) {
            // That pause is over, and what it raised has come back.
            *raised = 0;
        }
        let full = self.update(|rule, full| rule.pause(full, until_nanos));
        *raised += rule.pause(full, until_nanos) - full;
        drop(raised);
        self.pauses.add();
        self.events.tell(|| LimiterEvent::Paused {
            wait: until.since(self.clock.now()),
        });
    }

    /// Lets nothing through for `wait`.
    pub fn pause_for(&self, wait: Duration) {
        self.pause_until(self.clock.now().after(wait));
    }

    /// Ends the pause that is in force, if one is: units come one at a time from now on, as after any pause. What was used
    /// and charged stays. Those who wait go on in their order.
    pub fn end_pause(&self) {
        let ended = self.rule().pause(0, self.now());
        let mut raised = lock(&self.raised);
        if self.paused.swap(0, Relaxed) > ended {
            let raised = core::mem::take(&mut *raised);
            self.update(|_, full| full.saturating_sub(raised).max(full.min(ended)));
            self.resumed.notify_one();
            self.events.tell(|| LimiterEvent::Resumed);
        }
    }

    /// Changes the settings in place. Units used, debts and pauses stay: a pause ends when it was to end. Those who wait go on
    /// waiting by the new rate.
    ///
    /// # Errors
    ///
    /// A setting does not work; everything is as before.
    pub fn reconfigure(&self, config: LimiterConfig) -> Result<(), InvalidSetting> {
        let to = config.rule()?;
        let mut current = lock(&self.config);
        *current = config;
        let now = self.now();
        let from = self.rule();
        let mut raised = lock(&self.raised);
        let paused_until = from
            .paused_until(self.paused.load(Relaxed))
            .filter(|until| *until > now);
        let alone = if paused_until.is_some() { *raised } else { 0 };
        let used = |full: u64| from.convert(full.saturating_sub(alone), now, to);
        let paused = |full: u64| paused_until.map_or(full, |until| to.pause(full, until));
        let mark = paused_until.map_or(0, |until| to.pause(0, until));
        // A call in between sees the old rate and the new burst, or its use in the old terms: once, and within either.
        self.per_unit.store(to.per_unit(), Relaxed);
        self.reach.store(to.reach(), Relaxed);
        self.cost.store(config.cost, Relaxed);
        // The later of both while both may be met, so that what is given back meanwhile ends no pause.
        self.paused.fetch_max(mark, Relaxed);
        let before = self.update(|_, full| paused(used(full)));
        self.paused.store(mark, Relaxed);
        *raised = paused(used(before)) - used(before);
        drop(raised);
        self.resumed.notify_one();
        Ok(())
    }

    /// What is going on, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> LimiterSnapshot {
        let (rule, full, now) = (self.rule(), self.full.load(Relaxed), self.now());
        LimiterSnapshot {
            quota: lock(&self.config).quota,
            free: rule.free(full, now),
            debt: rule.debt(full, now),
            waiting: usize::try_from(self.turn.taken()).unwrap_or(0) + self.turn.waiting(),
            waited: self.waited.get(),
            refused: self.refused.get(),
            pauses: self.pauses.get(),
        }
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<LimiterEvent> {
        self.events.listen()
    }

    #[inline]
    fn takes_at_once(&self, cost: u32) -> bool {
        !self.turn.is_busy() && self.take(cost).is_ok()
    }

    /// Waits for `cost` units for a call that still has time when they are there, even if it was woken late.
    async fn queue_in_time<E>(&self, cost: u32) -> Result<(), Failure<E>> {
        self.queue(cost).await?;
        Deadline::check_now().inspect_err(|_| self.refund(cost))
    }

    /// Takes `cost` units, or says how long until they are there.
    #[inline]
    fn take(&self, cost: u32) -> Result<(), Duration> {
        let now = self.now();
        let rule = self.rule();
        let mut full = self.full.load(Relaxed);
        loop {
            let next = rule.take(full, now, cost).map_err(span)?;
            // Relaxed: the word is all there is, nothing is published with it.
            match self.full.compare_exchange_weak(full, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => full = other,
            }
        }
    }

    /// Changes `full`, and says what it was.
    fn update(&self, to: impl Fn(Gcra, u64) -> u64) -> u64 {
        let rule = self.rule();
        // Acquire and release: who sees what a pause made of it also sees until when that lasts.
        let mut full = self.full.load(Acquire);
        while let Err(other) = self.full.compare_exchange_weak(full, to(rule, full), AcqRel, Acquire) {
            full = other;
        }
        full
    }

    async fn queue(&self, cost: u32) -> Result<(), RateExceeded> {
        let config = *lock(&self.config);
        if cost > config.quota.burst {
            return Err(self.refuse(Duration::MAX));
        }
        // One sits and counts as waiting, so one less stands.
        let place = match config.max_queue.checked_sub(1) {
            Some(standing) => self.turn.stand_in_line(standing),
            None => return self.take(cost).map_err(|retry_after| self.refuse(retry_after)),
        };
        let Ok(place) = place else {
            return Err(self.behind_the_line(cost));
        };
        self.waited.add();
        let longest = config.max_wait_duration;
        // Units that come as the deadline passes are of no use.
        let in_time = |left: Duration| left.saturating_sub(Duration::from_nanos(1)).min(longest);
        let longest = Deadline::remaining_now().map_or(longest, in_time);
        let until = self.clock.now().after(longest);
        self.wait(place, cost, until).await
    }

    async fn wait(&self, mut place: Place<'_>, cost: u32, until: Moment) -> Result<(), RateExceeded> {
        let turn = within(&self.clock, until, poll_fn(|context| place.poll(context))).await;
        if turn.is_none() {
            return Err(self.behind_the_line(cost));
        }
        // From here on `place` is the seat; dropped in any way, the next in line gets it.
        loop {
            let Err(wait) = self.take(cost) else { return Ok(()) };
            let back = self.clock.now().after(wait);
            if back > until {
                return Err(self.refuse(wait));
            }
            tokio::select! {
                () = self.clock.sleep_until(back) => {}
                () = self.resumed.notified() => {}
            }
        }
    }

    /// Refuses a call because others wait already.
    fn behind_the_line(&self, cost: u32) -> RateExceeded {
        let wait = self.rule().take(self.full.load(Relaxed), self.now(), cost).err();
        self.refuse(span(wait.unwrap_or(self.per_unit.load(Relaxed))))
    }

    #[cold]
    fn refuse(&self, retry_after: Duration) -> RateExceeded {
        self.refused.add();
        self.events.tell(|| LimiterEvent::Refused { retry_after });
        RateExceeded { retry_after }
    }

    fn rule(&self) -> Gcra {
        Gcra::from_parts(self.per_unit.load(Relaxed), self.reach.load(Relaxed))
    }

    fn now(&self) -> u64 {
        self.clock.now().as_nanos()
    }
}

impl<C: Clock, K: Classify<T, E>, T, E> Layer<T, E> for Limiter<C, K> {
    const AT_ONCE: bool = true;

    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        self.under(self.cost(), next)
    }
}

impl<C: Clock, K> Limiter<C, K> {
    /// What a call is expected to cost that goes through this as a layer.
    fn cost(&self) -> u32 {
        self.cost.load(Relaxed)
    }

    /// Runs `next` for `cost` units, and heeds the pause that its failure may ask for.
    #[inline]
    fn under<N, T, E>(&self, cost: u32, next: N) -> impl Future<Output = Result<T, Failure<E>>>
    where
        N: Next<Value = T, Error = E>,
        K: Classify<T, E>,
    {
        async move {
            Deadline::check_first()?;
            if !self.takes_at_once(cost) {
                // Boxed, so that callers who need not wait carry no timer about.
                Box::pin(self.queue_in_time(cost)).await?;
            }
            let result = match next.once().await {
                // Moved by itself, a value costs less than within its result.
                Ok(value) if self.classifier.trusts_values() => return Ok(value),
                result => result,
            };
            let (verdict, result) = judge(&self.classifier, result);
            if let Verdict::Failure {
                retry_after: Some(wait),
            } = verdict
            {
                self.pause_for(wait.min(RETRY_AFTER_MOST));
            }
            result
        }
    }
}

/// A wait in nanoseconds of the rule, which says its most for never.
const fn span(wait: u64) -> Duration {
    match wait {
        u64::MAX => Duration::MAX,
        wait => Duration::from_nanos(wait),
    }
}

/// The rate is used up. Nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("rate limit is used up, try again in {retry_after:?}")]
pub struct RateExceeded {
    /// When so many units will be there, if nobody else takes any; [`Duration::MAX`] where they are more than a burst.
    pub retry_after: Duration,
}

impl<E> From<RateExceeded> for Failure<E> {
    fn from(why: RateExceeded) -> Self {
        Self::RateLimited {
            retry_after: why.retry_after,
        }
    }
}

/// A limiter at one moment. The counters are since its making.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimiterSnapshot {
    /// The quota in force.
    pub quota: Quota,
    /// Units that could be taken now.
    pub free: u64,
    /// Units that were charged and have yet to come back before there are any.
    pub debt: u64,
    /// Callers that wait for units.
    pub waiting: usize,
    /// Calls that had to wait, whatever came of it.
    pub waited: u64,
    /// Calls that got nothing.
    pub refused: u64,
    /// Pauses that were asked for.
    pub pauses: u64,
}

/// What happens at a limiter beside calls that come through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimiterEvent {
    /// A call got nothing.
    Refused {
        /// When it may ask again.
        retry_after: Duration,
    },
    /// Nothing comes through for a while.
    Paused {
        /// For how long.
        wait: Duration,
    },
    /// A pause was ended by hand.
    Resumed,
}

#[cfg(test)]
mod tests;
