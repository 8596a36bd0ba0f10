use proptest::prelude::*;

use super::*;
use crate::draw;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Tick {
    Tick::from_micros(seconds * 1_000_000)
}

fn pace(operations: u64, took: impl Fn(u64) -> Duration) -> Pace {
    let mut pace = Pace::default();
    (0..operations).for_each(|n| pace.record(took(n)));
    pace
}

#[test]
fn what_takes_six_times_the_longest_of_its_kind_is_stuck() {
    let pace = pace(5000, |n| {
        SECOND * 10 + SECOND / 100 * u32::try_from(draw(1, n) % 1000).unwrap()
    });
    let judged = [30, 45, 100, 140].map(|seconds| pace.judge(&PaceConfig::default(), SECOND * seconds));
    assert_eq!(judged, [Pacing::Usual, Pacing::Slow, Pacing::Slow, Pacing::Stuck]);
}

#[test]
fn a_kind_of_which_little_is_known_is_judged_with_patience() {
    let pace = pace(10, |_| SECOND);
    assert_eq!(pace.judge(&PaceConfig::default(), SECOND * 500), Pacing::Usual);
    assert_eq!(pace.judge(&PaceConfig::default(), SECOND * 700), Pacing::Slow);
    assert_eq!(pace.judge(&PaceConfig::default(), SECOND * 1800), Pacing::Stuck);
}

#[test]
fn quick_operations_may_have_a_hiccup() {
    let pace = pace(1000, |_| SECOND / 1000);
    assert_eq!(pace.judge(&PaceConfig::default(), SECOND * 9), Pacing::Usual);
}

#[test]
fn a_kind_that_became_slower_is_learned() {
    let pace = pace(60_000, |n| if n < 30_000 { SECOND } else { SECOND * 60 });
    assert_eq!(pace.judge(&PaceConfig::default(), SECOND * 100), Pacing::Usual);
}

fn work(progress: u64, tokens: u64, in_flight: u32) -> Work {
    Work {
        progress,
        tokens,
        in_flight,
    }
}

#[test]
fn progress_that_stands_still_while_there_is_work_is_timed_and_costed() {
    let mut still = Standstill::default();
    still.feed(at(0), work(5, 100, 1));
    let found = still.feed(at(90), work(5, 900, 2));
    assert_eq!((found.standing, found.tokens), (SECOND * 90, 800));
    assert_eq!(still.feed(at(95), work(6, 950, 2)), Still::default());
    assert_eq!(still.feed(at(99), work(0, 950, 2)), Still::default(), "counted anew");
}

#[test]
fn who_has_nothing_to_do_does_not_stand_still() {
    let mut still = Standstill::default();
    still.feed(at(0), work(5, 0, 0));
    assert_eq!(still.feed(at(900), work(5, 0, 0)), Still::default());
    assert_eq!(
        still.feed(at(905), work(5, 0, 1)).standing,
        SECOND * 5,
        "work came after the last beat"
    );
    still.excuse(at(910));
    assert_eq!(still.feed(at(911), work(5, 0, 1)).standing, SECOND);
}

fn rounds(calls: &str) -> Option<Round> {
    let mut rounds = Rounds::default();
    calls
        .bytes()
        .fold(None, |_, call| rounds.feed(&RoundsConfig::default(), call.into()))
}

#[test]
fn the_same_call_five_times_is_a_loop() {
    assert_eq!(rounds("xaaaa"), None);
    assert_eq!(rounds("xaaaaa"), Some(Round { calls: 1, times: 5 }));
    assert_eq!(rounds("xaaaaab"), None);
}

#[test]
fn rounds_of_several_calls_are_loops_too() {
    assert_eq!(rounds("ababababab"), Some(Round { calls: 2, times: 5 }));
    assert_eq!(rounds("xabcdabcdabcdabcdabcd"), Some(Round { calls: 4, times: 5 }));
    assert_eq!(rounds("abcdabcdabcdabcdabc"), None, "the fifth is not done");
}

#[test]
fn useful_work_ends_a_loop() {
    let mut rounds = Rounds::default();
    for n in 0..50 {
        assert_eq!(rounds.feed(&RoundsConfig::default(), 7), None, "{n}");
        if n % 4 == 3 {
            rounds.forget();
        }
    }
}

proptest! {
    #[test]
    fn calls_that_all_differ_are_never_a_loop(seed: u64, calls in 0_u64..100) {
        let (mut rounds, config) = (Rounds::default(), RoundsConfig { times: 2 });
        let looped = (0..calls).any(|n| rounds.feed(&config, draw(seed, n)).is_some());
        prop_assert!(!looped);
    }

    #[test]
    fn limits_are_in_order(times in proptest::collection::vec(0_u64..1_000_000, 0..200), slow in 0.0..20.0, stuck in 0.0..20.0) {
        let mut pace = Pace::default();
        times.iter().for_each(|millis| pace.record(Duration::from_millis(*millis)));
        let [slow, stuck] = pace.limits(&PaceConfig { slow, stuck, ..PaceConfig::default() });
        prop_assert!(slow <= stuck);
    }
}
