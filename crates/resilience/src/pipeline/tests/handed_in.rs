//! Pipelines from configuration: what counts as a failure, a budget, and reloads while calls go through.

use super::*;
use crate::{Backoff, Budget, BudgetConfig, Clock, Growth, Jitter, LimiterConfig, Verdict};

/// As a service of status codes is judged: 403 is final, 429 says when to come back.
fn judge(result: &Result<(), u16>) -> Verdict {
    match result {
        Ok(()) => Verdict::Success,
        Err(403) => Verdict::Terminal,
        Err(404) => Verdict::Ignored,
        Err(429) => Verdict::Failure {
            retry_after: Some(30 * SECOND),
        },
        Err(_) => Verdict::FAILURE,
    }
}

const ALL: &str = r#"{"operation": "idempotent", "policies": [
    {"kind": "retry", "max_attempts": 3, "base": "1s", "jitter": "none"},
    {"kind": "breaker", "failure_threshold": 100},
    {"kind": "limiter", "calls": 100, "period": "1s", "max_wait_duration": "60s"}
]}"#;

#[tokio::test]
async fn a_403_opens_the_breaker_at_once_and_is_not_tried_again() {
    let parts = Parts::new().judged_by(judge);
    let pipeline = NamedPipeline::build_with(config(ALL), &Virtual::new(), parts).unwrap();
    assert_eq!(pipeline.call(|| async { Err(404) }).await, Err(Failure::Inner(404)));
    assert_eq!(pipeline.breakers().next().unwrap().state(), CircuitState::Closed);
    let tries = AtomicU32::new(0);
    let refused = pipeline.call(|| {
        tries.fetch_add(1, SeqCst);
        async { Err(403) }
    });
    assert_eq!((refused.await, tries.load(SeqCst)), (Err(Failure::Inner(403)), 1));
    assert_eq!(pipeline.breakers().next().unwrap().state(), CircuitState::Isolated);
}

#[tokio::test]
async fn a_retry_after_is_kept_by_the_retry_and_by_the_limiter() {
    let clock = Virtual::new();
    let pipeline = NamedPipeline::build_with(config(ALL), &clock, Parts::new().judged_by(judge)).unwrap();
    let (begun, tries) = (clock.now(), AtomicU32::new(0));
    let call = async {
        let answer = pipeline.call(|| {
            let first = tries.fetch_add(1, SeqCst) == 0;
            async move { if first { Err(429) } else { Ok(()) } }
        });
        (answer.await, clock.now().since(begun))
    };
    let (answer, ()) = tokio::join!(call, clock.run_for(100 * SECOND));
    assert_eq!(answer.0, Ok(()));
    assert!((30 * SECOND..32 * SECOND).contains(&answer.1), "{:?}", answer.1);
}

#[tokio::test]
async fn a_budget_that_is_handed_in_bounds_the_tries_also_after_a_reload() {
    let clock = Virtual::new();
    let none_left = BudgetConfig {
        ratio: 0.0,
        burst: 1,
        per_second: 0,
    };
    let budget = Arc::new(Budget::with_clock(none_left, &clock).unwrap());
    let parts = Parts::new().with_budget(Arc::clone(&budget));
    let pipeline = NamedPipeline::build_with(config(ALL), &clock, parts).unwrap();
    let tries = AtomicU32::new(0);
    let fails = || {
        tries.fetch_add(1, SeqCst);
        async { Err::<(), _>("down") }
    };
    let (failed, ()) = tokio::join!(pipeline.call(fails), clock.run_for(100 * SECOND));
    assert!(failed.is_err());
    assert_eq!((tries.load(SeqCst), budget.snapshot().refused.retry), (2, 1));
    pipeline.reload(config(r#"{"policies": []}"#)).unwrap();
    pipeline.reload(config(ALL)).unwrap();
    let (failed, ()) = tokio::join!(pipeline.call(fails), clock.run_for(100 * SECOND));
    assert!(failed.is_err());
    assert_eq!((tries.load(SeqCst), budget.snapshot().refused.retry), (3, 2));
}

#[tokio::test]
async fn a_policy_keeps_its_state_wherever_it_stands_after_a_reload() {
    let pipeline = NamedPipeline::build(
        config(r#"{"policies": [{"kind": "bulkhead"}, {"kind": "breaker"}, {"kind": "breaker"}]}"#),
        &Virtual::new(),
    )
    .unwrap();
    let before: Vec<_> = pipeline.breakers().collect();
    before[1].force_open();
    let moved =
        r#"{"policies": [{"kind": "breaker"}, {"kind": "limiter", "calls": 5, "period": "1s"}, {"kind": "breaker"}]}"#;
    pipeline.reload(config(moved)).unwrap();
    let after: Vec<_> = pipeline.breakers().collect();
    assert_eq!(after.len(), 2);
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| Arc::ptr_eq(before, after))
    );
    assert_eq!(after[1].state(), CircuitState::ForcedOpen);
    assert_eq!(*pipeline.config(), config(moved));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_disturb_no_calls_that_go_through() {
    let with = |calls: u32| {
        config(&format!(
            r#"{{"policies": [{{"kind": "breaker", "failure_threshold": {calls}}},
                {{"kind": "bulkhead", "max_concurrent_calls": {calls}}}]}}"#
        ))
    };
    let pipeline = Arc::new(NamedPipeline::build(with(10), &Virtual::new()).unwrap());
    let breaker = pipeline.breakers().next().unwrap();
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let pipeline = Arc::clone(&pipeline);
            tokio::spawn(async move {
                for n in 0..2000 {
                    assert_eq!(pipeline.call(|| async move { Ok::<_, ()>(n) }).await, Ok(n));
                }
            })
        })
        .collect();
    for calls in 10..210 {
        pipeline.reload(with(calls)).unwrap();
        tokio::task::yield_now().await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(Arc::ptr_eq(&breaker, &pipeline.breakers().next().unwrap()));
    assert_eq!(breaker.settings().config().failure_threshold, 209);
}

