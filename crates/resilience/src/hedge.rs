//! Hedging: a call that is slow gets a second one beside it, and the first answer counts.
//!
//! It cuts off the slow end of the answers' times for a few percent of calls more (Dean and Barroso, "The Tail at Scale",
//! 2013). The same thing may be done twice: only for what is idempotent.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use stead_policy::{Extra, Latencies};

use crate::budget::paid;
use crate::classify::judge;
use crate::count::Counter;
use crate::events::Events;
use crate::setting::require;
use crate::{
    AnyError, Budget, Classify, Clock, Deadline, Failure, InvalidSetting, Layer, Listener, Moment, Next, Precise,
    Verdict,
};

/// When a call is slow, and how many more there may be.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `delay` | slower than 95 % of the calls, 10 ms to 1 s | most calls are made twice | slow calls are not helped |
/// | `max_hedges` | 1 | – | a service that is slow gets a multiple of its load |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HedgeConfig {
    /// How long to wait before each further call.
    pub delay: HedgeDelay,
    /// Further calls beside the first: 1 to 10.
    pub max_hedges: u32,
}

/// How long to wait before a further call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum HedgeDelay {
    /// Always this long.
    After(Duration),
    /// As long as this share of the calls of late took, learned from those that succeed: within two bounds, and `most`
    /// until 20 calls are known. Costs two readings of the clock per call.
    Percentile {
        /// A number above 0 and below 100.
        percent: f64,
        /// The wait is never shorter.
        least: Duration,
        /// The wait is never longer.
        most: Duration,
    },
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            delay: HedgeDelay::Percentile {
                percent: 95.0,
                least: Duration::from_millis(10),
                most: Duration::from_secs(1),
            },
            max_hedges: 1,
        }
    }
}

impl HedgeConfig {
    const fn learns(&self) -> bool {
        matches!(self.delay, HedgeDelay::Percentile { .. })
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require(
            (1..=10).contains(&self.max_hedges),
            "hedge.max_hedges",
            self.max_hedges,
            "it must be 1 to 10",
        )?;
        let longest = match self.delay {
            HedgeDelay::After(wait) => wait,
            HedgeDelay::Percentile { most, .. } => most,
        };
        require(
            !longest.is_zero(),
            "hedge.delay",
            self.delay,
            "it must be more than nothing, else every call is made twice",
        )?;
        if let HedgeDelay::Percentile { percent, least, most } = self.delay {
            require(
                percent > 0.0 && percent < 100.0,
                "hedge.delay.percent",
                percent,
                "it must be a number above 0 and below 100",
            )?;
            require(
                least <= most,
                "hedge.delay.least",
                least,
                "it must not be longer than hedge.delay.most",
            )?;
        }
        Ok(())
    }
}

/// Makes a second call where the first is slow; the first answer counts, and the others are cancelled.
///
/// A failure counts as an answer only once no other call is under way. A call that fails before it is slow is simply a
/// failure: trying again is for a [`Retry`](crate::Retry) around this.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use stead_resilience::{Hedge, HedgeConfig, HedgeDelay, Layer};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stead_resilience::InvalidSetting> {
/// let delay = HedgeDelay::After(Duration::from_millis(5));
/// let hedge = Hedge::for_idempotent(HedgeConfig { delay, ..HedgeConfig::default() })?;
/// let first = core::cell::Cell::new(true);
/// let answer = hedge.call(|| {
///     let hangs = first.replace(false);
///     async move {
///         if hangs { core::future::pending::<()>().await }
///         Ok::<_, ()>("from the second")
///     }
/// }).await;
/// assert_eq!(answer, Ok("from the second"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Hedge<C = Precise, K = AnyError> {
    rule: Mutex<HedgeDelay>,
    /// Of the configuration, for calls that are not slow: how many more, whether they are learned from, and the wait in
    /// force in nanoseconds.
    max_hedges: AtomicU32,
    learns: AtomicBool,
    delay: AtomicU64,
    latencies: Mutex<Latencies>,
    clock: C,
    classifier: K,
    budget: Option<Arc<Budget>>,
    hedged: Counter,
    won: Counter,
    not_granted: Counter,
    events: Events<HedgeEvent>,
}

