//! Many threads at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread;

use super::*;

#[test]
fn never_more_probes_are_in_flight_than_allowed() {
    let (breaker, clock) = opened(BreakerConfig {
        half_open_max_calls: 3,
        success_threshold: 1000,
        ..BreakerConfig::default()
    });
    clock.advance(60 * SECOND);
    let (flying, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for turn in 0..500 {
                    let Ok(probe) = breaker.try_acquire() else { continue };
                    most.fetch_max(flying.fetch_add(1, SeqCst) + 1, SeqCst);
                    thread::yield_now();
                    flying.fetch_sub(1, SeqCst);
                    if turn % 3 == 0 { drop(probe) } else { probe.ignore() }
                }
            });
        }
    });
    assert!((1..=3).contains(&most.load(SeqCst)), "{most:?}");
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

#[test]
fn of_fifty_callers_at_once_only_the_allowed_probes_go() {
    let (breaker, clock) = opened(BreakerConfig::default());
    clock.advance(60 * SECOND);
    let (start, admitted) = (Barrier::new(50), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                start.wait();
                if let Ok(probe) = breaker.try_acquire() {
                    admitted.fetch_add(1, SeqCst);
                    core::mem::forget(probe);
                }
            });
        }
    });
    assert_eq!(admitted.load(SeqCst), 2);
}

#[test]
fn when_the_crowd_is_gone_windows_hold_what_was_counted() {
    for window in [Window::Count { calls: 50 }, Window::Time { span: 60 * SECOND }] {
        let (breaker, _clock) = breaker(BreakerConfig {
            window,
            failure_rate: Some(1.0),
            minimum_calls: 50,
            ..BreakerConfig::default()
        });
        thread::scope(|scope| {
            for thread in 0..4_u32 {
                let breaker = &breaker;
                scope.spawn(move || {
                    for call in 0..25_000 {
                        let permit = breaker.try_acquire().unwrap();
                        if (call + thread) % 5 == 0 {
                            permit.failure();
                        } else {
                            permit.success();
                        }
                    }
                });
            }
        });
        let PhaseImage::Closed { window } = breaker.snapshot().phase else {
            panic!("a fifth of failures never opens")
        };
        match window {
            WindowImage::Count { calls } => {
                assert_eq!(calls.0.len(), 50);
                let failed = calls.0.iter().filter(|mark| mark.failed()).count();
                assert_eq!(breaker.word().failed() as usize, failed);
            }
            WindowImage::Time { buckets, .. } => {
                assert_eq!(buckets.iter().map(|bucket| bucket.total).sum::<u32>(), 100_000);
                assert_eq!(buckets.iter().map(|bucket| bucket.failed).sum::<u32>(), 20_000);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn whoever_counts_while_it_is_reconfigured_is_neither_held_up_nor_lost_for_long() {
    let (breaker, _clock) = breaker(BreakerConfig {
        window: Window::Count { calls: 40 },
        failure_threshold: 40,
        ..BreakerConfig::default()
    });
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for call in 0..20_000 {
                    let permit = breaker.try_acquire().unwrap();
                    if call % 3 == 0 {
                        permit.failure();
                    } else {
                        permit.success();
                    }
                }
            });
        }
        scope.spawn(|| {
            for turn in 0..300 {
                let config = BreakerConfig {
                    window: Window::Count { calls: 41 + turn % 200 },
                    failure_threshold: 41,
                    failure_rate: Some(1.0),
                    ..BreakerConfig::default()
                };
                breaker.reconfigure(config).unwrap();
            }
        });
    });
    for _ in 0..500 {
        breaker.try_acquire().unwrap().success();
    }
    let PhaseImage::Closed {
        window: WindowImage::Count { calls },
    } = breaker.snapshot().phase
    else {
        panic!("it is closed")
    };
    assert!(calls.0.iter().all(|mark| !mark.failed()));
    assert!(breaker.word().uneventful(), "the count agrees with the bits");
}
