use core::time::Duration;
use std::sync::Arc;

use super::*;
use crate::{Heard, Virtual};

const CONFIG: BudgetConfig = BudgetConfig {
    ratio: 0.1,
    burst: 4,
    per_second: 0,
};

#[test]
fn settings_that_make_no_sense_are_refused() {
    for config in [
        BudgetConfig { ratio: -1.0, ..CONFIG },
        BudgetConfig {
            ratio: f64::NAN,
            ..CONFIG
        },
        BudgetConfig { burst: 0, ..CONFIG },
    ] {
        assert_eq!(Budget::new(config).unwrap_err().setting, "budget");
    }
}

#[test]
fn all_kinds_of_extra_calls_share_one_budget() {
    let budget = Budget::new(CONFIG).unwrap();
    let mut events = budget.events();
    let granted: Vec<_> = [Extra::Retry, Extra::Hedge, Extra::Probe, Extra::Fallback, Extra::Retry]
        .into_iter()
        .map(|extra| budget.withdraw(extra))
        .collect();
    assert_eq!(granted, [true, true, true, true, false]);
    assert_eq!(
        events.try_next(),
        Some(Heard::Event(BudgetEvent::Refused { extra: Extra::Retry }))
    );
    let snapshot = budget.snapshot();
    assert_eq!((snapshot.saved, snapshot.burst), (0, 4));
    assert_eq!((snapshot.granted.retry, snapshot.granted.hedge), (1, 1));
    assert_eq!((snapshot.granted.probe, snapshot.granted.fallback), (1, 1));
    assert_eq!(snapshot.refused.retry, 1);
}

#[test]
fn ten_calls_pay_for_one_extra() {
    let budget = Budget::new(CONFIG).unwrap();
    while budget.withdraw(Extra::Retry) {}
    (0..9).for_each(|_| budget.deposit());
    assert!(!budget.withdraw(Extra::Retry));
    budget.deposit();
    assert!(budget.withdraw(Extra::Retry));
}

#[test]
fn what_is_set_aside_comes_back_with_time_and_is_not_for_hedges() {
    let clock = Virtual::new();
    let config = BudgetConfig {
        per_second: 2,
        ..CONFIG
    };
    let budget = Budget::with_clock(config, &clock).unwrap();
    let drain = || (0..100).filter(|_| budget.withdraw(Extra::Retry)).count();
    assert_eq!(drain(), 4 + 2);
    clock.advance(Duration::from_millis(500));
    assert!(!budget.withdraw(Extra::Hedge));
    assert_eq!(drain(), 1);
}

#[test]
fn settings_change_in_place_and_keep_the_savings() {
    let budget = Budget::new(CONFIG).unwrap();
    assert!(budget.withdraw(Extra::Retry));
    budget.reconfigure(BudgetConfig { burst: 100, ..CONFIG }).unwrap();
    assert_eq!(budget.snapshot().saved, 3);
    budget.reconfigure(BudgetConfig { burst: 2, ..CONFIG }).unwrap();
    assert_eq!(budget.snapshot().saved, 2);
    assert!(budget.reconfigure(BudgetConfig { burst: 0, ..CONFIG }).is_err());
    assert_eq!(budget.snapshot().burst, 2);
}

#[test]
fn threads_together_get_no_more_than_was_saved() {
    let budget = Arc::new(Budget::new(BudgetConfig { burst: 1000, ..CONFIG }).unwrap());
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..2000).filter(|_| budget.withdraw(Extra::Retry)).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 1000);
}
