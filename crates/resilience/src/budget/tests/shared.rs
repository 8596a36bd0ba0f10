//! One budget around one call, whoever shares it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::task::{Context, Waker};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::*;
use crate::{
    AnyError, Breaker, BreakerConfig, Failure, Fallback, Hedge, HedgeConfig, HedgeDelay, Layer, Pipeline, Retry,
    RetryConfig, Virtual,
};

const SECOND: Duration = Duration::from_secs(1);

/// A tenth, and one that is saved up.
const CONFIG: BudgetConfig = BudgetConfig {
    ratio: 0.1,
    burst: 1,
    per_second: 0,
};

fn budget(clock: &Virtual) -> Arc<Budget> {
    Arc::new(Budget::with_clock(CONFIG, clock).unwrap())
}

/// As many again as there are calls, and ten that are saved up.
fn wide(clock: &Virtual) -> Arc<Budget> {
    let config = BudgetConfig {
        ratio: 1.0,
        burst: 10,
        ..CONFIG
    };
    Arc::new(Budget::with_clock(config, clock).unwrap())
}

fn retry(clock: &Virtual, budget: &Arc<Budget>) -> Retry<Virtual> {
    let retry = Retry::with(RetryConfig::default(), clock.clone(), AnyError).unwrap();
    retry.with_budget(Arc::clone(budget))
}

#[tokio::test]
async fn in_a_total_outage_all_policies_together_make_a_tenth_more_calls() {
    const CALLS: u64 = 500;
    let clock = Virtual::new();
    let budget = budget(&clock);
    let delay = HedgeDelay::After(SECOND);
    let hedge = HedgeConfig { delay, max_hedges: 1 };
    let breaker = BreakerConfig {
        failure_threshold: 50,
        open_for: SECOND,
        ..BreakerConfig::default()
    };
    let asked = Arc::new(AtomicU64::new(0));
    let fails = {
        let (clock, asked) = (clock.clone(), Arc::clone(&asked));
        move || {
            asked.fetch_add(1, Relaxed);
            let clock = clock.clone();
            async move {
                clock.sleep(2 * SECOND).await;
                Err::<(), ()>(())
            }
        }
    };
    let other = fails.clone();
    let fallback = Fallback::new().then("other", move |_| {
        let other = other();
        async move { other.await.map_err(Failure::Inner) }
    });
    let hedge = Hedge::for_idempotent_with(hedge, clock.clone(), AnyError).unwrap();
    let breaker = Breaker::with_clock(breaker, clock.clone()).unwrap();
    let pipeline = Pipeline::new()
        .with(fallback.with_budget(Arc::clone(&budget)))
        .with(retry(&clock, &budget))
        .with(hedge.with_budget(Arc::clone(&budget)))
        .with(breaker.with_budget(Arc::clone(&budget)));
    let calls = async {
        for _ in 0..CALLS {
            pipeline.call(&fails).await.unwrap_err();
        }
    };
    tokio::join!(calls, clock.run_for(10 * 3600 * SECOND));
    let granted = budget.snapshot().granted;
    let extra = granted.retry + granted.hedge + granted.probe + granted.fallback;
    let most = CALLS / 10 + u64::from(CONFIG.burst);
    assert!((CALLS / 20..=most).contains(&extra), "{extra} of {most}: {granted:?}");
    assert!(asked.load(Relaxed) <= CALLS + most);
}

/// How many extra calls the budget pays for now.
fn saved(budget: &Budget) -> usize {
    (0..10).filter(|_| budget.withdraw(Extra::Retry)).count()
}

#[tokio::test]
async fn a_call_pays_once_and_two_calls_twice_also_where_they_run_at_once() {
    let clock = Virtual::new();
    let budget = wide(&clock);
    assert_eq!(saved(&budget), 10);
    let twice = Pipeline::new()
        .with(retry(&clock, &budget))
        .with(retry(&clock, &budget));
    let yields = || async {
        tokio::task::yield_now().await;
        Ok::<_, ()>(())
    };
    assert_eq!(twice.call(yields).await, Ok(()));
    assert_eq!(saved(&budget), 1);
    let (one, other) = tokio::join!(twice.call(yields), twice.call(yields));
    assert_eq!((one, other), (Ok(()), Ok(())));
    assert_eq!(saved(&budget), 2);
}

#[tokio::test]
async fn a_call_that_ends_in_a_panic_leaves_the_next_one_to_pay() {
    let clock = Virtual::new();
    let budget = wide(&clock);
    let retry = retry(&clock, &budget);
    assert_eq!(saved(&budget), 10);
    let mut panics = Box::pin(retry.call(|| async { panic!("on purpose") as Result<(), ()> }));
    let mut context = Context::from_waker(Waker::noop());
    let caught = catch_unwind(AssertUnwindSafe(|| panics.as_mut().poll(&mut context)));
    assert!(caught.is_err());
    assert_eq!(retry.call(|| async { Ok::<_, ()>(()) }).await, Ok(()));
    assert_eq!(saved(&budget), 2);
}