#[test]
fn every_backoff_and_jitter_can_be_written() {
    let read = |text: &str| serde_json::from_str::<RetryPolicy>(text);
    let backoff = |text: &str| read(text).unwrap().config().unwrap().backoff;
    assert_eq!(backoff("{}"), RetryConfig::default().backoff);
    for (written, growth) in [("\"fixed\"", Growth::Fixed), ("\"linear\"", Growth::Linear)] {
        assert_eq!(backoff(&format!(r#"{{"growth": {written}}}"#)).growth, growth);
    }
    let Growth::Exponential(factor) = backoff(r#"{"growth": 3}"#).growth else {
        panic!("grows in another way")
    };
    assert!((factor.get() - 3.0).abs() < f64::EPSILON);
    for (written, jitter) in [
        ("none", Jitter::None),
        ("full", Jitter::Full),
        ("equal", Jitter::Equal),
        ("decorrelated", Jitter::Decorrelated),
    ] {
        let Backoff { jitter: read, .. } = backoff(&format!(r#"{{"jitter": "{written}"}}"#));
        assert_eq!(read, jitter);
    }
    let more = r#"{"first": "at_once", "max_retry_after": "5s", "attempt_needs": "10ms"}"#;
    let config = read(more).unwrap().config().unwrap();
    assert_eq!(
        (config.max_retry_after, config.attempt_needs),
        (5 * SECOND, SECOND / 100)
    );
    assert_eq!(config.backoff.first, crate::First::AtOnce);
    for (wrong, says) in [
        (r#"{"jitter": "half"}"#, "jitter is \"none\""),
        (r#"{"growth": 0.5}"#, "a factor from 1 to 100"),
    ] {
        let refused = read(wrong).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn costs_and_orders_of_waiting_can_be_written() {
    let text = r#"{"policies": [{"kind": "limiter", "calls": 100, "period": "1m", "cost": 7},
        {"kind": "bulkhead", "order": "lifo"}]}"#;
    let config = config(text);
    let [PolicyConfig::Limiter(limiter), PolicyConfig::Bulkhead(bulkhead)] = &*config.policies else {
        panic!("read as something else")
    };
    assert_eq!(limiter.config().cost, 7);
    assert_eq!(limiter.config().max_queue, LimiterConfig::default().max_queue);
    assert_eq!(bulkhead.config().order, crate::Order::Lifo);
}

#[test]
fn an_operation_that_must_be_done_once_is_not_hedged_whatever_the_hedge_says() {
    let text = r#"{"operation": "once_only", "policies": [{"kind": "hedge", "idempotent": true}]}"#;
    let refused = NamedPipeline::build(config(text), &Virtual::new()).unwrap_err();
    assert!(refused.to_string().contains("must be made once"), "{refused}");
}
