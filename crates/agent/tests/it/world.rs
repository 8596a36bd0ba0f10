//! Entry points that do as a test says, and stores that fail.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use stead_agent::{
    Call, CheckpointStore, EntryPoint, Execution, Memory, Runtime, RuntimeBuilder, StoreError, StreamId, Submission,
    WorkResult,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// `sleep` takes so many milliseconds; `echo` gives what it got; `fail` and `panic` do so; `count` counts its runs.
pub(crate) fn builder() -> RuntimeBuilder {
    Runtime::builder()
        .entry_point(EntryPoint::new("sleep", sleep).max_concurrent(100))
        .entry_point(EntryPoint::new("echo", async |call: Call| -> WorkResult {
            Ok(call.input()?)
        }))
        .entry_point(EntryPoint::new("fail", async |_: Call| Err::<(), _>("no luck")))
        .entry_point(EntryPoint::new("panic", async |call: Call| -> WorkResult<()> {
            panic!("on {}", call.stream())
        }))
}

async fn sleep(call: Call) -> WorkResult<&'static str> {
    tokio::time::sleep(Duration::from_millis(call.input()?)).await;
    Ok("slept")
}

pub(crate) async fn started(builder: RuntimeBuilder) -> Runtime {
    let runtime = builder.build().unwrap();
    runtime.start().await.unwrap();
    runtime
}

pub(crate) async fn begin(runtime: &Runtime, entry_point: &str, input: u64) -> Arc<Execution> {
    runtime.submit(ask(entry_point, input)).await.unwrap()
}

pub(crate) fn ask(entry_point: &str, input: u64) -> Submission {
    Submission::new(entry_point, &input).unwrap()
}

pub(crate) fn stream(name: &str) -> StreamId {
    name.parse().unwrap()
}

/// Work that counts from its checkpoint up to 5, a second each, and notes how far it is.
pub(crate) async fn count(call: Call) -> WorkResult<(u32, u32)> {
    let from: u32 = call.last_checkpoint()?.unwrap_or(0);
    for at in from..5 {
        call.note(&at)?;
        tokio::time::sleep(SECOND).await;
    }
    Ok((from, call.attempt()))
}

/// Work that holds its call on a thread that a test lets go.
#[derive(Clone, Default)]
pub(crate) struct Stuck {
    free: Arc<(Mutex<bool>, Condvar)>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    pub(crate) runs: Arc<AtomicU32>,
}

impl Stuck {
    pub(crate) fn entry(&self, name: &str) -> EntryPoint {
        let this = self.clone();
        EntryPoint::new(name, move |call: Call| {
            let this = this.clone();
            async move {
                this.runs.fetch_add(1, SeqCst);
                let free = Arc::clone(&this.free);
                let thread = std::thread::spawn(move || {
                    let (free, changed) = &*free;
                    let _free = changed.wait_while(free.lock().unwrap(), |free| !*free).unwrap();
                    drop(call);
                });
                this.threads.lock().unwrap().push(thread);
                std::future::pending::<()>().await;
                Ok::<_, String>(())
            }
        })
    }

    /// Lets the threads go and waits until they are gone: paused time, which runs ahead of threads, must not go on before.
    pub(crate) fn free(&self) {
        *self.free.0.lock().unwrap() = true;
        self.free.1.notify_all();
        for thread in self.threads.lock().unwrap().drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Memory that refuses to write, or hangs at one key, when told to.
#[derive(Debug, Default)]
pub(crate) struct Faulty {
    pub(crate) memory: Memory,
    pub(crate) refuses: Arc<AtomicBool>,
    pub(crate) hangs_at: Option<String>,
}

impl CheckpointStore for Faulty {
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        if self.refuses.load(SeqCst) {
            return Err(StoreError::Other("the disk is full".to_owned()));
        }
        if self.hangs_at.as_deref() == Some(key) {
            std::thread::park_timeout(Duration::from_secs(3));
        }
        self.memory.put(key, bytes)
    }

    fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.memory.remove(key)
    }

    fn load(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.memory.load()
    }

    fn check(&self) -> Result<(), StoreError> {
        self.memory.check()
    }
}
