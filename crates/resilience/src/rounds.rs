//! Work that goes on beside its owner, until the owner stops it or is gone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

/// Tasks that are started together and end together; dropping this ends them.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Mutex<Running>);

#[derive(Debug, Default)]
enum Running {
    #[default]
    Stopped,
    Started(JoinSet<()>),
}

impl Rounds {
    /// Starts `tasks`; nothing where tasks run already.
    pub(crate) fn start<T: Future<Output = ()> + Send + 'static>(&self, tasks: impl IntoIterator<Item = T>) {
        match &mut *self.running() {
            Running::Started(_) => {}
            stopped @ Running::Stopped => {
                let mut set = JoinSet::new();
                for task in tasks {
                    set.spawn(task);
                }
                *stopped = Running::Started(set);
            }
        }
    }

    /// Adds one task to those that run; nothing where none do.
    pub(crate) fn join(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &mut *self.running() {
            Running::Started(set) => {
                set.spawn(task);
            }
            Running::Stopped => {}
        }
    }

    /// Ends all tasks and waits for it.
    pub(crate) async fn stop(&self) {
        let running = core::mem::take(&mut *self.running());
        match running {
            Running::Started(mut set) => set.shutdown().await,
            Running::Stopped => {}
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
