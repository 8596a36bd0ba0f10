//! Circuit breakers: the closed and successful way, a few failures, rejection.

use std::hint::black_box;
use std::time::Duration;

use stead_resilience::{Breaker, BreakerConfig, Clock, Coarse, SlowCalls, Ticker, Window};
use tower::{Layer, Service, ServiceExt};

use crate::Case;
use crate::floors::operation;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = closed();
    cases.extend(failing());
    cases.extend(open());
    cases.extend(waiting());
    cases
}

fn closed() -> Vec<Case> {
    const GROUP: &str = "breaker, closed, every call succeeds";
    let count = Window::Count { calls: 100 };
    let time = Window::Time { span: Duration::from_secs(1) };
    let rate = |window| BreakerConfig { window, failure_rate: Some(0.5), ..BreakerConfig::default() };
    let slow = BreakerConfig {
        slow_calls: Some(SlowCalls { over: Duration::from_secs(1), rate: 0.5 }),
        ..rate(count)
    };
    let mut cases = vec![
        stead(GROUP, "Stead, consecutive", BreakerConfig::default(), Coarse),
        stead(GROUP, "Stead, count window 100, rate", rate(count), Coarse),
        stead(GROUP, "Stead, time window 1 s, rate, coarse clock", rate(time), Coarse),
        stead(GROUP, "Stead, count window 100, rate, slow calls, coarse clock", slow.clone(), Coarse),
    ];
    if let Ok(ticker) = Ticker::start() {
        cases.insert(2, stead(GROUP, "Stead, time window 1 s, rate, ticker", rate(time), ticker.clone()));
        cases.push(stead(GROUP, "Stead, count window 100, rate, slow calls, ticker", slow, ticker));
    }
    cases.extend([recloser(GROUP), failsafe_consecutive(GROUP), failsafe_default(GROUP)]);
    cases
}

fn failing() -> Vec<Case> {
    const GROUP: &str = "breaker, closed, one of a hundred calls fails";
    let count = Window::Count { calls: 100 };
    let time = Window::Time { span: Duration::from_secs(1) };
    let rate = |window| BreakerConfig { window, failure_rate: Some(0.5), ..BreakerConfig::default() };
    let peer = recloser::Recloser::custom().error_rate(0.5).closed_len(100).build();
    vec![
        failing_stead(GROUP, "Stead, consecutive", BreakerConfig::default()),
        failing_stead(GROUP, "Stead, count window 100, rate", rate(count)),
        failing_stead(GROUP, "Stead, time window 1 s, rate, coarse clock", rate(time)),
        Case::new(GROUP, "recloser", move |n| {
            for n in 0..n {
                black_box(&peer.call(|| sometimes(n)));
            }
        }),
    ]
}

fn open() -> Vec<Case> {
    const GROUP: &str = "breaker, open: rejection";
    let hours = BreakerConfig {
        failure_threshold: 1,
        open_for: Duration::from_secs(36_000),
        open_max: Duration::from_secs(36_000),
        ..BreakerConfig::default()
    };
    let mut cases = vec![opened(GROUP, "Stead, coarse clock", hours.clone(), Coarse)];
    if let Ok(ticker) = Ticker::start() {
        cases.push(opened(GROUP, "Stead, ticker", hours, ticker));
    }
    let peer = recloser::Recloser::custom()
        .error_rate(0.5)
        .closed_len(1)
        .open_wait(Duration::from_secs(36_000))
        .build();
    for _ in 0..4 {
        let _ = peer.call(|| Err::<u64, u64>(1));
    }
    cases.push(Case::new(GROUP, "recloser", move |n| {
        for n in 0..n {
            black_box(&peer.call(|| operation(n)));
        }
    }));
    let backoff = failsafe::backoff::constant(Duration::from_secs(36_000));
    let peer = failsafe::Config::new()
        .failure_policy(failsafe::failure_policy::consecutive_failures(1, backoff))
        .build();
    let _ = failsafe::CircuitBreaker::call(&peer, || Err::<u64, u64>(1));
    cases.push(Case::new(GROUP, "failsafe", move |n| {
        for n in 0..n {
            black_box(&failsafe::CircuitBreaker::call(&peer, || operation(n)));
        }
    }));
    cases
}

