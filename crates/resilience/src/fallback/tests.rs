use core::time::Duration;

use super::*;
use crate::{BudgetConfig, Heard, Virtual};

fn chain() -> Fallback<u32, &'static str> {
    Fallback::new()
        .then("second", |_| async { Err(Failure::Inner("busy")) })
        .then("third", |why| {
            let before = u32::try_from(why.len()).unwrap();
            async move { Ok(before) }
        })
        .or_value("never", |_| panic!("asked"))
}

fn fails() -> core::future::Ready<Result<u32, &'static str>> {
    core::future::ready(Err("down"))
}

#[tokio::test]
async fn while_the_operation_answers_nobody_else_is_asked() {
    let answer = chain().answer(|| async { Ok(7) }).await.unwrap();
    assert_eq!((answer.value, answer.served), (7, Served::Primary));
    assert!(answer.reasons.is_empty());
}

#[tokio::test]
async fn the_first_that_answers_serves_and_knows_why_it_is_needed() {
    let chain = chain();
    let mut events = chain.events();
    let answer = chain.answer(fails).await.unwrap();
    assert_eq!((answer.value, answer.served), (2, Served::Fallback("third".into())));
    assert_eq!(
        answer.reasons.to_string(),
        "primary: operation failed; second: operation failed"
    );
    let whys: Vec<_> = answer.reasons.iter().map(|reason| reason.why.clone()).collect();
    assert_eq!(
        whys,
        [
            Unserved::Failed(Failure::Inner("down")),
            Unserved::Failed(Failure::Inner("busy"))
        ]
    );
    let served = FallbackEvent::Served {
        provider: "third".into(),
        after: 2,
    };
    assert_eq!(events.try_next(), Some(Heard::Event(served)));
    let snapshot = chain.snapshot();
    let counts: Vec<_> = snapshot.providers.iter().map(|one| (one.served, one.failed)).collect();
    assert_eq!(
        (counts.as_slice(), snapshot.needed),
        ([(0, 1), (1, 0), (0, 0)].as_slice(), 1)
    );
}

#[tokio::test]
async fn where_nobody_answers_each_ones_reason_is_told() {
    let chain = Fallback::new().then("second", |_| async { Err(Failure::CircuitOpen { retry_after: None }) });
    let Err(Failure::NoFallback { reasons }) = chain.call(fails).await else {
        panic!("somebody answered");
    };
    assert_eq!(
        reasons.to_string(),
        "primary: operation failed; second: circuit is open"
    );
    assert_eq!(chain.snapshot().failed, 1);
}

#[tokio::test]
async fn what_a_policy_refused_needs_a_fallback_too() {
    let chain = Fallback::new().or_value("cached", |_| 1);
    let refused = || async { Err::<u32, Failure<&'static str>>(Failure::BulkheadFull) };
    assert_eq!(chain.run(refused).await, Ok(1));
}

#[tokio::test]
async fn the_callers_own_mistake_goes_through() {
    fn mistake(_: &Result<u32, &str>) -> Verdict {
        Verdict::Ignored
    }
    let chain = Fallback::with(mistake).or_value("cached", |_| 1);
    assert_eq!(chain.call(fails).await, Err(Failure::Inner("down")));
}

#[tokio::test]
async fn without_providers_a_failure_stays_what_it_is() {
    assert_eq!(Fallback::new().call(fails).await, Err(Failure::Inner("down")));
}

#[tokio::test]
async fn calls_that_the_budget_does_not_pay_for_are_skipped_and_values_cost_nothing() {
    let config = BudgetConfig {
        ratio: 0.0,
        burst: 1,
        per_second: 0,
    };
    let budget = Arc::new(Budget::new(config).unwrap());
    let chain = Fallback::new()
        .then("second", |_| async { Ok(2) })
        .or_value("cached", |why| u32::try_from(why.len()).unwrap() * 100)
        .with_budget(Arc::clone(&budget));
    assert_eq!(chain.call(fails).await, Ok(2));
    let answer = chain.answer(fails).await.unwrap();
    assert_eq!(answer.value, 200);
    assert_eq!(
        answer.reasons.to_string(),
        "primary: operation failed; second: the budget for extra calls is used up"
    );
}

#[tokio::test]
async fn after_the_deadline_no_call_is_made_and_values_still_serve() {
    let clock = Virtual::new();
    let chain = Fallback::new()
        .then("second", |_| async { panic!("asked") })
        .or_value("cached", |_| 1);
    let passed = Deadline::after(&clock, Duration::ZERO);
    assert_eq!(passed.scope(chain.call(fails)).await, Ok(1));
}
