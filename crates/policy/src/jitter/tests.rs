use proptest::prelude::*;

use super::*;

const WAIT: Duration = Duration::from_secs(10);

#[test]
fn draws_are_those_of_the_published_generator() {
    // The reference implementation's first outputs for the seed 1234567.
    let drawn: Vec<u64> = (0..3).map(|n| draw(1_234_567, n)).collect();
    assert_eq!(
        drawn,
        [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423
        ]
    );
}

#[test]
fn no_jitter_changes_nothing() {
    assert_eq!(Jitter::None.spread(WAIT, u64::MAX), WAIT);
}

#[test]
fn each_kind_reaches_from_its_low_end_to_its_high_end() {
    let secs = |jitter: Jitter, draw| jitter.spread(WAIT, draw).as_secs_f64().round();
    let spread = Jitter::default();
    assert_eq!((secs(spread, 0), secs(spread, u64::MAX)), (8.0, 12.0));
    assert_eq!((secs(Jitter::Full, 0), secs(Jitter::Full, u64::MAX)), (0.0, 10.0));
    assert_eq!((secs(Jitter::Equal, 0), secs(Jitter::Equal, u64::MAX)), (5.0, 10.0));
    assert_eq!(
        (secs(Jitter::Decorrelated, 0), secs(Jitter::Decorrelated, u64::MAX)),
        (0.0, 10.0)
    );
}

#[test]
fn a_fleet_is_spread_evenly() {
    let mean = (0..10_000)
        .map(|seed| Jitter::Full.spread(WAIT, draw(seed, 0)).as_secs_f64())
        .sum::<f64>()
        / 10_000.0;
    assert!((4.9..5.1).contains(&mean), "mean {mean}");
}

#[test]
fn the_longest_wait_does_not_overflow() {
    let all = Jitter::Proportional(Spread::try_from(1.0).unwrap());
    assert_eq!(all.spread(Duration::MAX, 0), Duration::ZERO);
    assert!(all.spread(Duration::MAX, u64::MAX) > Duration::MAX / 2);
}

#[test]
fn a_range_the_wrong_way_round_is_its_low_end() {
    assert_eq!(between(WAIT, Duration::ZERO, 7), WAIT);
}

#[test]
fn shares_outside_0_to_1_do_not_exist() {
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Spread::try_from(share).is_err(), "{share}");
        assert!(serde_json::from_str::<Spread>(&share.to_string()).is_err(), "{share}");
    }
    assert_eq!(
        Spread::try_from(1.5).unwrap_err().to_string(),
        "jitter ratio 1.5 is not a number from 0 to 1"
    );
}

#[test]
fn a_share_is_written_as_a_number() {
    assert_eq!(serde_json::to_string(&Spread::default()).unwrap(), "0.2");
    assert_eq!(serde_json::from_str::<Spread>("0.5").unwrap(), Spread(0.5));
}

proptest! {
    #[test]
    fn a_spread_wait_stays_in_the_range_of_its_kind(millis in 0..10_000_000_u64, share in 0.0..=1.0_f64, bits: u64) {
        let wait = Duration::from_millis(millis);
        let slack = Duration::from_nanos(2);
        let proportional = Jitter::Proportional(Spread::try_from(share).unwrap()).spread(wait, bits);
        let reach = wait.mul_f64(share);
        prop_assert!(proportional + slack >= wait.saturating_sub(reach) && proportional <= wait + reach + slack);
        prop_assert!(Jitter::Full.spread(wait, bits) <= wait);
        let equal = Jitter::Equal.spread(wait, bits);
        prop_assert!(equal >= wait / 2 && equal <= wait);
    }
}

#[test]
fn percents_are_shares_and_never_more_than_all() {
    for percent in 0..=100_u8 {
        assert_eq!(
            Ok(Spread::percent(percent)),
            Spread::try_from(f64::from(percent) / 100.0)
        );
    }
    assert_eq!(Ok(Spread::percent(255)), Spread::try_from(1.0));
}
