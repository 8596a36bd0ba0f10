use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::*;
use crate::{BudgetConfig, Heard, Virtual};

const SECOND: Duration = Duration::from_secs(1);

const AFTER: HedgeConfig = HedgeConfig {
    delay: HedgeDelay::After(SECOND),
    max_hedges: 2,
};

/// What a call does: how long it takes, and what comes of it.
type Script = &'static [(u32, Result<u32, &'static str>)];

/// A service that follows its script, call by call, and knows how many calls are under way.
struct Service {
    clock: Virtual,
    script: Script,
    calls: AtomicU32,
    under_way: Arc<()>,
}

impl Service {
    fn new(clock: &Virtual, script: Script) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            script,
            calls: AtomicU32::new(0),
            under_way: Arc::default(),
        })
    }

    fn call(&self) -> impl Future<Output = Result<u32, &'static str>> + use<> {
        let number = usize::try_from(self.calls.fetch_add(1, Relaxed)).unwrap();
        let (seconds, result) = self.script[number.min(self.script.len() - 1)];
        let (clock, under_way) = (self.clock.clone(), Arc::clone(&self.under_way));
        async move {
            clock.sleep(seconds * SECOND).await;
            drop(under_way);
            result
        }
    }

    fn under_way(&self) -> usize {
        Arc::strong_count(&self.under_way) - 1
    }
}

fn hedge(config: HedgeConfig) -> (Hedge<Virtual>, Virtual) {
    let clock = Virtual::new();
    (
        Hedge::for_idempotent_with(config, clock.clone(), AnyError).unwrap(),
        clock,
    )
}

/// Calls the service through the hedge: what came of it, when, and after how many calls.
async fn race(
    hedge: Hedge<Virtual>,
    clock: &Virtual,
    script: Script,
) -> (Result<u32, Failure<&'static str>>, u64, u32) {
    let service = Service::new(clock, script);
    let call = tokio::spawn({
        let (service, clock) = (Arc::clone(&service), clock.clone());
        async move {
            let result = hedge.call(|| service.call()).await;
            assert_eq!(service.under_way(), 0, "the losers are gone when the winner is known");
            (result, clock.now().as_nanos() / 1_000_000_000)
        }
    });
    clock.run_for(1000 * SECOND).await;
    let (result, seconds) = call.await.unwrap();
    (result, seconds, service.calls.load(Relaxed))
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let refused = |config: HedgeConfig| Hedge::for_idempotent(config).unwrap_err().setting;
    assert_eq!(refused(HedgeConfig { max_hedges: 0, ..AFTER }), "hedge.max_hedges");
    let percentile = |percent, least, most| HedgeConfig {
        delay: HedgeDelay::Percentile { percent, least, most },
        ..AFTER
    };
    let at_once = HedgeDelay::After(Duration::ZERO);
    assert_eq!(
        refused(HedgeConfig {
            delay: at_once,
            ..AFTER
        }),
        "hedge.delay"
    );
    assert_eq!(refused(percentile(95.0, Duration::ZERO, Duration::ZERO)), "hedge.delay");
    assert_eq!(refused(percentile(100.0, SECOND, SECOND)), "hedge.delay.percent");
    assert_eq!(refused(percentile(f64::NAN, SECOND, SECOND)), "hedge.delay.percent");
    assert_eq!(refused(percentile(95.0, 2 * SECOND, SECOND)), "hedge.delay.least");
}

#[tokio::test]
async fn a_call_that_is_quick_is_made_once() {
    let (hedge, clock) = hedge(AFTER);
    assert_eq!(race(hedge, &clock, &[(0, Ok(1))]).await, (Ok(1), 0, 1));
}

#[tokio::test]
async fn the_first_answer_counts_and_the_others_are_cancelled() {
    let (hedge, clock) = hedge(AFTER);
    let mut events = hedge.events();
    let script = &[(100, Ok(1)), (3, Ok(2)), (50, Ok(3))];
    assert_eq!(race(hedge, &clock, script).await, (Ok(2), 4, 3));
    for number in [1, 2] {
        assert_eq!(events.try_next(), Some(Heard::Event(HedgeEvent::Hedged { number })));
    }
    assert_eq!(events.try_next(), Some(Heard::Event(HedgeEvent::Won)));
}

