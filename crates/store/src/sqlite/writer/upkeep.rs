//! What the writer does besides committing appends: recover, sync, copy the log, forget, and say how it is.

use std::fs::File;
use std::time::Instant;

use rusqlite::{Connection, params};
use stead_model::journal::Durability;
use stead_model::{AuditRow, ReaderName, Revision, Wall};

use super::{Numbers, Slot, Writer, plain};
use crate::retention::{PRUNE_ROWS, before};
use crate::sqlite::fault::store_error;
use crate::sqlite::{audit, configs, log_of, migrate, outbox, recoveries, rows};
use crate::{ConfigRow, Pruned, ReaderRow, Retention, StoreError, Taken, TakenError};

impl Writer {
    /// After a fault: reopens the file, and writes and syncs all of the log anew, since pages that failed to be synced may count as clean.
    pub(super) fn recover(&mut self) -> Result<(), StoreError> {
        if self.suspect {
            // The old one goes first, with whatever it still holds. Nothing reaches what stands in for it: `suspect` stays set.
            self.connection = Connection::open_in_memory().map_err(|error| store_error(&error))?;
            let connection = migrate::connect(&self.path)?;
            migrate::checkpoint_whole(&connection)?;
            self.numbers = Numbers::of(&connection).map_err(|error| store_error(&error))?;
            self.connection = connection;
            self.heads.clear();
            self.mode = Durability::Written;
            self.unsynced = None;
            self.logged = 0;
            self.suspect = false;
        }
        Ok(())
    }

    /// Goes through what every append does, and writes nothing: what has not run for a while runs slower, and the next one is in a hurry.
    pub(super) fn rehearse(&mut self) {
        if self.suspect {
            return;
        }
        // What is wrong is told by the append.
        let _tried = rows::rehearse(&self.connection);
        let ended = self.connection.is_autocommit() || self.connection.execute_batch("ROLLBACK").is_ok();
        self.suspect |= !ended;
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.recover()?;
        if self.unsynced.is_some() {
            let synced = File::open(log_of(&self.path)).and_then(|log| log.sync_data());
            if let Err(error) = synced {
                self.suspect = true;
                return Err(StoreError::Unknown {
                    detail: format!("its log cannot be synced: {error}"),
                });
            }
            self.unsynced = None;
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, slots: &[Slot]) -> Result<(), StoreError> {
        self.sync()?;
        for slot in slots {
            self.broken.remove(slot);
        }
        Ok(())
    }

    /// Copies the log and lets go of the pages that were cached: nothing else is to do, and those of the next rows are soon read again.
    pub(super) fn rest(&mut self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.connection
            .execute_batch("PRAGMA shrink_memory")
            .map_err(|error| store_error(&error))
    }

    /// Copies the log into the database as far as readers let it, so that the log can begin anew.
    pub(super) fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.recover()?;
        self.logged = 0;
        let copied = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        match copied.map_err(|error| store_error(&error)) {
            // The log grows on until there is space.
            Ok(()) | Err(StoreError::Full) => Ok(()),
            Err(error) => {
                self.suspect = true;
                Err(error)
            }
        }
    }

    /// Does something between jobs. What fails here left `suspect` behind: the next job tries again and tells its caller.
    pub(super) fn note(&mut self, upkeep: impl FnOnce(&mut Self) -> Result<(), StoreError>) {
        if upkeep(self).is_err() {
            self.unsynced = self.unsynced.map(|_| Instant::now());
        }
    }

    pub(super) fn prune(&mut self, retention: &Retention, now: Wall) -> Result<Pruned, StoreError> {
        self.history = retention.transition_rows;
        let pruned = self.transact(Durability::Written, |connection, _, _, _| {
            // Old rows are the first ones. Behind more than one call may forget of rows that a clock ahead of time left, they wait for these.
            let transitions = connection
                .prepare_cached(
                    "DELETE FROM transitions WHERE id IN
                     (SELECT id FROM (SELECT id, at FROM transitions ORDER BY id LIMIT ?2) WHERE at < ?1)",
                )?
                .execute(params![before(now, retention.transitions).unix_millis(), PRUNE_ROWS])?;
            let (events, lost) = outbox::prune(connection, retention, now)?;
            let kept = i64::try_from(retention.answer_rows).unwrap_or(i64::MAX);
            let surplus: Option<i64> = connection
                .prepare_cached("SELECT (SELECT at FROM answers ORDER BY at DESC LIMIT 1 OFFSET ?1)")?
                .query_row([kept], |row| row.get(0))?;
            let until = before(now, retention.answers)
                .unix_millis()
                .max(surplus.map_or(i64::MIN, |at| at + 1));
            let answers = connection
                .prepare_cached(
                    "DELETE FROM answers WHERE (namespace, key) IN
                     (SELECT namespace, key FROM answers WHERE at < ?1 ORDER BY at LIMIT ?2)",
                )?
                .execute(params![until, PRUNE_ROWS])?;
            let recoveries = recoveries::prune(connection, retention, now)?;
            let audit = audit::prune(connection, retention, now)?;
            let pruned = Pruned {
                transitions: transitions as u64,
                events: events as u64,
                lost,
                answers: answers as u64,
                recoveries: recoveries as u64,
                audit: audit as u64,
                more: [transitions, events, answers, recoveries, audit].contains(&(PRUNE_ROWS as usize)),
            };
            Ok((pruned, transitions + events + answers + recoveries + audit))
        });
        pruned.map_err(plain)
    }

