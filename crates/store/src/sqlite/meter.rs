//! Counts what the writer writes, for whoever asks from another thread.

use std::sync::atomic::{AtomicU64, Ordering};

use stead_model::journal::Durability;

use crate::Figures;

/// Counters that only grow. Each is read by itself; they need not fit together to the last one.
#[derive(Debug, Default)]
pub(super) struct Meter {
    appends: AtomicU64,
    commits: AtomicU64,
    flushed: AtomicU64,
}

impl Meter {
    pub(super) fn commit(&self, appends: usize, reached: Durability) {
        self.appends.fetch_add(appends as u64, Ordering::Relaxed);
        self.commits.fetch_add(1, Ordering::Relaxed);
        if reached == Durability::Flushed {
            self.flushed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> Figures {
        Figures {
            appends: self.appends.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            flushed: self.flushed.load(Ordering::Relaxed),
        }
    }
}
