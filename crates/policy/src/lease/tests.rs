use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::draw;

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> LeaseRules {
    LeaseRules::try_from(LeaseConfig::every(SECOND, SECOND * 15)).unwrap()
}

fn at(seconds: f64) -> Tick {
    Tick::from(Duration::from_secs_f64(seconds))
}

fn millis(lease: &Lease) -> u128 {
    lease.allowed(&rules()).as_millis()
}

/// A lease after `beats` of them, `late(n)` seconds late each.
fn beaten(beats: u64, late: impl Fn(u64) -> f64) -> Lease {
    let mut lease = Lease::new(at(0.0), 0, SECOND);
    for n in 1..=beats {
        let answer = lease.beat(&rules(), at(n as f64 + late(n)), n, SECOND);
        assert_ne!(answer, Beaten::Stale);
    }
    lease
}

#[test]
fn a_lease_is_half_a_cache_line() {
    assert_eq!(size_of::<Lease>(), 32);
}

#[test]
fn a_sender_that_is_always_on_time_gets_little_more_than_the_floor() {
    assert!((500..=520).contains(&millis(&beaten(5000, |_| 0.0))));
}

#[test]
fn jitter_widens_the_margin_and_calm_narrows_it_again() {
    let jitter = |n: u64| (draw(7, n) % 300) as f64 / 1000.0;
    let noisy = millis(&beaten(300, jitter));
    assert!(noisy > 700, "{noisy}");
    let calmed = millis(&beaten(3000, |n| if n <= 300 { jitter(n) } else { 0.1 }));
    assert!(calmed < 580, "{calmed}");
}

#[test]
fn one_stall_is_remembered_for_the_next() {
    let lease = beaten(101, |n| if n == 100 { 3.0 } else { 0.0 });
    assert!(millis(&lease) > 2000);
}

#[test]
fn an_old_number_changes_nothing() {
    let mut lease = beaten(10, |_| 0.0);
    let before = lease;
    for seq in [10, 9, 1] {
        assert_eq!(lease.beat(&rules(), at(11.0), seq, SECOND), Beaten::Stale);
    }
    assert_eq!(lease, before);
}

#[test]
fn lost_beats_are_no_lateness() {
    let mut lease = beaten(100, |_| 0.0);
    let before = millis(&lease);
    lease.beat(&rules(), at(103.0), 103, SECOND);
    assert!(millis(&lease) <= before);
}

#[test]
fn a_promise_of_another_interval_moves_the_deadline_at_once() {
    let mut lease = beaten(100, |_| 0.0);
    lease.beat(&rules(), at(101.0), 101, SECOND * 10);
    assert_eq!(lease.due(), at(111.0));
    let before = millis(&lease);
    lease.beat(&rules(), at(111.0), 102, SECOND);
    assert!(millis(&lease) <= before, "the long interval was promised");
}

#[test]
fn an_announced_silence_is_granted_up_to_the_cap_and_teaches_nothing() {
    let mut lease = beaten(100, |_| 0.0);
    let margin = lease.allowed(&rules());
    let deadline = lease.expect_silence(&rules(), at(100.5), SECOND * 60, SECOND * 30);
    assert_eq!(deadline.since(at(130.5)), margin);
    assert!(
        lease.expect_silence(&rules(), at(100.6), SECOND / 10, SECOND) == deadline,
        "never sooner"
    );
    lease.beat(&rules(), at(110.0), 101, SECOND);
    assert!(lease.allowed(&rules()) <= margin, "it came back before time");
    assert_eq!(lease.due(), at(111.0));
}

#[test]
fn the_observers_own_stall_is_credited() {
    let mut lease = beaten(100, |_| 0.0);
    let before = lease.deadline(&rules());
    lease.shift(SECOND * 60);
    assert_eq!(lease.deadline(&rules()), before.after(SECOND * 60));
}

