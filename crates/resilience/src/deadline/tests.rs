use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    AnyError, Bulkhead, BulkheadConfig, Coarse, Layer, Next, Pipeline, Precise, Retry, RetryConfig, Shared, Timeout,
    TimeoutConfig, TokioClock, Virtual,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_inner_deadline_is_never_later_than_the_outer_one() {
    let clock = Virtual::new();
    Deadline::after(&clock, 10 * SECOND)
        .scope(async {
            Deadline::after(&clock, 60 * SECOND)
                .scope(async { assert_eq!(Deadline::remaining_now(), Some(10 * SECOND)) })
                .await;
            Deadline::after(&clock, 2 * SECOND)
                .scope(async { assert_eq!(Deadline::remaining_now(), Some(2 * SECOND)) })
                .await;
            assert_eq!(Deadline::remaining_now(), Some(10 * SECOND));
        })
        .await;
    assert_eq!(Deadline::remaining_now(), None);
}

#[tokio::test]
async fn deadlines_of_different_clocks_compare_by_what_is_left() {
    let hand = Virtual::new();
    hand.advance(1_000_000 * SECOND);
    let short = Deadline::after(&hand, SECOND);
    let long = Deadline::after(&Coarse, 1000 * SECOND);
    assert_eq!(long.clone().or_earlier(short.clone()).remaining(), SECOND);
    assert_eq!(short.or_earlier(long).remaining(), SECOND);
}

fn ten_seconds(clock: &Virtual) -> Timeout<Virtual> {
    let limit = Some(10 * SECOND);
    Timeout::with_clock(TimeoutConfig { limit }, clock.clone()).unwrap()
}

fn bulkhead(clock: &Virtual) -> Bulkhead<Virtual> {
    Bulkhead::with_clock(BulkheadConfig::default(), clock.clone()).unwrap()
}

/// Policies of ours take what the timeout saw of the clock in the same poll, but never past the operation's own doing.
#[tokio::test]
async fn a_deadline_that_passes_while_the_operation_runs_is_noticed_by_what_it_calls() {
    let clock = Virtual::new();
    let inner = bulkhead(&clock);
    let operation = || async {
        clock.advance(10 * SECOND);
        inner.call(|| async { Ok::<_, ()>(()) }).await
    };
    let late = Err(Failure::Inner(Failure::DeadlineExceeded));
    let nested = Pipeline::new().with(ten_seconds(&clock)).with(bulkhead(&clock));
    assert_eq!(nested.call(operation).await, late);
    let alone = Pipeline::new().with(ten_seconds(&clock));
    assert_eq!(alone.call(operation).await, late);
    assert_eq!(ten_seconds(&clock).call(operation).await, late);
    assert_eq!(inner.snapshot().admitted, 0);
}

#[tokio::test]
async fn a_policy_that_takes_its_time_before_it_asks_lets_nothing_begin_too_late() {
    let clock = Virtual::new();
    let slow = || Slow(clock.clone());
    let begun = Cell::new(0);
    let operation = || async {
        begun.set(begun.get() + 1);
        Ok::<_, ()>(())
    };
    let late = Err(Failure::DeadlineExceeded);
    let outside = Pipeline::new()
        .with(ten_seconds(&clock))
        .with(slow())
        .with(bulkhead(&clock));
    assert_eq!(outside.call(operation).await, late);
    let retry = Retry::with(RetryConfig::default(), clock.clone(), AnyError).unwrap();
    let shared = Shared(Arc::new(slow()));
    let between = Pipeline::new()
        .with(ten_seconds(&clock))
        .with(retry)
        .with(shared)
        .with(bulkhead(&clock));
    assert_eq!(between.call(operation).await, late);
    let apart = Pipeline::new().with(slow()).with(bulkhead(&clock));
    let around = Pipeline::new().with(ten_seconds(&clock)).with(&apart);
    assert_eq!(around.call(operation).await, late);
    assert_eq!(begun.get(), 0);
}

/// A policy of somebody's own that holds up its thread.
struct Slow(Virtual);

impl<T, E> Layer<T, E> for Slow {
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        self.0.advance(10 * SECOND);
        next.once().await
    }
}

#[tokio::test]
async fn a_call_that_panics_leaves_nothing_looked_at() {
    let clock = Virtual::new();
    let struck = Pipeline::new().with(ten_seconds(&clock)).with(Panics);
    // On the same thread: it is the only one of this runtime.
    let panicked = tokio::spawn(async move { struck.call(|| async { Ok::<_, ()>(()) }).await }).await;
    assert!(panicked.unwrap_err().is_panic());
    let passed = Deadline::after(&clock, Duration::ZERO);
    assert_eq!(
        passed.scope(bulkhead(&clock).call(|| async { Ok::<_, ()>(()) })).await,
        Err(Failure::DeadlineExceeded)
    );
}

/// A policy of somebody's own that panics before its operation begins.
struct Panics;

impl<T, E> Layer<T, E> for Panics {
    const AT_ONCE: bool = true;

