use proptest::prelude::*;

use super::*;

#[test]
fn ratios_and_bursts_that_make_no_sense_are_refused() {
    assert!(matches!(Amplification::new(f64::NAN, 1), Err(OutOfRange::Ratio(_))));
    assert_eq!(Amplification::new(-0.1, 1), Err(OutOfRange::Ratio(-0.1)));
    assert_eq!(Amplification::new(10.5, 1), Err(OutOfRange::Ratio(10.5)));
    assert_eq!(Amplification::new(0.1, 0), Err(OutOfRange::Burst));
}

#[test]
fn full_savings_take_no_deposit() {
    let rule = Amplification::new(0.1, 10).unwrap();
    assert_eq!(rule.deposit(rule.most()), None);
    assert_eq!(rule.deposit(rule.most() - 1), Some(rule.most()));
}

#[test]
fn hedges_leave_half_of_the_savings_to_the_others() {
    let rule = Amplification::new(0.1, 4).unwrap();
    let mut balance = rule.most();
    let mut hedges = 0;
    while let Some(left) = rule.withdraw(balance, Extra::Hedge) {
        (balance, hedges) = (left, hedges + 1);
    }
    assert_eq!(hedges, 2);
    let left = rule.withdraw(balance, Extra::Retry).unwrap();
    assert_eq!(rule.withdraw(left, Extra::Fallback), Some(0));
    assert_eq!(rule.withdraw(0, Extra::Probe), None);
}

proptest! {
    #[test]
    fn extra_calls_are_never_more_than_their_share_and_the_savings(
        percent in 0_u32..200,
        burst in 1_u32..20,
        ops in prop::collection::vec((any::<bool>(), 0_usize..4), 1..500),
    ) {
        let rule = Amplification::new(f64::from(percent) / 100.0, burst).unwrap();
        let (mut balance, mut calls, mut extras) = (rule.most(), 0_u32, 0_u32);
        for (call, kind) in ops {
            if call {
                calls += 1;
                balance = rule.deposit(balance).unwrap_or(balance);
            } else if let Some(left) = rule.withdraw(balance, Extra::ALL[kind]) {
                extras += 1;
                balance = left;
            }
            prop_assert!(balance <= rule.most());
            prop_assert!(extras * 100 <= burst * 100 + calls * percent);
        }
    }
}

#[test]
fn every_kind_has_a_place_of_its_own() {
    for (index, extra) in Extra::ALL.into_iter().enumerate() {
        assert_eq!(extra.index(), index);
    }
}
