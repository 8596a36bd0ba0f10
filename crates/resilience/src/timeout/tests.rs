use core::future::pending;
use core::time::Duration;
use std::sync::Arc;

use super::*;
use crate::{Heard, Virtual};

const SECOND: Duration = Duration::from_secs(1);

fn timeout(seconds: u32) -> (Arc<Timeout<Virtual>>, Virtual) {
    let clock = Virtual::new();
    let config = TimeoutConfig {
        limit: Some(seconds * SECOND),
    };
    (Arc::new(Timeout::with_clock(config, clock.clone()).unwrap()), clock)
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let config = TimeoutConfig {
        limit: Some(Duration::ZERO),
    };
    assert_eq!(
        Timeout::new(config).unwrap_err().to_string(),
        "timeout.limit = 0ns does not work: it must be more than nothing; leave it out for no limit"
    );
}

#[tokio::test]
async fn a_call_is_cut_off_at_its_limit_and_its_work_dropped() {
    let (timeout, clock) = timeout(3);
    let mut events = timeout.events();
    let held = Arc::new(());
    let call = tokio::spawn({
        let (timeout, held) = (Arc::clone(&timeout), Arc::clone(&held));
        async move {
            timeout
                .call(|| {
                    let held = Arc::clone(&held);
                    async move {
                        pending::<()>().await;
                        drop(held);
                        Ok::<(), ()>(())
                    }
                })
                .await
        }
    });
    clock.run_for(3 * SECOND - Duration::from_nanos(1)).await;
    assert!(!call.is_finished());
    clock.run_for(Duration::from_nanos(1)).await;
    let limit = 3 * SECOND;
    assert_eq!(call.await.unwrap(), Err(Failure::Timeout { limit }));
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(events.try_next(), Some(Heard::Event(TimeoutEvent::CutOff { limit })));
    assert_eq!(timeout.snapshot().cut_off, 1);
}

#[tokio::test]
async fn a_call_that_ends_in_time_gives_its_result() {
    let (timeout, clock) = timeout(3);
    let call = tokio::spawn({
        let clock = clock.clone();
        async move {
            let answer = || async {
                clock.sleep(2 * SECOND).await;
                Ok::<_, ()>("answer")
            };
            timeout.call(answer).await
        }
    });
    clock.run_for(2 * SECOND).await;
    assert_eq!(call.await.unwrap(), Ok("answer"));
}

#[tokio::test]
async fn an_inner_timeout_never_lasts_longer_than_the_outer_one() {
    let clock = Virtual::new();
    let with = |limit: u32| {
        let limit = Some(limit * SECOND);
        Timeout::with_clock(TimeoutConfig { limit }, clock.clone()).unwrap()
    };
    let (outer, inner) = (with(5), with(60));
    let call = tokio::spawn(async move {
        let seen = outer
            .run(|| inner.run(|| async { Ok::<_, Failure<()>>(Deadline::remaining_now()) }))
            .await;
        let result = outer.run(|| inner.call(pending::<Result<(), ()>>)).await;
        (seen, result, inner.snapshot().cut_off + outer.snapshot().cut_off)
    });
    clock.run_for(5 * SECOND).await;
    let limit = 5 * SECOND;
    assert_eq!(
        call.await.unwrap(),
        (Ok(Some(limit)), Err(Failure::Timeout { limit }), 1)
    );
}

#[tokio::test]
async fn without_a_limit_only_the_deadline_cuts_off() {
    let clock = Virtual::new();
    let timeout = Arc::new(Timeout::with_clock(TimeoutConfig::default(), clock.clone()).unwrap());
    let call = |deadline: Option<Deadline>| {
        let timeout = Arc::clone(&timeout);
        tokio::spawn(async move {
            let call = timeout.call(pending::<Result<(), ()>>);
            match deadline {
                Some(deadline) => deadline.scope(call).await,
                None => call.await,
            }
        })
    };
    let (with, without) = (call(Some(Deadline::after(&clock, SECOND))), call(None));
    clock.run_for(3600 * SECOND).await;
    assert_eq!(with.await.unwrap(), Err(Failure::Timeout { limit: SECOND }));
    assert!(!without.is_finished());
    without.abort();
}

#[tokio::test]
async fn a_deadline_that_has_passed_starts_nothing() {
    let (timeout, clock) = timeout(3);
    let mut events = timeout.events();
    let deadline = Deadline::after(&clock, SECOND);
    clock.advance(SECOND);
    let result = deadline
        .scope(timeout.call(|| async { panic!("begun") as Result<(), ()> }))
        .await;
    assert_eq!(result, Err(Failure::DeadlineExceeded));
    assert_eq!(events.try_next(), Some(Heard::Event(TimeoutEvent::NotBegun)));
    assert_eq!(timeout.snapshot().not_begun, 1);
}

#[tokio::test]
async fn the_limit_changes_in_place() {
    let (timeout, clock) = timeout(3);
    let limit = Some(SECOND);
    timeout.reconfigure(TimeoutConfig { limit }).unwrap();
    let call = tokio::spawn({
        let timeout = Arc::clone(&timeout);
        async move { timeout.call(pending::<Result<(), ()>>).await }
    });
    clock.run_for(SECOND).await;
    assert!(call.await.unwrap().is_err());
    assert!(
        timeout
            .reconfigure(TimeoutConfig {
                limit: Some(Duration::ZERO)
            })
            .is_err()
    );
    assert_eq!(timeout.snapshot().limit, limit);
}
