//! A store that ends with the process, for tests and for agents whose work may be lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{CheckpointStore, StoreError};

/// Keeps everything in memory. Clones share it, so that a test can give it to the next runtime.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Memory {
    /// A store with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many documents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept().is_empty()
    }

    /// The keys of all documents, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.kept().keys().cloned().collect()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckpointStore for Memory {
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.kept().insert(key.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.kept().remove(key);
        Ok(())
    }

    fn load(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(self.kept().clone().into_iter().collect())
    }

    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
