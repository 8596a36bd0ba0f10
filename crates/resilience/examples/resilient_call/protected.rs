//! The call, and the policies around it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stead_resilience::{
    Breaker, BreakerConfig, Budget, BudgetConfig, Bulkhead, BulkheadConfig, Failure, Fallback, Hedge, HedgeConfig,
    HedgeDelay, Judged, Layer, Limiter, LimiterConfig, Pipeline, Precise, Preset, Quota, Retry, RetryConfig,
    StaleCache, StaleConfig, Timeout, TimeoutConfig, Traits, Verdict,
};

use super::client::{CallError, get, judge};

type Judge = fn(&Result<String, CallError>) -> Verdict;

/// The policies around each other. A macro, as nobody wants to write the type of all nine down, and behind `impl` it could not be
/// seen that calls may be sent to other threads.
macro_rules! pipeline {
    ($of:expr) => {
        Pipeline::new()
            .with(&$of.fallback)
            .with($of.stale.at(()))
            .with(&$of.total)
            .with(&$of.retry)
            .with(&$of.hedge)
            .with(&$of.judged)
            .with(&$of.limiter)
            .with(&$of.bulkhead)
            .with(&$of.each)
    };
}

/// The call, and the policies around it, from the outside in.
pub(crate) struct Protected {
    address: SocketAddr,
    pub(crate) fallback: Fallback<String, CallError, Judge>,
    pub(crate) stale: StaleCache<(), String, Precise, Judge>,
    pub(crate) total: Timeout<Precise>,
    pub(crate) retry: Retry<Precise, Judge>,
    pub(crate) hedge: Hedge<Precise, Judge>,
    pub(crate) breaker: Arc<Breaker<Precise>>,
    judged: Judged<Arc<Breaker<Precise>>, Judge>,
    pub(crate) limiter: Limiter<Precise, Judge>,
    pub(crate) bulkhead: Bulkhead<Precise>,
    pub(crate) each: Timeout<Precise>,
    pub(crate) budget: Arc<Budget>,
}

impl Protected {
    pub(crate) fn new(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let ms = Duration::from_millis;
        let limit = |wait| TimeoutConfig { limit: Some(ms(wait)) };
        let mut retry = RetryConfig::from(Preset::Api);
        (retry.backoff.initial, retry.max_retry_after) = (ms(20), ms(200));
        let breaker = BreakerConfig {
            failure_threshold: 5,
            open_for: ms(300),
            ..BreakerConfig::default()
        };
        let quota = Quota {
            burst: 50,
            ..Quota::per_second(200)
        };
        let limiter = LimiterConfig {
            quota,
            max_queue: 20,
            max_wait_duration: ms(200),
            ..LimiterConfig::default()
        };
        let bulkhead = BulkheadConfig {
            max_concurrent_calls: 8,
            max_queue: 16,
            max_wait_duration: ms(100),
            ..BulkheadConfig::default()
        };
        let hedge = HedgeConfig {
            delay: HedgeDelay::After(ms(100)),
            max_hedges: 1,
        };
        // Little, so that it is used up while we look.
        let budget = BudgetConfig {
            ratio: 0.05,
            burst: 3,
            per_second: 0,
        };

        let budget = Arc::new(Budget::new(budget)?);
        let breaker = Breaker::with_clock(breaker, Precise)?.with_budget(Arc::clone(&budget));
        let breaker = Arc::new(breaker);
        let hedge = Hedge::for_idempotent_with(hedge, Precise, judge as Judge)?;
        let protected = Self {
            address,
            fallback: Fallback::with(judge as Judge).or_value("canned", |_| "a canned answer".to_owned()),
            stale: StaleCache::with(StaleConfig::default(), Precise, judge as Judge)?,
            total: Timeout::with_clock(limit(1000), Precise)?,
            retry: Retry::with(retry, Precise, judge as Judge)?.with_budget(Arc::clone(&budget)),
            hedge: hedge.with_budget(Arc::clone(&budget)),
            judged: Judged::new(Arc::clone(&breaker), judge),
            breaker,
            limiter: Limiter::with(limiter, Precise, judge as Judge)?,
            bulkhead: Bulkhead::with_clock(bulkhead, Precise)?,
            each: Timeout::with_clock(limit(250), Precise)?,
            budget,
        };
        // What cannot work as meant is refused here.
        pipeline!(protected).checked(Traits::Idempotent)?;
        Ok(protected)
    }

    /// One call through all of them.
    pub(crate) async fn ask(&self) -> Result<String, Failure<CallError>> {
        pipeline!(self).call(|| get(self.address)).await
    }

    /// Calls that something else had to stand in for.
    pub(crate) fn stood_in(&self) -> u64 {
        self.stale.snapshot().served + self.fallback.snapshot().needed
    }
}
