use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{Heard, Virtual};

const SECOND: Duration = Duration::from_secs(1);

/// Ten per second, `burst` at once.
fn config(burst: u32) -> LimiterConfig {
    LimiterConfig {
        quota: Quota {
            burst,
            ..Quota::per_second(10)
        },
        ..LimiterConfig::default()
    }
}

fn limiter(config: LimiterConfig) -> (Arc<Limiter<Virtual>>, Virtual) {
    let clock = Virtual::new();
    (Arc::new(Limiter::with(config, clock.clone(), AnyError).unwrap()), clock)
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let refused = |config: LimiterConfig| Limiter::new(config).unwrap_err().setting;
    assert_eq!(refused(config(0)), "limiter.quota");
    let quota = Quota::per_second(0);
    assert_eq!(refused(LimiterConfig { quota, ..config(1) }), "limiter.quota");
    assert_eq!(refused(LimiterConfig { cost: 0, ..config(5) }), "limiter.cost");
    assert_eq!(refused(LimiterConfig { cost: 6, ..config(5) }), "limiter.cost");
    let max_wait_duration = Duration::ZERO;
    let no_wait = LimiterConfig {
        max_wait_duration,
        ..config(5)
    };
    assert_eq!(refused(no_wait), "limiter.max_wait_duration");
}

#[test]
fn a_burst_passes_and_the_rest_learns_when_to_come_back() {
    let (limiter, clock) = limiter(config(3));
    assert!((0..3).all(|_| limiter.try_acquire(1).is_ok()));
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after, SECOND / 10);
    assert_eq!(limiter.try_acquire(3).unwrap_err().retry_after, SECOND * 3 / 10);
    assert_eq!(limiter.try_acquire(4).unwrap_err().retry_after, Duration::MAX);
    clock.advance(SECOND / 10);
    assert!(limiter.try_acquire(1).is_ok());
    assert_eq!(limiter.snapshot().refused, 3);
}

#[tokio::test]
async fn an_answer_settles_what_its_call_has_cost_and_a_failure_cost_what_was_expected() {
    let (limiter, _clock) = limiter(LimiterConfig { cost: 4, ..config(10) });
    let priced = limiter.priced_by(|tokens: &u32| *tokens);
    let free = || limiter.snapshot().free;
    assert_eq!(priced.call(|| async { Ok::<_, ()>(1) }).await, Ok(1));
    assert_eq!(free(), 9, "what was not needed is back");
    assert!(priced.call(|| async { Err::<u32, _>("down") }).await.is_err());
    assert_eq!(free(), 5);
    assert_eq!(priced.call(|| async { Ok::<_, ()>(17) }).await, Ok(17));
    assert_eq!((free(), limiter.snapshot().debt), (0, 12));
}

#[test]
fn what_is_given_back_ends_no_pause_sooner() {
    let (limiter, clock) = limiter(config(10));
    limiter.try_acquire(10).unwrap();
    limiter.pause_for(3 * SECOND);
    limiter.refund(10);
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after, 3 * SECOND);
    clock.advance(3 * SECOND);
    assert!(limiter.try_acquire(1).is_ok());
    clock.advance(60 * SECOND);
    limiter.try_acquire(10).unwrap();
    limiter.refund(10);
    assert_eq!(limiter.snapshot().free, 10, "a pause that is over holds nothing back");
}

#[test]
fn what_a_call_turned_out_to_cost_is_a_debt_that_comes_back_first() {
    let (limiter, clock) = limiter(config(10));
    limiter.try_acquire(10).unwrap();
    limiter.charge(20);
    assert_eq!((limiter.snapshot().free, limiter.snapshot().debt), (0, 20));
    clock.advance(2 * SECOND);
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after, SECOND / 10);
    limiter.refund(5);
    assert_eq!(limiter.snapshot().free, 5);
    limiter.refund(u32::MAX);
    assert_eq!(limiter.snapshot().free, 10, "more than a burst is never there");
}

