//! Whatever is asked of a runtime in whatever order: nothing runs beside itself, nothing is lost, nothing is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use stead_agent::{
    Call, EntryPoint, ExecutionId, ExecutionStatus, Memory, Pause, Refused, Runtime, RuntimeState, StreamId,
};

use crate::world::{LONG, ask, stream};

#[derive(Clone, Debug)]
enum Op {
    Submit {
        entry: &'static str,
        stream: u8,
        millis: u16,
    },
    Cancel(prop::sample::Index),
    Pause {
        checkpoint: bool,
    },
    Resume,
    Stop {
        millis: u16,
    },
    Start,
    Pass {
        millis: u16,
    },
    /// The process is killed, and another begins with what was written down.
    Kill,
}

fn op() -> impl Strategy<Value = Op> {
    let entry = prop_oneof![Just("work"), Just("durable")];
    prop_oneof![
        8 => (entry, 0..4_u8, 1..3_000_u16).prop_map(|(entry, stream, millis)| Op::Submit { entry, stream, millis }),
        2 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        1 => any::<bool>().prop_map(|checkpoint| Op::Pause { checkpoint }),
        2 => Just(Op::Resume),
        1 => (0..2_000_u16).prop_map(|millis| Op::Stop { millis }),
        3 => Just(Op::Start),
        4 => (1..1_500_u16).prop_map(|millis| Op::Pass { millis }),
        1 => Just(Op::Kill),
    ]
}

/// What the functions saw, of one process.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    running: BTreeSet<StreamId>,
    done: BTreeMap<ExecutionId, u32>,
    beside: Vec<StreamId>,
}

struct Running(Seen, StreamId);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().running.remove(&self.1);
    }
}

impl Seen {
    fn entry(&self, name: &str) -> EntryPoint {
        let seen = self.clone();
        EntryPoint::new(name, move |call: Call| {
            let seen = seen.clone();
            async move {
                let stream = call.stream().clone();
                if !seen.0.lock().unwrap().running.insert(stream.clone()) {
                    seen.0.lock().unwrap().beside.push(stream.clone());
                }
                let _running = Running(seen.clone(), stream);
                let steps: u32 = call.input::<u32>().unwrap() / 100;
                for step in call.last_checkpoint().unwrap().unwrap_or(0)..steps {
                    call.note(&step).unwrap();
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_millis(100)) => {}
                        () = call.cancelled() => return Err("cancelled"),
                    }
                }
                *seen.0.lock().unwrap().done.entry(call.execution()).or_default() += 1;
                Ok(())
            }
        })
    }
}

/// A process: its runtime and what its functions saw.
struct Process {
    runtime: Runtime,
    seen: Seen,
}

impl Process {
    async fn start(store: &Memory) -> Self {
        let seen = Seen::default();
        let builder = Runtime::builder().entry_point(seen.entry("work").max_concurrent(3));
        let builder = builder.entry_point(seen.entry("durable").max_concurrent(2).durable());
        let runtime = builder.store(store.clone()).build().unwrap();
        runtime.start().await.unwrap();
        Self { runtime, seen }
    }

    fn holds(&self) {
        let (before, streams, after) = (self.runtime.status(), self.runtime.streams(), self.runtime.status());
        let names: BTreeSet<_> = streams.iter().map(|one| &one.id).collect();
        assert_eq!(names.len(), streams.len());
        // A thread that writes to the store may end an execution between one look and the next; nothing begins meanwhile.
        assert!((after.active_streams..=before.active_streams).contains(&streams.len()));
        assert_eq!(self.seen.0.lock().unwrap().beside, []);
    }
}

async fn live(ops: Vec<Op>) {
    let store = Memory::new();
    let mut process = Process::start(&store).await;
    // Those that this process answered for, and must not lose.
    let mut taken: Vec<(ExecutionId, &str)> = Vec::new();
    for op in ops {
        let runtime = &process.runtime;
        match op {
            Op::Submit {
                entry,
                stream: of,
                millis,
            } => {
                let asked = ask(entry, millis.into()).in_stream(stream(&format!("s{of}")));
                match runtime.submit(asked).await {
                    Ok(begun) => taken.push((begun.id, entry)),
                    Err(
                        Refused::StreamBusy { .. }
                        | Refused::Full { .. }
                        | Refused::Paused { .. }
                        | Refused::NotRunning(_),
                    ) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            Op::Cancel(which) if !taken.is_empty() => {
                let (id, _) = taken.swap_remove(which.index(taken.len()));
                runtime.cancel(id).await.unwrap();
            }
            Op::Cancel(_) => {}
            Op::Pause { checkpoint } => {
                let wait = Duration::from_millis(300);
                let pause = if checkpoint {
                    Pause::checkpoint(wait)
                } else {
                    Pause::soft(wait)
                };
                let _wrong_state = runtime.pause(pause).await;
            }
            Op::Resume => {
                let _wrong_state = runtime.resume().await;
            }
            Op::Stop { millis } => {
                let stopped = runtime.stop_within(Duration::from_millis(millis.into())).await.unwrap();
                assert_eq!((stopped.state, stopped.in_flight), (RuntimeState::Stopped, 0));
            }
            Op::Start => {
                runtime.start().await.unwrap();
            }
            Op::Pass { millis } => tokio::time::sleep(Duration::from_millis(millis.into())).await,
            Op::Kill => {
                // What the dead one does from now on is written into a copy: the dead write nothing.
                let left = Memory::new();
                copy(&store, &left);
                let done: BTreeSet<_> = process.seen.0.lock().unwrap().done.keys().copied().collect();
                taken.retain(|(id, entry)| *entry == "durable" && !done.contains(id));
                process = Process::start(&left).await;
                return finish(process, taken).await;
            }
        }
        process.holds();
    }
    finish(process, taken).await;
}

fn copy(from: &Memory, to: &Memory) {
    use stead_agent::CheckpointStore;
    for (key, bytes) in from.load().unwrap() {
        to.put(&key, &bytes).unwrap();
    }
}

/// Lets everything come to its end, and looks at how it ended.
async fn finish(process: Process, taken: Vec<(ExecutionId, &str)>) {
    let runtime = &process.runtime;
    runtime.start().await.unwrap();
    let _not_paused = runtime.resume().await;
    for (id, _) in &taken {
        let ended = runtime.wait(*id, 100 * LONG).await.unwrap();
        assert_eq!(ended.status, ExecutionStatus::Succeeded);
        assert!(
            process
                .seen
                .0
                .lock()
                .unwrap()
                .done
                .get(id)
                .is_none_or(|times| *times == 1)
        );
    }
    process.holds();
    while runtime.in_flight() + runtime.to_be_resumed() > 0 {
        tokio::time::sleep(LONG).await;
    }
    let again = runtime.stop().await.unwrap();
    assert_eq!((again.in_flight, again.to_be_resumed), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_runs_beside_itself_nothing_is_lost_and_nothing_is_done_twice(ops in prop::collection::vec(op(), 1..40)) {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        tokio.block_on(live(ops));
    }
}