    pub(super) fn configure(&mut self, (row, asked): &(ConfigRow, AuditRow)) -> Result<u64, StoreError> {
        let put = self.transact(Durability::Flushed, |connection, _, _, _| {
            let revision = configs::put(connection, row)?;
            let asked = AuditRow {
                revision: Revision(revision),
                ..asked.clone()
            };
            audit::put(connection, &asked)?;
            Ok((revision, 2))
        });
        put.map_err(plain)
    }

    /// Writes down how far a reader has taken the events, with who asked for it if it was not known.
    pub(super) fn acknowledge(
        &mut self,
        (taken, asked): &(Taken, AuditRow),
    ) -> Result<Result<ReaderRow, TakenError>, StoreError> {
        let taken = self.transact(Durability::Flushed, |connection, _, _, _| {
            let (row, is_new) = match outbox::acknowledge(connection, taken)? {
                Ok(taken) => taken,
                Err(refused) => return Ok((Err(refused), 0)),
            };
            if is_new {
                audit::put(connection, asked)?;
            }
            Ok((Ok(row), 1 + usize::from(is_new)))
        });
        taken.map_err(plain)
    }

    pub(super) fn remove_reader(&mut self, (name, asked): &(ReaderName, AuditRow)) -> Result<bool, StoreError> {
        let removed = self.transact(Durability::Flushed, |connection, _, _, _| {
            let known = outbox::remove(connection, name)?;
            if known {
                audit::put(connection, asked)?;
            }
            Ok((known, 2 * usize::from(known)))
        });
        removed.map_err(plain)
    }

    pub(super) fn keep_audit(&mut self, asked: &AuditRow) -> Result<(), StoreError> {
        let put = self.transact(Durability::Flushed, |connection, _, _, _| {
            audit::put(connection, asked)?;
            Ok(((), 1))
        });
        put.map_err(plain)
    }

    pub(super) fn probe(&mut self) -> Result<(), StoreError> {
        let probed = self.transact(Durability::Flushed, |connection, _, _, _| {
            let sql = "INSERT INTO meta VALUES ('probe', zeroblob(?1)) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            connection.prepare_cached(sql)?.execute([PROBE_BYTES])?;
            Ok(((), 1))
        });
        probed.map_err(plain)
    }
}

/// How much the probe writes: a few appends' worth.
const PROBE_BYTES: u32 = 65_536;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::Options;
    use crate::sqlite::meter::Meter;

    fn writer(path: &Path) -> Writer {
        let connection = migrate::open(path, migrate::MIGRATIONS, Wall::from_unix_millis(5)).unwrap();
        let (sink, meter) = (Arc::new(Box::new(|_| {}) as crate::Sink), Arc::new(Meter::default()));
        Writer::start(path.to_owned(), connection, sink, meter, &Options::default()).unwrap()
    }

    /// What tells whether anything was written: the version that another connection sees, and the length of the log.
    fn written(other: &Connection, path: &Path) -> (i64, u64) {
        let version = other.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap();
        let log = std::fs::metadata(log_of(path)).map_or(0, |log| log.len());
        (version, log)
    }

    #[test]
    fn a_rehearsal_writes_nothing_and_leaves_no_transaction_behind() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("stead.db");
        let mut writer = writer(&path);
        let other = migrate::connect(&path).unwrap();
        let nothing = written(&other, &path);
        writer.probe().unwrap();
        let before = written(&other, &path);
        assert_ne!(before, nothing, "what is written does show");
        writer.rehearse();
        assert_eq!(written(&other, &path), before);
        assert!(writer.connection.is_autocommit() && !writer.suspect);
    }

    #[test]
    fn a_rehearsal_that_is_kept_from_beginning_harms_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("stead.db");
        let mut writer = writer(&path);
        let other = migrate::connect(&path).unwrap();
        writer.connection.busy_timeout(Duration::ZERO).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        writer.rehearse();
        assert!(writer.connection.is_autocommit() && !writer.suspect);
        other.execute_batch("ROLLBACK").unwrap();
        writer.probe().unwrap();
    }

    #[test]
    fn a_writer_that_does_not_trust_its_file_rehearses_nothing_before_it_was_opened_anew() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("stead.db");
        let mut writer = writer(&path);
        writer.suspect = true;
        // Whatever stood in for the file meanwhile has no tables: what was tried on it would leave it in a transaction.
        writer.connection = Connection::open_in_memory().unwrap();
        writer.connection.execute_batch("BEGIN").unwrap();
        writer.rehearse();
        assert!(
            writer.suspect && !writer.connection.is_autocommit(),
            "it was not touched"
        );
        writer.probe().unwrap();
        assert!(!writer.suspect);
    }
}
