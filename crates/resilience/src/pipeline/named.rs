//! A pipeline that is built from configuration.

use core::future::Future;
use std::sync::Arc;

use super::config::{PipelineConfig, PipelineRefused, PolicyConfig};
use super::lint::Finding;
use super::stand_in::{Answers, Boxed, Nobody, StandIn, StandIns};
use crate::{AnyError, Breaker, Bulkhead, Clock, Coarse, Failure, Hedge, Layer, Limiter, Retry, Timeout};

/// A pipeline from configuration. Each policy costs one box per call; where that matters, use [`Pipeline`](crate::Pipeline).
///
/// One with fallbacks or caches is built with [`StandIns`], and is then for operations of their type alone. Its future is
/// `Send` where those of the operation are.
#[derive(Debug)]
pub struct NamedPipeline<C: Clock = Coarse, S = Nobody> {
    policies: Vec<Policy<C, S>>,
    config: PipelineConfig,
}

#[derive(Debug)]
enum Policy<C: Clock, S> {
    Timeout(Timeout<C>),
    Retry(Retry<C>),
    Hedge(Box<Hedge<C>>),
    Breaker(Arc<Breaker<C>>),
    Limiter(Box<Limiter<C>>),
    Bulkhead(Bulkhead<C>),
    StandIn(S),
}

impl<C: Clock> NamedPipeline<C> {
    /// Builds what `config` says, on `clock`.
    ///
    /// # Errors
    ///
    /// A setting makes no sense, the order cannot work as meant, or there is a fallback or a cache: those are handed to
    /// [`NamedPipeline::build_with`].
    pub fn build(config: PipelineConfig, clock: &C) -> Result<Self, PipelineRefused> {
        Self::made(config, clock, &nobody)
    }

    /// Changes its settings in place. Policies that keep their kind and place keep their state: windows, seats, debts.
    ///
    /// # Errors
    ///
    /// As [`NamedPipeline::build`]; the pipeline is as it was.
    pub fn reload(&mut self, config: PipelineConfig, clock: &C) -> Result<(), PipelineRefused> {
        self.renew(Self::build(config, clock)?);
        Ok(())
    }
}

impl<C: Clock, T, E> NamedPipeline<C, StandIn<T, E>> {
    /// As [`NamedPipeline::build`], with the fallbacks and caches that `config` may name.
    ///
    /// # Errors
    ///
    /// A setting makes no sense, the order cannot work as meant, or a name is not among `stand_ins`.
    pub fn build_with(config: PipelineConfig, clock: &C, stand_ins: &StandIns<T, E>) -> Result<Self, PipelineRefused> {
        Self::made(config, clock, &|place, policy| named(place, policy, stand_ins))
    }

    /// As [`NamedPipeline::reload`]. The fallbacks and caches are those of `stand_ins` from now on.
    ///
    /// # Errors
    ///
    /// As [`NamedPipeline::build_with`]; the pipeline is as it was.
    pub fn reload_with(
        &mut self,
        config: PipelineConfig,
        clock: &C,
        stand_ins: &StandIns<T, E>,
    ) -> Result<(), PipelineRefused> {
        self.renew(Self::build_with(config, clock, stand_ins)?);
        Ok(())
    }
}

impl<C: Clock, S> NamedPipeline<C, S> {
    fn made(config: PipelineConfig, clock: &C, find: &Find<'_, S>) -> Result<Self, PipelineRefused> {
        config.check()?;
        let policies = config.policies.iter().enumerate();
        let policies = policies
            .map(|(place, policy)| build(place, policy, clock, find))
            .collect::<Result<_, _>>()?;
        Ok(Self { policies, config })
    }

    /// Takes the settings of `fresh`, which has been built whole: what is refused has changed nothing.
    fn renew(&mut self, fresh: Self) {
        let mut old = core::mem::take(&mut self.policies).into_iter();
        let pairs = fresh.policies.into_iter().zip(&fresh.config.policies);
        self.policies = pairs
            .map(|(fresh, config)| match old.next() {
                Some(old) => old.keep_for(config).unwrap_or(fresh),
                None => fresh,
            })
            .collect();
        self.config = fresh.config;
    }

    /// What it was built from.
    #[must_use]
    pub const fn config(&self) -> &PipelineConfig {
        &self.config
    }

    /// What the linter has to say of its order: warnings, as refused ones are not built.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.config.findings()
    }

    /// Its breakers, the outermost first.
    pub fn breakers(&self) -> impl Iterator<Item = &Arc<Breaker<C>>> {
        self.policies.iter().filter_map(|policy| match policy {
            Policy::Breaker(breaker) => Some(breaker),
            Policy::Timeout(_)
            | Policy::Retry(_)
            | Policy::Hedge(_)
            | Policy::Limiter(_)
            | Policy::Bulkhead(_)
            | Policy::StandIn(_) => None,
        })
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
        F: Fn() -> Fut + Sync,
        Fut: Future<Output = Result<T, E>> + Send,
    {
        let tried = || {
            let tried = operation();
            async move { tried.await.map_err(Failure::Inner) }
        };
        run(&self.policies, key, &tried).await
    }
}

