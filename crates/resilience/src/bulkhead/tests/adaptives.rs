use core::time::Duration;
use std::sync::Arc;

use super::SECOND;
use crate::{
    AdaptiveBulkhead, AdaptiveConfig, AnyError, BulkheadEvent, Clock, Deadline, Failure, Heard, Layer, LimitRange,
    LimitRule, Verdict, Virtual,
};

const CONFIG: AdaptiveConfig = AdaptiveConfig {
    range: LimitRange {
        least: 2,
        initial: 8,
        most: 40,
    },
    rule: LimitRule::Aimd {
        backoff: 0.5,
        slow: SECOND,
    },
    max_queue: 1000,
    max_wait_duration: Duration::from_secs(600),
    order: crate::Order::Fifo,
};

/// Anything that the service answers is too much for it.
fn refuses(result: &Result<(), ()>) -> Verdict {
    match result {
        Ok(()) => Verdict::Success,
        Err(()) => Verdict::Failure {
            retry_after: Some(SECOND),
        },
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let backwards = AdaptiveConfig {
        range: LimitRange {
            least: 9,
            ..CONFIG.range
        },
        ..CONFIG
    };
    assert_eq!(AdaptiveBulkhead::new(backwards).unwrap_err().setting, "adaptive.range");
    let refused = |rule| {
        AdaptiveBulkhead::new(AdaptiveConfig { rule, ..CONFIG })
            .unwrap_err()
            .setting
    };
    assert_eq!(refused(LimitRule::Vegas { smoothing: 2.0 }), "adaptive.rule");
    let (backoff, slow) = (0.9, Duration::ZERO);
    assert_eq!(refused(LimitRule::Aimd { backoff, slow }), "adaptive.rule.slow");
}

#[tokio::test]
async fn the_limit_grows_while_answers_are_good_and_shrinks_on_overload() {
    let clock = Virtual::new();
    let bulkhead = AdaptiveBulkhead::with(CONFIG, clock.clone(), refuses).unwrap();
    let bulkhead = Arc::new(bulkhead);
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let (bulkhead, clock) = (Arc::clone(&bulkhead), clock.clone());
            tokio::spawn(async move {
                let answer = || async {
                    clock.sleep(SECOND / 2).await;
                    Ok(())
                };
                bulkhead.call(answer).await
            })
        })
        .collect();
    clock.run_for(60 * SECOND).await;
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(()));
    }
    let learned = bulkhead.snapshot().max_concurrent_calls;
    assert!(learned > 20, "{learned}");

    let mut events = bulkhead.events();
    assert_eq!(bulkhead.call(|| async { Err(()) }).await, Err(Failure::Inner(())));
    let halved = bulkhead.snapshot().max_concurrent_calls;
    assert_eq!(halved, learned / 2);
    let resized = BulkheadEvent::Resized {
        from: learned,
        to: halved,
    };
    assert_eq!(events.try_next(), Some(Heard::Event(resized)));

    let vegas = AdaptiveConfig {
        rule: LimitRule::Vegas { smoothing: 1.0 },
        ..CONFIG
    };
    bulkhead.reconfigure(vegas).unwrap();
    assert_eq!(
        bulkhead.snapshot().max_concurrent_calls,
        halved,
        "what was learned stays"
    );
}

#[tokio::test]
async fn nobody_waits_beyond_the_deadline_for_a_seat_of_a_limit_that_is_learned() {
    let clock = Virtual::new();
    let range = LimitRange {
        least: 1,
        initial: 1,
        most: 4,
    };
    let bulkhead = AdaptiveBulkhead::with(AdaptiveConfig { range, ..CONFIG }, clock.clone(), AnyError).unwrap();
    let bulkhead = Arc::new(bulkhead);
    let call = |deadline: Option<Duration>, takes: Duration| {
        let (bulkhead, clock) = (Arc::clone(&bulkhead), clock.clone());
        let deadline = deadline.map(|after| Deadline::after(&clock, after));
        tokio::spawn(async move {
            let answer = || async {
                clock.sleep(takes).await;
                Ok::<_, ()>(Deadline::remaining_now())
            };
            let call = bulkhead.call(answer);
            match deadline {
                Some(deadline) => deadline.scope(call).await,
                None => call.await,
            }
        })
    };
    let first = call(None, 3 * SECOND);
    clock.run_for(Duration::ZERO).await;
    let (hasty, just_late) = (call(Some(2 * SECOND), SECOND), call(Some(3 * SECOND), SECOND));
    let patient = call(Some(5 * SECOND), SECOND);
    clock.run_for(2 * SECOND).await;
    assert_eq!(
        hasty.await.unwrap(),
        Err(Failure::DeadlineExceeded),
        "it is told at its deadline"
    );
    assert_eq!((bulkhead.snapshot().waiting, bulkhead.snapshot().timed_out), (2, 1));
    clock.run_for(3 * SECOND).await;
    assert_eq!(first.await.unwrap(), Ok(None));
    assert_eq!(
        just_late.await.unwrap(),
        Err(Failure::DeadlineExceeded),
        "its seat came with its deadline"
    );
    // It waited for 3 s, and its call saw what was left.
    assert_eq!(patient.await.unwrap(), Ok(Some(SECOND)));
    let rest = bulkhead.snapshot();
    assert_eq!((rest.in_flight, rest.waiting, rest.timed_out), (0, 0, 2));
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_takes_no_seat_of_a_limit_that_is_learned() {
    let clock = Virtual::new();
    let bulkhead = AdaptiveBulkhead::with(CONFIG, clock.clone(), AnyError).unwrap();
    let deadline = Deadline::after(&clock, SECOND);
    clock.advance(SECOND);
    let late = deadline.scope(bulkhead.call(|| async { Ok::<_, ()>(()) })).await;
    assert_eq!(late, Err(Failure::DeadlineExceeded));
    let seen = bulkhead.snapshot();
    assert_eq!((seen.admitted, seen.waited, seen.timed_out), (0, 0, 0));
}

#[tokio::test]
async fn failures_that_say_nothing_of_load_teach_nothing() {
    let clock = Virtual::new();
    let bulkhead = AdaptiveBulkhead::with(CONFIG, clock, AnyError).unwrap();
    for _ in 0..20 {
        assert!(
            bulkhead
                .call(|| async { Err::<(), _>("wrong password") })
                .await
                .is_err()
        );
    }
    assert_eq!(bulkhead.snapshot().max_concurrent_calls, 8);
    let times_out = || async { Err::<(), Failure<()>>(Failure::Timeout { limit: SECOND }) };
    assert!(bulkhead.run(times_out).await.is_err());
    assert_eq!(bulkhead.snapshot().max_concurrent_calls, 4);
}
