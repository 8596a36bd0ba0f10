//! What has happened since the daemon started, counted for `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use stead_model::journal::Append;
use stead_model::{BeatCounts, Reason};

/// Counters that only grow, from nothing on when the daemon starts. Cheap enough for every decision: a lock that is held for moments.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Events, by kind.
    pub(crate) events: BTreeMap<&'static str, u64>,
    /// Changes of phase, by reason.
    pub(crate) transitions: BTreeMap<Reason, u64>,
    /// Requests that were answered, by method and by what came of them.
    pub(crate) requests: BTreeMap<(&'static str, &'static str), u64>,
    /// Signs of life, by what became of them.
    pub(crate) beats: BeatCounts,
}

impl Tally {
    /// What was counted up to now.
    pub(crate) fn counts(&self) -> Counts {
        self.change(|counts| counts.clone())
    }

    /// Counts what the store is given.
    pub(crate) fn append(&self, append: &Append) {
        self.change(|counts| {
            for event in &append.events {
                count(&mut counts.events, event.what.kind());
            }
            for row in &append.transitions {
                count(&mut counts.transitions, row.reason);
            }
        });
    }

    /// Counts a request by its method and the word for what came of it.
    pub(crate) fn request(&self, method: &'static str, outcome: &'static str) {
        self.change(|counts| count(&mut counts.requests, (method, outcome)));
    }

    /// Takes over how many beats there were so far.
    pub(crate) fn beats(&self, beats: BeatCounts) {
        self.change(|counts| counts.beats = beats);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn count<K: Ord>(counters: &mut BTreeMap<K, u64>, what: K) {
    let counter = counters.entry(what).or_default();
    *counter = counter.saturating_add(1);
}
