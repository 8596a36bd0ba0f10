//! Bulkheads, limiters, budgets, retries, timeouts and hedges, while all is well.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stead_resilience::{
    AdaptiveBulkhead, AdaptiveConfig, AnyError, Budget, BudgetConfig, Bulkhead, BulkheadConfig, Clock, Coarse, Extra,
    Fallback, Hedge, HedgeConfig, HedgeDelay, Layer, Limiter, LimiterConfig, Quota, Retry, RetryConfig, Ticker,
    Timeout, TimeoutConfig,
};
use tower::retry::budget::Budget as _;

use crate::Case;
use crate::breakers::block_on;
use crate::floors::operation;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = bulkheads();
    cases.extend(limiters());
    cases.extend(budgets());
    cases.extend(retries());
    cases.extend(timeouts());
    cases
}

/// Seats for far more than are here, so that nobody waits.
fn bulkheads() -> Vec<Case> {
    const GROUP: &str = "bulkhead, a seat is free";
    let config = BulkheadConfig {
        max_concurrent_calls: 1000,
        ..BulkheadConfig::default()
    };
    let (ours, waits) = (valid(Bulkhead::new(config)), valid(Bulkhead::new(config)));
    let adaptive = valid(AdaptiveBulkhead::new(AdaptiveConfig::default()));
    let (peer, waiting_peer) = (tokio::sync::Semaphore::new(1000), tokio::sync::Semaphore::new(1000));
    let full = valid(Bulkhead::new(BulkheadConfig {
        max_concurrent_calls: 1,
        max_queue: 0,
        ..config
    }));
    let full_peer = tokio::sync::Semaphore::new(0);
    vec![
        Case::new(GROUP, "Stead, try_acquire and drop", move |n| {
            for n in 0..n {
                let seat = ours.try_acquire();
                let _ = black_box(operation(n));
                drop(black_box(seat));
            }
        }),
        Case::new(GROUP, "tokio Semaphore, try_acquire and drop", move |n| {
            for n in 0..n {
                let seat = peer.try_acquire();
                let _ = black_box(operation(n));
                drop(black_box(seat));
            }
        }),
        Case::new(GROUP, "Stead, acquire().await and drop", move |n| {
            block_on(async {
                for n in 0..n {
                    let seat = waits.acquire().await;
                    let _ = black_box(operation(n));
                    drop(black_box(seat));
                }
            });
        }),
        Case::new(GROUP, "tokio Semaphore, acquire().await and drop", move |n| {
            block_on(async {
                for n in 0..n {
                    let seat = waiting_peer.acquire().await;
                    let _ = black_box(operation(n));
                    drop(black_box(seat));
                }
            });
        }),
        Case::new(GROUP, "Stead, adaptive, call().await, precise clock twice", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(adaptive.call(|| async { operation(n) }).await);
                }
            });
        }),
        Case::new("bulkhead, full: refusal", "Stead, try_acquire", move |n| {
            let _seat = full.try_acquire();
            for _ in 0..n {
                let _ = black_box(full.try_acquire().is_none());
            }
        }),
        Case::new("bulkhead, full: refusal", "tokio Semaphore, try_acquire", move |n| {
            for _ in 0..n {
                let _ = black_box(full_peer.try_acquire().is_err());
            }
        }),
    ]
}

fn limiters() -> Vec<Case> {
    const GROUP: &str = "rate limiter, units are there";
    const FULL: &str = "rate limiter, used up: refusal";
    // A unit per nanosecond: never used up.
    let much = Quota {
        units: 1_000_000_000,
        period: Duration::from_secs(1),
        burst: 1_000_000_000,
    };
    let little = Quota {
        units: 1,
        period: Duration::from_secs(36_000),
        burst: 1,
    };
    let config = |quota| LimiterConfig {
        quota,
        ..LimiterConfig::default()
    };
    let mut cases = vec![limiter(GROUP, "Stead, coarse clock", config(much), Coarse)];
    if let Ok(ticker) = Ticker::start() {
        cases.push(limiter(GROUP, "Stead, ticker", config(much), ticker.clone()));
        cases.push(limiter(FULL, "Stead, ticker", config(little), ticker));
    }
    let most = NonZeroU32::MAX;
    cases.push(governor(GROUP, governor::Quota::per_second(most).allow_burst(most)));
    cases.push(limiter(FULL, "Stead, coarse clock", config(little), Coarse));
    if let Some(hours) = governor::Quota::with_period(Duration::from_secs(36_000)) {
        cases.push(governor(FULL, hours));
    }
    cases.sort_by_key(|case| case.group == FULL);
    cases
}

