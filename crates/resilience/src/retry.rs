//! Retry: what failed is tried again, later, not for ever, and not by everybody at once.

use core::fmt;
use core::future::poll_fn;
use core::pin::pin;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use stead_policy::{Backoff, Factor, First, Growth, Jitter, Spread, draw};

mod plan;
mod told;

pub use told::{GaveUp, RetryEvent, RetrySnapshot};

use crate::budget::paid;
use crate::classify::judge;
use crate::deadline::time_goes_on;
use crate::events::Events;
use crate::setting::require;
use crate::{
    AnyError, Budget, Classify, Clock, Coarse, Deadline, Failure, InvalidSetting, Layer, Listener, Moment, Next,
    Preset, Verdict,
};
use plan::{NONE, nanos};
use told::Counters;

/// How often and how far apart to try again.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `max_attempts` | 3 | short failures reach the caller | a service in trouble gets a multiple of its load |
/// | `backoff` | 1 s, doubling up to 60 s, jitter ± 0.1 | the service gets no rest | callers hang |
/// | `max_elapsed` | none | as `max_attempts` | callers hang |
/// | `max_retry_after` | 60 s | the caller must wait by itself | callers hang for as long as the service says |
/// | `attempt_needs` | nothing | attempts begin that their deadline cuts off | attempts that would have ended are not made |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryConfig {
    /// Tries, the first call included: at least 1.
    pub max_attempts: u32,
    /// How long to wait before each further try; its times are more than nothing. With jitter the wait is still at most [`Backoff::max`].
    pub backoff: Backoff,
    /// No wait begins that ends later than this after the first try began.
    pub max_elapsed: Option<Duration>,
    /// The longest wait that a service may ask for (`Retry-After`). If it asks for more, the caller gets the error and
    /// the time instead of a wait.
    pub max_retry_after: Duration,
    /// How long a try takes at least: where the [`Deadline`] leaves less, none begins.
    pub attempt_needs: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff {
                first: First::Waits,
                initial: Duration::from_secs(1),
                growth: Growth::Exponential(Factor::DOUBLE),
                max: Duration::from_secs(60),
                jitter: Jitter::Proportional(Spread::percent(10)),
            },
            max_elapsed: None,
            max_retry_after: Duration::from_secs(60),
            attempt_needs: Duration::ZERO,
        }
    }
}

impl From<Preset> for RetryConfig {
    fn from(preset: Preset) -> Self {
        Self {
            max_attempts: preset.attempts(),
            backoff: preset.backoff(),
            ..Self::default()
        }
    }
}

impl RetryConfig {
    fn check(&self) -> Result<(), InvalidSetting> {
        require(
            self.max_attempts > 0,
            "retry.max_attempts",
            self.max_attempts,
            "it counts the first call, so it must be at least 1",
        )?;
        for (wait, setting) in [
            (self.backoff.initial, "retry.backoff.initial"),
            (self.backoff.max, "retry.backoff.max"),
        ] {
            require(
                !wait.is_zero(),
                setting,
                wait,
                "it must be more than nothing; for a second try at once set retry.backoff.first to at-once",
            )?;
        }
        require(
            self.max_elapsed.is_none_or(|most| !most.is_zero()),
            "retry.max_elapsed",
            self.max_elapsed,
            "it must be more than nothing; leave it out for no limit",
        )
    }
}

