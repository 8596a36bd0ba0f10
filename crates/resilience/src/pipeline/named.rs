//! A pipeline that is built from configuration.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use super::config::{PipelineConfig, PipelineRefused, PolicyConfig};
use super::lint::Finding;
use crate::{AnyError, Breaker, Bulkhead, Clock, Coarse, Failure, Layer, Limiter, Retry, Timeout};

/// A pipeline from configuration. Each policy costs one box per call; where that matters, use [`Pipeline`](crate::Pipeline).
///
/// Its future is `Send` where those of the operation are.
#[derive(Debug)]
pub struct NamedPipeline<C: Clock = Coarse> {
    policies: Vec<Policy<C>>,
    config: PipelineConfig,
}

#[derive(Debug)]
enum Policy<C: Clock> {
    Timeout(Timeout<C>),
    Retry(Retry<C>),
    Breaker(Arc<Breaker<C>>),
    Limiter(Box<Limiter<C>>),
    Bulkhead(Bulkhead<C>),
}

type Boxed<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, Failure<E>>> + Send + 'a>>;

impl<C: Clock> NamedPipeline<C> {
    /// Builds what `config` says, on `clock`.
    ///
    /// # Errors
    ///
    /// A setting makes no sense, or the order cannot work as meant.
    pub fn build(config: PipelineConfig, clock: &C) -> Result<Self, PipelineRefused> {
        config.check()?;
        let policies = config.policies.iter().enumerate();
        let policies = policies
            .map(|(place, policy)| build(place, policy, clock))
            .collect::<Result<_, _>>()?;
        Ok(Self { policies, config })
    }

    /// Changes its settings in place. Policies that keep their kind and place keep their state: windows, seats, debts.
    ///
    /// # Errors
    ///
    /// As [`NamedPipeline::build`]; the pipeline is as it was, up to policies that took their new settings before the one
    /// that refused.
    pub fn reload(&mut self, config: PipelineConfig, clock: &C) -> Result<(), PipelineRefused> {
        // Built whole first: what is refused then has changed nothing.
        let fresh = Self::build(config, clock)?;
        let mut old = core::mem::take(&mut self.policies).into_iter();
        let pairs = fresh.policies.into_iter().zip(&fresh.config.policies).enumerate();
        self.policies = pairs
            .map(|(place, (fresh, config))| match old.next() {
                Some(old) => old.keep_for(place, config).unwrap_or(fresh),
                None => fresh,
            })
            .collect();
        self.config = fresh.config;
        Ok(())
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
            Policy::Timeout(_) | Policy::Retry(_) | Policy::Limiter(_) | Policy::Bulkhead(_) => None,
        })
    }

    /// Runs `operation` under all policies. Each try calls it again. Dropping the future cancels the try in flight.
    ///
    /// # Errors
    ///
    /// What the operation said, or which policy stepped in.
    pub async fn call<T, E, F, Fut>(&self, operation: F) -> Result<T, Failure<E>>
    where
        T: Send,
        E: Send,
        F: Fn() -> Fut + Sync,
        Fut: Future<Output = Result<T, E>> + Send,
    {
        let tried = || {
            let tried = operation();
            async move { tried.await.map_err(Failure::Inner) }
        };
        run(&self.policies, &tried).await
    }
}

fn run<'a, C, T, E, F, Fut>(policies: &'a [Policy<C>], next: &'a F) -> Boxed<'a, T, E>
where
    C: Clock,
    T: Send + 'a,
    E: Send + 'a,
    F: Fn() -> Fut + Sync,
    Fut: Future<Output = Result<T, Failure<E>>> + Send + 'a,
{
    let Some((policy, inside)) = policies.split_first() else {
        return Box::pin(next());
    };
    let inside = move || run(inside, next);
    match policy {
        Policy::Timeout(timeout) => Box::pin(timeout.run(inside)),
        Policy::Retry(retry) => Box::pin(retry.run(inside)),
        Policy::Breaker(breaker) => Box::pin((**breaker).run(inside)),
        Policy::Limiter(limiter) => Box::pin(limiter.run(inside)),
        Policy::Bulkhead(bulkhead) => Box::pin(bulkhead.run(inside)),
    }
}

fn build<C: Clock>(place: usize, policy: &PolicyConfig, clock: &C) -> Result<Policy<C>, PipelineRefused> {
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

impl<C: Clock> Policy<C> {
    /// The same policy with other settings, if it is of that kind. The settings have built a policy before.
    fn keep_for(self, place: usize, config: &PolicyConfig) -> Option<Self> {
        let setting = |why| PipelineRefused::Setting { place, why };
        let kept = match (&self, config) {
            (Self::Timeout(old), PolicyConfig::Timeout(new)) => old.reconfigure(new.config()).map_err(setting),
            (Self::Retry(old), PolicyConfig::Retry(new)) => old.reconfigure(new.config().ok()?).map_err(setting),
            (Self::Breaker(old), PolicyConfig::Breaker(new)) => {
                old.apply((**new).clone());
                Ok(())
            }
            (Self::Limiter(old), PolicyConfig::Limiter(new)) => old.reconfigure(new.config()).map_err(setting),
            (Self::Bulkhead(old), PolicyConfig::Bulkhead(new)) => old.reconfigure(new.config()).map_err(setting),
            (
                Self::Timeout(_) | Self::Retry(_) | Self::Breaker(_) | Self::Limiter(_) | Self::Bulkhead(_),
                PolicyConfig::Timeout(_)
                | PolicyConfig::Retry(_)
                | PolicyConfig::Breaker(_)
                | PolicyConfig::Limiter(_)
                | PolicyConfig::Bulkhead(_),
            ) => return None,
        };
        kept.ok().map(|()| self)
    }
}
