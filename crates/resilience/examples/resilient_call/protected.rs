//! The call, and the policies around it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stead_resilience::{
    Breaker, BreakerConfig, Budget, BudgetConfig, Bulkhead, BulkheadConfig, Failure, Judged, Layer, Limiter,
    LimiterConfig, Precise, Preset, Quota, Retry, RetryConfig, Timeout, TimeoutConfig, Verdict,
};

use super::client::{CallError, get, judge};

type Judge = fn(&Result<String, CallError>) -> Verdict;

/// What a caller gets.
pub(crate) enum Answer {
    /// What the server says now.
    Fresh,
    /// What it said last.
    Stale { answer: String, instead_of: String },
    /// Nothing: there is no last answer.
    None(String),
}

/// The call, and the policies around it, from the outside in.
pub(crate) struct Protected {
    address: SocketAddr,
    last: Mutex<Option<String>>,
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
            last: Mutex::default(),
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
    pub(crate) async fn ask(&self) -> Answer {
        match self.call().await {
            Ok(answer) => {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                Answer::Fresh
            }
            Err(failure) => {
                let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let why = failure.source().map_or_else(String::new, |why| format!(": {why}"));
                let why = format!("{failure}{why}");
                last.map_or(Answer::None(why.clone()), |answer| Answer::Stale {
                    answer,
                    instead_of: why,
                })
            }
        }
    }

    async fn call(&self) -> Result<String, Failure<CallError>> {
        let each = || self.each.call(|| get(self.address));
        let bulkhead = || self.bulkhead.run(each);
        let limiter = || self.limiter.run(bulkhead);
        let breaker = || self.judged.run(limiter);
        let retry = || self.retry.run(breaker);
        self.total.run(retry).await
    }
}