    async fn run<N: Next<Value = T, Error = E>>(&self, _: N) -> Result<T, Failure<E>> {
        panic!("of all things")
    }
}

#[tokio::test]
async fn tasks_beside_each_other_have_deadlines_of_their_own() {
    let clock = Virtual::new();
    let scoped = |seconds: u32| {
        let clock = clock.clone();
        Deadline::after(&clock, seconds * SECOND).scope(async move {
            clock.sleep(SECOND).await;
            Deadline::remaining_now()
        })
    };
    let (five, nine, none) = (
        tokio::spawn(scoped(5)),
        tokio::spawn(scoped(9)),
        tokio::spawn(async { Deadline::remaining_now() }),
    );
    clock.run_for(SECOND).await;
    assert_eq!(five.await.unwrap(), Some(4 * SECOND));
    assert_eq!(nine.await.unwrap(), Some(8 * SECOND));
    assert_eq!(none.await.unwrap(), None);
}

#[tokio::test]
async fn work_that_panics_takes_its_deadline_with_it() {
    let clock = Virtual::new();
    let work = Deadline::after(&clock, SECOND).scope(async { panic!("on purpose") });
    let mut work = Box::pin(work);
    let polled = poll_fn(|context| {
        let caught = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| work.as_mut().poll(context).is_ready()));
        core::task::Poll::Ready(caught.is_err())
    });
    assert!(polled.await);
    assert_eq!(Deadline::remaining_now(), None);
}

#[tokio::test(start_paused = true)]
async fn every_clock_can_carry_a_deadline() {
    #[derive(Clone, Debug)]
    struct Foreign(Virtual);
    impl Clock for Foreign {
        fn now(&self) -> Moment {
            self.0.now()
        }
        fn sleep_until(&self, until: Moment) -> impl Future<Output = ()> + Send + 'static {
            self.0.sleep_until(until)
        }
    }
    let hand = Virtual::new();
    assert_eq!(Deadline::after(&Foreign(hand.clone()), SECOND).remaining(), SECOND);
    assert_eq!(Deadline::after(&TokioClock::new(), SECOND).remaining(), SECOND);
    assert!(Deadline::after(&Precise, SECOND).remaining() <= SECOND);
    let any = Foreign(hand.clone()).any().any();
    let sleeper = tokio::spawn(async move { any.sleep(SECOND).await });
    hand.run_for(SECOND).await;
    sleeper.await.unwrap();
}

fn read(headers: &[(&str, &str)]) -> Result<Option<Duration>, InvalidHeader> {
    let headers: HashMap<_, _> = headers.iter().copied().collect();
    let clock = Virtual::new();
    let deadline = Deadline::from_headers(&clock, 3600 * SECOND, |name| headers.get(name).copied());
    Ok(deadline?.map(|deadline| deadline.remaining()))
}

#[test]
fn the_shortest_of_the_headers_counts() {
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[("x-request-timeout-ms", " 1500 ")]), Ok(Some(SECOND * 3 / 2)));
    assert_eq!(
        read(&[("x-request-timeout-ms", "1500"), ("grpc-timeout", "1S")]),
        Ok(Some(SECOND))
    );
    assert_eq!(read(&[("x-envoy-expected-rq-timeout-ms", "250")]), Ok(Some(SECOND / 4)));
}

#[test]
fn a_stranger_binds_nobody_for_longer_than_wanted() {
    assert_eq!(read(&[("grpc-timeout", "99999999H")]), Ok(Some(3600 * SECOND)));
}

#[test]
fn headers_that_say_nothing_are_refused_by_name() {
    for bad in ["", "-1", "+1", "1.5", "soon", "99999999999999999999999"] {
        let refused = read(&[("x-request-timeout-ms", bad)]).unwrap_err();
        assert_eq!((refused.name, refused.value.as_str()), ("x-request-timeout-ms", bad));
    }
    for bad in ["", "S", "10", "123456789S", "1s", "-1S", "1é"] {
        assert!(read(&[("grpc-timeout", bad)]).is_err(), "{bad}");
    }
    let refused = read(&[("grpc-timeout", "10")]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "header grpc-timeout: \"10\" is not 1 to 8 digits and one of H M S m u n"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_never_longer(nanos in 0_u64..4_000_000_000_000) {
        let clock = Virtual::new();
        let deadline = Deadline::after(&clock, Duration::from_nanos(nanos));
        let (ours, grpc) = (deadline.to_header(), deadline.to_grpc());
        let ours = read(&[(Deadline::HEADER, &ours)]).unwrap().unwrap();
        let grpc = read(&[(Deadline::GRPC_HEADER, &grpc)]).unwrap().unwrap();
        let left = Duration::from_nanos(nanos).min(3600 * SECOND);
        prop_assert!(ours <= left && left - ours < Duration::from_millis(1));
        prop_assert!(grpc <= left && left - grpc < Duration::from_millis(1));
    }
}