impl Hedge {
    /// Hedges calls that do no harm when they are made twice, on the [`Precise`] clock; every error is a failure.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn for_idempotent(config: HedgeConfig) -> Result<Self, InvalidSetting> {
        Self::for_idempotent_with(config, Precise, AnyError)
    }
}

impl<C: Clock, K> Hedge<C, K> {
    /// Hedges calls that do no harm when they are made twice, with a clock and a classifier of one's own.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn for_idempotent_with(config: HedgeConfig, clock: C, classifier: K) -> Result<Self, InvalidSetting> {
        config.check()?;
        Ok(Self {
            rule: Mutex::new(config.delay),
            max_hedges: AtomicU32::new(config.max_hedges),
            learns: AtomicBool::new(config.learns()),
            delay: AtomicU64::new(first_delay(config.delay)),
            latencies: Mutex::default(),
            clock,
            classifier,
            budget: None,
            hedged: Counter::default(),
            won: Counter::default(),
            not_granted: Counter::default(),
            events: Events::new(),
        })
    }

    /// Shares `budget`: each call deposits, each further call withdraws.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Changes the settings in place, for calls that begin from now on. What was learned stays.
    ///
    /// # Errors
    ///
    /// A setting does not work; everything is as before.
    pub fn reconfigure(&self, config: HedgeConfig) -> Result<(), InvalidSetting> {
        config.check()?;
        let latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = config.delay;
        // Relaxed: numbers by themselves; a call in between sees some of each.
        self.max_hedges.store(config.max_hedges, Relaxed);
        self.learns.store(config.learns(), Relaxed);
        self.delay.store(first_delay(config.delay), Relaxed);
        self.relearn(&latencies);
        Ok(())
    }

    /// What is set and learned, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> HedgeSnapshot {
        HedgeSnapshot {
            delay: self.delay(),
            hedged: self.hedged.get(),
            won: self.won.get(),
            not_granted: self.not_granted.get(),
        }
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<HedgeEvent> {
        self.events.listen()
    }

    fn delay(&self) -> Duration {
        Duration::from_nanos(self.delay.load(Relaxed))
    }

    /// Whether a further call may be made: the deadline has not passed, and the budget pays.
    fn may_hedge(&self, number: u32) -> bool {
        if Deadline::remaining_now().is_some_and(|left| left.is_zero()) {
            return false;
        }
        if self
            .budget
            .as_ref()
            .is_some_and(|budget| !budget.withdraw(Extra::Hedge))
        {
            self.not_granted.add();
            return false;
        }
        self.hedged.add();
        self.events.tell(|| HedgeEvent::Hedged { number });
        true
    }

    fn learn_since(&self, begun: Option<Moment>) {
        if let Some(begun) = begun {
            self.learn(self.clock.now().since(begun));
        }
    }

    /// Learns from an answer. One that comes while another is being learned from is left out.
    fn learn(&self, took: Duration) {
        let mut latencies = match self.latencies.try_lock() {
            Ok(latencies) => latencies,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        latencies.record(took);
        if latencies.weight() % LEARNED_EVERY == 0 {
            self.relearn(&latencies);
        }
    }

    fn relearn(&self, latencies: &Latencies) {
        let rule = *self.rule.lock().unwrap_or_else(PoisonError::into_inner);
        if let HedgeDelay::Percentile { percent, least, most } = rule
            && latencies.weight() >= KNOWN
            && let Some(usual) = latencies.quantile(percent / 100.0)
        {
            self.delay.store(nanos(usual.clamp(least, most)), Relaxed);
        }
    }
}

/// The wait before anything is learned.
fn first_delay(delay: HedgeDelay) -> u64 {
    match delay {
        HedgeDelay::After(wait) => nanos(wait),
        HedgeDelay::Percentile { most, .. } => nanos(most),
    }
}

fn nanos(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)
}

/// So many answers must be known before the wait follows them.
const KNOWN: u32 = 20;
/// The wait is worked out anew after so many answers.
const LEARNED_EVERY: u32 = 10;

