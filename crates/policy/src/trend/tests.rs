use core::time::Duration;

use proptest::prelude::*;

use super::Trend;
use crate::draw;

/// One value a minute.
fn series(values: impl IntoIterator<Item = f64>) -> Vec<(Duration, f64)> {
    let at = |minute: u64| Duration::from_secs(60 * minute);
    (0..).map(at).zip(values).collect()
}

/// A number from -1 to 1, the same for the same arguments.
fn noise(seed: u64, n: u64) -> f64 {
    (draw(seed, n) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[test]
fn a_straight_line_has_its_own_slope() {
    let trend = Trend::of(&series((0..20).map(|n| 5.0 + 6.0 * f64::from(n)))).unwrap();
    assert!((trend.per_second() - 0.1).abs() < 1e-12);
    assert!(trend.rises(3.0));
}

#[test]
fn what_stands_still_or_falls_does_not_rise() {
    for values in [vec![7.0; 60], (0..60).map(|n| 100.0 - f64::from(n)).collect()] {
        assert!(!Trend::of(&series(values)).unwrap().rises(0.0));
    }
}

#[test]
fn three_points_are_the_fewest_that_have_a_trend() {
    assert_eq!(Trend::of(&series([1.0, 2.0])), None);
    assert!(Trend::of(&series([1.0, 2.0, 3.0])).is_some());
    assert_eq!(Trend::of(&series([1.0, f64::NAN, 3.0])), None);
}

#[test]
fn without_time_between_points_there_is_no_trend() {
    assert_eq!(
        Trend::of(&[(Duration::ZERO, 1.0), (Duration::ZERO, 2.0), (Duration::ZERO, 3.0)]),
        None
    );
}

#[test]
fn a_slow_leak_is_seen_through_noise_thirty_times_its_step() {
    for seed in 0..200 {
        let leak = (0..60).map(|n: u32| 1000.0 + f64::from(n) + 30.0 * noise(seed, n.into()));
        let trend = Trend::of(&series(leak)).unwrap();
        assert!(trend.rises(1.6), "seed {seed}: {trend:?}");
        assert!(
            (0.3..1.7).contains(&(trend.per_second() * 60.0)),
            "seed {seed}: {trend:?}"
        );
    }
}

#[test]
fn noise_alone_rises_about_as_often_as_foretold() {
    let rises = |deviations| {
        let series = |seed| series((0..60).map(move |n| noise(seed, n)));
        (0..2000)
            .filter(|seed| Trend::of(&series(*seed)).unwrap().rises(deviations))
            .count()
    };
    let (often, seldom) = (rises(1.645), rises(3.0));
    assert!((60..=140).contains(&often), "{often} of 2000, 100 foretold");
    assert!(seldom <= 10, "{seldom} of 2000, 3 foretold");
}

#[test]
fn a_saw_that_always_comes_back_does_not_rise() {
    // What a garbage collector makes of memory.
    let saw = (0..60).map(|n| f64::from(n % 12));
    assert!(!Trend::of(&series(saw)).unwrap().rises(3.0));
}

proptest! {
    /// An outlier, however large, does not make a flat series rise nor hide a steady rise.
    #[test]
    fn one_outlier_decides_nothing(place in 0_usize..60, outlier in -1e12..1e12) {
        let mut flat = series((0..60).map(|n| noise(1, n)));
        let mut steep = series((0..60).map(f64::from));
        flat[place].1 = outlier;
        steep[place].1 = outlier;
        prop_assert!(!Trend::of(&flat).unwrap().rises(3.0));
        let trend = Trend::of(&steep).unwrap();
        prop_assert!(trend.rises(3.0));
        prop_assert!((0.9..1.1).contains(&(trend.per_second() * 60.0)));
    }

    /// Upside down, a series that rose does not; nothing is needed of the numbers.
    #[test]
    fn nothing_both_rises_and_falls(values in prop::collection::vec(any::<f64>(), 0..40), deviations in 0.0..5.0) {
        let up = Trend::of(&series(values.iter().copied()));
        let down = Trend::of(&series(values.iter().map(|value| -value)));
        let rises = |trend: Option<Trend>| trend.is_some_and(|trend| trend.rises(deviations));
        prop_assert!(!(rises(up) && rises(down)));
    }
}
