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
                // Tasks come and go without end; of those that went nothing is kept.
                while set.try_join_next().is_some() {}
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_ended_are_not_kept() {
        let rounds = Rounds::default();
        rounds.start([core::future::pending::<()>()]);
        for _ in 0..100 {
            rounds.join(async {});
            tokio::task::yield_now().await;
        }
        match &*rounds.running() {
            Running::Started(set) => assert!(set.len() <= 2, "the one that goes on, and the last: {}", set.len()),
            Running::Stopped => unreachable!("it was started"),
        };
    }
}
