//! The call, and the policies around it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stead_resilience::{
    Breaker, BreakerConfig, Budget, BudgetConfig, Bulkhead, BulkheadConfig, Failure, Fallback, Judged, Layer, Limiter,
    LimiterConfig, Precise, Preset, Quota, Retry, RetryConfig, StaleCache, StaleConfig, Timeout, TimeoutConfig,
    Verdict,
};

use super::client::{CallError, get, judge};

type Judge = fn(&Result<String, CallError>) -> Verdict;

/// The call, and the policies around it, from the outside in.
pub(crate) struct Protected {
    address: SocketAddr,
    pub(crate) fallback: Fallback<String, CallError, Judge>,
    pub(crate) stale: StaleCache<(), String, Precise, Judge>,
    pub(crate) total: Timeout<Precise>,
    pub(crate) retry: Retry<Precise, Judge>,
    pub(crate) breaker: Arc<Breaker<Precise>>,
    judged: Judged<Arc<Breaker<Precise>>, Judge>,
    pub(crate) limiter: Limiter<Precise, Judge>,
    pub(crate) bulkhead: Bulkhead<Precise>,
    pub(crate) each: Timeout<Precise>,
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
        let budget = BudgetConfig {
            ratio: 0.5,
            ..BudgetConfig::default()
        };

        let breaker = Arc::new(Breaker::with_clock(breaker, Precise)?);
        Ok(Self {
            address,
            fallback: Fallback::with(judge as Judge).or_value("canned", |_| "a canned answer".to_owned()),
            stale: StaleCache::with(StaleConfig::default(), Precise, judge as Judge)?,
            total: Timeout::with_clock(limit(1000), Precise)?,
            retry: Retry::with(retry, Precise, judge as Judge)?.with_budget(Arc::new(Budget::new(budget)?)),
            judged: Judged::new(Arc::clone(&breaker), judge),
            breaker,
            limiter: Limiter::with(limiter, Precise, judge as Judge)?,
            bulkhead: Bulkhead::with_clock(bulkhead, Precise)?,
            each: Timeout::with_clock(limit(250), Precise)?,
        })
    }

    /// One call through all of them.
    pub(crate) async fn ask(&self) -> Result<String, Failure<CallError>> {
        let each = || self.each.call(|| get(self.address));
        let bulkhead = || self.bulkhead.run(each);
        let limiter = || self.limiter.run(bulkhead);
        let breaker = || self.judged.run(limiter);
        let retry = || self.retry.run(breaker);
        let total = || self.total.run(retry);
        let last = self.stale.at(());
        let stale = || last.run(total);
        self.fallback.run(stale).await
    }

    /// Calls that something else had to stand in for.
    pub(crate) fn stood_in(&self) -> u64 {
        self.stale.snapshot().served + self.fallback.snapshot().needed
    }
}
