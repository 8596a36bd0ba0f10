use core::time::Duration;
use std::sync::Arc;

use stead_resilience::{Breaker, BreakerConfig, BreakerSettings, CircuitState, Coarse, Failure, SlowCalls, Window};

use crate::allocations::{NOTHING, allocated};

fn kinds() -> Vec<BreakerConfig> {
    let span = Duration::from_secs(60);
    let rate = Some(0.5);
    let slow_calls = Some(SlowCalls {
        over: Duration::from_secs(5),
        rate: 0.5,
    });
    let config = BreakerConfig::default;
    let (count, time) = (Window::Count { calls: 100 }, Window::Time { span });
    vec![
        config(),
        BreakerConfig {
            window: Window::Leaky { leak: span },
            ..config()
        },
        BreakerConfig {
            window: count,
            ..config()
        },
        BreakerConfig {
            window: count,
            failure_rate: rate,
            ..config()
        },
        BreakerConfig {
            window: count,
            slow_calls,
            ..config()
        },
        BreakerConfig {
            window: time,
            ..config()
        },
        BreakerConfig {
            window: time,
            failure_rate: rate,
            ..config()
        },
        BreakerConfig {
            window: time,
            slow_calls,
            ..config()
        },
    ]
}

#[test]
fn nothing_is_allocated_on_the_way_of_a_success_nor_of_a_rejection() {
    for config in kinds() {
        let breaker = Breaker::new(config.clone()).unwrap();
        let (spent, ()) = allocated(|| {
            for n in 0..1000 {
                assert_eq!(breaker.call(|| Ok::<_, ()>(n)), Ok(n));
                if let Ok(permit) = breaker.try_acquire() {
                    permit.success();
                }
            }
        });
        assert_eq!(spent, NOTHING, "{config:?}");
        breaker.force_open();
        let (spent, ()) = allocated(|| {
            for _ in 0..1000 {
                assert!(breaker.call(|| Ok::<_, ()>(())).is_err());
            }
        });
        assert_eq!(spent, NOTHING, "{config:?}");
    }
}

#[test]
fn a_few_failures_allocate_nothing_either() {
    for config in kinds() {
        let breaker = Breaker::new(config.clone()).unwrap();
        let (spent, ()) = allocated(|| {
            for n in 0..1000 {
                let permit = breaker.try_acquire().unwrap();
                if n % 400 == 10 {
                    permit.failure();
                } else {
                    permit.success();
                }
            }
        });
        assert_eq!(spent, NOTHING, "{config:?}");
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

fn bytes_each(make: impl Fn() -> Breaker) -> usize {
    let (spent, breakers) = allocated(|| {
        let breakers: Vec<_> = (0..1000).map(|_| Box::new(make())).collect();
        for breaker in &breakers {
            assert_eq!(breaker.call(|| Err::<(), _>(())), Err(Failure::Inner(())));
            assert_eq!(breaker.call(|| Ok::<_, ()>(())), Ok(()));
        }
        breakers
    });
    spent.bytes / breakers.len() - size_of::<Box<Breaker>>()
}

#[test]
fn a_hundred_thousand_breakers_fit_into_forty_megabytes() {
    let each = bytes_each(|| Breaker::new(BreakerConfig::default()).unwrap());
    assert!(each <= 360, "{each} bytes, with settings of their own");
    for config in kinds() {
        let settings = Arc::new(BreakerSettings::try_from(config.clone()).unwrap());
        let each = bytes_each(|| Breaker::with_settings(Arc::clone(&settings), Coarse));
        assert!(each <= 320, "{each} bytes of {config:?}");
    }
}
