use super::*;

fn fails() -> core::future::Ready<Result<(), &'static str>> {
    core::future::ready(Err("no"))
}

fn exhausted(attempts: u32) -> Result<(), Failure<&'static str>> {
    Err(Failure::Exhausted {
        attempts,
        retry_after: None,
        last: "no",
    })
}

#[tokio::test]
async fn after_its_tries_the_caller_gets_the_last_error() {
    let (retry, clock) = retry(plain(3));
    let mut events = retry.events();
    let (result, took) = at(&clock, async move { retry.call(fails).await }).await;
    assert_eq!((result, took), (exhausted(3), 3 * SECOND));
    let told: Vec<_> = core::iter::from_fn(|| events.try_next()).collect();
    let gave_up = RetryEvent::GaveUp {
        attempts: 3,
        why: GaveUp::Attempts,
    };
    assert_eq!(told.last(), Some(&Heard::Event(gave_up)));
}

#[tokio::test]
async fn one_try_is_a_try() {
    let (retry, _) = retry(plain(1));
    assert_eq!(retry.call(fails).await, exhausted(1));
}

#[tokio::test]
async fn a_longer_wait_than_may_be_is_told_instead_of_waited() {
    fn asks(_: &Result<(), &str>) -> Verdict {
        Verdict::Failure {
            retry_after: Some(61 * SECOND),
        }
    }
    let clock = Virtual::new();
    let retry = Retry::with(plain(3), clock.clone(), asks).unwrap();
    let ((result, snapshot), took) = at(&clock, async move { (retry.call(fails).await, retry.snapshot()) }).await;
    let told = Failure::Exhausted {
        attempts: 1,
        retry_after: Some(61 * SECOND),
        last: "no",
    };
    assert_eq!((result, took), (Err(told), Duration::ZERO));
    assert_eq!(snapshot.asked_to_wait_too_long, 1);
}

#[tokio::test]
async fn no_try_begins_after_the_time_for_all_of_them() {
    let (retry, clock) = retry(RetryConfig {
        max_elapsed: Some(6 * SECOND),
        ..plain(10)
    });
    let ((result, snapshot), took) = at(&clock, async move { (retry.call(fails).await, retry.snapshot()) }).await;
    assert_eq!(
        (result, took),
        (exhausted(3), 3 * SECOND),
        "the fourth would begin after 7 s"
    );
    assert_eq!(snapshot.out_of_time, 1);
}

#[tokio::test]
async fn a_try_that_cannot_end_in_time_is_not_begun() {
    let (retry, clock) = retry(RetryConfig {
        attempt_needs: 2 * SECOND,
        ..plain(10)
    });
    let deadline = Deadline::after(&clock, 4 * SECOND);
    let work = async move { (deadline.scope(retry.call(fails)).await, retry.snapshot()) };
    let ((result, snapshot), took) = at(&clock, work).await;
    assert_eq!(
        (result, took),
        (exhausted(2), SECOND),
        "the third would begin after 3 s and need until 5 s"
    );
    assert_eq!(snapshot.out_of_deadline, 1);
}

#[tokio::test]
async fn a_retry_that_is_woken_after_its_deadline_makes_no_further_try() {
    let (retry, clock) = retry(plain(10));
    let deadline = Deadline::after(&clock, 2 * SECOND);
    let task = tokio::spawn(async move { (deadline.scope(retry.call(fails)).await, retry.snapshot()) });
    clock.run_for(Duration::ZERO).await;
    clock.advance(5 * SECOND);
    let (result, snapshot) = task.await.unwrap();
    assert_eq!(result, Err(Failure::DeadlineExceeded));
    assert_eq!((snapshot.retries, snapshot.out_of_deadline), (1, 1));
}

#[tokio::test]
async fn a_deadline_that_cannot_be_met_starts_no_try_at_all() {
    let (retry, clock) = retry(RetryConfig {
        attempt_needs: 2 * SECOND,
        ..plain(3)
    });
    let mut events = retry.events();
    let begun = || async { panic!("begun") as Result<(), ()> };
    let short = Deadline::after(&clock, SECOND);
    assert_eq!(short.scope(retry.call(begun)).await, Err(Failure::DeadlineExceeded));
    retry.reconfigure(plain(3)).unwrap();
    let passed = Deadline::after(&clock, Duration::ZERO);
    assert_eq!(passed.scope(retry.call(begun)).await, Err(Failure::DeadlineExceeded));
    assert_eq!(retry.snapshot().not_begun, 2);
    assert_eq!(events.try_next(), Some(Heard::Event(RetryEvent::NotBegun)));
}

#[tokio::test]
async fn retries_stop_when_the_budget_is_used_up() {
    let clock = Virtual::new();
    let config = BudgetConfig {
        ratio: 0.5,
        burst: 3,
        per_second: 0,
    };
    let budget = Arc::new(Budget::with_clock(config, &clock).unwrap());
    let retry = Retry::with(plain(2), clock.clone(), AnyError).unwrap();
    let retry = retry.with_budget(Arc::clone(&budget));
    let work = async move {
        for _ in 0..100 {
            assert!(retry.call(fails).await.is_err());
        }
        retry.snapshot()
    };
    let (snapshot, _) = at(&clock, work).await;
    assert_eq!(
        (snapshot.retries, snapshot.out_of_budget),
        (52, 48),
        "half of the calls, and the savings"
    );
    assert_eq!(budget.snapshot().granted.retry, 52);
}

#[tokio::test]
async fn settings_change_in_place() {
    let (retry, clock) = retry(plain(3));
    retry.reconfigure(plain(2)).unwrap();
    assert!(retry.reconfigure(plain(0)).is_err());
    let (result, _) = at(&clock, async move { retry.call(fails).await }).await;
    assert_eq!(result, exhausted(2));
}
