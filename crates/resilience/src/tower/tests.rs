use core::task::Waker;
use std::convert::Infallible;

use stead_policy::{BreakerConfig, CircuitState};

use super::*;
use crate::{Fallback, Parts, PipelineConfig, StaleCache, StaleConfig, StandIns, Verdict, Virtual};

/// A service that panics when it is called without having been polled ready, as tower allows it to.
struct Strict {
    ready: bool,
    calls: Arc<Mutex<u32>>,
    fails: u32,
}

impl Strict {
    fn failing(fails: u32) -> Self {
        Self {
            ready: false,
            calls: Arc::default(),
            fails,
        }
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: Arc::clone(&self.calls),
            fails: self.fails,
        }
    }
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = &'static str;
    type Future = core::future::Ready<Result<u32, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(core::mem::take(&mut self.ready), "called without being ready");
        let mut calls = lock(&self.calls);
        *calls += 1;
        core::future::ready(if *calls <= self.fails { Err("down") } else { Ok(request) })
    }
}

async fn ask<S: Service<u32>>(service: &mut S, request: u32) -> Result<S::Response, S::Error> {
    poll_fn(|context| service.poll_ready(context)).await?;
    service.call(request).await
}

fn breaker(failure_threshold: u32) -> Arc<Breaker<Virtual>> {
    let config = BreakerConfig {
        failure_threshold,
        ..BreakerConfig::default()
    };
    Arc::new(Breaker::with_clock(config, Virtual::new()).expect("valid"))
}

#[tokio::test]
async fn clones_of_a_guarded_service_share_its_breaker_and_are_polled_ready_by_themselves() {
    let breaker = breaker(2);
    let mut one = BreakerLayer::new(Arc::clone(&breaker)).layer(Strict::failing(2));
    let mut other = one.clone();
    assert_eq!(ask(&mut one, 1).await, Err(Failure::Inner("down")));
    assert_eq!(ask(&mut other, 1).await, Err(Failure::Inner("down")));
    assert_eq!(breaker.state(), CircuitState::Open);
    assert!(matches!(ask(&mut one, 1).await, Err(Failure::CircuitOpen { .. })));
}

#[tokio::test]
async fn being_polled_ready_reserves_nothing_and_a_dropped_call_is_abandoned() {
    let breaker = breaker(2);
    let mut service = BreakerLayer::new(Arc::clone(&breaker)).layer(tower_fn());
    poll_fn(|context| service.poll_ready(context)).await.unwrap();
    drop(service.clone());
    assert_eq!(breaker.counts().abandoned, 0);
    let mut call = Box::pin(service.call(1));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(call);
    assert_eq!(breaker.counts().abandoned, 1);
}

#[derive(Clone)]
struct Hangs;

fn tower_fn() -> Hangs {
    Hangs
}

impl Service<u32> for Hangs {
    type Response = u32;
    type Error = Infallible;
    type Future = core::future::Pending<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        core::future::pending()
    }
}

#[tokio::test]
async fn a_classifier_judges_responses() {
    let breaker = breaker(1);
    let classifier = |result: &Result<u32, &str>| match result {
        Ok(500..) => Verdict::FAILURE,
        Ok(_) | Err(_) => Verdict::Success,
    };
    let mut service = BreakerLayer::judged_by(Arc::clone(&breaker), classifier).layer(Strict::failing(0));
    assert_eq!(ask(&mut service, 503).await, Ok(503));
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test]
async fn a_pipeline_tries_again_with_services_that_are_ready() {
    let text = r#"{"operation": "idempotent", "policies": [
        {"kind": "timeout", "limit": "1m"}, {"kind": "retry", "base": "1s"}
    ]}"#;
    let config: PipelineConfig = serde_json::from_str(text).unwrap();
    let clock = Virtual::new();
    let pipeline = Arc::new(NamedPipeline::build(config, &clock).unwrap());
    let mut service = PipelineLayer::new(pipeline).layer(Strict::failing(2));
    let (answer, ()) = tokio::join!(ask(&mut service, 7), clock.run_for(core::time::Duration::from_secs(60)));
    assert_eq!(answer, Ok(7));
    assert_eq!(ask(&mut service, 8).await, Ok(8));
}

/// Answers with its request until it is broken.
#[derive(Clone)]
struct Breaks(Arc<Mutex<bool>>);

impl Service<u32> for Breaks {
    type Response = String;
    type Error = &'static str;
    type Future = core::future::Ready<Result<String, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        core::future::ready(if *lock(&self.0) {
            Err("broken")
        } else {
            Ok(format!("answer {request}"))
        })
    }
}

#[tokio::test]
async fn a_pipeline_with_stand_ins_answers_for_a_broken_service_by_the_key_of_a_request() {
    let clock = Virtual::new();
    let cache = StaleCache::<String, String, _>::with(StaleConfig::default(), clock.clone(), AnyError).unwrap();
    let sorry = Fallback::<String, &'static str>::new().or_value("canned", |_| "sorry".to_owned());
    let stand_ins = StandIns::new()
        .cache("last", Arc::new(cache))
        .fallback("sorry", Arc::new(sorry));
    let text = r#"{"policies": [{"kind": "fallback", "name": "sorry"}, {"kind": "cache", "name": "last"}]}"#;
    let config: PipelineConfig = serde_json::from_str(text).unwrap();
    let pipeline = Arc::new(NamedPipeline::build_with(config, &clock, Parts::new().with_stand_ins(stand_ins)).unwrap());
    let broken = Arc::new(Mutex::new(false));
    let layer = PipelineLayer::new(Arc::clone(&pipeline)).keyed(|request: &u32| request.to_string());
    let mut service = layer.layer(Breaks(Arc::clone(&broken)));
    for request in [1, 2] {
        assert_eq!(ask(&mut service, request).await, Ok(format!("answer {request}")));
    }
    *lock(&broken) = true;
    for (request, answer) in [(1, "answer 1"), (2, "answer 2"), (3, "sorry")] {
        assert_eq!(ask(&mut service, request).await, Ok(answer.to_owned()));
    }
    let mut without_keys = PipelineLayer::new(pipeline).layer(Breaks(broken));
    assert_eq!(ask(&mut without_keys, 1).await, Ok("sorry".to_owned()));
}
