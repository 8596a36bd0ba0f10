//! One suite for every store: the same story told to each must end the same way.

mod audit;
mod configs;
mod degradations;
mod journal;
mod readers;
mod reading;
mod recoveries;
mod slots;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use stead_model::journal::{Append, Receipt};
use stead_model::{Epoch, Slot};
use stead_store::{Completion, Holder, MemoryStore, Options, Sink, SqliteStore, StateDir, Store, StoreError};

use crate::sample::{at, node, unending};

/// Declares tests that are run against every store.
macro_rules! for_every_store {
    ($($(#[$doc:meta])* fn $name:ident($bench:ident) $body:block)*) => {
        $(fn $name($bench: &$crate::conformance::Bench) $body)*

        mod memory {
            $(#[test] fn $name() { super::$name(&$crate::conformance::Bench::memory()); })*
        }

        mod sqlite {
            $(#[test] fn $name() { super::$name(&$crate::conformance::Bench::sqlite()); })*
        }
    };
}
pub(crate) use for_every_store;

/// A store under test with what comes out of its sink.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    completions: Receiver<Completion>,
    memory: Option<Arc<MemoryStore>>,
    _scratch: Option<tempfile::TempDir>,
}

impl Bench {
    pub(crate) fn memory() -> Self {
        let (sink, completions) = sink();
        let store = Arc::new(MemoryStore::new(sink));
        Self {
            store: Arc::<MemoryStore>::clone(&store),
            completions,
            memory: Some(store),
            _scratch: None,
        }
    }

    pub(crate) fn sqlite() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let bench = Self::sqlite_in(scratch.path());
        Self {
            _scratch: Some(scratch),
            ..bench
        }
    }

    /// One whose file outlives it.
    pub(crate) fn sqlite_in(directory: &Path) -> Self {
        let (store, completions) = open(directory);
        Self {
            store: Arc::new(store),
            completions,
            memory: None,
            _scratch: None,
        }
    }

    /// Takes a slot for this test's node.
    pub(crate) fn own(&self, slot: Slot) -> Epoch {
        self.store.take(&[slot], &node("me"), unending()).unwrap()[0].1
    }

    /// The outcome of the oldest append that was submitted.
    pub(crate) fn completion(&self) -> Completion {
        if let Some(memory) = &self.memory {
            memory.pump_one();
        }
        self.completions.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn write(&self, append: Append) -> Result<Receipt, StoreError> {
        self.store.submit(append);
        match self.completion() {
            Completion::Committed(receipt) => Ok(receipt),
            Completion::Failed { error, .. } | Completion::Damaged { error } => Err(error),
        }
    }

    /// Writes what must succeed.
    pub(crate) fn commit(&self, append: Append) {
        let (slot, position) = (append.slot, append.position);
        let receipt = self.write(append).unwrap();
        assert_eq!((receipt.slot(), receipt.position()), (slot, position));
    }
}

pub(crate) fn sink() -> (Sink, Receiver<Completion>) {
    let (told, completions) = channel();
    // A test that has seen enough does not listen any more.
    let sink: Sink = Box::new(move |completion| drop(told.send(completion)));
    (sink, completions)
}

pub(crate) fn open(directory: &Path) -> (SqliteStore, Receiver<Completion>) {
    let (sink, completions) = sink();
    let store = SqliteStore::open(lock(directory), Options::default(), sink).unwrap();
    (store, completions)
}

pub(crate) fn lock(directory: &Path) -> StateDir {
    let holder = Holder {
        pid: std::process::id(),
        listen: None,
        started_at: at(0),
        away_since: None,
    };
    StateDir::lock(directory, &holder).unwrap()
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