#[test]
fn a_pause_lets_nothing_through_and_then_one_at_a_time() {
    let (limiter, clock) = limiter(config(10));
    let mut events = limiter.events();
    limiter.pause_for(30 * SECOND);
    assert_eq!(
        events.try_next(),
        Some(Heard::Event(LimiterEvent::Paused { wait: 30 * SECOND }))
    );
    clock.advance(30 * SECOND - Duration::from_nanos(1));
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after, Duration::from_nanos(1));
    clock.advance(Duration::from_nanos(1));
    assert!(limiter.try_acquire(1).is_ok());
    assert!(limiter.try_acquire(1).is_err());
    limiter.pause_for(SECOND);
    limiter.pause_for(SECOND / 2);
    assert_eq!(
        limiter.try_acquire(1).unwrap_err().retry_after,
        SECOND,
        "a shorter pause ends no longer one"
    );
}

#[tokio::test]
async fn a_failure_that_says_when_to_come_back_pauses_everybody() {
    let clock = Virtual::new();
    let says = |result: &Result<(), u64>| match result {
        Ok(()) => Verdict::Success,
        Err(seconds) => Verdict::Failure {
            retry_after: Some(Duration::from_secs(*seconds)),
        },
    };
    let limiter = Limiter::with(config(5), clock.clone(), says).unwrap();
    assert_eq!(limiter.call(|| async { Err(7) }).await, Err(Failure::Inner(7)));
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after, 7 * SECOND);
}

#[tokio::test]
async fn what_a_service_asks_for_is_heeded_for_a_day_at_most() {
    let clock = Virtual::new();
    let says = |_: &Result<(), ()>| Verdict::Failure {
        retry_after: Some(Duration::MAX),
    };
    let limiter = Limiter::with(config(5), clock.clone(), says).unwrap();
    assert_eq!(limiter.call(|| async { Err(()) }).await, Err(Failure::Inner(())));
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after, RETRY_AFTER_MOST);
}

#[test]
fn a_pause_that_is_ended_leaves_what_was_used_and_charged() {
    let (limiter, clock) = limiter(config(10));
    clock.advance(100 * SECOND);
    limiter.pause_for(60 * SECOND);
    limiter.pause_for(90 * SECOND);
    let mut events = limiter.events();
    limiter.end_pause();
    assert_eq!(events.try_next(), Some(Heard::Event(LimiterEvent::Resumed)));
    assert_eq!(limiter.snapshot().free, 1, "one at a time, as after any pause");
    limiter.end_pause();
    assert_eq!(events.try_next(), None, "there is none to end");
    // A debt that is longer than the pause, and one that is made within it.
    clock.advance(60 * SECOND);
    limiter.charge(60);
    limiter.pause_for(SECOND);
    limiter.end_pause();
    assert_eq!(limiter.snapshot().debt, 50);
    clock.advance(60 * SECOND);
    limiter.pause_for(60 * SECOND);
    limiter.charge(5);
    limiter.end_pause();
    assert_eq!((limiter.snapshot().free, limiter.snapshot().debt), (1, 0));
    limiter.refund(10);
    assert_eq!(limiter.snapshot().free, 10, "no pause holds back what is given back");
}

#[tokio::test]
async fn who_waits_in_a_pause_goes_on_when_it_is_ended() {
    let (limiter, clock) = limiter(config(1));
    limiter.pause_for(20 * SECOND);
    let waiter = tokio::spawn({
        let (limiter, clock) = (Arc::clone(&limiter), clock.clone());
        async move {
            limiter.acquire(1).await.unwrap();
            clock.now()
        }
    });
    clock.run_for(SECOND).await;
    limiter.end_pause();
    clock.run_for(SECOND).await;
    assert!(waiter.await.unwrap().as_nanos() <= 2_000_000_000);
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_takes_no_units() {
    let (limiter, clock) = limiter(config(5));
    let late = Deadline::after(&clock, Duration::ZERO);
    let call = limiter.call(|| async { panic!("was begun") as Result<(), ()> });
    assert_eq!(late.scope(call).await, Err(Failure::DeadlineExceeded));
    assert_eq!(limiter.snapshot().free, 5);
}

#[tokio::test]
async fn waiters_are_served_in_order_each_when_its_units_are_there() {
    let (limiter, clock) = limiter(config(1));
    limiter.try_acquire(1).unwrap();
    let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
    for name in 0..5 {
        let (limiter, sender, clock) = (Arc::clone(&limiter), sender.clone(), clock.clone());
        tokio::spawn(async move {
            limiter.acquire(1).await.unwrap();
            sender.send((name, clock.now().as_nanos() / 1_000_000)).unwrap();
        });
    }
    clock.run_for(SECOND / 20).await;
    assert_eq!(limiter.snapshot().waiting, 5);
    assert!(limiter.try_acquire(1).is_err(), "nobody overtakes who waits");
    assert_eq!(
        limiter.try_acquire(2).unwrap_err().retry_after,
        Duration::MAX,
        "more than a burst never comes, whoever waits"
    );
    clock.run_for(SECOND).await;
    for name in 0..5 {
        assert_eq!(served.try_recv(), Ok((name, 100 * (name + 1))));
    }
    assert_eq!((limiter.snapshot().waiting, limiter.snapshot().waited), (0, 5));
}

#[tokio::test]
async fn a_waiter_that_is_cancelled_leaves_no_trace() {
    let (limiter, clock) = limiter(config(1));
    limiter.try_acquire(1).unwrap();
    let wait = || {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { limiter.acquire(1).await })
    };
    let (first, second, third) = (wait(), wait(), wait());
    clock.run_for(SECOND / 20).await;
    first.abort();
    second.abort();
    clock.run_for(SECOND / 20).await;
    assert_eq!(third.await.unwrap(), Ok(()), "who came after them gets the first unit");
    assert_eq!(limiter.snapshot().waiting, 0);
}

