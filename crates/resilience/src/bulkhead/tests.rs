use core::time::Duration;
use std::sync::Arc;

use super::*;
use crate::{Heard, Virtual};

mod adaptives;

const SECOND: Duration = Duration::from_secs(1);

fn bulkhead(config: BulkheadConfig) -> (Arc<Bulkhead<Virtual>>, Virtual) {
    let clock = Virtual::new();
    (Arc::new(Bulkhead::with_clock(config, clock.clone()).unwrap()), clock)
}

fn one_seat(max_queue: u32) -> BulkheadConfig {
    BulkheadConfig {
        max_concurrent_calls: 1,
        max_queue,
        max_wait_duration: 10 * SECOND,
        order: Order::Fifo,
    }
}

/// Counts at rest: nobody sits, nobody waits, and there is room.
fn assert_empty(bulkhead: &Bulkhead<Virtual>) {
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.waiting), (0, 0));
    assert!(bulkhead.try_acquire().is_some());
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let refused = |config: BulkheadConfig| Bulkhead::new(config).unwrap_err();
    let no_seats = BulkheadConfig {
        max_concurrent_calls: 0,
        ..BulkheadConfig::default()
    };
    assert_eq!(
        refused(no_seats).to_string(),
        "bulkhead.max_concurrent_calls = 0 does not work: it must be 1 to 1048575"
    );
    let too_many = BulkheadConfig {
        max_concurrent_calls: 1 << 20,
        ..BulkheadConfig::default()
    };
    assert_eq!(refused(too_many).setting, "bulkhead.max_concurrent_calls");
    let no_wait = BulkheadConfig {
        max_wait_duration: Duration::ZERO,
        ..BulkheadConfig::default()
    };
    assert_eq!(refused(no_wait).setting, "bulkhead.max_wait_duration");
}

#[test]
fn whoever_asks_for_a_seat_without_waiting_and_gets_none_is_counted() {
    let (bulkhead, _) = bulkhead(one_seat(10));
    let mut events = bulkhead.events();
    let _seat = bulkhead.try_acquire().unwrap();
    assert_eq!(bulkhead.snapshot().refused, 0);
    assert!(bulkhead.try_acquire().is_none());
    assert_eq!(bulkhead.snapshot().refused, 1);
    assert_eq!(
        events.try_next(),
        Some(Heard::Event(BulkheadEvent::Refused { waiting: 0 }))
    );
}

#[tokio::test]
async fn without_a_queue_a_free_seat_admits_and_a_taken_one_refuses() {
    let (bulkhead, _) = bulkhead(one_seat(0));
    let seat = bulkhead.acquire().await.unwrap();
    assert_eq!(bulkhead.acquire().await.unwrap_err(), NoSeat::Full);
    drop(seat);
    assert!(bulkhead.acquire().await.is_ok());
}

#[tokio::test]
async fn the_queue_holds_waiters_only() {
    let (bulkhead, clock) = bulkhead(one_seat(2));
    let seat = bulkhead.acquire().await.unwrap();
    let wait = || {
        let bulkhead = Arc::clone(&bulkhead);
        tokio::spawn(async move { bulkhead.acquire().await.map(drop) })
    };
    let waiters = [wait(), wait()];
    clock.run_for(SECOND).await;
    assert_eq!(bulkhead.acquire().await.unwrap_err(), NoSeat::Full);
    drop(seat);
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), Ok(()));
    }
    assert_empty(&bulkhead);
}

/// The order in which three who wait get the only seat.
async fn served(order: Order) -> Vec<u32> {
    let (bulkhead, clock) = bulkhead(BulkheadConfig { order, ..one_seat(3) });
    let seat = bulkhead.acquire().await.unwrap();
    let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
    for name in 1..=3 {
        let (bulkhead, sender) = (Arc::clone(&bulkhead), sender.clone());
        tokio::spawn(async move {
            let _seat = bulkhead.acquire().await.unwrap();
            sender.send(name).unwrap();
        });
        clock.run_for(SECOND / 10).await;
    }
    drop((seat, sender));
    let mut names = Vec::new();
    while let Some(name) = served.recv().await {
        names.push(name);
    }
    assert_empty(&bulkhead);
    names
}

