//! Whether the agent's own loop turns, told from other threads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::clock;

/// Beats on the agent's tokio runtime once a second. A loop in which something blocks stops beating.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    last: Arc<Mutex<Instant>>,
    patience: Duration,
}

impl Pulse {
    /// Begins to beat on `handle`; ends with that runtime, or when the last of these is dropped.
    pub(crate) fn begin(handle: &Handle, patience: Duration) -> Self {
        let last = Arc::new(Mutex::new(clock::now()));
        let beating = Arc::downgrade(&last);
        handle.spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                let Some(last) = beating.upgrade() else {
                    return;
                };
                *last.lock().unwrap_or_else(PoisonError::into_inner) = clock::now();
            }
        });
        Self { last, patience }
    }

    /// For how long it has not beaten, where that is too long.
    pub(crate) fn stopped_for(&self) -> Option<Duration> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let span = clock::now().saturating_duration_since(last);
        (span > self.patience).then_some(span)
    }
}

const BEAT: Duration = Duration::from_secs(1);
