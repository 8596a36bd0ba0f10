use proptest::prelude::*;

use super::*;
use crate::draw;

/// A number from 0 to 1, the same for the same arguments.
fn noise(seed: u64, n: u64) -> f32 {
    (draw(seed, n) >> 40) as f32 / (1_u64 << 24) as f32
}

/// One metric: novelty alarms, by sample.
fn alarms(values: impl IntoIterator<Item = f32>) -> Vec<usize> {
    let mut watch = Watch::<1>::new();
    let config = WatchConfig::default();
    let feed = |(at, value)| watch.feed(&config, &[value]).novelty.map(|_| at);
    values.into_iter().enumerate().filter_map(feed).collect()
}

#[test]
fn five_metrics_are_watched_in_112_bytes() {
    assert_eq!(size_of::<Watch<5>>(), 112);
}

#[test]
fn a_leap_is_an_alarm_once() {
    let found = alarms((0..2000).map(|n| noise(1, n) + if n >= 1500 { 3.0 } else { 0.0 }));
    let after: Vec<_> = found.iter().filter(|at| **at >= 1500).collect();
    assert!(after.first() == Some(&&1500) && after.len() <= 2, "{after:?}");
}

#[test]
fn a_shift_within_the_range_is_seen_by_the_means() {
    let found =
        alarms((0..2000).map(|n| noise(2, n) * if n >= 1500 { 0.1 } else { 1.0 } + if n >= 1500 { 0.85 } else { 0.0 }));
    assert!(found.iter().any(|at| (1500..1520).contains(at)), "{found:?}");
}

#[test]
fn noise_grows_quiet_by_itself() {
    let found = alarms((0..100_000).map(|n| noise(3, n)));
    let late = found.iter().filter(|at| **at >= 5000).count();
    assert!(late <= 12, "{found:?}");
    assert_eq!(alarms((0..1000).map(|_| 0.5)), [0; 0]);
}

#[test]
fn several_metrics_that_leave_their_ranges_at_once_are_told() {
    let mut watch = Watch::<3>::new();
    let config = WatchConfig::default();
    for n in 0..500 {
        watch.feed(&config, &[noise(1, n), noise(2, n), f32::NAN]);
    }
    let found = watch.feed(&config, &[4.0, 0.5, f32::NAN]).novelty.unwrap();
    assert!(found.metric == 0 && found.score > 2.0 && found.second < 0.02);
    let found = watch.feed(&config, &[40.0, 30.0, f32::NAN]).novelty.unwrap();
    assert!(found.second > 2.0);
}

#[test]
fn a_slow_leak_is_found_long_before_its_threshold() {
    let mut watch = Watch::<3>::new();
    let config = WatchConfig::default();
    let memory = |n: u64| 0.3 + n as f32 * 0.0001 + 0.05 * noise(4, n);
    let first = (0..6000).find_map(|n| {
        let leak = watch.feed(&config, &[f32::NAN, memory(n), f32::NAN]).leak;
        leak.filter(|_| n >= 300).map(|slope| (n, slope))
    });
    let (at, slope) = first.unwrap();
    assert!(at < 2500 && slope > 0.00003 && slope < 0.0003, "{at} {slope}");
    let left = time_to(0.85, memory(at), slope, Duration::from_secs(5)).unwrap();
    assert!(left > Duration::from_secs(3600), "{left:?}");
}

#[test]
fn how_long_a_leak_leaves_is_told_within_a_third_however_young_the_process_is() {
    let config = WatchConfig::default();
    for step in [0.0005, 0.001, 0.003] {
        let mut watch = Watch::<3>::new();
        let memory = |n: u16| 0.2 + f32::from(n) * step;
        let found = (0..250).find_map(|n| {
            let leak = watch.feed(&config, &[f32::NAN, memory(n), f32::NAN]).leak;
            leak.map(|slope| (n, slope))
        });
        let (at, slope) = found.unwrap();
        assert!(
            slope > step / 1.5 && slope < step * 1.5,
            "{slope} for {step}, after {at} samples"
        );
    }
}

#[test]
fn steady_memory_is_no_leak() {
    let mut watch = Watch::<3>::new();
    let config = WatchConfig::default();
    let leaks = (0..50_000)
        .filter(|n| {
            watch
                .feed(&config, &[0.5, 0.5 + 0.1 * noise(5, *n), 0.0])
                .leak
                .is_some()
        })
        .count();
    assert_eq!(leaks, 0);
}

#[test]
fn errors_that_go_on_add_up_and_a_single_one_does_not() {
    let mut watch = Watch::<3>::new();
    let config = WatchConfig::default();
    let mut feed = |errors: f32| watch.feed(&config, &[0.5, 0.5, errors]).errors.is_some();
    let usual = (0..1000).filter(|n| feed(if n % 50 == 0 { 0.2 } else { 0.01 })).count();
    assert_eq!(usual, 0);
    let first = (0..20).position(|_| feed(0.15));
    assert!(first.is_some_and(|beats| beats < 10), "{first:?}");
}

#[test]
fn time_to_a_threshold_is_what_the_slope_says() {
    let second = Duration::from_secs(1);
    assert_eq!(time_to(1.0, 0.5, 0.25, second), Some(second * 2));
    assert_eq!(time_to(1.0, 2.0, -1.0, second), Some(Duration::ZERO));
    for slope in [0.0, -1.0, 1e-30, f32::NAN] {
        assert_eq!(time_to(1.0, 0.5, slope, second), None);
    }
}

#[test]
fn what_is_usual_at_noon_is_unusual_at_night() {
    let mut season = Season::new(1);
    let config = SeasonConfig::default();
    let load = |time: f32| if (0.4..0.6).contains(&time) { 0.8 } else { 0.1 };
    for n in 0..2880 {
        let time = (n % 288) as f32 / 288.0;
        season.feed(&config, time, &[load(time) + 0.02 * noise(6, n)]);
    }
    assert!(season.feed(&config, 0.5, &[0.81]) < 4.0);
    assert!(season.feed(&config, 0.0, &[0.81]) > 20.0);
    let mut watch = Watch::<1>::new();
    (0..50).for_each(|_| {
        watch.feed(&WatchConfig::default(), &[0.1]);
    });
    let unusual = (0..50).position(|_| watch.season(&WatchConfig::default(), 20.0).is_some());
    assert!(unusual.is_some_and(|samples| samples < 10), "{unusual:?}");
}

proptest! {
    #[test]
    fn whatever_is_reported_means_lie_within_the_range_and_scores_are_numbers(
        samples in proptest::collection::vec(any::<f32>(), 1..300),
    ) {
        let mut watch = Watch::<3>::new();
        let (mut low, mut high) = (f32::MAX, f32::MIN);
        for value in samples {
            let told = watch.feed(&WatchConfig::default(), &[0.5, value, value]);
            if value.is_finite() {
                (low, high) = (low.min(value), high.max(value));
            }
            if let Some([near, far]) = watch.means(1) {
                let slack = (high / 2.0 - low / 2.0) * 1e-4 + high.abs().max(low.abs()) * 1e-4;
                for mean in [near, far] {
                    prop_assert!(mean >= low - slack && mean <= high + slack, "{mean} not in {low} to {high}");
                }
            }
            prop_assert!(told.novelty.is_none_or(|novelty| !novelty.score.is_nan()));
        }
    }
}
