use core::time::Duration;

use proptest::prelude::*;

use super::*;

const RANGE: LimitRange = LimitRange {
    least: 2,
    initial: 20,
    most: 100,
};

fn rules() -> [Adaptive; 3] {
    [
        Adaptive::Aimd(Aimd::new(RANGE, 0.9, Duration::from_millis(100)).unwrap()),
        Adaptive::Vegas(Vegas::new(RANGE, 1.0).unwrap()),
        Adaptive::Gradient(Gradient::new(RANGE, 1.5, 0.2).unwrap()),
    ]
}

/// A service that does `width` calls at once in 10 ms each and queues the rest; the client always uses its whole limit.
fn drive(rule: &mut Adaptive, width: u32, calls: u32) {
    for _ in 0..calls {
        let in_flight = rule.limit();
        let took = Duration::from_millis(10) * in_flight.max(width) / width;
        rule.learn(Sample {
            took,
            in_flight,
            overloaded: false,
        });
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let backwards = LimitRange { least: 30, ..RANGE };
    assert!(matches!(
        Vegas::new(backwards, 1.0),
        Err(OutOfRange::Limit { least: 30, .. })
    ));
    let zero = LimitRange { least: 0, ..RANGE };
    assert!(matches!(
        Gradient::new(zero, 1.5, 0.2),
        Err(OutOfRange::Limit { least: 0, .. })
    ));
    let slow = Duration::from_secs(1);
    assert!(matches!(
        Aimd::new(RANGE, f64::NAN, slow),
        Err(OutOfRange::Adaptive { what: "backoff", .. })
    ));
    assert!(Gradient::new(RANGE, 0.9, 0.2).is_err());
    assert!(Vegas::new(RANGE, 0.0).is_err());
}

#[test]
fn vegas_settles_where_the_service_has_a_small_queue() {
    let mut rule = Adaptive::Vegas(Vegas::new(RANGE, 1.0).unwrap());
    drive(&mut rule, 40, 900);
    assert!((40..=47).contains(&rule.limit()), "{}", rule.limit());
}

#[test]
fn aimd_saws_around_what_the_service_bears() {
    let mut rule = Adaptive::Aimd(Aimd::new(RANGE, 0.9, Duration::from_millis(15)).unwrap());
    drive(&mut rule, 40, 5000);
    assert!((50..=61).contains(&rule.limit()), "{}", rule.limit());
}

#[test]
fn the_gradient_shrinks_when_answers_become_slower_and_comes_back() {
    let mut rule = Adaptive::Gradient(Gradient::new(RANGE, 1.5, 0.2).unwrap());
    drive(&mut rule, 60, 1000);
    let before = rule.limit();
    assert!(before >= 60, "{before}");
    drive(&mut rule, 10, 60);
    let during = rule.limit();
    assert!(during < before / 2, "{during} of {before}");
    drive(&mut rule, 60, 2000);
    assert!(rule.limit() >= 60, "{}", rule.limit());
}

#[test]
fn calls_far_below_the_limit_do_not_raise_it() {
    for mut rule in rules() {
        for _ in 0..1000 {
            rule.learn(Sample {
                took: Duration::from_millis(10),
                in_flight: 3,
                overloaded: false,
            });
        }
        assert_eq!(rule.limit(), 20, "{rule:?}");
    }
}

#[test]
fn overload_brings_every_rule_down_to_its_least() {
    for mut rule in rules() {
        for _ in 0..200 {
            rule.learn(Sample {
                took: Duration::from_millis(10),
                in_flight: 20,
                overloaded: true,
            });
        }
        assert_eq!(rule.limit(), 2, "{rule:?}");
    }
}

#[test]
fn another_rule_goes_on_from_what_was_learned() {
    let [mut aimd, vegas, gradient] = rules();
    drive(&mut aimd, 100, 400);
    let learned = aimd.limit();
    assert_ne!(learned, 20);
    assert_eq!(vegas.after(&aimd).limit(), learned);
    assert_eq!(gradient.after(&aimd).limit(), learned);
}

proptest! {
    #[test]
    fn a_limit_stays_in_its_range_whatever_it_learns(
        samples in prop::collection::vec((0_u64..u64::MAX, 0_u32..500, any::<bool>()), 1..300),
    ) {
        for mut rule in rules() {
            for (nanos, in_flight, overloaded) in &samples {
                rule.learn(Sample {
                    took: Duration::from_nanos(*nanos),
                    in_flight: *in_flight,
                    overloaded: *overloaded,
                });
                prop_assert!((2..=100).contains(&rule.limit()));
            }
        }
    }
}
