//! A pipeline that is built from configuration.

use core::fmt;
use core::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::config::{PipelineConfig, PipelineRefused, PolicyConfig};
use super::lint::Finding;
use super::parts::{HandedIn, Parts};
use super::stand_in::{Answers, Boxed, Nobody};
use crate::sync::{Mutex, lock};
use crate::{
    AnyError, Breaker, Budget, Bulkhead, Classify, Clock, Coarse, Failure, Force, Hedge, Inspect, Layer, Limiter,
    PolicySnapshot, Retry, Timeout,
};

/// A pipeline from configuration. Each policy costs one box per call; where that matters, use [`Pipeline`](crate::Pipeline).
///
/// What configuration cannot say is handed in as [`Parts`]: what counts as a failure, a budget, fallbacks and caches. One with
/// fallbacks or caches is then for operations of their type alone. Its future is `Send` where those of the operation are.
///
/// Share it in an [`Arc`]: it is reloaded while calls go through.
pub struct NamedPipeline<C: Clock = Coarse, S = Nobody, K = AnyError> {
    now: ArcSwap<Made<C, S, K>>,
    clock: C,
    classifier: K,
    budget: Option<Arc<Budget>>,
    /// Finds what was handed in by name. Who reloads holds it, so that reloads come one after the other.
    find: Mutex<Box<Find<S>>>,
}

/// What one configuration was made into. Calls keep the one that they began with.
struct Made<C: Clock, S, K> {
    policies: Vec<Arc<Policy<C, S, K>>>,
    config: Arc<PipelineConfig>,
}

enum Policy<C: Clock, S, K> {
    Timeout(Timeout<C>),
    Retry(Retry<C, K>),
    Hedge(Hedge<C, K>),
    Breaker(Arc<Breaker<C>>, K),
    Limiter(Limiter<C, K>),
    Bulkhead(Bulkhead<C>),
    StandIn(S),
}

/// Finds a fallback or a cache by its name.
type Find<S> = dyn Fn(usize, &PolicyConfig) -> Result<S, PipelineRefused> + Send + Sync;

impl<C: Clock> NamedPipeline<C> {
    /// Builds what `config` says, on `clock`; every error is a failure.
    ///
    /// # Errors
    ///
    /// A setting makes no sense, the order cannot work as meant, or there is a fallback or a cache: those are handed to
    /// [`NamedPipeline::build_with`].
    pub fn build(config: PipelineConfig, clock: &C) -> Result<Self, PipelineRefused> {
        Self::build_with(config, clock, Parts::new())
    }
}

impl<C: Clock, S, K: Clone> NamedPipeline<C, S, K> {
    /// As [`NamedPipeline::build`], with what configuration cannot say.
    ///
    /// # Errors
    ///
    /// A setting makes no sense, the order cannot work as meant, or a name was not handed in.
    pub fn build_with<H>(config: PipelineConfig, clock: &C, parts: Parts<K, H>) -> Result<Self, PipelineRefused>
    where
        H: HandedIn<StandIn = S> + Send + Sync + 'static,
    {
        let Parts {
            classifier,
            budget,
            stand_ins,
        } = parts;
        let find: Box<Find<S>> = Box::new(move |place, policy| stand_ins.find(place, policy));
        let made = make(config, clock, &classifier, budget.as_ref(), &*find)?;
        Ok(Self {
            now: ArcSwap::from_pointee(made),
            clock: clock.clone(),
            classifier,
            budget,
            find: Mutex::new(find),
        })
    }

    /// Changes its settings in place, while calls go through: those under way end as they began.
    ///
    /// The first breaker stays the first breaker, with its state, wherever it stands now; and so the second, and each kind of
    /// policy: windows, seats, debts. What was handed in stays.
    ///
    /// # Errors
    ///
    /// As [`NamedPipeline::build_with`]; the pipeline is as it was.
    pub fn reload(&self, config: PipelineConfig) -> Result<(), PipelineRefused> {
        let find = lock(&self.find);
        let fresh = make(config, &self.clock, &self.classifier, self.budget.as_ref(), &**find)?;
        let old = self.now.load_full();
        // What is refused has changed nothing: all of it has been built.
        let policies = fresh.policies.iter().zip(&fresh.config.policies).enumerate();
        let kept = policies.map(|(place, (policy, config))| {
            let before = &fresh.config.policies[..place];
            let number = before.iter().filter(|other| other.kind() == config.kind()).count();
            let kept = old.nth(config, number).filter(|old| old.takes(config));
            Arc::clone(kept.unwrap_or(policy))
        });
        let policies = kept.collect();
        let config = fresh.config;
        self.now.store(Arc::new(Made { policies, config }));
        drop(find);
        Ok(())
    }
}

impl<C: Clock, S, K> NamedPipeline<C, S, K> {
    /// What it is built from now.
    #[must_use]
    pub fn config(&self) -> Arc<PipelineConfig> {
        Arc::clone(&self.now.load().config)
    }

