//! Every interleaving of a few callers.

use core::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::thread;
use stead_policy::{BreakerConfig, CircuitState, PhaseImage, Window, WindowImage};

use super::super::Breaker;
use crate::Virtual;

mod windows;

fn breaker(config: BreakerConfig) -> (Arc<Breaker<Virtual>>, Virtual) {
    let clock = Virtual::new();
    (Arc::new(Breaker::with_clock(config, clock.clone()).unwrap()), clock)
}

fn both(breaker: &Arc<Breaker<Virtual>>, one: fn(&Breaker<Virtual>), other: fn(&Breaker<Virtual>)) {
    let beside = Arc::clone(breaker);
    let thread = thread::spawn(move || one(&beside));
    other(breaker);
    thread.join().unwrap();
}

fn fail(breaker: &Breaker<Virtual>) {
    if let Ok(permit) = breaker.try_acquire() {
        permit.failure();
    }
}

fn succeed(breaker: &Breaker<Virtual>) {
    if let Ok(permit) = breaker.try_acquire() {
        permit.success();
    }
}

fn opened(config: BreakerConfig) -> Arc<Breaker<Virtual>> {
    let (breaker, clock) = breaker(BreakerConfig {
        failure_threshold: 1,
        ..config
    });
    fail(&breaker);
    clock.advance(Duration::from_secs(60));
    breaker
}

#[test]
fn loom_it_opens_at_exactly_the_second_of_two_failures() {
    loom::model(|| {
        let (breaker, _clock) = breaker(BreakerConfig {
            failure_threshold: 2,
            ..BreakerConfig::default()
        });
        both(&breaker, fail, fail);
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(breaker.generation(), 1);
    });
}

#[test]
fn loom_two_callers_never_share_the_only_place_of_a_probe() {
    loom::model(|| {
        let breaker = opened(BreakerConfig {
            half_open_max_calls: 1,
            ..BreakerConfig::default()
        });
        let flying = Arc::new(AtomicU32::new(0));
        let probe = |breaker: &Breaker<Virtual>, flying: &AtomicU32| {
            if let Ok(probe) = breaker.try_acquire() {
                assert_eq!(flying.fetch_add(1, SeqCst), 0, "two at once");
                flying.fetch_sub(1, SeqCst);
                drop(probe);
            }
        };
        let (other, beside) = (Arc::clone(&breaker), Arc::clone(&flying));
        let thread = thread::spawn(move || probe(&other, &beside));
        probe(&breaker, &flying);
        thread.join().unwrap();
        assert!(breaker.try_acquire().is_ok(), "an abandoned probe frees its place");
    });
}

#[test]
fn loom_a_failed_and_a_successful_probe_leave_it_open_or_closed_and_never_between() {
    // Two callers that both come to the desk twice: more than three preemptions are too many to try.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let breaker = opened(BreakerConfig {
            success_threshold: 1,
            half_open_max_calls: 2,
            ..BreakerConfig::default()
        });
        both(&breaker, fail, succeed);
        // Whoever was first decided. A failure that came after the close is one failure of a closed breaker: it opens again.
        assert!(matches!(breaker.state(), CircuitState::Open | CircuitState::Closed));
    });
}

#[test]
fn loom_a_late_result_changes_nothing() {
    loom::model(|| {
        let (breaker, _clock) = breaker(BreakerConfig {
            failure_threshold: 1,
            ..BreakerConfig::default()
        });
        let old = Arc::clone(&breaker);
        let permit = old.try_acquire().unwrap();
        let beside = Arc::clone(&breaker);
        let thread = thread::spawn(move || {
            beside.force_open();
            beside.reset();
        });
        permit.failure();
        thread.join().unwrap();
        assert_eq!(breaker.state(), CircuitState::Closed);
    });
}

#[test]
fn loom_bits_and_count_of_a_ring_agree_when_everybody_has_reported() {
    loom::model(|| {
        let (breaker, _clock) = breaker(BreakerConfig {
            window: Window::Count { calls: 2 },
            failure_threshold: 2,
            ..BreakerConfig::default()
        });
        fail(&breaker);
        both(&breaker, succeed, succeed);
        let PhaseImage::Closed {
            window: WindowImage::Count { calls },
        } = breaker.snapshot().phase
        else {
            panic!("it is closed")
        };
        let failed = calls.0.iter().filter(|mark| mark.failed()).count();
        assert_eq!(breaker.word().failed() as usize, failed);
        assert_eq!(failed, 0, "two successes push the failure out");
        assert!(breaker.word().calm());
    });
}

#[test]
fn loom_a_window_of_time_counts_two_at_once() {
    // Whoever looks goes through all buckets: more preemptions are too many to try.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.max_branches = 10_000;
    model.check(|| {
        let (breaker, _clock) = breaker(BreakerConfig {
            window: Window::Time {
                span: Duration::from_secs(60),
            },
            failure_rate: Some(1.0),
            minimum_calls: 3,
            ..BreakerConfig::default()
        });
        both(&breaker, fail, succeed);
        let PhaseImage::Closed {
            window: WindowImage::Time { buckets, .. },
        } = breaker.snapshot().phase
        else {
            panic!("it is closed")
        };
        assert_eq!(
            buckets
                .iter()
                .map(|bucket| (bucket.total, bucket.failed))
                .collect::<Vec<_>>(),
            [(2, 1)]
        );
    });
}