#[tokio::test]
async fn who_cannot_be_served_in_time_learns_it_at_once() {
    let (limiter, clock) = limiter(LimiterConfig {
        max_wait_duration: SECOND,
        max_queue: 2,
        ..config(10)
    });
    limiter.charge(30);
    assert_eq!(limiter.acquire(1).await.unwrap_err().retry_after, SECOND * 21 / 10);
    assert_eq!(limiter.acquire(11).await.unwrap_err().retry_after, Duration::MAX);
    clock.advance(SECOND * 3 / 2);
    let hasty = Deadline::after(&clock, SECOND / 2).scope(limiter.acquire(1)).await;
    assert_eq!(hasty.unwrap_err().retry_after, SECOND * 6 / 10);
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { limiter.acquire(1).await.is_ok() })
        })
        .collect();
    clock.run_for(SECOND).await;
    let mut served = Vec::new();
    for waiter in waiters {
        served.push(waiter.await.unwrap());
    }
    assert_eq!(served, [true, true, false], "two may wait");
}

#[tokio::test]
async fn units_that_come_as_the_deadline_passes_are_left_for_others() {
    let (limiter, clock) = limiter(config(1));
    limiter.acquire(1).await.unwrap();
    let work = || async { panic!("was begun") as Result<(), ()> };
    // In a tenth of a second there is a unit: known at once that it is too late.
    let in_time = Deadline::after(&clock, SECOND / 10).scope(limiter.call(work)).await;
    assert!(matches!(in_time, Err(Failure::RateLimited { .. })), "{in_time:?}");
    // Known only afterwards, as the task is woken late.
    let late = tokio::spawn({
        let (limiter, deadline) = (Arc::clone(&limiter), Deadline::after(&clock, 2 * SECOND));
        async move { deadline.scope(limiter.call(work)).await }
    });
    clock.run_for(Duration::ZERO).await;
    clock.advance(3 * SECOND);
    assert_eq!(late.await.unwrap(), Err(Failure::DeadlineExceeded));
    assert_eq!(limiter.snapshot().free, 1, "it is given back");
}

#[tokio::test]
async fn without_a_queue_nobody_waits() {
    let (limiter, _) = limiter(LimiterConfig {
        max_queue: 0,
        ..config(1)
    });
    assert!(limiter.acquire(1).await.is_ok());
    assert_eq!(limiter.acquire(1).await.unwrap_err().retry_after, SECOND / 10);
}

#[test]
fn settings_change_in_place_and_forget_no_use() {
    let (limiter, clock) = limiter(config(10));
    clock.advance(SECOND);
    limiter.try_acquire(8).unwrap();
    let faster = LimiterConfig {
        quota: Quota {
            burst: 20,
            ..Quota::per_second(100)
        },
        ..LimiterConfig::default()
    };
    limiter.reconfigure(faster).unwrap();
    assert_eq!(limiter.snapshot().free, 12);
    assert!(limiter.reconfigure(config(0)).is_err());
    assert_eq!(limiter.snapshot().quota, faster.quota);
}

