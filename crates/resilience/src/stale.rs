//! Cache on failure: the last good answer stands in, for a while, and says how old it is.
//!
//! Unlike a cache this saves no calls: every call is made, and only where it fails an old answer is given.

use core::fmt;
use core::hash::Hash;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::classify::judge;
use crate::count::Counter;
use crate::events::Events;
use crate::setting::require;
use crate::{AnyError, Classify, Clock, Coarse, Failure, InvalidSetting, Layer, Listener, Moment, Next, Verdict};

/// How many answers are kept, and for how long they are of use.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `max_entries` | 1,000 | answers are forgotten before they are needed | memory |
/// | `max_staleness` | 5 min | an outage reaches the callers | callers work with what is no longer true |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StaleConfig {
    /// Answers kept, one per key: at least 1. Beyond, the one that was renewed longest ago goes.
    pub max_entries: usize,
    /// How old an answer may be that stands in; more than nothing.
    pub max_staleness: Duration,
}

impl Default for StaleConfig {
    fn default() -> Self {
        Self {
            max_entries: 1000,
            max_staleness: Duration::from_secs(300),
        }
    }
}

impl StaleConfig {
    fn check(&self) -> Result<(), InvalidSetting> {
        require(
            self.max_entries > 0,
            "stale.max_entries",
            self.max_entries,
            "it must be at least 1",
        )?;
        require(
            !self.max_staleness.is_zero(),
            "stale.max_staleness",
            self.max_staleness,
            "it must be more than nothing",
        )
    }
}

/// Keeps the last good answer per key, and gives it where a call fails.
///
/// Values are cloned: put large ones behind an `Arc`. An error that the classifier ignores (the caller's own mistake) goes
/// through as it is.
///
/// # Examples
///
/// ```
/// use stead_resilience::{StaleCache, StaleConfig};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stead_resilience::InvalidSetting> {
/// let cache = StaleCache::new(StaleConfig::default())?;
/// let fresh = cache.call("rates", || async { Ok::<_, &str>(42) }).await.unwrap();
/// let stale = cache.call("rates", || async { Err("down") }).await.unwrap();
/// assert_eq!((fresh.value, fresh.stale.is_some()), (42, false));
/// assert_eq!((stale.value, stale.stale.is_some()), (42, true));
/// # Ok(()) }
/// ```
pub struct StaleCache<Q, T, C = Coarse, K = AnyError> {
    kept: Mutex<Kept<Q, T>>,
    clock: C,
    classifier: K,
    served: Counter,
    missed: Counter,
    too_old: Counter,
    events: Events<StaleEvent>,
}

/// Answers by key, and keys by when they were renewed.
struct Kept<Q, T> {
    config: StaleConfig,
    answers: HashMap<Q, (u64, Moment, T)>,
    renewed: BTreeMap<u64, Q>,
    next: u64,
}

impl<Q: Hash + Eq + Clone, T: Clone> StaleCache<Q, T> {
    /// A cache on the [`Coarse`] clock; every error is a failure.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn new(config: StaleConfig) -> Result<Self, InvalidSetting> {
        Self::with(config, Coarse, AnyError)
    }
}