#[tokio::test]
async fn who_waits_longest_is_next_unless_the_last_is_to_be() {
    assert_eq!(served(Order::Fifo).await, [1, 2, 3]);
    assert_eq!(served(Order::Lifo).await, [3, 2, 1]);
}

#[tokio::test]
async fn nobody_waits_longer_than_set() {
    let (bulkhead, clock) = bulkhead(one_seat(1));
    let seat = bulkhead.acquire().await.unwrap();
    let mut events = bulkhead.events();
    let waiter = tokio::spawn({
        let bulkhead = Arc::clone(&bulkhead);
        async move { bulkhead.acquire().await.map(drop) }
    });
    clock.run_for(10 * SECOND - Duration::from_nanos(1)).await;
    assert!(!waiter.is_finished());
    clock.run_for(Duration::from_nanos(1)).await;
    let waited = 10 * SECOND;
    assert_eq!(waiter.await.unwrap(), Err(NoSeat::TimedOut { waited }));
    assert_eq!(
        events.try_next(),
        Some(Heard::Event(BulkheadEvent::TimedOut { waited }))
    );
    drop(seat);
    assert_empty(&bulkhead);
    assert_eq!(bulkhead.snapshot().timed_out, 1);
}

#[tokio::test]
async fn nobody_waits_beyond_the_deadline() {
    let (bulkhead, clock) = bulkhead(one_seat(1));
    let _seat = bulkhead.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let (bulkhead, deadline) = (Arc::clone(&bulkhead), Deadline::after(&clock, 2 * SECOND));
        async move { deadline.scope(bulkhead.acquire()).await.map(drop) }
    });
    clock.run_for(2 * SECOND).await;
    let waited = 2 * SECOND;
    assert_eq!(waiter.await.unwrap(), Err(NoSeat::DeadlineExceeded { waited }));
}

#[tokio::test]
async fn a_seat_that_becomes_free_as_the_deadline_passes_goes_to_the_next_one() {
    let (bulkhead, clock) = bulkhead(one_seat(2));
    let holder = tokio::spawn({
        let (bulkhead, clock) = (Arc::clone(&bulkhead), clock.clone());
        async move {
            let _seat = bulkhead.acquire().await.unwrap();
            clock.sleep(2 * SECOND).await;
        }
    });
    clock.run_for(Duration::ZERO).await;
    let wait = |deadline: Duration| {
        let (bulkhead, deadline) = (Arc::clone(&bulkhead), Deadline::after(&clock, deadline));
        let work = || async { Ok::<_, Failure<()>>(()) };
        tokio::spawn(async move { deadline.scope(bulkhead.run(work)).await })
    };
    let (late, next) = (wait(2 * SECOND), wait(3 * SECOND));
    clock.run_for(2 * SECOND).await;
    holder.await.unwrap();
    assert_eq!(late.await.unwrap(), Err(Failure::DeadlineExceeded));
    assert_eq!(next.await.unwrap(), Ok(()));
    assert_empty(&bulkhead);
}

#[tokio::test]
async fn a_waiter_that_is_cancelled_leaves_no_trace() {
    let (bulkhead, clock) = bulkhead(one_seat(2));
    let seat = bulkhead.acquire().await.unwrap();
    let wait = || {
        let bulkhead = Arc::clone(&bulkhead);
        tokio::spawn(async move { bulkhead.acquire().await.map(drop) })
    };
    let (first, second) = (wait(), wait());
    clock.run_for(SECOND).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(bulkhead.snapshot().waiting, 1);
    // Served, and cancelled before it ran: the seat must go on.
    drop(seat);
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    assert_empty(&bulkhead);
}

