use core::cell::Cell;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use proptest::prelude::*;

use super::*;
use crate::{BudgetConfig, Heard, StopOn, Virtual};

mod given_up;

const SECOND: Duration = Duration::from_secs(1);

/// Waits of exactly 1 s, 2 s, 4 s and so on.
fn plain(max_attempts: u32) -> RetryConfig {
    let backoff = Backoff {
        jitter: Jitter::None,
        ..RetryConfig::default().backoff
    };
    RetryConfig {
        max_attempts,
        backoff,
        ..RetryConfig::default()
    }
}

fn retry(config: RetryConfig) -> (Retry<Virtual>, Virtual) {
    let clock = Virtual::new();
    (Retry::with(config, clock.clone(), AnyError).unwrap(), clock)
}

/// Runs `work` on virtual time and says when it ended.
async fn at<T: Send + 'static>(clock: &Virtual, work: impl Future<Output = T> + Send + 'static) -> (T, Duration) {
    let begun = clock.now();
    let ended = tokio::spawn({
        let clock = clock.clone();
        async move { (work.await, clock.now()) }
    });
    clock.run_for(3600 * SECOND).await;
    let (result, at) = ended.await.unwrap();
    (result, at.since(begun))
}

/// Fails `failures` times, then succeeds.
fn flaky(failures: u32) -> impl Fn() -> core::future::Ready<Result<u32, &'static str>> {
    let made = AtomicU32::new(0);
    move || {
        let made = made.fetch_add(1, Relaxed);
        core::future::ready(if made < failures { Err("no") } else { Ok(made + 1) })
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let refused = |config: RetryConfig| Retry::new(config).unwrap_err();
    assert_eq!(
        refused(plain(0)).to_string(),
        "retry.max_attempts = 0 does not work: it counts the first call, so it must be at least 1"
    );
    let waits = |initial, max| RetryConfig {
        backoff: Backoff {
            initial,
            max,
            ..plain(3).backoff
        },
        ..plain(3)
    };
    assert_eq!(refused(waits(Duration::ZERO, SECOND)).setting, "retry.backoff.initial");
    assert_eq!(refused(waits(SECOND, Duration::ZERO)).setting, "retry.backoff.max");
    let max_elapsed = Some(Duration::ZERO);
    assert_eq!(
        refused(RetryConfig {
            max_elapsed,
            ..plain(3)
        })
        .setting,
        "retry.max_elapsed"
    );
}

#[test]
fn a_preset_is_a_configuration() {
    let config = RetryConfig::from(Preset::Network);
    assert_eq!((config.max_attempts, config.backoff.max), (5, 30 * SECOND));
}

#[tokio::test]
async fn the_first_call_counts_as_a_try_and_waits_double() {
    let (retry, clock) = retry(plain(4));
    let mut events = retry.events();
    let (result, took) = at(&clock, async move { (retry.call(flaky(3)).await, retry.snapshot()) }).await;
    assert_eq!((result.0, took), (Ok(4), 7 * SECOND));
    assert_eq!((result.1.retries, result.1.recovered), (3, 1));
    for (attempt, seconds) in [(2, 1), (3, 2), (4, 4)] {
        let wait = seconds * SECOND;
        assert_eq!(
            events.try_next(),
            Some(Heard::Event(RetryEvent::Retrying { attempt, wait }))
        );
    }
    assert_eq!(
        events.try_next(),
        Some(Heard::Event(RetryEvent::Recovered { attempts: 4 }))
    );
}

#[tokio::test]
async fn a_success_at_once_makes_one_call_and_no_noise() {
    let (retry, _) = retry(plain(3));
    let mut events = retry.events();
    assert_eq!(retry.call(flaky(0)).await, Ok(1));
    assert_eq!(events.try_next(), None);
}

