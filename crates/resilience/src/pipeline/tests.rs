use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use core::time::Duration;

use stead_policy::BreakerConfig;

use super::*;
use crate::{Breaker, CircuitState, Retry, RetryConfig, Timeout, TimeoutConfig, Virtual};

mod handed_in;
mod written;

const SECOND: Duration = Duration::from_secs(1);

fn config(text: &str) -> PipelineConfig {
    serde_json::from_str(text).unwrap_or_else(|wrong| panic!("{wrong}: {text}"))
}

#[tokio::test]
async fn policies_stand_around_each_other_in_the_order_in_which_they_were_added() {
    let breaker = Breaker::new(BreakerConfig {
        failure_threshold: 2,
        ..BreakerConfig::default()
    })
    .unwrap();
    let clock = Virtual::new();
    let retry = Retry::with(RetryConfig::default(), clock.clone(), crate::AnyError).unwrap();
    let timeout = Timeout::new(TimeoutConfig::default()).unwrap();
    let pipeline = Pipeline::new().with(retry).with(&breaker).with(timeout);
    let tries = Cell::new(0);
    let call = pipeline.call(|| {
        tries.set(tries.get() + 1);
        async { Err::<(), _>("down") }
    });
    let (failed, ()) = tokio::join!(call, clock.run_for(100 * SECOND));
    // The breaker is inside of the retry: it saw two tries, and refused the third.
    assert_eq!((tries.get(), breaker.state()), (2, CircuitState::Open));
    assert!(failed.is_err());
}

/// A type of so many policies grows by as much with each: it once grew fourfold, and the compiler gave up.
#[tokio::test]
async fn a_dozen_policies_by_type_go_to_another_thread() {
    let retry = || Retry::new(RetryConfig::default()).unwrap();
    let breaker = || Breaker::new(BreakerConfig::default()).unwrap();
    let timeout = || Timeout::new(TimeoutConfig { limit: Some(SECOND) }).unwrap();
    let bulkhead = || crate::Bulkhead::new(crate::BulkheadConfig::default()).unwrap();
    let pipeline = Pipeline::new()
        .with(retry())
        .with(breaker())
        .with(timeout())
        .with(bulkhead())
        .with(retry())
        .with(breaker())
        .with(timeout())
        .with(bulkhead())
        .with(retry())
        .with(breaker())
        .with(timeout())
        .with(bulkhead());
    let text = String::from("answer");
    let call = tokio::spawn(async move { pipeline.call(|| async { Ok::<_, ()>(text.len()) }).await });
    assert_eq!(call.await.unwrap(), Ok(6));
}

#[tokio::test]
async fn an_empty_pipeline_is_the_operation() {
    assert_eq!(Pipeline::new().call(|| async { Ok::<_, ()>(1) }).await, Ok(1));
}

#[tokio::test]
async fn a_pipeline_from_configuration_does_what_it_says_and_may_travel() {
    let config = config(
        r#"{"operation": "idempotent", "policies": [
            {"kind": "timeout", "limit": "1m"},
            {"kind": "retry", "max_attempts": 4, "base": "10ms", "max": "1s", "jitter": 0.0},
            {"kind": "breaker", "failure_threshold": 3, "open_for": "5s"},
            {"kind": "limiter", "calls": 100, "period": "1s"},
            {"kind": "bulkhead", "max_concurrent_calls": 2},
            {"kind": "timeout", "limit": "20s"}
        ]}"#,
    );
    let clock = Virtual::new();
    let pipeline = Arc::new(NamedPipeline::build(config, &clock).unwrap());
    assert_eq!(pipeline.findings(), []);
    let tries = Arc::new(AtomicU32::new(0));
    let task = tokio::spawn({
        let (pipeline, tries) = (Arc::clone(&pipeline), Arc::clone(&tries));
        async move {
            let operation = || {
                let n = tries.fetch_add(1, SeqCst);
                async move { if n < 2 { Err("down") } else { Ok(n) } }
            };
            pipeline.call(operation).await
        }
    });
    clock.run_for(SECOND).await;
    assert_eq!(task.await.unwrap(), Ok(2));
    let breaker = pipeline.breakers().next().unwrap();
    assert_eq!((breaker.state(), breaker.counts().failed), (CircuitState::Closed, 2));
}

