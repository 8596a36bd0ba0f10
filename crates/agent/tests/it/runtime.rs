//! Executions, streams, starts and pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use stead_agent::{
    Call, EntryPoint, ExecutionStatus, InvalidRuntime, Memory, Pause, PauseMode, Refused, Runtime, RuntimeConfig,
    RuntimeState, StreamId, Submission, WindDown, WorkResult,
};

use crate::world::{Faulty, LONG, SECOND, Stuck, ask, begin, builder, count, started, stream};

#[tokio::test(start_paused = true)]
async fn an_execution_gives_its_result_or_its_error_and_is_counted() {
    let runtime = started(builder()).await;
    let echo = begin(&runtime, "echo", 7).await;
    let echo = runtime.wait(echo.id, LONG).await.unwrap();
    assert_eq!(
        (echo.status, echo.result.as_ref().unwrap().get()),
        (ExecutionStatus::Succeeded, "7")
    );
    assert!(echo.ended_at.is_some());
    let failed = begin(&runtime, "fail", 0).await;
    let failed = runtime.wait(failed.id, LONG).await.unwrap();
    assert_eq!(
        (failed.status, failed.error.as_deref()),
        (ExecutionStatus::Failed, Some("no luck"))
    );
    let panicked = runtime.submit(ask("panic", 0).in_stream(stream("mail"))).await.unwrap();
    let panicked = runtime.wait(panicked.id, LONG).await.unwrap();
    assert_eq!(panicked.error.as_deref(), Some("it panicked: on mail"));
    let status = runtime.status();
    assert_eq!(
        (status.total_executions, status.failed_executions, status.active_streams),
        (3, 2, 0)
    );
    assert_eq!(
        &*status.entry_points,
        &["sleep", "echo", "fail", "panic"].map(Arc::from)
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_entry_point_and_an_unknown_execution_are_refused() {
    let runtime = started(builder()).await;
    let refused = runtime.submit(ask("nope", 0)).await.unwrap_err();
    assert!(matches!(&refused, Refused::UnknownEntryPoint { name, .. } if name == "nope"));
    assert!(refused.to_string().contains("sleep, echo"), "{refused}");
    let other = "exe_000000000000-1".parse().unwrap();
    assert!(matches!(runtime.execution(other), Err(Refused::UnknownExecution(_))));
    assert!(matches!(runtime.cancel(other).await, Err(Refused::UnknownExecution(_))));
}

#[tokio::test(start_paused = true)]
async fn ten_who_start_it_at_once_start_it_once() {
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let runtime = builder().on_start(move || {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, SeqCst);
            tokio::time::sleep(SECOND).await;
            Ok::<_, String>(())
        }
    });
    let runtime = runtime.build().unwrap();
    let all = futures_util::future::join_all((0..10).map(|_| runtime.start())).await;
    let changes: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert!(changes.iter().all(|change| change.state == RuntimeState::Running));
    assert_eq!(changes.iter().filter(|change| !change.already).count(), 1);
    assert_eq!(starts.load(SeqCst), 1);
    let again = runtime.start().await.unwrap();
    assert_eq!((again.already, again.message.as_str()), (true, "already started"));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_or_takes_too_long_leaves_it_stopped_and_says_why() {
    let runtime = builder()
        .on_start(|| async { Err("no key for the model") })
        .build()
        .unwrap();
    let refused = runtime.start().await.unwrap_err().to_string();
    assert!(refused.contains("no key for the model"), "{refused}");
    assert_eq!(runtime.state(), RuntimeState::Stopped);
    let hangs = builder()
        .on_start(std::future::pending::<Result<(), String>>)
        .build()
        .unwrap();
    assert!(matches!(hangs.start().await, Err(Refused::StartFailed(_))));
    assert_eq!(hangs.state(), RuntimeState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_of_a_start_wins() {
    let runtime = builder().on_start(|| async {
        tokio::time::sleep(SECOND).await;
        Ok::<_, String>(())
    });
    let runtime = runtime.build().unwrap();
    let (start, stop) = tokio::join!(runtime.start(), runtime.stop());
    assert!(matches!(start, Err(Refused::StoppedMeanwhile)));
    assert_eq!(stop.unwrap().state, RuntimeState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn verbs_from_a_wrong_state_say_what_is_possible() {
    let runtime = builder().build().unwrap();
    let paused = runtime.pause(Pause::soft(SECOND)).await.unwrap_err();
    assert_eq!(
        paused.to_string(),
        "pause is not possible while the runtime is stopped; possible from here: starting"
    );
    runtime.start().await.unwrap();
    assert!(matches!(runtime.resume().await, Err(Refused::WrongState { .. })));
    runtime.pause(Pause::soft(SECOND)).await.unwrap();
    assert!(matches!(
        runtime.pause(Pause::soft(SECOND)).await,
        Err(Refused::WrongState { .. })
    ));
    let freeze = Pause {
        mode: PauseMode::Freeze,
        ..Pause::soft(SECOND)
    };
    runtime.resume().await.unwrap();
    assert!(matches!(runtime.pause(freeze).await, Err(Refused::Unsupported(_))));
    assert_eq!(runtime.state(), RuntimeState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_pause_waits_for_work_in_flight_and_refuses_new_with_a_time_to_come_back() {
    let runtime = started(builder()).await;
    let work = begin(&runtime, "sleep", 3_000).await;
    let begun = tokio::time::Instant::now();
    let (paused, ()) = tokio::join!(runtime.pause(Pause::soft(LONG)), async {
        tokio::task::yield_now().await;
        assert_eq!(runtime.state(), RuntimeState::Paused);
        let refused = runtime.submit(ask("echo", 1)).await.unwrap_err();
        assert!(matches!(refused, Refused::Paused { .. }) && refused.retry_after().is_some());
    });
    let paused = paused.unwrap();
    assert_eq!((paused.state, paused.in_flight), (RuntimeState::Paused, 0));
    assert_eq!(begun.elapsed_by(), Duration::from_secs(3));
    assert_eq!(runtime.execution(work.id).unwrap().status, ExecutionStatus::Succeeded);
    runtime.resume().await.unwrap();
    begin(&runtime, "echo", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_not_done_in_time_holds_and_says_what_is_in_flight() {
    let runtime = started(builder()).await;
    begin(&runtime, "sleep", 30_000).await;
    let paused = runtime.pause(Pause::soft(SECOND)).await.unwrap();
    assert_eq!(
        (paused.message.as_str(), paused.in_flight),
        ("pausing: 1 still in flight", 1)
    );
    assert_eq!(runtime.state(), RuntimeState::Paused);
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_the_process_and_a_resume_ends_it_for_good() {
    let store = Memory::new();
    let first = started(builder().store(store.clone())).await;
    let note = Some("maintenance".to_owned());
    first
        .pause(Pause {
            note,
            ..Pause::soft(SECOND)
        })
        .await
        .unwrap();
    let second = started(builder().store(store.clone())).await;
    assert_eq!(second.state(), RuntimeState::Paused);
    assert_eq!(second.paused().unwrap().note.as_deref(), Some("maintenance"));
    assert_eq!(second.restart().await.unwrap().state, RuntimeState::Paused);
    second.resume().await.unwrap();
    assert_eq!(started(builder().store(store)).await.state(), RuntimeState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_cannot_be_written_down_is_no_pause() {
    let store = Faulty::default();
    let refuses = Arc::clone(&store.refuses);
    let runtime = started(builder().store(store)).await;
    refuses.store(true, SeqCst);
    assert!(matches!(
        runtime.pause(Pause::soft(SECOND)).await,
        Err(Refused::Store(_))
    ));
    assert_eq!((runtime.state(), runtime.paused()), (RuntimeState::Running, None));
    begin(&runtime, "echo", 1).await;
}

/// Works until it is asked to write down where it is.
async fn politely(call: Call) -> WorkResult<u32> {
    if let Some(at) = call.last_checkpoint::<u32>()? {
        return Ok(at);
    }
    assert_eq!(call.winding_down().await, WindDown::Checkpoint);
    Err(call.suspend(&42).into())
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_pause_has_work_written_down_and_a_resume_goes_on_from_there() {
    let store = Memory::new();
    let entries = || {
        let builder = builder().store(store.clone());
        builder
            .entry_point(EntryPoint::new("politely", politely))
            .entry_point(EntryPoint::new("count", count))
    };
    let runtime = started(entries()).await;
    let work = begin(&runtime, "politely", 0).await;
    let rude = runtime.submit(ask("count", 0).in_stream(stream("rude"))).await.unwrap();
    let paused = runtime.pause(Pause::checkpoint(SECOND)).await.unwrap();
    let checkpoint = paused.checkpoint.unwrap();
    assert_eq!((checkpoint.acknowledged, checkpoint.missing), (1, vec![stream("rude")]));
    assert!(checkpoint.token.starts_with("ckp_"));
    assert_eq!(paused.to_be_resumed, 1);
    assert_eq!(runtime.execution(work.id).unwrap().status, ExecutionStatus::ToBeResumed);
    // The other process finds it paused, with both to go on with.
    let elsewhere = started(entries()).await;
    assert_eq!(
        (elsewhere.state(), elsewhere.to_be_resumed()),
        (RuntimeState::Paused, 2)
    );
    runtime.resume().await.unwrap();
    let ended = runtime.wait(work.id, LONG).await.unwrap();
    assert_eq!((ended.result.as_ref().unwrap().get(), ended.attempt), ("42", 2));
    runtime.wait(rude.id, LONG).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_soft_pause_with_work_in_flight_can_become_a_checkpoint_and_nothing_else() {
    let store = Faulty::default();
    let refuses = Arc::clone(&store.refuses);
    let entries = builder()
        .store(store)
        .entry_point(EntryPoint::new("politely", politely));
    let runtime = started(entries).await;
    let work = begin(&runtime, "politely", 0).await;
    assert_eq!(runtime.pause(Pause::soft(SECOND)).await.unwrap().in_flight, 1);
    refuses.store(true, SeqCst);
    let unwritten = runtime.pause(Pause::checkpoint(SECOND)).await;
    assert!(matches!(unwritten, Err(Refused::Store(_))), "{unwritten:?}");
    assert_eq!(
        runtime.paused().unwrap().mode,
        PauseMode::Soft,
        "what was written down before holds"
    );
    refuses.store(false, SeqCst);
    let paused = runtime.pause(Pause::checkpoint(SECOND)).await.unwrap();
    assert_eq!((paused.checkpoint.unwrap().acknowledged, paused.in_flight), (1, 0));
    for again in [Pause::checkpoint(SECOND), Pause::soft(SECOND)] {
        assert!(matches!(runtime.pause(again).await, Err(Refused::WrongState { .. })));
    }
    runtime.resume().await.unwrap();
    assert_eq!(runtime.wait(work.id, LONG).await.unwrap().attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_one_execution_at_a_time() {
    let runtime = started(builder()).await;
    let first = runtime
        .submit(ask("sleep", 1_000).in_stream(stream("mail")))
        .await
        .unwrap();
    let refused = runtime
        .submit(ask("echo", 1).in_stream(stream("mail")))
        .await
        .unwrap_err();
    assert!(matches!(refused, Refused::StreamBusy { execution, .. } if execution == first.id));
    assert_eq!(runtime.streams()[0].id, stream("mail"));
    runtime.wait(first.id, LONG).await.unwrap();
    runtime.submit(ask("echo", 1).in_stream(stream("mail"))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_execution_that_has_not_ended_blocks_its_stream_however_it_was_forced() {
    let stuck = Stuck::default();
    let runtime = started(builder().entry_point(stuck.entry("stuck"))).await;
    let in_mail = || ask("stuck", 0).in_stream(stream("mail"));
    let work = runtime.submit(in_mail()).await.unwrap();
    assert_eq!(
        runtime.cancel(work.id).await.unwrap().status,
        ExecutionStatus::Cancelling
    );
    // Long after the grace its function is gone, and its thread is not.
    tokio::time::sleep(LONG).await;
    let refused = runtime.submit(in_mail()).await.unwrap_err();
    let cancelling = ExecutionStatus::Cancelling;
    assert!(matches!(refused, Refused::StreamBusy { status, .. } if status == cancelling));
    assert_eq!(runtime.streams()[0].state, cancelling);
    runtime.restart().await.unwrap();
    assert!(matches!(
        runtime.submit(in_mail()).await,
        Err(Refused::StreamBusy { .. })
    ));
    stuck.free();
    let ended = runtime.wait(work.id, LONG).await.unwrap();
    assert_eq!(ended.status, ExecutionStatus::Cancelled);
    assert_eq!(stuck.runs.load(SeqCst), 1);
    runtime.submit(in_mail()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_function_that_does_not_listen_is_dropped_after_its_grace() {
    let runtime = started(builder()).await;
    let work = begin(&runtime, "sleep", 60_000).await;
    runtime.cancel(work.id).await.unwrap();
    let begun = tokio::time::Instant::now();
    let ended = runtime.wait(work.id, LONG).await.unwrap();
    assert_eq!(ended.status, ExecutionStatus::Cancelled);
    assert_eq!(begun.elapsed_by(), Duration::from_secs(5));
    assert_eq!(
        runtime.cancel(work.id).await.unwrap().status,
        ExecutionStatus::Cancelled
    );
}

#[tokio::test(start_paused = true)]
async fn an_entry_point_runs_as_often_at_once_as_it_may() {
    let narrow = EntryPoint::new("narrow", async |_: Call| {
        tokio::time::sleep(SECOND).await;
        Ok::<_, String>(())
    });
    let runtime = started(Runtime::builder().entry_point(narrow.max_concurrent(2))).await;
    let first = begin(&runtime, "narrow", 0).await;
    begin(&runtime, "narrow", 0).await;
    let refused = runtime.submit(ask("narrow", 0)).await.unwrap_err();
    assert!(matches!(refused, Refused::Full { max: 2, .. }) && refused.retry_after().is_some());
    runtime.wait(first.id, LONG).await.unwrap();
    begin(&runtime, "narrow", 0).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_no_longer_than_asked_is_told_that_it_goes_on() {
    let runtime = started(builder()).await;
    let work = begin(&runtime, "sleep", 3_000).await;
    let refused = runtime.wait(work.id, SECOND).await.unwrap_err();
    assert!(matches!(refused, Refused::NotInTime { execution, .. } if execution == work.id));
    assert_eq!(
        runtime.wait(work.id, LONG).await.unwrap().status,
        ExecutionStatus::Succeeded
    );
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_too_large_is_refused() {
    let config = RuntimeConfig {
        max_input: 10,
        ..RuntimeConfig::default()
    };
    let runtime = started(builder().config(config)).await;
    let large = Submission::new("echo", &"x".repeat(9)).unwrap();
    let refused = runtime.submit(large).await.unwrap_err();
    assert!(matches!(refused, Refused::TooLarge { found: 11, limit: 10 }));
}

#[tokio::test]
async fn a_runtime_that_makes_no_sense_is_not_made() {
    let entry = |name: &str| EntryPoint::new(name, async |_: Call| Ok::<_, String>(()));
    let build = |entries: Vec<EntryPoint>| {
        let builder = entries
            .into_iter()
            .fold(Runtime::builder(), |builder, entry| builder.entry_point(entry));
        builder.build().unwrap_err()
    };
    assert_eq!(build(vec![]), InvalidRuntime::NoEntryPoint);
    assert_eq!(
        build(vec![entry("a"), entry("a")]),
        InvalidRuntime::Twice("a".to_owned())
    );
    assert_eq!(build(vec![entry("a b")]), InvalidRuntime::Name("a b".to_owned()));
    assert_eq!(
        build(vec![entry("a").max_concurrent(0)]),
        InvalidRuntime::NeverRuns("a".to_owned())
    );
    let elsewhere = std::thread::spawn(|| builder().build().unwrap_err()).join().unwrap();
    assert_eq!(elsewhere, InvalidRuntime::NoTokio);
}

#[tokio::test(start_paused = true)]
async fn durable_work_that_a_dead_process_took_in_is_done_by_the_next_one_and_forgotten() {
    let store = Memory::new();
    let entries = || {
        let durable = EntryPoint::new("durable", count).durable();
        Runtime::builder().entry_point(durable).store(store.clone())
    };
    // What a process leaves behind that is killed: the store, as it is the moment after the answer.
    let killed = started(entries()).await;
    let work = killed
        .submit(ask("durable", 0).in_stream(stream("mail")))
        .await
        .unwrap();
    let next = started(entries()).await;
    let refused = next
        .submit(ask("durable", 0).in_stream(stream("mail")))
        .await
        .unwrap_err();
    assert!(matches!(refused, Refused::StreamBusy { .. }));
    let ended = next.wait(work.id, LONG).await.unwrap();
    assert_eq!((ended.status, ended.attempt), (ExecutionStatus::Succeeded, 2));
    let third = started(entries()).await;
    assert_eq!((third.status().total_executions, third.to_be_resumed()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn durable_work_that_cannot_be_written_down_is_refused_and_not_begun() {
    let store = Faulty::default();
    let refuses = Arc::clone(&store.refuses);
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let durable = EntryPoint::new("durable", move |_: Call| {
        counted.fetch_add(1, SeqCst);
        async { Ok::<_, String>(()) }
    });
    let runtime = started(Runtime::builder().entry_point(durable.durable()).store(store)).await;
    refuses.store(true, SeqCst);
    let in_mail = || ask("durable", 0).in_stream(stream("mail"));
    assert!(matches!(runtime.submit(in_mail()).await, Err(Refused::Store(_))));
    assert_eq!((runs.load(SeqCst), runtime.status().total_executions), (0, 0));
    refuses.store(false, SeqCst);
    let work = runtime.submit(in_mail()).await.unwrap();
    runtime.wait(work.id, LONG).await.unwrap();
    assert_eq!(runs.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn unfinished_work_of_an_entry_point_that_is_gone_stays_for_one_that_knows_it() {
    let store = Memory::new();
    let knows = || {
        Runtime::builder()
            .entry_point(EntryPoint::new("count", count))
            .store(store.clone())
    };
    let first = started(knows()).await;
    let work = begin(&first, "count", 0).await;
    first.stop_within(SECOND).await.unwrap();
    let other = started(builder().store(store.clone())).await;
    assert_eq!(other.to_be_resumed(), 0);
    let third = started(knows()).await;
    assert_eq!(
        third.wait(work.id, LONG).await.unwrap().status,
        ExecutionStatus::Succeeded
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_resumed_can_be_cancelled() {
    let store = Memory::new();
    let runtime = started(builder().store(store.clone())).await;
    let work = begin(&runtime, "sleep", 60_000).await;
    runtime.stop_within(SECOND).await.unwrap();
    assert_eq!(runtime.to_be_resumed(), 1);
    assert_eq!(
        runtime.cancel(work.id).await.unwrap().status,
        ExecutionStatus::Cancelled
    );
    runtime.start().await.unwrap();
    assert_eq!(runtime.status().active_streams, 0);
    begin(&runtime, "echo", 0).await;
    let ended = runtime.wait(work.id, SECOND).await.unwrap();
    assert_eq!(ended.status, ExecutionStatus::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn what_was_cancelled_is_resumed_by_nobody_however_the_process_ends() {
    let store = Memory::new();
    let stuck = Stuck::default();
    let entries = || {
        Runtime::builder()
            .entry_point(stuck.entry("stuck").durable())
            .store(store.clone())
    };
    let runtime = started(entries()).await;
    let work = begin(&runtime, "stuck", 0).await;
    assert_eq!(store.len(), 1);
    assert_eq!(
        runtime.cancel(work.id).await.unwrap().status,
        ExecutionStatus::Cancelling
    );
    assert!(store.is_empty());
    // It still holds its thread when the process goes down.
    runtime.stop_within(SECOND).await.unwrap();
    assert!(store.is_empty());
    assert_eq!(started(entries()).await.to_be_resumed(), 0);
    assert_eq!(stuck.runs.load(SeqCst), 1);
    stuck.free();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_sent_again_with_its_key_is_the_same_execution() {
    let store = Memory::new();
    let config = RuntimeConfig {
        history: 2,
        ..RuntimeConfig::default()
    };
    let entries = || {
        let durable = EntryPoint::new("durable", count).durable();
        builder()
            .entry_point(durable)
            .config(config.clone())
            .store(store.clone())
    };
    let runtime = started(entries()).await;
    let with = |entry: &str, input, key: &str| ask(entry, input).with_key(key.parse().unwrap());
    let first = runtime.submit(with("sleep", 1_000, "a")).await.unwrap();
    assert_eq!(runtime.submit(with("sleep", 1_000, "a")).await.unwrap().id, first.id);
    let refused = runtime.submit(with("sleep", 2_000, "a")).await.unwrap_err();
    assert!(matches!(refused, Refused::KeyReused(id) if id == first.id));
    assert_ne!(runtime.submit(with("sleep", 1_000, "b")).await.unwrap().id, first.id);
    runtime.wait(first.id, LONG).await.unwrap();
    assert_eq!(runtime.submit(with("sleep", 1_000, "a")).await.unwrap().id, first.id);
    assert_eq!(runtime.status().total_executions, 2);
    // Also while it drains, and in the next process that goes on with it.
    let durable = runtime.submit(with("durable", 0, "c")).await.unwrap();
    let (_stopped, again) = tokio::join!(runtime.stop_within(SECOND / 2), async {
        tokio::task::yield_now().await;
        runtime.submit(with("durable", 0, "c")).await
    });
    assert_eq!(again.unwrap().id, durable.id);
    let next = started(entries()).await;
    assert_eq!(next.submit(with("durable", 0, "c")).await.unwrap().id, durable.id);
    // Forgotten with its execution.
    next.wait(durable.id, LONG).await.unwrap();
    for _ in 0..2 {
        let work = begin(&next, "echo", 0).await;
        next.wait(work.id, LONG).await.unwrap();
    }
    assert_ne!(next.submit(with("durable", 0, "c")).await.unwrap().id, durable.id);
}

#[test]
fn a_stream_of_ones_own_has_a_name_that_files_can_have() {
    assert!("a.b_c-1".parse::<StreamId>().is_ok());
}

/// `Instant::elapsed` asks for the time by itself, which this house does in one place only.
trait ElapsedBy {
    fn elapsed_by(&self) -> Duration;
}

impl ElapsedBy for tokio::time::Instant {
    fn elapsed_by(&self) -> Duration {
        // tokio's timers are as fine as a millisecond.
        let past = Self::now().duration_since(*self);
        Duration::from_millis(u64::try_from(past.as_millis()).unwrap())
    }
}