fn limiter<C: Clock>(group: &'static str, name: &'static str, config: LimiterConfig, clock: C) -> Case {
    let ours = valid(Limiter::with(config, clock, AnyError));
    Case::new(group, name, move |n| {
        for _ in 0..n {
            let _ = black_box(ours.try_acquire(1));
        }
    })
}

fn governor(group: &'static str, quota: governor::Quota) -> Case {
    let peer = governor::RateLimiter::direct(quota);
    Case::new(group, "governor", move |n| {
        for _ in 0..n {
            let _ = black_box(peer.check());
        }
    })
}

fn budgets() -> Vec<Case> {
    const GROUP: &str = "budget, deposit";
    let full = valid(Budget::new(BudgetConfig::default()));
    let config = BudgetConfig {
        ratio: 0.000_001,
        burst: u32::MAX,
        per_second: 0,
    };
    let filling = valid(Budget::new(config));
    // Drained so far that no run fills it again.
    for _ in 0..10_000_000 {
        let _ = filling.withdraw(Extra::Retry);
    }
    let peer = tower::retry::budget::TpsBudget::new(Duration::from_secs(10), 10, 0.1);
    vec![
        Case::new(GROUP, "Stead, savings full (usual)", move |n| {
            for _ in 0..n {
                black_box(&full).deposit();
            }
        }),
        Case::new(GROUP, "Stead, savings not full", move |n| {
            for _ in 0..n {
                black_box(&filling).deposit();
            }
        }),
        Case::new(GROUP, "tower TpsBudget", move |n| {
            for _ in 0..n {
                black_box(&peer).deposit();
            }
        }),
    ]
}

fn retries() -> Vec<Case> {
    use backon::Retryable;
    const GROUP: &str = "retry, the first try succeeds";
    let ours = valid(Retry::new(RetryConfig::default()));
    let budget = Arc::new(valid(Budget::new(BudgetConfig::default())));
    let with_budget = valid(Retry::new(RetryConfig::default())).with_budget(budget);
    vec![
        Case::new(GROUP, "the operation alone, async", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(async { operation(n) }.await);
                }
            });
        }),
        Case::new(GROUP, "Stead", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(ours.call(|| async { operation(n) }).await);
                }
            });
        }),
        Case::new(GROUP, "Stead, with budget", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(with_budget.call(|| async { operation(n) }).await);
                }
            });
        }),
        Case::new(GROUP, "backon", move |n| {
            let backoff = backon::ExponentialBuilder::default().with_jitter().with_max_times(2);
            block_on(async {
                for n in 0..n {
                    let _ = black_box((|| async { operation(n) }).retry(backoff).await);
                }
            });
        }),
    ]
}

fn timeouts() -> Vec<Case> {
    const GROUP: &str = "timeout, hedge, fallback: ready at once";
    let limit = Duration::from_secs(60);
    let ours = valid(Timeout::new(TimeoutConfig { limit: Some(limit) }));
    let delay = HedgeDelay::After(limit);
    let hedge = valid(Hedge::for_idempotent(HedgeConfig {
        delay,
        ..HedgeConfig::default()
    }));
    let learning = valid(Hedge::for_idempotent(HedgeConfig::default()));
    let fallback = Fallback::<u64, u64>::new().or_value("zero", |_| 0);
    let mut cases = vec![
        Case::new(GROUP, "Stead timeout, coarse clock", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(ours.call(|| async { operation(n) }).await);
                }
            });
        }),
        Case::new(GROUP, "tokio::time::timeout", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(tokio::time::timeout(limit, async { operation(n) }).await);
                }
            });
        }),
        Case::new(GROUP, "Stead hedge, fixed delay", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(hedge.call(|| async { operation(n) }).await);
                }
            });
        }),
        Case::new(GROUP, "Stead hedge, percentile, precise clock twice", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(learning.call(|| async { operation(n) }).await);
                }
            });
        }),
        Case::new(GROUP, "Stead fallback", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(fallback.call(|| async { operation(n) }).await);
                }
            });
        }),
    ];
    if let Ok(ticker) = Ticker::start() {
        let ours = valid(Timeout::with_clock(TimeoutConfig { limit: Some(limit) }, ticker));
        let ticked = Case::new(GROUP, "Stead timeout, ticker", move |n| {
            block_on(async {
                for n in 0..n {
                    let _ = black_box(ours.call(|| async { operation(n) }).await);
                }
            });
        });
        cases.insert(1, ticked);
    }
    cases
}

pub(crate) fn valid<P>(made: Result<P, impl std::fmt::Display>) -> P {
    match made {
        Ok(policy) => policy,
        Err(refused) => panic!("{refused}"),
    }
}
