use proptest::prelude::*;

use super::*;

const fn at(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const RESET: StableReset = StableReset { after: at(600) };

fn tried(times: u32) -> Streak {
    let mut streak = Streak::new();
    for _ in 0..times {
        streak.next_attempt(at(0));
    }
    streak
}

#[test]
fn tries_are_numbered_from_nought() {
    let mut streak = Streak::new();
    assert_eq!([(); 3].map(|()| streak.next_attempt(at(1))), [0, 1, 2]);
    assert_eq!(streak.attempts(), 3);
}

#[test]
fn the_default_forgets_after_ten_minutes() {
    assert_eq!(StableReset::default(), RESET);
}

#[test]
fn a_start_that_succeeds_forgets_nothing() {
    let mut streak = tried(3);
    streak.healthy(&RESET, at(100));
    assert_eq!(streak.next_attempt(at(699)), 3);
}

#[test]
fn lasting_health_forgets_all() {
    let mut streak = tried(3);
    streak.healthy(&RESET, at(100));
    assert_eq!(streak.resets_at(), Some(at(700)));
    streak.settle(at(699));
    assert_eq!(streak.attempts(), 3);
    streak.settle(at(700));
    assert_eq!((streak.attempts(), streak.resets_at()), (0, None));
}

#[test]
fn a_crash_after_lasting_health_is_a_first_one_even_if_no_timer_noticed() {
    let mut streak = tried(3);
    streak.healthy(&RESET, at(100));
    assert_eq!(streak.next_attempt(at(800)), 0);
}

#[test]
fn health_told_again_does_not_start_the_period_anew() {
    let mut streak = tried(3);
    streak.healthy(&RESET, at(100));
    streak.healthy(&RESET, at(500));
    streak.healthy(&RESET, at(700));
    assert_eq!(streak.attempts(), 0);
}

#[test]
fn a_break_in_health_starts_the_period_anew() {
    let mut streak = tried(3);
    streak.healthy(&RESET, at(100));
    streak.unhealthy(at(600));
    assert_eq!(streak.resets_at(), None);
    streak.healthy(&RESET, at(601));
    streak.settle(at(1200));
    assert_eq!((streak.attempts(), streak.resets_at()), (3, Some(at(1201))));
}

#[test]
fn the_count_stops_at_the_largest_number() {
    let mut streak = Streak::thaw(
        &FrozenStreak {
            attempts: u32::MAX,
            steady_in: None,
        },
        at(0),
    );
    assert_eq!([(); 2].map(|()| streak.next_attempt(at(0))), [u32::MAX, u32::MAX]);
}

#[test]
fn what_is_left_of_the_period_is_kept_across_a_boot() {
    let mut streak = tried(2);
    streak.healthy(&RESET, at(1000));
    let stored = serde_json::to_string(&streak.freeze(at(1400))).unwrap();
    let thawed = Streak::thaw(&serde_json::from_str(&stored).unwrap(), at(5));
    assert_eq!((thawed.attempts(), thawed.resets_at()), (2, Some(at(205))));
}

#[derive(Clone, Debug)]
enum Op {
    Healthy,
    Unhealthy,
    Try,
    Boot,
}

proptest! {
    #[test]
    fn the_count_is_that_of_a_model_that_remembers_everything(
        ops in prop::collection::vec(
            (0..400_u64, prop_oneof![Just(Op::Healthy), Just(Op::Unhealthy), Just(Op::Try), Just(Op::Boot)]), 0..60),
    ) {
        let mut streak = Streak::new();
        let (mut now, mut shift) = (at(0), at(0));
        let (mut count, mut healthy_since) = (0, None::<Duration>);
        for (gap, op) in ops {
            now += at(gap);
            if healthy_since.is_some_and(|since| now - since >= RESET.after) {
                count = 0;
            }
            match op {
                Op::Healthy => {
                    streak.healthy(&RESET, now + shift);
                    healthy_since.get_or_insert(now);
                }
                Op::Unhealthy => {
                    streak.unhealthy(now + shift);
                    healthy_since = None;
                }
                Op::Try => {
                    prop_assert_eq!(streak.next_attempt(now + shift), count);
                    count += 1;
                    healthy_since = None;
                }
                Op::Boot => {
                    let frozen = streak.freeze(now + shift);
                    shift += at(77);
                    streak = Streak::thaw(&frozen, now + shift);
                }
            }
        }
    }
}
