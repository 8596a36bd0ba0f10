use proptest::prelude::*;

use super::*;

const fn at(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn limit(restarts: u32, period: u64) -> IntensityLimit {
    IntensityLimit {
        restarts,
        period: at(period),
    }
}

#[test]
fn five_restarts_in_ten_minutes_are_allowed_and_a_sixth_is_not() {
    let (limit, mut intensity) = (IntensityLimit::default(), Intensity::new());
    for (second, left) in [(0, 4), (60, 3), (120, 2), (180, 1), (240, 0)] {
        assert_eq!(intensity.record(&limit, at(second)), Verdict::Within { left });
    }
    assert_eq!(
        intensity.record(&limit, at(300)),
        Verdict::Exceeded { clears_in: at(300) }
    );
    assert_eq!(intensity.left(&limit, at(300)), 0);
}

#[test]
fn a_refused_restart_does_not_count() {
    let (limit, mut intensity) = (limit(1, 10), Intensity::new());
    assert_eq!(intensity.record(&limit, at(0)), Verdict::Within { left: 0 });
    for second in 1..10 {
        assert_eq!(
            intensity.record(&limit, at(second)),
            Verdict::Exceeded {
                clears_in: at(10 - second)
            }
        );
    }
    assert_eq!(intensity.record(&limit, at(10)), Verdict::Within { left: 0 });
}

#[test]
fn a_limit_of_none_never_clears() {
    let mut intensity = Intensity::new();
    for period in [0, 600] {
        let verdict = intensity.record(&limit(0, period), at(1));
        assert_eq!(
            verdict,
            Verdict::Exceeded {
                clears_in: Duration::MAX
            }
        );
    }
}

#[test]
fn a_period_of_nothing_limits_nothing() {
    let mut intensity = Intensity::new();
    for _ in 0..100 {
        assert_eq!(intensity.record(&limit(1, 0), at(1)), Verdict::Within { left: 0 });
    }
}

#[test]
fn a_lowered_limit_holds_at_once() {
    let mut intensity = Intensity::new();
    for second in 0..4 {
        assert!(matches!(
            intensity.record(&limit(5, 100), at(second)),
            Verdict::Within { .. }
        ));
    }
    // Of the restarts at 0, 1, 2 and 3 the last two must go: 3 does at 103.
    assert_eq!(
        intensity.record(&limit(1, 100), at(50)),
        Verdict::Exceeded { clears_in: at(53) }
    );
}

#[test]
fn a_cleared_intensity_starts_anew() {
    let (limit, mut intensity) = (limit(1, 10), Intensity::new());
    assert_eq!(intensity.record(&limit, at(0)), Verdict::Within { left: 0 });
    intensity.clear();
    assert_eq!(intensity.left(&limit, at(0)), 1);
}

#[test]
fn a_clock_that_steps_back_forgives_nothing() {
    let (limit, mut intensity) = (limit(2, 10), Intensity::new());
    assert_eq!(intensity.record(&limit, at(100)), Verdict::Within { left: 1 });
    assert_eq!(intensity.record(&limit, at(5)), Verdict::Within { left: 0 });
    assert_eq!(intensity.record(&limit, at(5)), Verdict::Exceeded { clears_in: at(10) });
    assert_eq!(intensity.left(&limit, at(5)), 0);
}

#[test]
fn restarts_are_remembered_across_a_boot() {
    let (limit, mut intensity) = (limit(2, 600), Intensity::new());
    assert_eq!(intensity.record(&limit, at(1000)), Verdict::Within { left: 1 });
    assert_eq!(intensity.record(&limit, at(1100)), Verdict::Within { left: 0 });
    let stored = serde_json::to_string(&intensity.ages(at(1200))).unwrap();
    assert_eq!(stored, "[200000000000,100000000000]");

    // Thirty seconds of downtime; the new clock starts at 0.
    let ages = serde_json::from_str::<Ages>(&stored).unwrap().later(at(30));
    let mut thawed = Intensity::from_ages(&ages, at(0));
    assert_eq!(thawed.record(&limit, at(1)), Verdict::Exceeded { clears_in: at(369) });
    assert_eq!(thawed.record(&limit, at(370)), Verdict::Within { left: 0 });
}

#[test]
fn restarts_can_be_kept_as_waits() {
    let (limit, mut intensity) = (limit(2, 600), Intensity::new());
    assert_eq!(intensity.record(&limit, at(1000)), Verdict::Within { left: 1 });
    assert_eq!(intensity.record(&limit, at(1100)), Verdict::Within { left: 0 });
    let waits: Vec<Duration> = intensity.waits(&limit, at(1200)).collect();
    assert_eq!(waits, [at(400), at(500)]);
    assert_eq!(intensity.waits(&limit, at(1600)).collect::<Vec<_>>(), [at(100)]);

    let mut thawed = Intensity::from_waits(&limit, at(0), waits.into_iter().chain([Duration::ZERO]));
    assert_eq!(thawed.waits(&limit, at(0)).collect::<Vec<_>>(), [at(400), at(500)]);
    assert_eq!(thawed.record(&limit, at(1)), Verdict::Exceeded { clears_in: at(399) });
    assert_eq!(thawed.record(&limit, at(400)), Verdict::Within { left: 0 });
}

#[test]
fn a_wait_longer_than_the_period_counts_as_the_period() {
    let kept = Intensity::from_waits(&limit(2, 600), at(0), [Duration::MAX]);
    assert_eq!(kept.waits(&limit(2, 600), at(0)).collect::<Vec<_>>(), [at(600)]);
}

#[test]
fn absurd_ages_and_times_do_no_harm() {
    let ages: Ages = serde_json::from_str("[18446744073709551615, 0]").unwrap();
    let mut intensity = Intensity::from_ages(&ages.later(Duration::MAX), at(0));
    assert_eq!(intensity.left(&limit(2, 600), at(0)), 2);
    assert_eq!(
        intensity.record(&limit(2, 600), Duration::MAX),
        Verdict::Within { left: 1 }
    );
}

/// Keeps everything for ever and counts by looking at all of it.
#[derive(Default)]
struct Naive(Vec<Duration>);

impl Naive {
    fn record(&mut self, limit: &IntensityLimit, now: Duration) -> Verdict {
        let used = |now: Duration| count(self.0.iter().filter(|at| now - **at < limit.period).count());
        if used(now) < limit.restarts {
            let left = limit.restarts - used(now) - 1;
            self.0.push(now);
            return Verdict::Within { left };
        }
        let freed = self
            .0
            .iter()
            .map(|at| *at + limit.period)
            .find(|then| *then > now && used(*then) < limit.restarts);
        Verdict::Exceeded {
            clears_in: freed.map_or(Duration::MAX, |then| then - now),
        }
    }
}

proptest! {
    #[test]
    fn it_answers_as_a_naive_model_does_and_holds_no_more_than_the_limit(
        restarts in 0..6_u32,
        period in 1..50_u64,
        gaps in prop::collection::vec(0..20_u64, 0..100),
        boots in prop::collection::vec(any::<bool>(), 100),
    ) {
        let limit = limit(restarts, period);
        let (mut naive, mut intensity) = (Naive::default(), Intensity::new());
        // `origin` is what the clock of the present boot showed as the time of the model's 0.
        let (mut now, mut origin) = (at(1_000), Duration::ZERO);
        for (gap, boot) in gaps.into_iter().zip(boots) {
            now += at(gap);
            if boot {
                intensity = Intensity::from_ages(&intensity.ages(now - origin), at(3));
                origin = now - at(3);
            }
            prop_assert_eq!(intensity.record(&limit, now - origin), naive.record(&limit, now));
            prop_assert!(intensity.at.len() <= restarts as usize);
        }
    }
}
