//! Draining: what is in flight ends or is written down, in the time that there is.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use stead_agent::{
    Call, CheckpointStore, EntryPoint, ExecutionStatus, Memory, Refused, Runtime, RuntimeState, WindDown, WorkResult,
};
use tokio::time::Instant;

use crate::world::{Faulty, LONG, SECOND, Stuck, ask, begin, builder, count, started, stream};

async fn drained_in(runtime: &Runtime, budget: Duration) -> Duration {
    let begun = Instant::now();
    let stopped = runtime.stop_within(budget).await.unwrap();
    assert_eq!((stopped.state, stopped.already), (RuntimeState::Stopped, false));
    Instant::now() - begun
}

#[tokio::test(start_paused = true)]
async fn a_second_of_work_ends_within_a_budget_of_five_and_the_drain_with_it() {
    let runtime = started(builder()).await;
    let work = begin(&runtime, "sleep", 1_000).await;
    let took = drained_in(&runtime, Duration::from_secs(5)).await;
    assert!((SECOND..SECOND + Duration::from_millis(20)).contains(&took), "{took:?}");
    assert_eq!(runtime.execution(work.id).unwrap().status, ExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn five_seconds_of_work_are_interrupted_after_a_budget_of_one_and_go_on_from_their_checkpoint() {
    let store = Memory::new();
    let entries = || {
        Runtime::builder()
            .entry_point(EntryPoint::new("count", count))
            .store(store.clone())
    };
    let runtime = started(entries()).await;
    let work = runtime.submit(ask("count", 0).in_stream(stream("mail"))).await.unwrap();
    let took = drained_in(&runtime, Duration::from_millis(1_500)).await;
    assert!((1_500..1_600).contains(&took.as_millis()), "{took:?}");
    assert_eq!(runtime.execution(work.id).unwrap().status, ExecutionStatus::ToBeResumed);
    let next = started(entries()).await;
    let ended = next.wait(work.id, LONG).await.unwrap();
    assert_eq!(ended.result.as_ref().unwrap().get(), "[1,2]");
    assert!(store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_with_what_it_interrupted() {
    let runtime = started(builder().entry_point(EntryPoint::new("count", count))).await;
    let work = begin(&runtime, "count", 0).await;
    runtime.stop_within(SECOND / 2).await.unwrap();
    runtime.start().await.unwrap();
    let ended = runtime.wait(work.id, LONG).await.unwrap();
    assert_eq!((ended.status, ended.attempt), (ExecutionStatus::Succeeded, 2));
}

#[tokio::test(start_paused = true)]
async fn work_is_marked_as_to_be_resumed_before_it_is_told_to_stop() {
    let store = Memory::new();
    let seen = store.clone();
    let looks = EntryPoint::new("looks", move |call: Call| {
        let seen = seen.clone();
        async move {
            assert!(matches!(call.winding_down().await, WindDown::Stop { .. }));
            assert!(call.remaining().is_some());
            Ok::<_, String>(seen.len())
        }
    });
    let runtime = started(Runtime::builder().entry_point(looks).store(store.clone())).await;
    let work = begin(&runtime, "looks", 0).await;
    tokio::task::yield_now().await;
    runtime.stop_within(LONG).await.unwrap();
    let ended = runtime.execution(work.id).unwrap();
    assert_eq!(ended.result.as_ref().unwrap().get(), "1");
    assert!(store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_in_between_drain_and_stop_and_whoever_asks_is_told_when_to_come_back() {
    let runtime = started(builder()).await;
    begin(&runtime, "sleep", 3_000).await;
    let (_stopped, ()) = tokio::join!(runtime.stop_within(LONG), async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            match runtime.submit(ask("echo", 1)).await.unwrap_err() {
                refused @ Refused::Draining { in_flight: 1, .. } => assert!(refused.retry_after().is_some()),
                refused @ Refused::NotRunning(RuntimeState::Stopped) => {
                    assert!(refused.retry_after().is_some());
                    break;
                }
                other => panic!("{other}"),
            }
        }
    });
    assert_eq!(runtime.status().total_executions, 1);
}

#[tokio::test(start_paused = true)]
async fn two_who_stop_it_at_once_drain_it_once_and_both_wait() {
    let runtime = started(builder()).await;
    begin(&runtime, "sleep", 1_000).await;
    let (one, other) = tokio::join!(runtime.stop(), runtime.stop());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((one.already, other.message.as_str()), (false, "already stopping"));
    assert_eq!(
        (other.state, runtime.stop().await.unwrap().message.as_str()),
        (RuntimeState::Stopped, "already stopped")
    );
}

#[tokio::test(start_paused = true)]
async fn work_that_never_lets_go_does_not_hold_up_the_drain_nor_its_neighbours_checkpoints() {
    let store = Memory::new();
    let stuck = Stuck::default();
    let entries = || {
        Runtime::builder()
            .entry_point(EntryPoint::new("count", count))
            .store(store.clone())
    };
    let runtime = started(entries().entry_point(stuck.entry("stuck"))).await;
    let hangs = runtime
        .submit(ask("stuck", 0).in_stream(stream("hangs")))
        .await
        .unwrap();
    let work = runtime.submit(ask("count", 0).in_stream(stream("mail"))).await.unwrap();
    let took = drained_in(&runtime, Duration::from_millis(1_500)).await;
    assert!((1_500..1_600).contains(&took.as_millis()), "{took:?}");
    assert_eq!(runtime.status().active_streams, 1);
    let kept: Vec<_> = store.keys();
    assert_eq!(kept, ["stream-hangs", "stream-mail"]);
    // Started again, the stuck one still has its stream, and is not run beside itself.
    runtime.start().await.unwrap();
    runtime.wait(work.id, LONG).await.unwrap();
    let again = runtime.submit(ask("stuck", 0).in_stream(stream("hangs"))).await;
    assert!(matches!(again, Err(Refused::StreamBusy { execution, .. }) if execution == hangs.id));
    assert_eq!(stuck.runs.load(SeqCst), 1);
    stuck.free();
}

/// Real time: a store that hangs is a thread that does, which tokio's paused time waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_at_one_stream_still_keeps_the_others() {
    let store = Faulty {
        hangs_at: Some("stream-hangs".to_owned()),
        ..Faulty::default()
    };
    let memory = store.memory.clone();
    let runtime = started(builder().store(store)).await;
    for name in ["hangs", "mail", "post"] {
        runtime
            .submit(ask("sleep", 60_000).in_stream(stream(name)))
            .await
            .unwrap();
    }
    drained_in(&runtime, Duration::from_millis(100)).await;
    assert_eq!(memory.keys(), ["stream-mail", "stream-post"]);
}

#[tokio::test(start_paused = true)]
async fn the_stop_hook_runs_after_the_last_work() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let hook = told.clone();
    let says = EntryPoint::new("says", move |_: Call| {
        let told = told.clone();
        async move {
            tokio::time::sleep(SECOND).await;
            told.send("work").unwrap();
            WorkResult::Ok(())
        }
    });
    let runtime = Runtime::builder().entry_point(says).on_stop(move || {
        hook.send("hook").unwrap();
        async { Ok::<_, String>(()) }
    });
    let runtime = started(runtime).await;
    begin(&runtime, "says", 0).await;
    runtime.stop().await.unwrap();
    assert_eq!((heard.try_recv(), heard.try_recv()), (Ok("work"), Ok("hook")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_while_work_begins_and_ends_everywhere_neither_panics_nor_loses_count() {
    let runtime = started(builder()).await;
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let runtime = runtime.clone();
            tokio::spawn(async move {
                let mut taken = 0;
                loop {
                    match runtime.submit(ask("echo", 1)).await {
                        Ok(_) => taken += 1,
                        Err(Refused::Full { .. }) => tokio::task::yield_now().await,
                        Err(_) => return taken,
                    }
                }
            })
        })
        .collect();
    while runtime.status().total_executions < 500 {
        tokio::task::yield_now().await;
    }
    let stopped = runtime.stop().await.unwrap();
    assert_eq!((stopped.in_flight, stopped.to_be_resumed), (0, 0));
    let mut taken = 0;
    for worker in busy {
        taken += worker.await.unwrap();
    }
    assert_eq!(runtime.status().total_executions, taken);
}

/// Real time: what holds tokio's threads is a thread, which paused time waits for.
#[test]
fn work_that_holds_every_thread_that_tokio_blocks_on_holds_up_no_checkpoint() {
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(2).max_blocking_threads(1).enable_all();
    let tokio = tokio.build().unwrap();
    let (free, held) = std::sync::mpsc::channel::<()>();
    let store = Memory::new();
    tokio.block_on(async {
        let entries = Runtime::builder().entry_point(EntryPoint::new("count", count).durable());
        let runtime = started(entries.store(store.clone())).await;
        let (begun, holds) = tokio::sync::oneshot::channel();
        let holding = tokio::task::spawn_blocking(move || {
            begun.send(()).unwrap();
            held.recv()
        });
        holds.await.unwrap();
        let work = runtime.submit(ask("count", 0).in_stream(stream("mail")));
        tokio::time::timeout(LONG, work).await.unwrap().unwrap();
        assert_eq!(store.keys(), ["stream-mail"]);
        tokio::time::timeout(LONG, runtime.stop_within(SECOND / 2))
            .await
            .unwrap()
            .unwrap();
        let left = store.load().unwrap();
        assert!(
            String::from_utf8_lossy(&left[0].1).contains(r#""checkpoint":0"#),
            "{left:?}"
        );
        free.send(()).unwrap();
        holding.await.unwrap().unwrap();
    });
}
