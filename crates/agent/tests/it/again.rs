//! What is tried again: by the same process, by the next one, and when no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use stead_agent::{
    Call, CheckpointStore, EntryPoint, ExecutionId, ExecutionStatus, Memory, Pause, Refused, Runtime, RuntimeBuilder,
    WorkResult,
};

use crate::world::{LONG, SECOND, ask, begin, builder, count, started, stream};

/// Work that never ends by itself, and counts its tries.
#[derive(Clone, Default)]
struct Endless {
    tries: Arc<AtomicU32>,
    /// Whether each try gets further than the one before.
    gets_further: bool,
}

impl Endless {
    fn entry(&self) -> EntryPoint {
        let this = self.clone();
        let work = EntryPoint::new("endless", move |call: Call| {
            let this = this.clone();
            async move {
                if this.gets_further {
                    let at: u32 = call.last_checkpoint()?.unwrap_or(0);
                    call.checkpoint(&(at + 1)).await?;
                }
                this.tries.fetch_add(1, SeqCst);
                std::future::pending::<WorkResult<()>>().await
            }
        });
        work.durable()
    }

    /// A process that goes on with what `left` has, as it is when another was killed.
    async fn next(&self, left: &Memory) -> (Runtime, Memory) {
        let store = copy(left);
        let runtime = started(Runtime::builder().entry_point(self.entry()).store(store.clone())).await;
        (runtime, store)
    }

    async fn tried(&self, times: u32) {
        let tried = async {
            while self.tries.load(SeqCst) < times {
                tokio::time::sleep(SECOND / 100).await;
            }
        };
        tokio::time::timeout(LONG, tried).await.unwrap();
    }
}

/// What a kill leaves behind: the store as it is, and nobody who changes it any more.
fn copy(left: &Memory) -> Memory {
    let store = Memory::new();
    for (key, bytes) in left.load().unwrap() {
        store.put(&key, &bytes).unwrap();
    }
    store
}

async fn first(work: &Endless) -> (Runtime, Memory, ExecutionId) {
    let (runtime, store) = work.next(&Memory::new()).await;
    let id = runtime.submit(ask("endless", 0)).await.unwrap().id;
    work.tried(1).await;
    (runtime, store, id)
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_its_process_five_times_is_given_up_with_the_reason_kept() {
    let work = Endless::default();
    let (_killed, mut store, id) = first(&work).await;
    let mut killed = Vec::new();
    for attempt in 2..=5 {
        let (runtime, left) = work.next(&store).await;
        work.tried(attempt).await;
        let shown = runtime.execution(id).unwrap();
        assert_eq!((shown.status, shown.attempt), (ExecutionStatus::Running, attempt));
        store = left;
        killed.push(runtime);
    }
    let (last, left) = work.next(&store).await;
    let ended = last.execution(id).unwrap();
    assert_eq!((ended.status, ended.attempt), (ExecutionStatus::Failed, 5));
    assert!(ended.error.as_ref().unwrap().contains("5 tries"), "{ended:?}");
    assert!(left.is_empty());
    assert_eq!(work.tries.load(SeqCst), 5);
    let status = last.status();
    assert_eq!((status.total_executions, status.failed_executions), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn work_that_gets_further_each_time_is_never_given_up() {
    let work = Endless {
        gets_further: true,
        ..Endless::default()
    };
    let (_killed, mut store, id) = first(&work).await;
    let mut killed = Vec::new();
    for attempt in 2..=12 {
        let (runtime, left) = work.next(&store).await;
        work.tried(attempt).await;
        assert_eq!(runtime.execution(id).unwrap().attempt, attempt);
        store = left;
        killed.push(runtime);
    }
}

#[tokio::test(start_paused = true)]
async fn tries_that_a_drain_interrupted_are_not_counted() {
    let work = Endless::default();
    let (mut runtime, mut store, id) = first(&work).await;
    for attempt in 2..=12 {
        runtime.stop_within(SECOND).await.unwrap();
        (runtime, store) = work.next(&store).await;
        work.tried(attempt).await;
        assert_eq!(runtime.execution(id).unwrap().attempt, attempt);
    }
}

/// Work that gives up its turn at once, whether somebody asked it to or not.
fn shy(tries: &Arc<AtomicU32>) -> RuntimeBuilder {
    let tries = Arc::clone(tries);
    Runtime::builder().entry_point(EntryPoint::new("shy", move |call: Call| {
        tries.fetch_add(1, SeqCst);
        async move { Err::<(), _>(call.suspend(&1)) }
    }))
}

#[tokio::test(start_paused = true)]
async fn work_that_always_gives_up_its_turn_is_tried_ever_more_rarely() {
    let tries = Arc::new(AtomicU32::new(0));
    let runtime = started(shy(&tries)).await;
    let id = begin(&runtime, "shy", 0).await.id;
    tokio::time::sleep(SECOND).await;
    assert!((3..=5).contains(&tries.load(SeqCst)), "{tries:?}");
    tokio::time::sleep(60 * LONG).await;
    assert!((60..=75).contains(&tries.load(SeqCst)), "{tries:?}");
    assert_eq!(runtime.execution(id).unwrap().status, ExecutionStatus::ToBeResumed);
    runtime.cancel(id).await.unwrap();
    assert_eq!(runtime.wait(id, LONG).await.unwrap().status, ExecutionStatus::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn work_that_was_asked_to_give_up_its_turn_goes_on_at_once() {
    let polite = EntryPoint::new("polite", async |call: Call| -> WorkResult<u32> {
        if call.attempt() > 20 {
            return Ok(call.attempt());
        }
        call.winding_down().await;
        Err(call.suspend(&call.attempt()).into())
    });
    let runtime = started(Runtime::builder().entry_point(polite)).await;
    let id = begin(&runtime, "polite", 0).await.id;
    let begun = tokio::time::Instant::now();
    for _ in 0..20 {
        runtime.pause(Pause::checkpoint(LONG)).await.unwrap();
        runtime.resume().await.unwrap();
    }
    let ended = runtime.wait(id, LONG).await.unwrap();
    assert_eq!(ended.result.as_ref().unwrap().get(), "21");
    assert!(tokio::time::Instant::now() - begun < SECOND);
}

#[tokio::test(start_paused = true)]
async fn work_that_cannot_be_resumed_keeps_its_stream_until_its_entry_point_is_back() {
    let store = Memory::new();
    let counts = || {
        builder()
            .entry_point(EntryPoint::new("count", count))
            .store(store.clone())
    };
    let runtime = started(counts()).await;
    let work = runtime.submit(ask("count", 0).in_stream(stream("mail"))).await.unwrap();
    runtime.stop_within(SECOND / 2).await.unwrap();
    store.put("stream-post", b"ha").unwrap();

    let without = started(builder().store(store.clone())).await;
    for (name, why) in [("mail", "`count`"), ("post", "cannot be read")] {
        let refused = without
            .submit(ask("echo", 1).in_stream(stream(name)))
            .await
            .unwrap_err();
        assert!(matches!(refused, Refused::StreamHeld { .. }), "{refused:?}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    without.submit(ask("echo", 1).in_stream(stream("else"))).await.unwrap();
    without.stop().await.unwrap();
    assert_eq!(store.keys(), ["stream-mail", "stream-post"]);

    let next = started(counts()).await;
    let ended = next.wait(work.id, LONG).await.unwrap();
    assert_eq!(ended.status, ExecutionStatus::Succeeded);
}