#[tokio::test]
async fn counts_restore_after_every_kind_of_end() {
    let (bulkhead, clock) = bulkhead(BulkheadConfig::default());
    let fails = bulkhead.call(|| async { Err::<(), _>("no") }).await;
    assert_eq!(fails, Err(Failure::Inner("no")));
    assert_empty(&bulkhead);

    let panics = tokio::spawn({
        let bulkhead = Arc::clone(&bulkhead);
        async move { bulkhead.call(|| async { panic!("on purpose") as Result<(), ()> }).await }
    });
    assert!(panics.await.unwrap_err().is_panic());
    assert_empty(&bulkhead);

    let hangs = tokio::spawn({
        let bulkhead = Arc::clone(&bulkhead);
        async move { bulkhead.call(core::future::pending::<Result<(), ()>>).await }
    });
    clock.run_for(SECOND).await;
    assert_eq!(bulkhead.snapshot().in_flight, 1);
    hangs.abort();
    assert!(hangs.await.unwrap_err().is_cancelled());
    assert_empty(&bulkhead);

    let owned = bulkhead.acquire_owned().await.unwrap();
    assert_eq!(bulkhead.snapshot().in_flight, 1);
    drop(owned);
    assert_empty(&bulkhead);
}

#[tokio::test]
async fn settings_change_in_place() {
    let (bulkhead, clock) = bulkhead(one_seat(5));
    let mut events = bulkhead.events();
    let first = bulkhead.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let bulkhead = Arc::clone(&bulkhead);
        async move {
            let seat = bulkhead.acquire_owned().await.unwrap();
            core::future::pending::<()>().await;
            drop(seat);
        }
    });
    clock.run_for(SECOND).await;
    let larger = BulkheadConfig {
        max_concurrent_calls: 2,
        ..one_seat(0)
    };
    bulkhead.reconfigure(larger).unwrap();
    clock.run_for(SECOND).await;
    assert_eq!((bulkhead.snapshot().in_flight, bulkhead.snapshot().waiting), (2, 0));
    assert_eq!(
        events.try_next(),
        Some(Heard::Event(BulkheadEvent::Resized { from: 1, to: 2 }))
    );

    bulkhead.reconfigure(one_seat(0)).unwrap();
    assert_eq!(bulkhead.snapshot().in_flight, 2, "who sits stays");
    drop(first);
    assert_eq!(
        bulkhead.acquire().await.unwrap_err(),
        NoSeat::Full,
        "until fewer sit than may"
    );
    waiter.abort();
    assert!(waiter.await.unwrap_err().is_cancelled());
    assert_empty(&bulkhead);

    let nonsense = BulkheadConfig {
        max_concurrent_calls: 0,
        ..one_seat(0)
    };
    assert!(bulkhead.reconfigure(nonsense).is_err());
    assert_eq!(bulkhead.snapshot().max_concurrent_calls, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_crowd_no_more_than_the_limit_sit_and_nobody_is_forgotten() {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    let bulkhead = Arc::new(
        Bulkhead::new(BulkheadConfig {
            max_concurrent_calls: 3,
            max_queue: 1000,
            max_wait_duration: 600 * SECOND,
            ..BulkheadConfig::default()
        })
        .unwrap(),
    );
    let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let (bulkhead, inside, most) = (Arc::clone(&bulkhead), Arc::clone(&inside), Arc::clone(&most));
            tokio::spawn(async move {
                for call in 0..200 {
                    let seat = bulkhead.acquire().await.unwrap();
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    if (caller + call) % 3 == 0 {
                        tokio::task::yield_now().await;
                    }
                    inside.fetch_sub(1, SeqCst);
                    drop(seat);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (snapshot.in_flight, snapshot.waiting, snapshot.admitted),
        (0, 0, 64 * 200)
    );
    assert!(most.load(SeqCst) <= 3);
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_takes_no_seat() {
    let clock = Virtual::new();
    let fixed = Bulkhead::with_clock(BulkheadConfig::default(), clock.clone()).unwrap();
    let learned = AdaptiveBulkhead::with(AdaptiveConfig::default(), clock.clone(), crate::AnyError).unwrap();
    let late = || Deadline::after(&clock, Duration::ZERO);
    let work = || async { panic!("was begun") as Result<(), ()> };
    assert_eq!(late().scope(fixed.call(work)).await, Err(Failure::DeadlineExceeded));
    assert_eq!(late().scope(learned.call(work)).await, Err(Failure::DeadlineExceeded));
}