/// Tries again what failed.
///
/// Tried again is what the classifier calls a failure; what it ignores or calls terminal is not, nor what an inner policy
/// refused before it began (an open circuit, a full bulkhead), nor what an inner retry gave up. Success costs nothing but a
/// look at the deadline.
///
/// Given up, the caller gets [`Failure::Exhausted`] with the last error; a value that the classifier calls a failure is
/// given as it is.
///
/// # Examples
///
/// ```
/// use core::cell::Cell;
/// use stead_resilience::{Layer, Retry, RetryConfig, TokioClock, AnyError};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), stead_resilience::InvalidSetting> {
/// let retry = Retry::with(RetryConfig::default(), TokioClock::new(), AnyError)?;
/// let tries = Cell::new(0);
/// let result = retry.call(|| async {
///     tries.set(tries.get() + 1);
///     if tries.get() < 3 { Err("not yet") } else { Ok("there") }
/// }).await;
/// assert_eq!(result, Ok("there"));
/// # Ok(()) }
/// ```
pub struct Retry<C = Coarse, K = AnyError> {
    config: Mutex<RetryConfig>,
    /// Of the configuration, in nanoseconds, for calls that succeed at once.
    attempt_needs: AtomicU64,
    max_elapsed: AtomicU64,
    clock: C,
    classifier: K,
    budget: Option<Arc<Budget>>,
    hook: Option<Hook>,
    seed: u64,
    calls: AtomicU64,
    counters: Counters,
    events: Events<RetryEvent>,
}

type Hook = Box<dyn Fn(&RetryEvent) + Send + Sync>;

impl Retry {
    /// A retry on the [`Coarse`] clock that takes every error as a failure.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn new(config: RetryConfig) -> Result<Self, InvalidSetting> {
        Self::with(config, Coarse, AnyError)
    }
}

impl<C: Clock, K> Retry<C, K> {
    /// A retry with a clock and a classifier of one's own.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn with(config: RetryConfig, clock: C, classifier: K) -> Result<Self, InvalidSetting> {
        config.check()?;
        Ok(Self {
            attempt_needs: AtomicU64::new(nanos(config.attempt_needs)),
            max_elapsed: AtomicU64::new(config.max_elapsed.map_or(NONE, nanos)),
            config: Mutex::new(config),
            clock,
            classifier,
            budget: None,
            hook: None,
            seed: RandomState::new().build_hasher().finish(),
            calls: AtomicU64::new(0),
            counters: Counters::default(),
            events: Events::new(),
        })
    }

    /// Shares `budget`: each call deposits, each further try withdraws.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Calls `hook` with each event, on the task that retries, before it waits: it should not block. If it panics, that is
    /// counted and harms nobody. Listeners that take their time use [`Retry::events`].
    #[must_use]
    pub fn with_hook(mut self, hook: impl Fn(&RetryEvent) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Draws jitter from `seed`, the same every time, instead of from a seed of this retry's own.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Changes the settings for calls that fail for the first time from now on.
    ///
    /// # Errors
    ///
    /// A setting does not work; everything is as before.
    pub fn reconfigure(&self, config: RetryConfig) -> Result<(), InvalidSetting> {
        config.check()?;
        *self.config() = config;
        // Relaxed: numbers by themselves; a call in between sees one of each.
        self.attempt_needs.store(nanos(config.attempt_needs), Relaxed);
        self.max_elapsed.store(config.max_elapsed.map_or(NONE, nanos), Relaxed);
        Ok(())
    }

    /// What is set, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> RetrySnapshot {
        let max_attempts = self.config().max_attempts;
        self.counters.snapshot(max_attempts)
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<RetryEvent> {
        self.events.listen()
    }

    /// Whether the deadline leaves time for the first try.
    fn may_begin(&self) -> bool {
        if self.attempt_needs.load(Relaxed) == 0 {
            return Deadline::check_first::<()>().is_ok();
        }
        self.may_go_on()
    }

    /// Whether the deadline leaves time for another try.
    fn may_go_on(&self) -> bool {
        let needs = self.attempt_needs.load(Relaxed);
        Deadline::remaining_now().is_none_or(|left| left > Duration::ZERO && nanos(left) >= needs)
    }

    /// When the first try began, if that matters.
    fn begun(&self) -> Option<Moment> {
        (self.max_elapsed.load(Relaxed) != NONE).then(|| self.clock.now())
    }

    fn next_seed(&self) -> u64 {
        draw(self.seed, self.calls.fetch_add(1, Relaxed))
    }

    fn tell(&self, event: RetryEvent) {
        self.counters.count(&event);
        if let Some(hook) = &self.hook
            && catch_unwind(AssertUnwindSafe(|| hook(&event))).is_err()
        {
            self.counters.hook_panics.add();
        }
        self.events.tell(|| event);
    }

    fn config(&self) -> std::sync::MutexGuard<'_, RetryConfig> {
        self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Goes on after the first try has failed.
    async fn again<T, E, N>(
        &self,
        begun: Option<Moment>,
        retry_after: Option<Duration>,
        result: Result<T, Failure<E>>,
        next: &N,
    ) -> Result<T, Failure<E>>
    where
        K: Classify<T, E>,
        N: Next<Value = T, Error = E>,
    {
        // Hooks and waits come, whatever the first try looked at.
        time_goes_on();
        let mut plan = plan::Plan::new(*self.config(), begun, self.next_seed());
        let (mut retry_after, mut result) = (retry_after, result);
        loop {
            if matches!(result, Err(Failure::Exhausted { .. })) {
                return result;
            }
            let wait = match plan.next(&self.clock, retry_after, self.budget.as_deref()) {
                Ok(wait) => wait,
                Err(why) => {
                    let attempts = plan.made();
                    self.tell(RetryEvent::GaveUp { attempts, why });
                    return result.map_err(|last| given_up(attempts, retry_after, last));
                }
            };
            self.tell(RetryEvent::Retrying {
                attempt: plan.made() + 1,
                wait,
            });
            drop(result);
            self.clock.sleep(wait).await;
            if !self.may_go_on() {
                // Woken late.
                self.tell(RetryEvent::GaveUp {
                    attempts: plan.made(),
                    why: GaveUp::Deadline,
                });
                return Err(Failure::DeadlineExceeded);
            }
            plan.begin();
            let (verdict, tried) = judge(&self.classifier, next.once().await);
            match verdict {
                Verdict::Failure { retry_after: after } => (retry_after, result) = (after, tried),
                Verdict::Success => {
                    let attempts = plan.made();
                    self.tell(RetryEvent::Recovered { attempts });
                    return tried;
                }
                Verdict::Ignored | Verdict::Terminal => return tried,
            }
        }
    }
}