    /// What the linter has to say of its order: warnings, as refused ones are not built.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.config().findings()
    }

    /// Its breakers, the outermost first.
    pub fn breakers(&self) -> impl Iterator<Item = Arc<Breaker<C>>> + use<C, S, K> {
        let now = self.now.load_full();
        let breakers = now.policies.iter().filter_map(|policy| match &**policy {
            Policy::Breaker(breaker, _) => Some(Arc::clone(breaker)),
            Policy::Timeout(_)
            | Policy::Retry(_)
            | Policy::Hedge(_)
            | Policy::Limiter(_)
            | Policy::Bulkhead(_)
            | Policy::StandIn(_) => None,
        });
        breakers.collect::<Vec<_>>().into_iter()
    }

    /// How each of its policies stands, the outermost first.
    #[must_use]
    pub fn snapshots(&self) -> Vec<PolicySnapshot>
    where
        S: Inspect,
    {
        let now = self.now.load_full();
        now.policies.iter().flat_map(|policy| policy.snapshots()).collect()
    }

    /// Does with its breakers and limiters what a person wants, and says how many it were.
    pub(crate) fn force(&self, what: Force) -> usize {
        let now = self.now.load_full();
        let forced = now.policies.iter().map(|policy| match &**policy {
            Policy::Breaker(breaker, _) => {
                breaker.forced(what);
                1
            }
            Policy::Limiter(limiter) => limiter.forced(what),
            Policy::Timeout(_) | Policy::Retry(_) | Policy::Hedge(_) | Policy::Bulkhead(_) | Policy::StandIn(_) => 0,
        });
        forced.sum()
    }

    /// Runs `operation` under all policies. Each try calls it again. Dropping the future cancels the try in flight.
    ///
    /// # Errors
    ///
    /// What the operation said, or which policy stepped in.
    pub fn call<T, E, F, Fut>(&self, operation: F) -> impl Future<Output = Result<T, Failure<E>>>
    where
        T: Send,
        E: Send,
        S: Answers<T, E>,
        K: Classify<T, E> + Send + Sync,
        F: Fn() -> Fut + Sync,
        Fut: Future<Output = Result<T, E>> + Send,
    {
        self.call_for("", operation)
    }

    /// As [`NamedPipeline::call`], where answers differ by a key: a cache by `String` keys keeps one for each.
    ///
    /// # Errors
    ///
    /// As [`NamedPipeline::call`].
    pub async fn call_for<T, E, F, Fut>(&self, key: &str, operation: F) -> Result<T, Failure<E>>
    where
        T: Send,
        E: Send,
        S: Answers<T, E>,
        K: Classify<T, E> + Send + Sync,
        F: Fn() -> Fut + Sync,
        Fut: Future<Output = Result<T, E>> + Send,
    {
        let tried = || {
            let tried = operation();
            async move { tried.await.map_err(Failure::Inner) }
        };
        let now = self.now.load_full();
        run(&now.policies, key, &tried).await
    }
}

fn run<'a, C, S, K, T, E, F, Fut>(policies: &'a [Arc<Policy<C, S, K>>], key: &'a str, next: &'a F) -> Boxed<'a, T, E>
where
    C: Clock,
    S: Answers<T, E>,
    K: Classify<T, E> + Send + Sync,
    T: Send + 'a,
    E: Send + 'a,
    F: Fn() -> Fut + Sync,
    Fut: Future<Output = Result<T, Failure<E>>> + Send + 'a,
{
    let Some((policy, inside)) = policies.split_first() else {
        return Box::pin(next());
    };
    let inside = move || run(inside, key, next);
    match &**policy {
        Policy::Timeout(timeout) => Box::pin(timeout.run(inside)),
        Policy::Retry(retry) => Box::pin(retry.run(inside)),
        Policy::Hedge(hedge) => Box::pin(hedge.run(inside)),
        Policy::StandIn(stand_in) => stand_in.answer(key, Box::new(inside)),
        Policy::Breaker(breaker, classifier) => Box::pin(breaker.run_judged(classifier, inside)),
        Policy::Limiter(limiter) => Box::pin(limiter.run(inside)),
        Policy::Bulkhead(bulkhead) => Box::pin(bulkhead.run(inside)),
    }
}

fn make<C: Clock, S, K: Clone>(
    config: PipelineConfig,
    clock: &C,
    classifier: &K,
    budget: Option<&Arc<Budget>>,
    find: &Find<S>,
) -> Result<Made<C, S, K>, PipelineRefused> {
    config.check()?;
    let policies = config.policies.iter().enumerate();
    let policies = policies.map(|(place, policy)| build(place, policy, clock, classifier, budget, find).map(Arc::new));
    Ok(Made {
        policies: policies.collect::<Result<_, _>>()?,
        config: Arc::new(config),
    })
}

