//! How much of what the keeper says may wait for whoever acts on it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many words of the keeper may wait to be acted on: each is an end, an answer, or one datagram of an agent. While so many wait, the
/// keeper is not listened to. It keeps what it has to say, up to 32 MiB; beyond that it gives the session up and keeps ends and readiness
/// alone, which the survey after the next session shows.
pub(crate) const MOST_TOLD: usize = 4096;

/// The seats of all those who wait.
#[derive(Clone, Debug)]
pub(crate) struct Seats(Arc<Semaphore>);

/// A place among those who wait; free again once it and its clones are dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seat {
    _taken: Option<Arc<OwnedSemaphorePermit>>,
}

impl Seats {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST_TOLD)))
    }

    /// Waits for a free one. Cancel safe.
    pub(crate) async fn take(&self) -> Seat {
        // They are never taken away.
        let taken = Arc::clone(&self.0).acquire_owned().await.ok();
        Seat {
            _taken: taken.map(Arc::new),
        }
    }
}