fn given_up<E>(attempts: u32, retry_after: Option<Duration>, last: Failure<E>) -> Failure<E> {
    match last {
        Failure::Inner(last) => Failure::Exhausted {
            attempts,
            retry_after,
            last,
        },
        policy => policy,
    }
}

impl<C: Clock, K: Classify<T, E>, T, E> Layer<T, E> for Retry<C, K> {
    const AT_ONCE: bool = true;

    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        async move {
            if !self.may_begin() {
                self.tell(RetryEvent::NotBegun);
                return Err(Failure::DeadlineExceeded);
            }
            if let Some(budget) = &self.budget {
                budget.deposit_once();
            }
            let begun = self.begun();
            let budget = self.budget.as_deref();
            let mut first = pin!(next.once());
            let first = poll_fn(|context| paid(budget, || first.as_mut().poll(context)));
            let result = match first.await {
                // Moved by itself, a value costs less than within its result.
                Ok(value) if self.classifier.trusts_values() => return Ok(value),
                result => result,
            };
            let (verdict, result) = judge(&self.classifier, result);
            match verdict {
                Verdict::Success | Verdict::Ignored | Verdict::Terminal => result,
                // Boxed, so that calls that succeed carry none of it about.
                Verdict::Failure { retry_after } => {
                    let mut again = Box::pin(self.again(begun, retry_after, result, &next));
                    poll_fn(|context| paid(budget, || again.as_mut().poll(context))).await
                }
            }
        }
    }
}

impl<C: fmt::Debug, K> fmt::Debug for Retry<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("config", &self.config)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
