//! Whole pipelines around a future that is ready at once.

use std::hint::black_box;
use std::time::Duration;

use stead_resilience::{
    AnyError, Breaker, BreakerConfig, Bulkhead, BulkheadConfig, Layer, Limiter, LimiterConfig, NamedPipeline, Pipeline,
    PipelineConfig, Quota, Retry, RetryConfig, Ticker, Timeout, TimeoutConfig, Window,
};

use crate::Case;
use crate::breakers::block_on;
use crate::floors::operation;

const GROUP: &str = "pipeline, async, every call succeeds";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    match Ticker::start() {
        Ok(ticker) => cases.extend([fixed(ticker.clone()), named(ticker)]),
        Err(failed) => eprintln!("no ticker: {failed}"),
    }
    cases
}

fn fixed(clock: Ticker) -> Case {
    let breaker = BreakerConfig {
        window: Window::Count { calls: 100 },
        failure_rate: Some(0.5),
        ..BreakerConfig::default()
    };
    let limiter = LimiterConfig {
        quota: Quota {
            units: 1_000_000_000,
            period: Duration::from_secs(1),
            burst: 1_000_000_000,
        },
        ..LimiterConfig::default()
    };
    let limit = TimeoutConfig {
        limit: Some(Duration::from_secs(60)),
    };
    let policies = (
        Timeout::with_clock(limit, clock.clone()),
        Retry::with(RetryConfig::default(), clock.clone(), AnyError),
        Breaker::with_clock(breaker, clock.clone()),
        Limiter::with(limiter, clock.clone(), AnyError),
        Bulkhead::with_clock(BulkheadConfig::default(), clock),
    );
    let (Ok(timeout), Ok(retry), Ok(breaker), Ok(limiter), Ok(bulkhead)) = policies else {
        panic!("the settings make no sense")
    };
    let pipeline = Pipeline::new()
        .with(timeout)
        .with(retry)
        .with(breaker)
        .with(limiter)
        .with(bulkhead);
    Case::new(GROUP, "Stead, five policies by type", move |n| {
        block_on(async {
            for n in 0..n {
                black_box(&pipeline.call(|| async move { operation(n) }).await);
            }
        });
    })
}

fn named(clock: Ticker) -> Case {
    let text = r#"{"operation": "idempotent", "policies": [
        {"kind": "timeout", "limit": "1m"},
        {"kind": "retry"},
        {"kind": "breaker", "window": {"kind": "count", "calls": 100}, "failure_rate": 0.5},
        {"kind": "limiter", "calls": 1000000000, "period": "1s"},
        {"kind": "bulkhead"}
    ]}"#;
    let config: PipelineConfig = match serde_json::from_str(text) {
        Ok(config) => config,
        Err(wrong) => panic!("{wrong}"),
    };
    let pipeline = match NamedPipeline::build(config, &clock) {
        Ok(pipeline) => pipeline,
        Err(refused) => panic!("{refused}"),
    };
    Case::new(GROUP, "Stead, five policies from configuration", move |n| {
        block_on(async {
            for n in 0..n {
                black_box(&pipeline.call(|| async move { operation(n) }).await);
            }
        });
    })
}