#[tokio::test]
async fn the_first_call_may_still_win() {
    let (hedge, clock) = hedge(AFTER);
    let script = &[(2, Ok(1)), (30, Ok(2))];
    assert_eq!(race(hedge, &clock, script).await, (Ok(1), 2, 2));
}

#[tokio::test]
async fn a_failure_counts_only_once_no_other_call_is_under_way() {
    let (hedge, clock) = hedge(AFTER);
    let script = &[(2, Err("first")), (5, Ok(2)), (100, Ok(3))];
    assert_eq!(race(hedge, &clock, script).await, (Ok(2), 6, 3));
    let (hedge, clock) = self::hedge(AFTER);
    let all_fail = &[(9, Err("first")), (2, Err("second")), (3, Err("third"))];
    assert_eq!(
        race(hedge, &clock, all_fail).await,
        (Err(Failure::Inner("first")), 9, 3)
    );
}

#[tokio::test]
async fn a_call_that_fails_before_it_is_slow_is_simply_a_failure() {
    let (hedge, clock) = hedge(AFTER);
    assert_eq!(
        race(hedge, &clock, &[(0, Err("no"))]).await,
        (Err(Failure::Inner("no")), 0, 1)
    );
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_not_begun() {
    let (hedge, clock) = hedge(AFTER);
    let late = Deadline::after(&clock, Duration::ZERO);
    let call = hedge.call(|| async { panic!("was begun") as Result<(), ()> });
    assert_eq!(late.scope(call).await, Err(Failure::DeadlineExceeded));
}

#[tokio::test]
async fn no_more_is_made_than_the_budget_pays_for() {
    let (hedge, clock) = hedge(AFTER);
    let config = BudgetConfig {
        ratio: 0.0,
        burst: 2,
        per_second: 0,
    };
    let budget = Arc::new(Budget::with_clock(config, &clock).unwrap());
    let hedge = hedge.with_budget(Arc::clone(&budget));
    assert_eq!(race(hedge, &clock, &[(9, Ok(1))]).await, (Ok(1), 9, 2));
    assert_eq!(
        (budget.snapshot().granted.hedge, budget.snapshot().refused.hedge),
        (1, 1)
    );
}

#[tokio::test]
async fn the_wait_follows_how_long_calls_take() {
    let (hedge, clock) = hedge(HedgeConfig {
        delay: HedgeDelay::Percentile {
            percent: 90.0,
            least: SECOND / 100,
            most: 60 * SECOND,
        },
        ..AFTER
    });
    assert_eq!(hedge.snapshot().delay, 60 * SECOND);
    let work = tokio::spawn({
        let clock = clock.clone();
        async move {
            for _ in 0..40 {
                let answer = || async {
                    clock.sleep(2 * SECOND).await;
                    Ok::<_, ()>(())
                };
                hedge.call(answer).await.unwrap();
            }
            hedge
        }
    });
    clock.run_for(100 * SECOND).await;
    let hedge = work.await.unwrap();
    let learned = hedge.snapshot().delay;
    assert!(learned >= 2 * SECOND && learned <= SECOND * 9 / 4, "{learned:?}");
    hedge.reconfigure(AFTER).unwrap();
    assert_eq!(hedge.snapshot().delay, SECOND);
    assert!(
        hedge
            .reconfigure(HedgeConfig {
                max_hedges: 11,
                ..AFTER
            })
            .is_err()
    );
}

#[tokio::test]
async fn a_call_that_is_cancelled_takes_all_of_its_tries_with_it() {
    let (hedge, clock) = hedge(AFTER);
    let service = Service::new(&clock, &[(100, Ok(1))]);
    let call = tokio::spawn({
        let service = Arc::clone(&service);
        async move { hedge.call(|| service.call()).await }
    });
    clock.run_for(5 * SECOND).await;
    assert_eq!(service.under_way(), 3);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(service.under_way(), 0);
}