#[test]
fn a_clock_that_runs_apart_is_followed() {
    let drifting = beaten(2000, |n| n as f64 * 0.005);
    assert!(millis(&drifting) < 620, "{}", millis(&drifting));
    assert_eq!(drifting.last(), at(2010.0));
}

#[test]
fn a_sender_that_sleeps_between_beats_is_on_time_again_after_a_stall() {
    // Its stall moves all later beats.
    let lease = beaten(1500, |n| if n >= 100 { 3.0 } else { 0.0 });
    assert!(millis(&lease) < 700, "{}", millis(&lease));
}

#[test]
fn coming_back_from_a_long_outage_does_not_make_it_blind() {
    let mut lease = beaten(100, |_| 0.0);
    let before = millis(&lease);
    lease.beat(&rules(), at(500.0), 101, SECOND);
    assert_eq!(millis(&lease), before);
}

#[test]
fn phi_grows_with_silence() {
    let lease = beaten(100, |_| 0.0);
    assert!(lease.phi(&rules(), at(100.9)) <= 0.0);
    assert!(lease.phi(&rules(), at(101.2)) < lease.phi(&rules(), at(101.4)));
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for wrong in [f64::NAN, -1.0, 1e9] {
        let config = LeaseConfig {
            peak: wrong,
            ..LeaseConfig::default()
        };
        assert!(LeaseRules::try_from(config).is_err());
    }
}

#[test]
fn missed_beats_make_it_worse_step_by_step() {
    let rule = Missed::default();
    let found: Vec<_> = [9, 10, 14, 15, 19, 20]
        .map(|second| rule.judge(at(0.0), SECOND * 5, at(f64::from(second))).0)
        .into();
    let (fine, degraded, critical) = (Silence::Fine, Silence::Degraded, Silence::Critical);
    assert_eq!(found, [fine, degraded, degraded, critical, critical, Silence::Failed]);
}

#[test]
fn a_long_timeout_puts_failure_off() {
    let rule = Missed {
        timeout: SECOND * 60,
        ..Missed::default()
    };
    assert_eq!(
        rule.judge(at(0.0), SECOND, at(59.9)),
        (Silence::Critical, Some(at(60.0)))
    );
    assert_eq!(rule.judge(at(0.0), SECOND, at(60.0)), (Silence::Failed, None));
}

proptest! {
    #[test]
    fn a_deadline_lies_within_its_bounds_whatever_comes(
        beats in proptest::collection::vec((0_u64..20_000_000, 0_u64..5, 0_u64..10_000), 1..200),
    ) {
        let rules = rules();
        let mut lease = Lease::new(Tick::default(), 0, SECOND);
        let (mut now, mut seq, mut promised) = (0, 0, SECOND);
        for (wait, ahead, next_in) in beats {
            now += wait;
            seq += ahead;
            let next_in = Duration::from_millis(next_in);
            let due = lease.due();
            match lease.beat(&rules, Tick::from_micros(now), seq, next_in) {
                Beaten::Stale => {
                    prop_assert_eq!(ahead, 0);
                    prop_assert_eq!(lease.due(), due);
                }
                Beaten::Fresh { deadline } => {
                    let silence = deadline.since(Tick::from_micros(now));
                    // Never sooner than promised and the floor; never later than the bound, and what it may be early by.
                    prop_assert!(silence >= next_in + SECOND / 2);
                    let early = promised / 8 + Duration::from_millis(1);
                    prop_assert!(silence <= next_in + SECOND * 15 + early);
                    promised = next_in;
                    prop_assert!(lease.allowed(&rules) <= SECOND * 15);
                }
            }
        }
    }

    #[test]
    fn steps_of_silence_never_come_at_once(interval in 1_u64..100_000, timeout in 0_u64..100_000, threshold in 0_u32..9) {
        let rule = Missed { timeout: Duration::from_millis(timeout), threshold };
        let steps = rule.steps(Tick::from_micros(5), Duration::from_millis(interval));
        prop_assert!(steps.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
