use proptest::prelude::*;

use super::*;
use crate::Spread;

fn unspread() -> Backoff {
    Backoff {
        jitter: Jitter::None,
        ..Backoff::default()
    }
}

fn secs(backoff: &Backoff, attempts: u32) -> Vec<u64> {
    (0..attempts)
        .map(|attempt| backoff.delay(attempt, 0).as_secs())
        .collect()
}

#[test]
fn the_default_restarts_at_once_then_doubles_up_to_five_minutes() {
    assert_eq!(secs(&unspread(), 12), [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
}

#[test]
fn the_first_try_may_be_told_to_wait() {
    assert_eq!(
        secs(
            &Backoff {
                first: First::Waits,
                ..unspread()
            },
            3
        ),
        [1, 2, 4]
    );
}

#[test]
fn linear_waits_grow_by_the_first_one() {
    let linear = Backoff {
        growth: Growth::Linear,
        max: Duration::from_secs(4),
        ..unspread()
    };
    assert_eq!(secs(&linear, 7), [0, 1, 2, 3, 4, 4, 4]);
}

#[test]
fn fixed_waits_do_not_grow() {
    assert_eq!(secs(&Backoff::fixed(Duration::from_secs(3)), 3), [3, 3, 3]);
}

#[test]
fn a_cap_below_the_initial_wait_stands_in_for_it() {
    for growth in [Growth::Fixed, Growth::Linear, Growth::Exponential(Factor::DOUBLE)] {
        let backoff = Backoff {
            growth,
            max: Duration::from_millis(10),
            ..unspread()
        };
        assert_eq!(backoff.delay(1, 0), Duration::from_millis(10));
    }
}

#[test]
fn the_default_spreads_by_a_fifth_and_no_two_agents_alike() {
    let backoff = Backoff::default();
    let waits: Vec<Duration> = (0..100).map(|seed| backoff.delay(4, seed)).collect();
    assert!(waits.iter().all(|wait| (6400..=9600).contains(&wait.as_millis())));
    let distinct: std::collections::HashSet<_> = waits.iter().collect();
    assert_eq!(distinct.len(), 100);
}

#[test]
fn a_factor_of_one_or_hardly_more_ends_soon() {
    let slow = Factor::try_from(1.000_000_001).unwrap();
    for factor in [Factor::try_from(1.0).unwrap(), slow] {
        let backoff = Backoff {
            growth: Growth::Exponential(factor),
            ..unspread()
        };
        assert_eq!(backoff.delay(u32::MAX, 0).as_secs(), 1);
    }
}

#[test]
fn nothing_overflows() {
    let endless = Backoff {
        initial: Duration::MAX,
        max: Duration::MAX,
        growth: Growth::Exponential(Factor::try_from(100.0).unwrap()),
        ..unspread()
    };
    assert_eq!(endless.delay(u32::MAX, 0), Duration::MAX);
    assert_eq!(
        Backoff {
            growth: Growth::Linear,
            ..endless
        }
        .delay(u32::MAX, 0),
        Duration::MAX
    );
    assert_eq!(
        Backoff {
            jitter: Jitter::default(),
            ..endless
        }
        .longest(),
        Duration::MAX
    );
}

#[test]
fn decorrelated_waits_walk_from_the_initial_wait_to_the_cap() {
    let walk = Backoff {
        jitter: Jitter::Decorrelated,
        ..Backoff::default()
    };
    assert_eq!(walk.delay(0, 9), Duration::ZERO);
    assert!(walk.delay(1, 9) >= walk.initial && walk.delay(1, 9) <= walk.initial * 3);
    let late: Vec<Duration> = (0..1000).map(|seed| walk.delay(40, seed)).collect();
    assert!(late.iter().any(|wait| *wait > Duration::from_secs(250)));
    assert!(late.iter().any(|wait| *wait < Duration::from_secs(50)));
    assert_ne!(
        walk.delay(1_000_000, 9),
        walk.delay(1_000_001, 9),
        "still spread after the last step walked"
    );
}

#[test]
fn factors_outside_1_to_100_do_not_exist() {
    for factor in [0.99, 100.1, -2.0, f64::NAN, f64::INFINITY] {
        assert!(Factor::try_from(factor).is_err(), "{factor}");
        assert!(serde_json::from_str::<Factor>(&factor.to_string()).is_err(), "{factor}");
    }
    assert_eq!(
        Factor::try_from(0.5).unwrap_err().to_string(),
        "backoff factor 0.5 is not a number from 1 to 100"
    );
}

#[test]
fn factors_and_first_tries_are_written_as_people_write_them() {
    assert_eq!(
        serde_json::to_string(&(Factor::default(), First::AtOnce)).unwrap(),
        r#"[2.0,"at_once"]"#
    );
    let (factor, first): (Factor, First) = serde_json::from_str(r#"[1.5, "waits"]"#).unwrap();
    assert_eq!((factor.get(), first), (1.5, First::Waits));
}

fn any_growth() -> impl Strategy<Value = Growth> {
    prop_oneof![
        Just(Growth::Fixed),
        Just(Growth::Linear),
        (1.0..=100.0_f64).prop_map(|factor| Growth::Exponential(Factor::try_from(factor).unwrap())),
    ]
}

fn any_jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::None),
        (0.0..=1.0_f64).prop_map(|share| Jitter::Proportional(Spread::try_from(share).unwrap())),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        Just(Jitter::Decorrelated),
    ]
}

fn any_wait() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..1_000_000_u64).prop_map(Duration::from_millis),
        any::<Duration>(),
        Just(Duration::MAX)
    ]
}

prop_compose! {
    fn any_backoff()(
        first in prop_oneof![Just(First::AtOnce), Just(First::Waits)],
        initial in any_wait(),
        growth in any_growth(),
        max in any_wait(),
        jitter in any_jitter(),
    ) -> Backoff {
        Backoff { first, initial, growth, max, jitter }
    }
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_the_longest(backoff in any_backoff(), attempt: u32, seed: u64) {
        prop_assert!(backoff.delay(attempt, seed) <= backoff.longest());
    }

    #[test]
    fn no_wait_is_shorter_than_its_jitter_allows(backoff in any_backoff(), attempt in 1_u32.., seed: u64) {
        let base = Backoff { jitter: Jitter::None, ..backoff }.delay(attempt, seed);
        let floor = match backoff.jitter {
            Jitter::None => base,
            Jitter::Proportional(share) => base.saturating_sub(scale(base, share.get())),
            Jitter::Full => Duration::ZERO,
            Jitter::Equal => base / 2,
            Jitter::Decorrelated => backoff.initial.min(backoff.max),
        };
        prop_assert!(backoff.delay(attempt, seed) >= floor);
    }

    #[test]
    fn without_jitter_waits_never_shrink(backoff in any_backoff(), attempt in 0..u32::MAX, seed: u64) {
        let backoff = Backoff { jitter: Jitter::None, ..backoff };
        prop_assert!(backoff.delay(attempt, seed) <= backoff.delay(attempt + 1, seed));
    }
}
