use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;

use stead_resilience::{
    AdaptiveBulkhead, AdaptiveConfig, Breaker, BreakerConfig, Budget, BudgetConfig, Bulkhead, BulkheadConfig, Coarse,
    Deadline, Extra, Fallback, Hedge, HedgeConfig, Layer, Limiter, LimiterConfig, Pipeline, Quota, Retry, RetryConfig,
    Timeout, TimeoutConfig,
};

use crate::allocations::{NOTHING, allocated};

/// The result of what is ready at once, or after it has waited once.
fn ready<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        if let Poll::Ready(result) = work.as_mut().poll(&mut context) {
            return result;
        }
    }
    panic!("not ready");
}

/// Succeeds, after waiting once.
async fn waits_once() -> Result<u32, &'static str> {
    let mut waited = false;
    core::future::poll_fn(move |_| {
        if core::mem::replace(&mut waited, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    Ok(1)
}

fn succeeds<L: Layer<u32, &'static str>>(layer: &L, what: &str) {
    let at_once = || async { Ok(1) };
    assert_eq!(ready(layer.call(at_once)), Ok(1));
    let (spent, ()) = allocated(|| {
        for _ in 0..100 {
            assert_eq!(ready(layer.call(at_once)), Ok(1));
        }
    });
    assert_eq!(spent, NOTHING, "{what}, ready at once");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _timers = runtime.enter();
    assert_eq!(ready(layer.call(waits_once)), Ok(1));
    let (spent, ()) = allocated(|| {
        for _ in 0..100 {
            assert_eq!(ready(layer.call(waits_once)), Ok(1));
        }
    });
    assert_eq!(spent, NOTHING, "{what}, after waiting");
}

#[test]
fn nothing_is_allocated_for_calls_that_succeed() {
    let budget = Arc::new(Budget::new(BudgetConfig::default()).unwrap());
    let many = Quota::per_second(1_000_000);
    let limiter = LimiterConfig {
        quota: many,
        ..LimiterConfig::default()
    };
    let limit = Some(Duration::from_secs(60));
    let pipeline = Pipeline::new()
        .with(Timeout::new(TimeoutConfig { limit }).unwrap())
        .with(Retry::new(RetryConfig::default()).unwrap())
        .with(Breaker::new(BreakerConfig::default()).unwrap())
        .with(Limiter::new(limiter).unwrap())
        .with(Bulkhead::new(BulkheadConfig::default()).unwrap());
    succeeds(&pipeline, "five policies as one pipeline");
    succeeds(&Bulkhead::new(BulkheadConfig::default()).unwrap(), "bulkhead");
    succeeds(
        &AdaptiveBulkhead::new(AdaptiveConfig::default()).unwrap(),
        "adaptive bulkhead",
    );
    succeeds(&Limiter::new(limiter).unwrap(), "limiter");
    succeeds(&Timeout::new(TimeoutConfig { limit }).unwrap(), "timeout");
    let retry = Retry::new(RetryConfig::default()).unwrap();
    succeeds(&retry.with_budget(Arc::clone(&budget)), "retry");
    let hedge = Hedge::for_idempotent(HedgeConfig::default()).unwrap();
    succeeds(&hedge.with_budget(Arc::clone(&budget)), "hedge");
    succeeds(&Fallback::new().or_value("zero", |_| 0).with_budget(budget), "fallback");
}

#[test]
fn nothing_is_allocated_for_seats_units_tokens_and_deadlines() {
    let bulkhead = Bulkhead::new(BulkheadConfig {
        max_concurrent_calls: 1,
        ..BulkheadConfig::default()
    });
    let (bulkhead, limiter) = (bulkhead.unwrap(), Limiter::new(LimiterConfig::default()).unwrap());
    let budget = Budget::new(BudgetConfig::default()).unwrap();
    let (spent, ()) = allocated(|| {
        for _ in 0..100 {
            let seat = bulkhead.try_acquire();
            assert!(seat.is_some() && bulkhead.try_acquire().is_none());
            let _units_or_not = limiter.try_acquire(1);
            limiter.charge(1);
            budget.deposit();
            let _granted_or_not = budget.withdraw(Extra::Retry);
            let scoped = Deadline::after(&Coarse, Duration::from_secs(1)).scope(async { Deadline::remaining_now() });
            assert!(ready(scoped).is_some());
        }
    });
    assert_eq!(spent, NOTHING);
}
