//! Opening the file and bringing it to the newest schema.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};
use stead_model::Wall;

use super::fault::store_error;
use crate::{OpenError, StoreError};

/// One step of the schema, from the version before it.
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) sql: &'static str,
}

/// All steps, in order. A step that was released is never edited: files remember what they went through.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("schema/0001_journal.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("schema/0002_groups.sql"),
    },
    Migration {
        version: 3,
        sql: include_str!("schema/0003_configs.sql"),
    },
    Migration {
        version: 4,
        sql: include_str!("schema/0004_lean_history.sql"),
    },
    Migration {
        version: 5,
        sql: include_str!("schema/0005_audit.sql"),
    },
    Migration {
        version: 6,
        sql: include_str!("schema/0006_history_of_groups.sql"),
    },
    Migration {
        version: 7,
        sql: include_str!("schema/0007_recoveries.sql"),
    },
    Migration {
        version: 8,
        sql: include_str!("schema/0008_readers.sql"),
    },
    Migration {
        version: 9,
        sql: include_str!("schema/0009_events_of_updates.sql"),
    },
    Migration {
        version: 10,
        sql: include_str!("schema/0010_degradations.sql"),
    },
];

/// Opens the file for the writer, made if it is not there, with the newest schema and nothing left in the log.
pub(super) fn open(path: &Path, migrations: &[Migration], now: Wall) -> Result<Connection, OpenError> {
    make(path).map_err(|source| OpenError::Io {
        path: path.to_owned(),
        source,
    })?;
    let failed = |source| OpenError::Store {
        path: path.to_owned(),
        source,
    };
    let connection = connect(path).map_err(failed)?;
    migrate(&connection, path, migrations, now)?;
    checkpoint_whole(&connection).map_err(failed)?;
    Ok(connection)
}

/// A connection that writes; it syncs only where it is told to.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| store_error(&error))?;
    match set_up(&connection).map_err(|error| store_error(&error))?.as_str() {
        "wal" => Ok(connection),
        other => Err(StoreError::Down {
            detail: format!("its file system allows no write-ahead log, only `{other}`; use a local disk"),
        }),
    }
}

/// Sets what every writer needs; returns the journal mode that was reached.
fn set_up(connection: &Connection) -> rusqlite::Result<String> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    // Checkpoints that SQLite makes by itself hide their errors.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(mode)
}

/// Copies the whole log into the database, syncs both, and empties the log.
pub(super) fn checkpoint_whole(connection: &Connection) -> Result<(), StoreError> {
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    match busy {
        Ok(false) => Ok(()),
        Ok(true) => Err(StoreError::Down {
            detail: "another process or a long read holds its log".to_owned(),
        }),
        Err(error) => Err(store_error(&error)),
    }
}

fn migrate(connection: &Connection, path: &Path, migrations: &[Migration], now: Wall) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Store {
        path: path.to_owned(),
        source: store_error(&error),
    };
    let known = migrations.last().map_or(0, |migration| migration.version);
    let found = version(connection, path)?;
    if found > known {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for past in migrations.iter().filter(|migration| migration.version <= found) {
        let sql = "SELECT count(*) FROM migrations WHERE version = ?1 AND checksum = ?2";
        let same: u32 = connection
            .query_row(sql, params![past.version, checksum(past.sql)], |row| row.get(0))
            .map_err(failed)?;
        if same == 0 {
            return Err(OpenError::Edited {
                path: path.to_owned(),
                version: past.version,
            });
        }
    }
    if found > 0 && found < known {
        back_up(connection, path, found)?;
    }
    for next in migrations.iter().filter(|migration| migration.version > found) {
        step(connection, next, now).map_err(|error| OpenError::Migration {
            path: path.to_owned(),
            version: next.version,
            source: store_error(&error),
        })?;
    }
    Ok(())
}

/// The file's schema, 0 if it has none yet; refuses what something else wrote.
fn version(connection: &Connection, path: &Path) -> Result<u32, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Store {
        path: path.to_owned(),
        source: store_error(&error),
    };
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = pragma("application_id").map_err(failed)?;
    let version = pragma("user_version").map_err(failed)?;
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, u32>(0));
    let is_empty = tables.map_err(failed)? == 0;
    if application == APPLICATION || (application == 0 && version == 0 && is_empty) {
        return Ok(version.cast_unsigned());
    }
    Err(OpenError::Foreign { path: path.to_owned() })
}

/// One migration and the note of it, together or not at all.
fn step(connection: &Connection, migration: &Migration, now: Wall) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, checksum TEXT NOT NULL, at INTEGER NOT NULL) STRICT;",
    )?;
    transaction.execute_batch(migration.sql)?;
    transaction.execute(
        "INSERT INTO migrations (version, checksum, at) VALUES (?1, ?2, ?3)",
        params![migration.version, checksum(migration.sql), now.unix_millis()],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", migration.version)?;
    transaction.commit()
}

/// Copies the database beside itself as `NAME.bak-vN`, synced, before it is changed.
fn back_up(connection: &Connection, path: &Path, version: u32) -> Result<(), OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".bak-v{version}"));
    let backup = PathBuf::from(name);
    let unusable = |source| OpenError::Io {
        path: backup.clone(),
        source,
    };
    // What an interrupted migration left is incomplete: it may go.
    match std::fs::remove_file(&backup) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
        Ok(()) | Err(_) => {}
    }
    make(&backup).map_err(unusable)?;
    let target = backup
        .to_str()
        .ok_or_else(|| unusable(io::ErrorKind::InvalidFilename.into()))?;
    connection
        .execute("VACUUM INTO ?1", [target])
        .map_err(|error| OpenError::Store {
            path: backup.clone(),
            source: store_error(&error),
        })?;
    File::open(&backup)
        .and_then(|file| file.sync_all())
        .and_then(|()| sync_directory(&backup))
        .map_err(unusable)
}

/// Makes a file that only its owner reads, and sees to its name being durable.
fn make(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.sync_all()?;
    sync_directory(path)
}

fn sync_directory(file: &Path) -> io::Result<()> {
    file.parent()
        .map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// FNV-1a of 64 bits: tells an edit, not an attack.
fn checksum(sql: &str) -> String {
    let hash = sql.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// `Stea`: how `file` and we know the database as ours.
const APPLICATION: i32 = 0x5374_6561;
const STATEMENTS: usize = 32;
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
