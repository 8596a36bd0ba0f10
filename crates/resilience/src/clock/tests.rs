use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::{Clock, Coarse, Moment, Precise, Ticker, TokioClock, Virtual};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_ticker_that_would_never_rest_is_refused() {
    let refused = Ticker::every(Duration::ZERO).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert!(refused.to_string().starts_with("ticker.period = 0ns"), "{refused}");
}

#[test]
fn arithmetic_on_moments_saturates() {
    let last = Moment::from_nanos(u64::MAX);
    assert_eq!(last.after(Duration::MAX), last);
    assert_eq!(Moment::from_nanos(5).since(last), Duration::ZERO);
}

#[test]
fn the_coarse_clock_lags_behind_the_precise_one_by_a_kernel_tick_at_most() {
    let (before, coarse, after) = (Precise.now(), Coarse.now(), Precise.now());
    assert!(coarse <= after, "{coarse:?} {after:?}");
    // However long this thread was held up between two looks.
    assert!(before.since(coarse) < SECOND / 10, "{before:?} {coarse:?}");
}

#[test]
fn the_clocks_of_the_system_tell_the_kernels_monotonic_time_which_no_step_of_the_wall_clock_moves() {
    use rustix::time::{ClockId, clock_gettime};
    let monotonic = || {
        let time = clock_gettime(ClockId::Monotonic);
        let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
        Moment::from_nanos(nanos.try_into().unwrap())
    };
    let ticker = Ticker::start().unwrap();
    let clocks: [&dyn Fn() -> Moment; 2] = [&|| Precise.now(), &|| Coarse.now()];
    for clock in clocks {
        let (before, told, after) = (monotonic(), clock(), monotonic());
        assert!(
            before.since(told) < SECOND / 10 && told <= after,
            "{before:?} {told:?} {after:?}"
        );
    }
    let begun = monotonic();
    let bound = std::time::Instant::now() + 60 * SECOND;
    while ticker.now() < begun {
        assert!(std::time::Instant::now() < bound, "the ticker tells another time");
        std::thread::yield_now();
    }
    assert!(ticker.now() <= monotonic());
}

#[test]
fn a_ticker_is_wound_until_its_last_handle_is_dropped() {
    let ticker = Ticker::start().unwrap();
    let watched = Arc::downgrade(&ticker.0);
    let begun = ticker.now();
    let bound = std::time::Instant::now() + 60 * SECOND;
    while ticker.now() == begun {
        assert!(std::time::Instant::now() < bound, "the ticker stands still");
        std::thread::yield_now();
    }
    drop(ticker);
    while watched.strong_count() > 0 {
        assert!(std::time::Instant::now() < bound, "the thread holds on to the time");
        std::thread::yield_now();
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_tokio_follows_its_paused_time() {
    let clock = TokioClock::new();
    clock.sleep(3600 * SECOND).await;
    assert_eq!(clock.now().since(Moment::default()), 3600 * SECOND);
}

#[tokio::test]
async fn sleepers_wake_in_the_order_of_their_moments_and_see_their_own_time() {
    let clock = Virtual::new();
    let (sender, mut woken) = tokio::sync::mpsc::unbounded_channel();
    for seconds in [3, 1, 2] {
        let (clock, sender) = (clock.clone(), sender.clone());
        tokio::spawn(async move {
            clock.sleep(seconds * SECOND).await;
            sender.send((seconds, clock.now().since(Moment::default()))).unwrap();
        });
    }
    clock.run_for(10 * SECOND).await;
    for seconds in [1, 2, 3] {
        assert_eq!(woken.try_recv(), Ok((seconds, seconds * SECOND)));
    }
    assert_eq!(clock.now().since(Moment::default()), 10 * SECOND);
}

#[tokio::test]
async fn a_sleep_that_is_dropped_leaves_no_trace() {
    let clock = Virtual::new();
    let ended = Arc::new(AtomicU32::new(0));
    let task = tokio::spawn({
        let (clock, ended) = (clock.clone(), Arc::clone(&ended));
        async move {
            clock.sleep(SECOND).await;
            ended.fetch_add(1, SeqCst);
        }
    });
    clock.run_for(SECOND / 2).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(clock.sleepers().waiting.is_empty());
    clock.run_for(SECOND).await;
    assert_eq!(ended.load(SeqCst), 0);
}
