//! What SQLite's errors mean: one total function.

use rusqlite::ffi;

use crate::StoreError;

/// What went wrong with a statement, before it is known what that means for the transaction.
#[derive(Debug)]
pub(super) enum Fault {
    /// A rule of the schema was broken.
    Rule(String),
    /// The store itself is unwell.
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, detail) if primary(failure) == ffi::SQLITE_CONSTRAINT => {
                Self::Rule(rule(detail.as_deref().unwrap_or_default()))
            }
            _ => Self::Store(store_error(&error)),
        }
    }
}

/// Says what an error outside of a commit means. Whatever was begun is or will be rolled back.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        // A value of another type than the schema's, or a row that is missing: the bytes are not what was written.
        return StoreError::Corrupt {
            detail: error.to_string(),
        };
    };
    let detail = error.to_string();
    match (primary(failure), failure.extended_code) {
        // The shared index of the log cannot grow for want of space.
        (ffi::SQLITE_FULL, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
        (_, ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_DATA)
        | (ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_FORMAT | ffi::SQLITE_SCHEMA, _)
        | (ffi::SQLITE_MISMATCH | ffi::SQLITE_RANGE | ffi::SQLITE_TOOBIG, _) => StoreError::Corrupt { detail },
        _ => StoreError::Down { detail },
    }
}

/// Says what a failed COMMIT means: only where SQLite is sure that nothing was committed does its own error stand.
pub(super) fn commit_error(error: &rusqlite::Error) -> StoreError {
    match store_error(error) {
        StoreError::Full => StoreError::Full,
        _ if is_busy(error) => StoreError::Down {
            detail: error.to_string(),
        },
        _ => StoreError::Unknown {
            detail: error.to_string(),
        },
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _) if primary(failure) == ffi::SQLITE_BUSY)
}

const fn primary(failure: &ffi::Error) -> i32 {
    failure.extended_code & 0xff
}

/// The rule behind a constraint, in our words where it is one of ours.
fn rule(detail: &str) -> String {
    if detail.contains("agents.namespace") {
        "a live name twice in a namespace".to_owned()
    } else if detail.contains("transitions.agent") {
        "a transition's number twice".to_owned()
    } else {
        detail.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn every_code_of_sqlite_has_a_meaning() {
        assert_eq!(store_error(&failure(ffi::SQLITE_FULL)), StoreError::Full);
        assert_eq!(store_error(&failure(ffi::SQLITE_IOERR_SHMSIZE)), StoreError::Full);
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_CORRUPT_INDEX,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_IOERR_CORRUPTFS,
        ] {
            assert!(
                matches!(store_error(&failure(code)), StoreError::Corrupt { .. }),
                "{code}"
            );
        }
        for code in (1..=28).filter(|code| ![11, 13, 17, 18, 20, 24, 25, 26].contains(code)) {
            assert!(matches!(store_error(&failure(code)), StoreError::Down { .. }), "{code}");
        }
    }

    #[test]
    fn a_failed_sync_leaves_a_commit_unknown_and_a_full_disk_does_not() {
        let unknown = commit_error(&failure(ffi::SQLITE_IOERR_FSYNC));
        assert!(matches!(unknown, StoreError::Unknown { .. }));
        assert!(matches!(
            commit_error(&failure(ffi::SQLITE_CORRUPT)),
            StoreError::Unknown { .. }
        ));
        assert_eq!(commit_error(&failure(ffi::SQLITE_FULL)), StoreError::Full);
        assert!(matches!(
            commit_error(&failure(ffi::SQLITE_BUSY)),
            StoreError::Down { .. }
        ));
    }
}
