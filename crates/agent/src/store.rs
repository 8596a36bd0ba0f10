//! Where checkpoints, unfinished work and pauses outlive the process.

use std::fmt;
use std::io;
use std::sync::Arc;

mod files;
mod memory;

pub use files::Files;
pub use memory::Memory;

/// Keeps small documents by key. The runtime decides what they say; a store keeps their bytes.
///
/// Calls may block: the runtime makes them on threads for that, several at once. A call that never returns holds up the stream
/// that it is for, and no other.
pub trait CheckpointStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps `bytes` under `key` in place of what was there: durable once it returns, and never half.
    ///
    /// Keys are `[A-Za-z0-9._-]`, at most 80 bytes, and do not begin with a dot.
    ///
    /// # Errors
    /// It is not kept; what was there before still is.
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Forgets `key`; it is gone for good once this returns. Fine where there is none.
    ///
    /// # Errors
    /// Whether it is still there is unknown.
    fn remove(&self, key: &str) -> Result<(), StoreError>;

    /// Everything that is kept, by key.
    ///
    /// # Errors
    /// It cannot be read now.
    fn load(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Whether it would keep something now; asked by the health check `storage`.
    ///
    /// # Errors
    /// It would not, and why.
    fn check(&self) -> Result<(), StoreError>;
}

/// A store did not do as it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the directory.
    #[error("{0} is in use by another process; give each agent a directory of its own")]
    InUse(String),
    /// The file system refused.
    #[error("cannot {what} {place}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        place: String,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// What a store of your own has to say.
    #[error("{0}")]
    Other(String),
}

/// An error with all that led to it, in one line.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said.push_str(": ");
        said.push_str(&cause.to_string());
        source = cause.source();
    }
    said
}