fn run<'a, C, S, T, E, F, Fut>(policies: &'a [Policy<C, S>], key: &'a str, next: &'a F) -> Boxed<'a, T, E>
where
    C: Clock,
    S: Answers<T, E>,
    T: Send + 'a,
    E: Send + 'a,
    F: Fn() -> Fut + Sync,
    Fut: Future<Output = Result<T, Failure<E>>> + Send + 'a,
{
    let Some((policy, inside)) = policies.split_first() else {
        return Box::pin(next());
    };
    let inside = move || run(inside, key, next);
    match policy {
        Policy::Timeout(timeout) => Box::pin(timeout.run(inside)),
        Policy::Retry(retry) => Box::pin(retry.run(inside)),
        Policy::Hedge(hedge) => Box::pin(hedge.run(inside)),
        Policy::StandIn(stand_in) => stand_in.answer(key, Box::new(inside)),
        Policy::Breaker(breaker) => Box::pin((**breaker).run(inside)),
        Policy::Limiter(limiter) => Box::pin(limiter.run(inside)),
        Policy::Bulkhead(bulkhead) => Box::pin(bulkhead.run(inside)),
    }
}

/// Finds a fallback or a cache by its name.
type Find<'a, S> = dyn Fn(usize, &PolicyConfig) -> Result<S, PipelineRefused> + 'a;

fn nobody(place: usize, policy: &PolicyConfig) -> Result<Nobody, PipelineRefused> {
    Err(unknown(place, policy, Vec::new()))
}

fn named<T, E>(
    place: usize,
    policy: &PolicyConfig,
    stand_ins: &StandIns<T, E>,
) -> Result<StandIn<T, E>, PipelineRefused> {
    let kind = policy.kind();
    let found = policy.stand_in().and_then(|name| stand_ins.find(kind, name));
    found.ok_or_else(|| unknown(place, policy, stand_ins.names(kind)))
}

fn unknown(place: usize, policy: &PolicyConfig, known: Vec<String>) -> PipelineRefused {
    PipelineRefused::Unknown {
        place,
        kind: policy.kind(),
        name: policy.stand_in().unwrap_or_default().to_owned(),
        known,
    }
}

fn build<C: Clock, S>(
    place: usize,
    policy: &PolicyConfig,
    clock: &C,
    find: &Find<'_, S>,
) -> Result<Policy<C, S>, PipelineRefused> {
    let clock = clock.clone();
    let setting = |why| PipelineRefused::Setting { place, why };
    Ok(match policy {
        PolicyConfig::Timeout(timeout) => {
            Policy::Timeout(Timeout::with_clock(timeout.config(), clock).map_err(setting)?)
        }
        PolicyConfig::Retry(retry) => {
            let config = retry.config().map_err(|why| PipelineRefused::Share { place, why })?;
            Policy::Retry(Retry::with(config, clock, AnyError).map_err(setting)?)
        }
        PolicyConfig::Hedge(hedge) => {
            let config = hedge.config().map_err(setting)?;
            Policy::Hedge(Box::new(
                Hedge::for_idempotent_with(config, clock, AnyError).map_err(setting)?,
            ))
        }
        PolicyConfig::Fallback(_) | PolicyConfig::Cache(_) => Policy::StandIn(find(place, policy)?),
        PolicyConfig::Breaker(settings) => {
            Policy::Breaker(Arc::new(Breaker::with_settings((**settings).clone(), clock)))
        }
        PolicyConfig::Limiter(limiter) => Policy::Limiter(Box::new(
            Limiter::with(limiter.config(), clock, AnyError).map_err(setting)?,
        )),
        PolicyConfig::Bulkhead(bulkhead) => {
            Policy::Bulkhead(Bulkhead::with_clock(bulkhead.config(), clock).map_err(setting)?)
        }
    })
}

impl<C: Clock, S> Policy<C, S> {
    /// The same policy with other settings, if it is of that kind. The settings have built a policy before.
    fn keep_for(self, config: &PolicyConfig) -> Option<Self> {
        let kept = match (&self, config) {
            (Self::Timeout(old), PolicyConfig::Timeout(new)) => old.reconfigure(new.config()),
            (Self::Retry(old), PolicyConfig::Retry(new)) => old.reconfigure(new.config().ok()?),
            (Self::Hedge(old), PolicyConfig::Hedge(new)) => old.reconfigure(new.config().ok()?),
            (Self::Breaker(old), PolicyConfig::Breaker(new)) => {
                old.apply((**new).clone());
                Ok(())
            }
            (Self::Limiter(old), PolicyConfig::Limiter(new)) => old.reconfigure(new.config()),
            (Self::Bulkhead(old), PolicyConfig::Bulkhead(new)) => old.reconfigure(new.config()),
            // What was handed in keeps its own state.
            (
                Self::Timeout(_)
                | Self::Retry(_)
                | Self::Hedge(_)
                | Self::Breaker(_)
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
            ) => return None,
        };
        kept.ok().map(|()| self)
    }
}
