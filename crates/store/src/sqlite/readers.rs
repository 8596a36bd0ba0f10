//! Connections that only read: a few are kept, more are opened as needed.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::store_error;
use super::log_of;
use crate::StoreError;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    others: Others,
    spare: Mutex<Vec<Connection>>,
}

/// Whether the file changes while it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Others {
    Write,
    /// Nobody has it open to write, or will before these are closed.
    LookOn,
}

impl Readers {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            others: Others::Write,
            spare: Mutex::new(Vec::new()),
        }
    }

    /// Readers of a file that nobody writes to before they are [closed](Self::close). It can be read where nothing can be written
    /// beside it, too.
    pub(super) const fn of_untouched(path: PathBuf) -> Self {
        Self {
            path,
            others: Others::LookOn,
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
        let log = std::fs::metadata(log_of(&self.path)).map_or(0, |log| log.len());
        let connection = match self.others {
            // All is in the file itself; looking for more in a log would want an index of it made anew.
            Others::LookOn if log == 0 => {
                Connection::open_with_flags(immutable(&self.path), flags | OpenFlags::SQLITE_OPEN_URI)?
            }
            Others::LookOn | Others::Write => Connection::open_with_flags(&self.path, flags)?,
        };
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        Ok(connection)
    }
}

/// The address of a file that is not going to change.
fn immutable(path: &Path) -> PathBuf {
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => address.push(char::from(*byte)),
            plain if plain.is_ascii_alphanumeric() => address.push(char::from(*plain)),
            other => address.push_str(&format!("%{other:02X}")),
        }
    }
    address.push_str("?immutable=1");
    PathBuf::from(address)
}

const KEPT: usize = 4;
const STATEMENTS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(2);
/// Negative: in KiB.
const CACHE_KIB: i64 = -512;