impl<C: Clock, K: Classify<T, E>, T, E> Layer<T, E> for Hedge<C, K> {
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        let budget = self.budget.as_deref();
        Deadline::check_now()?;
        if let Some(budget) = budget {
            budget.deposit_once();
        }
        let begun = self.learns.load(Relaxed).then(|| self.clock.now());
        let mut first = pin!(next.once());
        // What is ready at once needs no race.
        let polled = poll_fn(|context| Poll::Ready(paid(budget, || first.as_mut().poll(context)))).await;
        match polled {
            Poll::Ready(Ok(value)) => {
                self.learn_since(begun);
                return Ok(value);
            }
            Poll::Ready(Err(failure)) => return Err(failure),
            Poll::Pending => {}
        }
        let mut race = Race {
            hedge: self,
            next: || next.once(),
            first: Some(first.as_mut()),
            others: Vec::new(),
            failed: None,
            made: 0,
            most: self.max_hedges.load(Relaxed),
        };
        let mut timer = pin!(None);
        let mut since = begun;
        let result = poll_fn(|context| {
            loop {
                if let Poll::Ready(result) = paid(budget, || race.poll(context)) {
                    return Poll::Ready(result);
                }
                if race.made == race.most {
                    return Poll::Pending;
                }
                if timer.is_none() {
                    let since = since.take().unwrap_or_else(|| self.clock.now());
                    timer.set(Some(self.clock.sleep_until(since.after(self.delay()))));
                }
                if let Some(sleep) = timer.as_mut().as_pin_mut()
                    && sleep.poll(context).is_pending()
                {
                    return Poll::Pending;
                }
                timer.set(None);
                race.hedge();
            }
        })
        .await;
        if result.is_ok() {
            self.learn_since(begun);
        }
        result
    }
}

/// Calls of the same thing beside each other.
struct Race<'a, C, K, F, Fut, T, E> {
    hedge: &'a Hedge<C, K>,
    next: F,
    first: Option<Pin<&'a mut Fut>>,
    others: Vec<Pin<Box<Fut>>>,
    failed: Option<Result<T, Failure<E>>>,
    /// Further calls made, and how many may be.
    made: u32,
    most: u32,
}

impl<C: Clock, K, F, Fut, T, E> Race<'_, C, K, F, Fut, T, E>
where
    K: Classify<T, E>,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Failure<E>>>,
{
    /// Makes a further call, if it may.
    fn hedge(&mut self) {
        if self.hedge.may_hedge(self.made + 1) {
            self.made += 1;
            self.others.push(Box::pin((self.next)()));
        } else {
            self.most = self.made;
        }
    }

    /// Ready with the first answer, or with the last failure where no call is under way.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Failure<E>>> {
        if let Some(first) = &mut self.first
            && let Poll::Ready(result) = first.as_mut().poll(context)
        {
            self.first = None;
            if let Some(answer) = self.answer(result) {
                return Poll::Ready(answer);
            }
        }
        let mut index = 0;
        while let Some(other) = self.others.get_mut(index) {
            let Poll::Ready(result) = other.as_mut().poll(context) else {
                index += 1;
                continue;
            };
            drop(self.others.remove(index));
            if let Some(answer) = self.answer(result) {
                self.hedge.won.add();
                self.hedge.events.tell(|| HedgeEvent::Won);
                return Poll::Ready(answer);
            }
        }
        if self.first.is_none() && self.others.is_empty() {
            return self.failed.take().map_or(Poll::Pending, Poll::Ready);
        }
        Poll::Pending
    }

    /// What counts as an answer; a failure is kept for later.
    fn answer(&mut self, result: Result<T, Failure<E>>) -> Option<Result<T, Failure<E>>> {
        let refused = matches!(&result, Err(failure) if !matches!(failure, Failure::Inner(_)));
        let (verdict, result) = judge(&self.hedge.classifier, result);
        match verdict {
            Verdict::Success | Verdict::Terminal => Some(result),
            Verdict::Ignored if !refused => Some(result),
            Verdict::Ignored | Verdict::Failure { .. } => {
                self.failed = Some(result);
                None
            }
        }
    }
}

/// A hedge at one moment. The counters are since its making.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HedgeSnapshot {
    /// The wait in force.
    pub delay: Duration,
    /// Further calls that were made.
    pub hedged: u64,
    /// Calls that a further call answered.
    pub won: u64,
    /// Further calls that the budget did not pay for.
    pub not_granted: u64,
}

/// What happens to calls that are slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HedgeEvent {
    /// A further call was made.
    Hedged {
        /// The how manieth for the same thing.
        number: u32,
    },
    /// A further call answered first.
    Won,
}

#[cfg(test)]
mod tests;