/// A hundred, or one, per second.
fn rates() -> [LimiterConfig; 2] {
    [Quota::per_second(100), Quota::per_second(1)].map(|quota| LimiterConfig {
        quota,
        ..LimiterConfig::default()
    })
}

#[test]
fn a_pause_ends_when_it_was_to_end_whatever_the_rate_is_meanwhile() {
    for other in rates() {
        let (limiter, clock) = limiter(config(10));
        limiter.try_acquire(4).unwrap();
        limiter.pause_for(60 * SECOND);
        limiter.reconfigure(other).unwrap();
        assert_eq!(
            limiter.try_acquire(1).unwrap_err().retry_after,
            60 * SECOND,
            "{other:?}"
        );
        clock.advance(30 * SECOND);
        limiter.reconfigure(config(10)).unwrap();
        assert_eq!(
            limiter.try_acquire(1).unwrap_err().retry_after,
            30 * SECOND,
            "{other:?}"
        );
        clock.advance(30 * SECOND);
        assert!(limiter.try_acquire(1).is_ok(), "{other:?}");
        assert!(
            limiter.try_acquire(1).is_err(),
            "one at a time, as after any pause: {other:?}"
        );
    }
}

#[test]
fn a_pause_that_is_ended_after_a_change_of_the_rate_leaves_what_was_used() {
    let (limiter, clock) = limiter(config(10));
    clock.advance(SECOND);
    limiter.try_acquire(10).unwrap();
    limiter.charge(200);
    limiter.pause_for(60 * SECOND);
    limiter.reconfigure(rates()[0]).unwrap();
    limiter.end_pause();
    let debt = 110 * SECOND / 100;
    assert_eq!(limiter.snapshot().debt, 110, "of 210 units a burst of 100 is none");
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after, debt + SECOND / 100);
}

#[test]
fn a_pause_that_is_over_leaves_nothing_behind_in_a_change_of_the_rate() {
    let (limiter, clock) = limiter(config(10));
    limiter.pause_for(SECOND);
    clock.advance(5 * SECOND);
    limiter.reconfigure(rates()[0]).unwrap();
    assert_eq!(limiter.snapshot().free, 100);
    limiter.try_acquire(60).unwrap();
    limiter.end_pause();
    assert_eq!(limiter.snapshot().free, 40);
}

#[tokio::test]
async fn who_waits_goes_on_by_the_new_rate_and_by_what_was_given_back() {
    let slow = LimiterConfig {
        quota: Quota {
            units: 1,
            period: 20 * SECOND,
            burst: 1,
        },
        ..LimiterConfig::default()
    };
    let changes: [fn(&Limiter<Virtual>); 2] = [
        |limiter| limiter.reconfigure(rates()[0]).unwrap(),
        |limiter| limiter.refund(1),
    ];
    for change in changes {
        let (limiter, clock) = limiter(slow);
        limiter.try_acquire(1).unwrap();
        let waits = tokio::spawn({
            let limiter = Arc::clone(&limiter);
            async move { limiter.acquire(1).await }
        });
        clock.run_for(SECOND).await;
        assert!(!waits.is_finished());
        change(&limiter);
        clock.run_for(SECOND).await;
        assert!(waits.is_finished(), "20 s would have been the old wait");
        assert_eq!(waits.await.unwrap(), Ok(()));
    }
}

proptest! {
    #[test]
    fn in_no_stretch_of_time_more_pass_than_the_rate_and_a_burst(
        burst in 1_u32..20,
        pauses in prop::collection::vec(0_u64..300_000_000, 1..200),
    ) {
        let (limiter, clock) = limiter(config(burst));
        let mut passed = Vec::new();
        for pause in pauses {
            clock.advance(Duration::from_nanos(pause));
            if limiter.try_acquire(1).is_ok() {
                passed.push(clock.now());
            }
        }
        for (first, begin) in passed.iter().enumerate() {
            for (last, end) in passed.iter().enumerate().skip(first) {
                let most = u128::from(burst) + end.since(*begin).as_nanos() / 100_000_000;
                prop_assert!(u128::try_from(last - first + 1).unwrap() <= most);
            }
        }
    }
}

#[test]
fn threads_together_get_no_more_than_is_there() {
    let (limiter, _) = limiter(config(1000));
    let got: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    (0..2000)
                        .map(|_| u32::from(limiter.try_acquire(1).is_ok()))
                        .sum::<u32>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(got, 1000);
}
