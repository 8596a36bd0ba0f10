use super::*;
use crate::{Budget, BudgetConfig, BudgetEvent, Extra};

/// A breaker whose open period is over, and a budget with one extra call in it.
fn due(config: BreakerConfig) -> (Breaker<Virtual>, Virtual, Arc<Budget>) {
    let budget = Budget::new(BudgetConfig {
        ratio: 1.0,
        burst: 1,
        per_second: 0,
    });
    let budget = Arc::new(budget.unwrap());
    let (breaker, clock) = breaker(config);
    let breaker = breaker.with_budget(Arc::clone(&budget));
    fail(&breaker, 5);
    clock.advance(60 * SECOND);
    (breaker, clock, budget)
}

#[test]
fn a_probe_that_the_budget_does_not_pay_for_is_rejected_and_changes_no_state() {
    let (breaker, clock, budget) = due(BreakerConfig::default());
    let mut told = budget.events();
    assert!(budget.withdraw(Extra::Retry), "others share it");
    let generation = breaker.generation();
    let refusal = breaker.try_acquire().unwrap_err();
    assert_eq!((refusal.state, refusal.retry_after), (CircuitState::Open, Some(SECOND)));
    assert_eq!(
        (breaker.state(), breaker.generation()),
        (CircuitState::Open, generation)
    );
    let counts = breaker.counts();
    assert_eq!((counts.not_granted, counts.rejected), (1, 1));
    assert_eq!(
        told.try_next(),
        Some(Heard::Event(BudgetEvent::Refused { extra: Extra::Probe }))
    );
    assert!(breaker.try_acquire().is_err());
    assert_eq!(budget.snapshot().refused.probe, 1, "it is not asked again at once");
    budget.deposit();
    clock.advance(SECOND);
    breaker.try_acquire().unwrap().success();
    assert_eq!(budget.snapshot().granted.probe, 1);
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

#[test]
fn each_probe_of_a_half_open_breaker_is_paid_for_and_a_full_one_asks_nothing() {
    let (breaker, clock, budget) = due(BreakerConfig {
        half_open_max_calls: 1,
        success_threshold: 2,
        ..BreakerConfig::default()
    });
    let first = breaker.try_acquire().unwrap();
    budget.deposit();
    assert!(breaker.try_acquire().is_err(), "its one place is taken");
    assert_eq!(budget.snapshot().granted.probe, 1);
    first.success();
    breaker.try_acquire().unwrap().ignore();
    assert_eq!(budget.snapshot().granted.probe, 2);
    assert!(breaker.try_acquire().is_err(), "nothing is left");
    assert_eq!(
        (breaker.state(), breaker.counts().not_granted),
        (CircuitState::HalfOpen, 1)
    );
    budget.deposit();
    clock.advance(SECOND);
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn a_healthy_breaker_and_a_deliberate_probe_cost_the_budget_nothing() {
    let (breaker, _clock, budget) = due(BreakerConfig::default());
    breaker.reset();
    assert!(budget.withdraw(Extra::Retry));
    succeed(&breaker, 100);
    breaker.try_acquire().unwrap().terminal();
    breaker.try_probe().unwrap().success();
    assert_eq!(breaker.state(), CircuitState::Closed);
    let snapshot = budget.snapshot();
    assert_eq!((snapshot.granted.probe, snapshot.refused.probe), (0, 0));
}
