//! The ways of successes into a window that are one exchange, beside all others.

use loom::sync::Arc;
use loom::thread;
use stead_policy::{BreakerConfig, CircuitState, Counts, Mark, PhaseImage, Window, WindowImage};

use super::{both, breaker, fail, succeed};
use crate::Virtual;
use crate::breaker::Breaker;
use crate::breaker::ring::{Ring, Rings};
use crate::breaker::shards::{At, Came, Shards};

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
    if shards.add_good(NOW) == Came::Not {
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
        let other = beside(&shards, |shards| {
            shards.add(NOW, Mark::Failed);
        });
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

/// A call beside a window of time that goes on as that of another epoch: the calls that were taken, and whether the call is
/// still to be counted.
fn beside_a_rebuilding(call: fn(&Shards) -> Came) -> (Counts, Came) {
    const REBUILT: At = At { epoch: 2, ..NOW };
    let shards = warm();
    let other = beside(&shards, |shards| {
        let taken = shards.take(NOW, REBUILT);
        shards.fill(REBUILT, taken.iter().map(|bucket| (REBUILT.tick, bucket.counts())));
    });
    let came = call(&shards);
    other.join().unwrap();
    (shards.counts(REBUILT), came)
}

#[test]
fn loom_a_success_beside_a_rebuilding_of_a_window_of_time_is_taken_or_still_to_be_counted() {
    model(|| {
        let (taken, came) = beside_a_rebuilding(|shards| shards.add_good(NOW));
        let counted = u32::from(came != Came::Not);
        assert_eq!((taken.total, taken.failed), (1 + counted, 0));
    });
}

#[test]
fn loom_a_failure_beside_a_rebuilding_of_a_window_of_time_is_taken_or_still_to_be_counted() {
    model(|| {
        let (taken, came) = beside_a_rebuilding(|shards| shards.add(NOW, Mark::Failed));
        let counted = u32::from(came != Came::Not);
        assert_eq!((taken.total, taken.failed), (1 + counted, counted));
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
fn loom_a_failure_beside_a_success_that_pushes_one_out_of_a_full_window_never_opens_early() {
    model(|| {
        let (breaker, _clock) = full_and_dirty();
        both(&breaker, fail, succeed);
        // Whoever is first, the older failure goes before the newer one counts.
        assert_eq!((failures(&breaker), breaker.word().failed()), (1, 1));
    });
}

/// A breaker whose window of three calls is full, the failure the one in the middle.
fn failed_between() -> (Arc<Breaker<Virtual>>, Virtual) {
    let (breaker, clock) = breaker(BreakerConfig {
        window: Window::Count { calls: 3 },
        failure_threshold: 2,
        ..BreakerConfig::default()
    });
    succeed(&breaker);
    fail(&breaker);
    succeed(&breaker);
    (breaker, clock)
}

#[test]
fn loom_a_second_failure_opens_a_full_window_unless_a_success_was_first() {
    model(|| {
        let (breaker, _clock) = failed_between();
        both(&breaker, fail, succeed);
        match breaker.state() {
            CircuitState::Open => assert_eq!(breaker.generation(), 1),
            // The success took the place before that of the older failure, so the newer one replaced it.
            _ => assert_eq!((failures(&breaker), breaker.word().failed()), (1, 1)),
        }
    });
}

#[test]
fn loom_of_two_failures_the_second_opens_a_full_window_that_holds_one_which_stays() {
    model(|| {
        let (breaker, _clock) = breaker(BreakerConfig {
            window: Window::Count { calls: 3 },
            failure_threshold: 3,
            ..BreakerConfig::default()
        });
        succeed(&breaker);
        succeed(&breaker);
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Closed);
        both(&breaker, fail, fail);
        assert_eq!((breaker.state(), breaker.generation()), (CircuitState::Open, 1));
    });
}

#[test]
fn loom_a_window_of_one_call_opens_at_its_first_failure_beside_any_success() {
    model(|| {
        let (breaker, _clock) = breaker(BreakerConfig {
            window: Window::Count { calls: 1 },
            failure_threshold: 1,
            ..BreakerConfig::default()
        });
        succeed(&breaker);
        both(&breaker, fail, succeed);
        assert_eq!((breaker.state(), breaker.generation()), (CircuitState::Open, 1));
    });
}

const RING: Ring = Ring {
    epoch: 1,
    size: 2,
    looks_at: 0,
};

fn ring(marks: &[Mark]) -> Arc<Rings> {
    let rings = Rings::default();
    rings.fill(RING.epoch, RING.size, marks);
    Arc::new(rings)
}

/// What is reported under the lock beside successes that go round the whole window without it: the failures that the window
/// holds in the end, by its bits and by what the report said that it moved them.
fn reported_beside_two_successes(held: [Mark; 2], reported: Mark) -> (usize, i32, u32) {
    let rings = ring(&held);
    let other = Arc::clone(&rings);
    let report = thread::spawn(move || other.add(RING, reported).failed);
    let taken = u32::from(rings.add_good(RING)) + u32::from(rings.add_good(RING));
    let moved = report.join().unwrap();
    let marks = rings.marks(RING.epoch, RING.size);
    let before = held.iter().map(|mark| i32::from(mark.failed())).sum::<i32>();
    (marks.iter().filter(|mark| mark.failed()).count(), before + moved, taken)
}

#[test]
fn loom_successes_that_go_round_take_no_place_of_a_failure() {
    model(|| {
        // Once the failure has its place, one success at most fits in before that place comes round.
        let (bits, counted, taken) = reported_beside_two_successes([Mark::Good, Mark::Good], Mark::Failed);
        assert_eq!((bits, counted), (1, 1), "beside {taken}");
    });
}

#[test]
fn loom_a_failure_that_goes_is_counted_out_once_whoever_takes_its_place() {
    model(|| {
        let (bits, counted, taken) = reported_beside_two_successes([Mark::Failed, Mark::Good], Mark::Good);
        assert_eq!((bits, counted), (0, 0), "beside {taken}");
    });
}

#[test]
fn loom_a_failure_replaces_the_one_at_its_place() {
    model(|| {
        let (bits, counted, taken) = reported_beside_two_successes([Mark::Failed, Mark::Good], Mark::Failed);
        assert_eq!((bits, counted), (1, 1), "beside {taken}");
    });
}

#[test]
fn loom_a_success_beside_a_reconfiguration_is_in_the_old_window_or_still_to_be_counted() {
    model(|| {
        let rings = ring(&[]);
        let other = Arc::clone(&rings);
        let kept = thread::spawn(move || {
            other.freeze();
            let marks = other.marks(RING.epoch, RING.size);
            other.fill(RING.epoch + 1, RING.size, &marks);
            marks.len()
        });
        let counted = rings.add_good(RING);
        assert_eq!(kept.join().unwrap(), usize::from(counted));
        let marks = rings.marks(RING.epoch + 1, RING.size);
        assert_eq!(marks.len(), usize::from(counted));
    });
}
