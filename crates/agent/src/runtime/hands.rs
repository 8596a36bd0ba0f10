//! Threads on which the store may block: tokio's, or our own where the work has taken all of those.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tracing::error;

use crate::store::StoreError;

/// Runs what blocks. Clones share the threads.
#[derive(Clone, Debug)]
pub(super) struct Hands {
    handle: Handle,
    spare: Arc<Semaphore>,
}

impl Hands {
    pub(super) fn new(handle: Handle) -> Self {
        Self {
            handle,
            spare: Arc::new(Semaphore::new(SPARE)),
        }
    }

    /// Runs `work` on a thread that may block. Cancelled, it runs all the same.
    ///
    /// Work of the agent's own may hold every thread that tokio has for what blocks, and a checkpoint must not wait for that: what has not
    /// begun after a moment is run by a thread of ours, of which there are 64 at once.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, over) = oneshot::channel();
        let job: Job = Arc::new(Mutex::new(Some(Box::new(move || {
            // Nobody waits any more: it is done either way.
            let _unheard = done.send(work());
        }))));
        let theirs = Arc::clone(&job);
        let pool = self.handle.spawn_blocking(move || take(&theirs));
        let spare = Arc::clone(&self.spare);
        self.handle.spawn(async move {
            if tokio::time::timeout(MOMENT, pool).await.is_ok() {
                return;
            }
            let Ok(seat) = spare.acquire_owned().await else { return };
            if lock(&job).is_none() {
                return;
            }
            let thread = std::thread::Builder::new().name("stead-store".to_owned());
            let begun = thread.spawn(move || {
                take(&job);
                drop(seat);
            });
            if let Err(error) = begun {
                error!(%error, "StoreWaits: no thread is to be had; it is written once tokio has one");
            }
        });
        let gone = |_| StoreError::Other("the runtime is going down".to_owned());
        over.await.map_err(gone)
    }
}

type Job = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Does the work unless somebody has begun it.
fn take(job: &Job) {
    let work = lock(job).take();
    if let Some(work) = work {
        work();
    }
}

fn lock(job: &Job) -> std::sync::MutexGuard<'_, Option<Box<dyn FnOnce() + Send>>> {
    job.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long tokio has to begin. A thread that is free begins in microseconds.
const MOMENT: Duration = Duration::from_millis(50);
/// How many threads of ours there are at once: a store that hangs at some streams must not hold up the others.
const SPARE: usize = 64;