/// Breakers around futures that are ready at once.
fn waiting() -> Vec<Case> {
    const GROUP: &str = "breaker, closed, async";
    let count = BreakerConfig {
        window: Window::Count { calls: 100 },
        failure_rate: Some(0.5),
        ..BreakerConfig::default()
    };
    let mut cases = Vec::new();
    if let Ok(ours) = Breaker::new(count) {
        cases.push(Case::new(GROUP, "Stead, count window 100, rate", move |n| {
            block_on(async {
                for n in 0..n {
                    black_box(&ours.call_async(async { operation(n) }).await);
                }
            });
        }));
    }
    let peer = breaker::CircuitBreaker::new(breaker::CircuitBreakerConfig::standard());
    cases.push(Case::new(GROUP, "breaker", move |n| {
        block_on(async {
            for n in 0..n {
                black_box(&peer.call(|| async move { operation(n) }).await);
            }
        });
    }));
    let layer = tower_resilience_circuitbreaker::CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .build();
    let Ok(layer) = layer else { return cases };
    let peer = layer.layer(tower::service_fn(|n: u64| async move { operation(n) }));
    let peer = std::sync::Mutex::new(peer);
    cases.push(Case::new(GROUP, "tower-resilience", move |n| {
        let mut peer = peer.lock().map(|peer| peer.clone()).unwrap_or_else(|peer| peer.into_inner().clone());
        block_on(async {
            for n in 0..n {
                if let Ok(peer) = peer.ready().await {
                    black_box(&peer.call(n).await);
                }
            }
        });
    }));
    cases
}

fn stead<C: Clock>(group: &'static str, name: &'static str, config: BreakerConfig, clock: C) -> Case {
    let breaker = valid(config, clock);
    Case::new(group, name, move |n| {
        for n in 0..n {
            black_box(&breaker.call(|| operation(n)));
        }
    })
}

fn failing_stead(group: &'static str, name: &'static str, config: BreakerConfig) -> Case {
    let breaker = valid(config, Coarse);
    Case::new(group, name, move |n| {
        for n in 0..n {
            black_box(&breaker.call(|| sometimes(n)));
        }
    })
}

fn opened<C: Clock>(group: &'static str, name: &'static str, config: BreakerConfig, clock: C) -> Case {
    let breaker = valid(config, clock);
    let _ = breaker.call(|| Err::<u64, u64>(1));
    Case::new(group, name, move |n| {
        for n in 0..n {
            black_box(&breaker.call(|| operation(n)));
        }
    })
}

fn recloser(group: &'static str) -> Case {
    let peer = recloser::Recloser::custom().error_rate(0.5).closed_len(100).build();
    Case::new(group, "recloser", move |n| {
        for n in 0..n {
            black_box(&peer.call(|| operation(n)));
        }
    })
}

fn failsafe_consecutive(group: &'static str) -> Case {
    let backoff = failsafe::backoff::constant(Duration::from_secs(60));
    let peer = failsafe::Config::new()
        .failure_policy(failsafe::failure_policy::consecutive_failures(5, backoff))
        .build();
    Case::new(group, "failsafe, consecutive", move |n| {
        for n in 0..n {
            black_box(&failsafe::CircuitBreaker::call(&peer, || operation(n)));
        }
    })
}

fn failsafe_default(group: &'static str) -> Case {
    let peer = failsafe::Config::new().build();
    Case::new(group, "failsafe, default", move |n| {
        for n in 0..n {
            black_box(&failsafe::CircuitBreaker::call(&peer, || operation(n)));
        }
    })
}

fn valid<C: Clock>(config: BreakerConfig, clock: C) -> Breaker<C> {
    match Breaker::with_clock(config, clock) {
        Ok(breaker) => breaker,
        Err(refused) => panic!("{refused}"),
    }
}

#[inline]
fn sometimes(n: u64) -> Result<u64, u64> {
    if n.is_multiple_of(100) { Err(n) } else { operation(n) }
}

pub(crate) fn block_on(work: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(failed) => panic!("no runtime: {failed}"),
    }
}