#[tokio::test]
async fn what_is_stopped_on_or_ignored_or_terminal_is_not_tried_again() {
    let calls = Cell::new(0);
    let fails = |error: u16| {
        calls.set(calls.get() + 1);
        async move { Err::<(), _>(error) }
    };
    let classify = |result: &Result<(), u16>| match result {
        Err(401) => Verdict::Terminal,
        Err(404) => Verdict::Ignored,
        Ok(()) | Err(_) => Verdict::FAILURE,
    };
    let retry = Retry::with(plain(3), Virtual::new(), StopOn(classify, |error: &u16| *error == 422)).unwrap();
    for error in [401, 404, 422] {
        assert_eq!(retry.call(|| fails(error)).await, Err(Failure::Inner(error)));
    }
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn refusals_of_inner_policies_and_exhausted_retries_are_not_tried_again() {
    let (retry, _) = retry(plain(3));
    let calls = Cell::new(0);
    for failure in [
        Failure::CircuitOpen { retry_after: None },
        Failure::BulkheadFull,
        Failure::DeadlineExceeded,
        Failure::Exhausted {
            attempts: 3,
            retry_after: None,
            last: "inner",
        },
    ] {
        let refused = || {
            calls.set(calls.get() + 1);
            let failure = failure.clone();
            async { Err::<(), _>(failure) }
        };
        assert_eq!(retry.run(refused).await, Err(failure.clone()));
    }
    assert_eq!(calls.get(), 4);
}

#[tokio::test]
async fn a_result_can_be_a_failure_and_is_given_as_it_is_in_the_end() {
    let classify = |result: &Result<u32, ()>| match result {
        Ok(0) | Err(()) => Verdict::FAILURE,
        Ok(_) => Verdict::Success,
    };
    let clock = Virtual::new();
    let retry = Retry::with(plain(3), clock.clone(), classify).unwrap();
    let (result, took) = at(&clock, async move { retry.call(|| async { Ok(0) }).await }).await;
    assert_eq!((result, took), (Ok(0), 3 * SECOND));
}

#[tokio::test]
async fn a_wait_that_the_service_asks_for_is_kept() {
    fn asks(result: &Result<u32, &str>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure {
                retry_after: Some(30 * SECOND),
            },
        }
    }
    let clock = Virtual::new();
    let retry = Retry::with(plain(3), clock.clone(), asks).unwrap();
    let (result, took) = at(&clock, async move { retry.call(flaky(1)).await }).await;
    assert_eq!((result, took), (Ok(2), 30 * SECOND));
}

#[tokio::test]
async fn a_hook_that_panics_harms_nobody() {
    let (retry, clock) = retry(plain(3));
    let retry = retry.with_hook(|_| panic!("on purpose"));
    let (result, _) = at(&clock, async move {
        (retry.call(flaky(1)).await, retry.snapshot().hook_panics)
    })
    .await;
    assert_eq!(result, (Ok(2), 2));
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_waits_makes_no_further_try() {
    let (retry, clock) = retry(plain(3));
    let calls = Arc::new(AtomicU32::new(0));
    let call = tokio::spawn({
        let calls = Arc::clone(&calls);
        async move {
            let fails = || {
                calls.fetch_add(1, Relaxed);
                async { Err::<(), _>("no") }
            };
            retry.call(fails).await
        }
    });
    clock.run_for(SECOND / 2).await;
    call.abort();
    clock.run_for(60 * SECOND).await;
    assert_eq!(calls.load(Relaxed), 1);
}

fn backoffs() -> impl Strategy<Value = Backoff> {
    let growth = prop_oneof![
        Just(Growth::Fixed),
        Just(Growth::Linear),
        (1.0..10.0_f64).prop_map(|factor| Growth::Exponential(Factor::try_from(factor).unwrap())),
    ];
    let jitter = prop_oneof![
        Just(Jitter::None),
        (0.0..=1.0_f64).prop_map(|share| Jitter::Proportional(Spread::try_from(share).unwrap())),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        Just(Jitter::Decorrelated),
    ];
    let first = prop_oneof![Just(First::AtOnce), Just(First::Waits)];
    (first, 1_u64..100_000, growth, 1_u64..100_000, jitter).prop_map(|(first, initial, growth, max, jitter)| Backoff {
        first,
        initial: Duration::from_millis(initial),
        growth,
        max: Duration::from_millis(max),
        jitter,
    })
}

proptest! {
    #[test]
    fn a_wait_is_never_beyond_its_cap_and_stays_in_the_range_of_its_jitter(backoff in backoffs(), seed: u64) {
        let config = RetryConfig { max_attempts: 12, backoff, ..RetryConfig::default() };
        let clock = Virtual::new();
        let mut plan = plan::Plan::new(config, None, seed);
        while plan.made() < 12 {
            let wait = plan.next(&clock, None, None).unwrap();
            prop_assert!(wait <= backoff.max);
            let unspread = Backoff { jitter: Jitter::None, ..backoff }.delay(plan.made() - 1, 0);
            let least = match backoff.jitter {
                Jitter::None => unspread,
                Jitter::Proportional(share) => unspread.mul_f64(1.0 - share.get()),
                Jitter::Equal => unspread / 2,
                Jitter::Full | Jitter::Decorrelated => Duration::ZERO,
            };
            prop_assert!(wait + Duration::from_nanos(2) >= least, "{wait:?} {least:?}");
            plan.begin();
        }
    }

    #[test]
    fn the_same_seed_waits_the_same(seed: u64) {
        let waits = || {
            let mut plan = plan::Plan::new(RetryConfig { max_attempts: 9, ..RetryConfig::default() }, None, seed);
            let mut waits = Vec::new();
            while let Ok(wait) = plan.next(&Virtual::new(), None, None) {
                waits.push(wait);
                plan.begin();
            }
            waits
        };
        prop_assert_eq!(waits(), waits());
    }
}