#[tokio::test]
async fn a_reload_keeps_the_state_of_policies_that_stay() {
    let clock = Virtual::new();
    let with = |threshold: u32| {
        config(&format!(
            r#"{{"policies": [{{"kind": "breaker", "failure_threshold": {threshold}}}]}}"#
        ))
    };
    let pipeline = NamedPipeline::build(with(5), &clock).unwrap();
    for _ in 0..2 {
        assert!(pipeline.call(|| async { Err::<(), _>(()) }).await.is_err());
    }
    pipeline.reload(with(3)).unwrap();
    assert!(pipeline.call(|| async { Err::<(), _>(()) }).await.is_err());
    assert_eq!(pipeline.breakers().next().unwrap().state(), CircuitState::Open);
}

#[test]
fn orders_that_cannot_work_are_refused_and_the_error_says_why() {
    let clock = Virtual::new();
    for (text, why) in [
        (
            r#"{"policies": [{"kind": "retry"}, {"kind": "retry"}]}"#,
            "tries multiply",
        ),
        (
            r#"{"policies": [{"kind": "bulkhead", "max_concurrent_calls": 0}]}"#,
            "policy 0 of the pipeline",
        ),
        (r#"{"policies": [{"kind": "retry", "jitter": 2.0}]}"#, "jitter ratio 2"),
    ] {
        let error = NamedPipeline::build(config(text), &clock).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let unread = serde_json::from_str::<PipelineConfig>(r#"{"policies": [{"kind": "breaker", "open_for": "0s"}]}"#);
    assert!(unread.unwrap_err().to_string().contains("open_for must last from"));
}

#[test]
fn an_order_by_type_is_judged_as_the_same_one_from_configuration() {
    struct Own;
    impl Placed for Own {}
    let retry = || Retry::new(RetryConfig::default()).unwrap();
    let breaker = Arc::new(Breaker::new(BreakerConfig::default()).unwrap());
    let timeout = || Timeout::new(TimeoutConfig::default()).unwrap();
    let inside = Pipeline::new().with(retry()).with(timeout());
    let pipeline = Pipeline::new()
        .with(timeout())
        .with(Own)
        .with(&*breaker)
        .with(inside)
        .with(Shared(Arc::clone(&breaker)));
    let configured = config(
        r#"{"operation": "idempotent", "policies": [{"kind": "timeout", "limit": "1s"}, {"kind": "breaker"},
            {"kind": "retry"}, {"kind": "timeout", "limit": "1s"}, {"kind": "breaker"}]}"#,
    );
    let told = |findings: Vec<PipelineFinding>| findings.iter().map(|found| found.why).collect::<Vec<_>>();
    assert_eq!(told(pipeline.findings(Traits::Idempotent)), told(configured.findings()));
    assert_eq!(
        pipeline.findings(Traits::Idempotent)[0].outer,
        2,
        "one's own policies count as places"
    );
    assert!(pipeline.checked(Traits::OnceOnly).is_ok(), "a warning refuses nothing");

    let twice = Pipeline::new().with(retry()).with(timeout()).with(retry());
    let PipelineRefused::Order(found) = twice.checked(Traits::Idempotent).unwrap_err() else {
        panic!("refused for another reason")
    };
    assert_eq!((found.gravity, found.outer, found.inner), (Gravity::Refused, 0, 2));
}

#[test]
fn the_linter_knows_orders_that_do_not_do_what_they_look_like() {
    use PolicyKind::{Breaker, Bulkhead, Fallback, Hedge, Limiter, Retry, Timeout};
    let good = [Fallback, Timeout, Retry, Breaker, Limiter, Bulkhead, Timeout];
    assert_eq!(lint(&good, Traits::Idempotent), []);
    let found = |order: &[PolicyKind]| {
        let findings = lint(order, Traits::Idempotent);
        findings.iter().map(|found| found.gravity).max()
    };
    for order in [
        &[Breaker, Retry, Timeout][..],
        &[Bulkhead, Retry, Timeout],
        &[Limiter, Hedge],
        &[Retry],
        &[Retry, Timeout],
        &[Breaker, Breaker],
    ] {
        assert_eq!(found(order), Some(Gravity::Warning), "{order:?}");
    }
    for order in [
        &[Retry, Breaker, Retry, Timeout][..],
        &[Hedge, Hedge],
        &[Breaker, Fallback],
    ] {
        assert_eq!(found(order), Some(Gravity::Refused), "{order:?}");
    }
    let hedged_once_only = lint(&[Hedge], Traits::OnceOnly);
    assert_eq!(hedged_once_only[0].gravity, Gravity::Refused);
}