impl<Q: Hash + Eq + Clone, T: Clone, C: Clock, K> StaleCache<Q, T, C, K> {
    /// A cache with a clock and a classifier of one's own.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn with(config: StaleConfig, clock: C, classifier: K) -> Result<Self, InvalidSetting> {
        config.check()?;
        let kept = Kept {
            config,
            answers: HashMap::new(),
            renewed: BTreeMap::new(),
            next: 0,
        };
        Ok(Self {
            kept: Mutex::new(kept),
            clock,
            classifier,
            served: Counter::default(),
            missed: Counter::default(),
            too_old: Counter::default(),
            events: Events::new(),
        })
    }

    /// Runs `operation`. Its answer is kept under `key`; where it gives none, the last one stands in. Cancel safe.
    ///
    /// # Errors
    ///
    /// The failure of `operation`, where no answer is kept or it is too old.
    pub async fn call<E, F, Fut>(&self, key: Q, operation: F) -> Result<Recalled<T, E>, Failure<E>>
    where
        K: Classify<T, E>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.settle(&key, async { operation().await.map_err(Failure::Inner) })
            .await
    }

    /// This cache for one key, as a [`Layer`].
    #[must_use]
    pub const fn at(&self, key: Q) -> StaleAt<'_, Q, T, C, K> {
        StaleAt { cache: self, key }
    }

    /// Changes the settings in place. Answers stay, as far as there is room.
    ///
    /// # Errors
    ///
    /// A setting does not work; everything is as before.
    pub fn reconfigure(&self, config: StaleConfig) -> Result<(), InvalidSetting> {
        config.check()?;
        let mut kept = self.kept();
        kept.config = config;
        kept.shrink();
        Ok(())
    }

    /// What is kept, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> StaleSnapshot {
        StaleSnapshot {
            entries: self.kept().answers.len(),
            served: self.served.get(),
            missed: self.missed.get(),
            too_old: self.too_old.get(),
        }
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<StaleEvent> {
        self.events.listen()
    }

    async fn settle<E>(
        &self,
        key: &Q,
        operation: impl Future<Output = Result<T, Failure<E>>>,
    ) -> Result<Recalled<T, E>, Failure<E>>
    where
        K: Classify<T, E>,
    {
        let (verdict, result) = judge(&self.classifier, operation.await);
        match (verdict, result) {
            (Verdict::Success, Ok(value)) => {
                self.kept().renew(key, self.clock.now(), value.clone());
                Ok(Recalled { value, stale: None })
            }
            // A value that is not good is better than none, and not worth keeping.
            (_, Ok(value)) => Ok(Recalled { value, stale: None }),
            (Verdict::Ignored, Err(Failure::Inner(mistake))) => Err(Failure::Inner(mistake)),
            (_, Err(because)) => self.stand_in(key, because),
        }
    }

    fn stand_in<E>(&self, key: &Q, because: Failure<E>) -> Result<Recalled<T, E>, Failure<E>> {
        let kept = self.kept();
        let Some((_, renewed, value)) = kept.answers.get(key) else {
            self.missed.add();
            return Err(because);
        };
        let age = self.clock.now().since(*renewed);
        if age > kept.config.max_staleness {
            self.too_old.add();
            return Err(because);
        }
        let value = value.clone();
        drop(kept);
        self.served.add();
        self.events.tell(|| StaleEvent::Served { age });
        Ok(Recalled {
            value,
            stale: Some(Stale { age, because }),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept<Q, T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Hash + Eq + Clone, T> Kept<Q, T> {
    fn renew(&mut self, key: &Q, now: Moment, value: T) {
        let number = self.next;
        self.next += 1;
        if let Some((before, ..)) = self.answers.insert(key.clone(), (number, now, value)) {
            self.renewed.remove(&before);
        }
        self.renewed.insert(number, key.clone());
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.answers.len() > self.config.max_entries
            && let Some((_, oldest)) = self.renewed.pop_first()
        {
            self.answers.remove(&oldest);
        }
    }
}

impl<Q, T, C, K> fmt::Debug for StaleCache<Q, T, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaleCache").finish_non_exhaustive()
    }
}

/// A [`StaleCache`] for one key.
pub struct StaleAt<'a, Q, T, C = Coarse, K = AnyError> {
    cache: &'a StaleCache<Q, T, C, K>,
    key: Q,
}

impl<Q, T, C, K> fmt::Debug for StaleAt<'_, Q, T, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaleAt").finish_non_exhaustive()
    }
}

impl<Q, T, C, K, E> Layer<T, E> for StaleAt<'_, Q, T, C, K>
where
    Q: Hash + Eq + Clone,
    T: Clone,
    C: Clock,
    K: Classify<T, E>,
{
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        Ok(self.cache.settle(&self.key, next.once()).await?.value)
    }
}

/// An answer, and how old it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recalled<T, E> {
    /// The answer.
    pub value: T,
    /// Where it is an old one: how old, and why there is none from now.
    pub stale: Option<Stale<E>>,
}

/// What there is to know of an old answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stale<E> {
    /// How long ago it was given.
    pub age: Duration,
    /// Why the call gave none now.
    pub because: Failure<E>,
}

/// A cache at one moment. The counters are since its making.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StaleSnapshot {
    /// Answers kept, too old ones included.
    pub entries: usize,
    /// Failed calls for which an old answer stood in.
    pub served: u64,
    /// Failed calls for which none was kept.
    pub missed: u64,
    /// Failed calls for which the one kept was too old.
    pub too_old: u64,
}

/// What happens where calls fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StaleEvent {
    /// An old answer stood in.
    Served {
        /// How old.
        age: Duration,
    },
}

#[cfg(test)]
mod tests;
