//! The ways of successes into a window that are one exchange, beside all others.

use loom::sync::Arc;
use loom::thread;
use stead_policy::{BreakerConfig, CircuitState, Counts, Mark, PhaseImage, Window, WindowImage};

use super::{both, breaker, fail, succeed};
use crate::Virtual;
use crate::breaker::Breaker;
use crate::breaker::shards::{At, Shards};

const NOW: At = At {
    epoch: 1,
    tick: 100,
    reach: 8,
};

/// A window of time that has counted one success now.
fn warm() -> Arc<Shards> {
    let shards = Shards::default();
    shards.turn(NOW);
    shards.add(NOW, Mark::Good);
    Arc::new(shards)
}

/// As a breaker counts a success: in one exchange, or else as everything is counted.
fn count_good(shards: &Shards) {
    if !shards.add_good(NOW) {
        shards.add(NOW, Mark::Good);
    }
}

/// Tries every interleaving. The place of this thread among the lanes is known before, as it is no part of any.
fn model(of: impl Fn() + Sync + Send + 'static) {
    let _known = crate::lanes::lane();
    loom::model(of);
}

fn beside(shards: &Arc<Shards>, work: fn(&Shards)) -> thread::JoinHandle<()> {
    let shards = Arc::clone(shards);
    thread::spawn(move || work(&shards))
}

#[test]
fn loom_two_successes_at_once_are_two() {
    model(|| {
        let shards = warm();
        let other = beside(&shards, count_good);
        count_good(&shards);
        other.join().unwrap();
        assert_eq!((shards.counts(NOW).total, shards.counts(NOW).failed), (3, 0));
    });
}

#[test]
fn loom_a_success_beside_a_failure_loses_neither() {
    model(|| {
        let shards = warm();
        let other = beside(&shards, |shards| shards.add(NOW, Mark::Failed));
        count_good(&shards);
        other.join().unwrap();
        assert_eq!((shards.counts(NOW).total, shards.counts(NOW).failed), (3, 1));
    });
}

#[test]
fn loom_a_success_that_comes_a_lap_late_is_taken_back_from_the_bucket_that_began_anew() {
    const LAP_LATER: At = At { tick: 116, ..NOW };
    model(|| {
        let shards = warm();
        let other = beside(&shards, |shards| {
            shards.turn(LAP_LATER);
            shards.add(LAP_LATER, Mark::Failed);
        });
        // Whether it was counted, came too late or is to be counted in another way: not in the lap after its own.
        let _counted = shards.add_good(NOW);
        other.join().unwrap();
        let counts = shards.counts(LAP_LATER);
        assert_eq!((counts.total, counts.failed), (1, 1));
    });
}

#[test]
fn loom_a_success_of_an_earlier_epoch_is_taken_back_from_the_window_that_was_filled_anew() {
    const REBUILT: At = At { epoch: 2, ..NOW };
    model(|| {
        let shards = warm();
        let other = beside(&shards, |shards| {
            let kept = Counts {
                total: 5,
                failed: 2,
                slow: 0,
            };
            shards.fill(REBUILT, core::iter::once((REBUILT.tick, kept)));
        });
        let _counted = shards.add_good(NOW);
        other.join().unwrap();
        let counts = shards.counts(REBUILT);
        assert_eq!((counts.total, counts.failed), (5, 2));
    });
}

/// A breaker whose window of two calls is full, the failure the older one.
fn full_and_dirty() -> (Arc<Breaker<Virtual>>, Virtual) {
    let (breaker, clock) = breaker(BreakerConfig {
        window: Window::Count { calls: 2 },
        failure_threshold: 2,
        ..BreakerConfig::default()
    });
    fail(&breaker);
    succeed(&breaker);
    assert!(!breaker.word().calm());
    (breaker, clock)
}

/// The failures that the window of a closed breaker holds.
fn failures(breaker: &Breaker<Virtual>) -> usize {
    assert_eq!(breaker.state(), CircuitState::Closed);
    let PhaseImage::Closed {
        window: WindowImage::Count { calls },
    } = breaker.snapshot().phase
    else {
        panic!("it is closed")
    };
    calls.0.iter().filter(|mark| mark.failed()).count()
}

#[test]
fn loom_two_successes_push_the_failure_out_of_a_full_window() {
    model(|| {
        let (breaker, _clock) = full_and_dirty();
        both(&breaker, succeed, succeed);
        assert_eq!((failures(&breaker), breaker.word().failed()), (0, 0));
        assert!(breaker.word().calm());
    });
}

#[test]
fn loom_a_failure_beside_a_success_that_pushes_one_out_opens_or_leaves_one_in_a_full_window() {
    model(|| {
        let (breaker, _clock) = full_and_dirty();
        both(&breaker, fail, succeed);
        // The failure may have come while the success had its place and the one before was not cleared yet.
        if breaker.state() == CircuitState::Open {
            assert_eq!(breaker.generation(), 1);
            return;
        }
        assert_eq!((failures(&breaker), breaker.word().failed()), (1, 1));
    });
}
