//! Connections that only read: a few are kept, more are opened as needed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::store_error;
use crate::StoreError;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    spare: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            spare: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads within one transaction, so that all of it is of one moment.
    pub(super) fn with<A>(&self, read: impl FnOnce(&Connection) -> Result<A, StoreError>) -> Result<A, StoreError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match spare {
            Some(connection) => connection,
            None => self.open().map_err(|error| store_error(&error))?,
        };
        let transaction = connection
            .unchecked_transaction()
            .map_err(|error| store_error(&error))?;
        let answer = read(&transaction)?;
        // A transaction that only read has nothing to lose; a connection that fails here is not kept.
        if transaction.finish().is_ok() {
            self.keep(connection);
        }
        Ok(answer)
    }

    /// Closes what is spare.
    pub(super) fn close(&self) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn keep(&self, connection: Connection) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < KEPT {
            spare.push(connection);
        }
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        Ok(connection)
    }
}

const KEPT: usize = 4;
const STATEMENTS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(2);
/// Negative: in KiB.
const CACHE_KIB: i64 = -512;