fn build<C: Clock, S, K: Clone>(
    place: usize,
    policy: &PolicyConfig,
    clock: &C,
    classifier: &K,
    budget: Option<&Arc<Budget>>,
    find: &Find<S>,
) -> Result<Policy<C, S, K>, PipelineRefused> {
    let (clock, classifier, budget) = (clock.clone(), classifier.clone(), budget.cloned());
    let setting = |why| PipelineRefused::Setting { place, why };
    Ok(match policy {
        PolicyConfig::Timeout(timeout) => {
            Policy::Timeout(Timeout::with_clock(timeout.config(), clock).map_err(setting)?)
        }
        PolicyConfig::Retry(retry) => {
            let config = retry.config().map_err(|why| PipelineRefused::Share { place, why })?;
            let retry = Retry::with(config, clock, classifier).map_err(setting)?;
            Policy::Retry(match budget {
                Some(budget) => retry.with_budget(budget),
                None => retry,
            })
        }
        PolicyConfig::Hedge(hedge) => {
            let config = hedge.config().map_err(setting)?;
            let hedge = Hedge::for_idempotent_with(config, clock, classifier).map_err(setting)?;
            Policy::Hedge(match budget {
                Some(budget) => hedge.with_budget(budget),
                None => hedge,
            })
        }
        PolicyConfig::Fallback(_) | PolicyConfig::Cache(_) => Policy::StandIn(find(place, policy)?),
        PolicyConfig::Breaker(settings) => {
            let breaker = Breaker::with_settings((**settings).clone(), clock);
            if let Some(budget) = budget {
                breaker.share_budget(budget);
            }
            Policy::Breaker(Arc::new(breaker), classifier)
        }
        PolicyConfig::Limiter(limiter) => {
            Policy::Limiter(Limiter::with(limiter.config(), clock, classifier).map_err(setting)?)
        }
        PolicyConfig::Bulkhead(bulkhead) => {
            Policy::Bulkhead(Bulkhead::with_clock(bulkhead.config(), clock).map_err(setting)?)
        }
    })
}

impl<C: Clock, S, K> Made<C, S, K> {
    /// The policy of the kind of `like` that has so many of that kind outside of it.
    fn nth(&self, like: &PolicyConfig, number: usize) -> Option<&Arc<Policy<C, S, K>>> {
        let policies = self.policies.iter().zip(&self.config.policies);
        let mut alike = policies.filter(|(_, config)| config.kind() == like.kind());
        alike.nth(number).map(|(policy, _)| policy)
    }
}

impl<C: Clock, S, K> Policy<C, S, K> {
    fn snapshots(&self) -> Vec<PolicySnapshot>
    where
        S: Inspect,
    {
        vec![match self {
            Self::Timeout(timeout) => PolicySnapshot::Timeout(timeout.snapshot()),
            Self::Retry(retry) => PolicySnapshot::Retry(retry.snapshot()),
            Self::Hedge(hedge) => PolicySnapshot::Hedge(hedge.snapshot()),
            Self::Breaker(breaker, _) => PolicySnapshot::Breaker(breaker.status()),
            Self::Limiter(limiter) => PolicySnapshot::Limiter(limiter.snapshot()),
            Self::Bulkhead(bulkhead) => PolicySnapshot::Bulkhead(bulkhead.snapshot()),
            Self::StandIn(stand_in) => return stand_in.inspect(),
        }]
    }

    /// Takes other settings, if they are those of its kind. They have built a policy before.
    fn takes(&self, config: &PolicyConfig) -> bool {
        match (self, config) {
            (Self::Timeout(old), PolicyConfig::Timeout(new)) => old.reconfigure(new.config()).is_ok(),
            (Self::Retry(old), PolicyConfig::Retry(new)) => new.config().is_ok_and(|new| old.reconfigure(new).is_ok()),
            (Self::Hedge(old), PolicyConfig::Hedge(new)) => new.config().is_ok_and(|new| old.reconfigure(new).is_ok()),
            (Self::Breaker(old, _), PolicyConfig::Breaker(new)) => {
                old.apply((**new).clone());
                true
            }
            (Self::Limiter(old), PolicyConfig::Limiter(new)) => old.reconfigure(new.config()).is_ok(),
            (Self::Bulkhead(old), PolicyConfig::Bulkhead(new)) => old.reconfigure(new.config()).is_ok(),
            // What was handed in keeps its own state.
            (
                Self::Timeout(_)
                | Self::Retry(_)
                | Self::Hedge(_)
                | Self::Breaker(..)
                | Self::Limiter(_)
                | Self::Bulkhead(_)
                | Self::StandIn(_),
                PolicyConfig::Timeout(_)
                | PolicyConfig::Retry(_)
                | PolicyConfig::Hedge(_)
                | PolicyConfig::Fallback(_)
                | PolicyConfig::Cache(_)
                | PolicyConfig::Breaker(_)
                | PolicyConfig::Limiter(_)
                | PolicyConfig::Bulkhead(_),
            ) => false,
        }
    }
}

impl<C: Clock, S, K> fmt::Debug for NamedPipeline<C, S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedPipeline")
            .field("config", &self.config())
            .finish_non_exhaustive()
    }
}
