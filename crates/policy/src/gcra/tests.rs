use core::time::Duration;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn rule(units: u32, burst: u32) -> Gcra {
    Gcra::try_from(Quota {
        burst,
        ..Quota::per_second(units)
    })
    .unwrap()
}

#[test]
fn quotas_of_nothing_are_refused() {
    let nothing = Quota::per_second(0);
    let burstless = Quota {
        burst: 0,
        ..Quota::default()
    };
    let too_fast = Quota {
        period: Duration::from_nanos(9),
        ..Quota::default()
    };
    assert!(matches!(
        Gcra::try_from(nothing),
        Err(OutOfRange::Rate { units: 0, .. })
    ));
    assert_eq!(Gcra::try_from(burstless), Err(OutOfRange::Burst));
    assert!(matches!(Gcra::try_from(too_fast), Err(OutOfRange::Rate { .. })));
}

#[test]
fn more_than_a_burst_is_never_there() {
    assert_eq!(rule(10, 5).take(0, 3600 * SECOND, 6), Err(u64::MAX));
    assert!(rule(10, 5).take(0, 3600 * SECOND, 5).is_ok());
}

#[test]
fn a_debt_comes_back_first() {
    let rule = rule(10, 10);
    let full = rule.charge(rule.take(0, 0, 10).unwrap(), 0, 5);
    assert_eq!(rule.debt(full, 0), 5);
    assert_eq!(rule.take(full, 0, 1), Err(6 * SECOND / 10));
    assert_eq!(rule.free(full, SECOND), 5);
}

#[test]
fn after_a_pause_units_come_one_at_a_time() {
    let rule = rule(10, 10);
    let full = rule.pause(0, 30 * SECOND);
    assert_eq!(rule.take(full, 0, 1), Err(30 * SECOND));
    let full = rule.take(full, 30 * SECOND, 1).unwrap();
    assert_eq!(rule.take(full, 30 * SECOND, 1), Err(SECOND / 10));
    assert_eq!(rule.pause(full, SECOND), full, "a shorter pause changes nothing");
}

#[test]
fn another_quota_forgets_no_use() {
    let (slow, fast) = (rule(10, 10), rule(100, 10));
    let full = slow.take(0, SECOND, 4).unwrap();
    assert_eq!(fast.free(slow.convert(full, SECOND, fast), SECOND), 6);
}

/// A bucket that is filled by hand, in fractions of a unit, exactly.
struct Bucket {
    per_unit: u128,
    /// Nanoseconds worth of units; negative when in debt.
    level: i128,
    reach: i128,
    now: u64,
}

impl Bucket {
    fn take(&mut self, now: u64, cost: u32) -> bool {
        let come_back = i128::from(now.saturating_sub(self.now));
        self.level = (self.level + come_back).min(self.reach);
        self.now = now;
        let cost = i128::try_from(self.per_unit * u128::from(cost)).unwrap();
        let there = self.level >= cost;
        if there {
            self.level -= cost;
        }
        there
    }
}

proptest! {
    #[test]
    fn it_admits_what_a_bucket_that_is_filled_by_hand_admits(
        units in 1_u32..1000,
        burst in 1_u32..50,
        calls in prop::collection::vec((0_u64..SECOND / 5, 1_u32..60), 1..300),
    ) {
        let rule = rule(units, burst);
        let reach = i128::from(rule.reach());
        let mut bucket = Bucket { per_unit: u128::from(rule.per_unit()), level: reach, reach, now: 0 };
        let (mut full, mut now) = (0, 0);
        for (pause, cost) in calls {
            now += pause;
            let taken = rule.take(full, now, cost);
            prop_assert_eq!(taken.is_ok(), bucket.take(now, cost));
            match taken {
                Ok(next) => full = next,
                Err(u64::MAX) => prop_assert!(cost > burst),
                Err(wait) => {
                    prop_assert!(rule.take(full, now + wait, cost).is_ok(), "the wait it named suffices");
                    prop_assert!(rule.take(full, now + wait - 1, cost).is_err(), "and is not too long");
                }
            }
        }
    }

    #[test]
    fn a_refund_undoes_a_take(now in 1_u64..SECOND, before in 0_u32..5, cost in 1_u32..5) {
        let rule = rule(7, 10);
        let full = rule.take(0, now, before).unwrap();
        let taken = rule.take(full, now, cost).unwrap();
        prop_assert_eq!(rule.free(rule.refund(taken, cost), now), rule.free(full, now));
    }
}
