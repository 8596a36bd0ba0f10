//! Revisions of the configuration in their table.

use rusqlite::{Connection, OptionalExtension, Row, params};
use stead_model::Wall;

use super::fault::store_error;
use crate::StoreError;
use crate::config::{ConfigRow, MOST_CONFIGS};
use crate::query::clamp;

/// Writes one behind the last, and forgets those that are too old; gives its number.
pub(super) fn put(connection: &Connection, row: &ConfigRow) -> rusqlite::Result<u64> {
    let last: i64 = connection.query_row("SELECT coalesce(max(revision), 0) FROM configs", [], |row| row.get(0))?;
    let revision = last.saturating_add(1);
    connection.execute(
        "INSERT INTO configs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            revision,
            row.at.unix_millis(),
            row.actor,
            row.reason,
            row.file,
            row.hash,
            row.text,
            row.facts
        ],
    )?;
    let kept = i64::try_from(MOST_CONFIGS).unwrap_or(i64::MAX);
    connection.execute(
        "DELETE FROM configs WHERE revision <= ?1",
        [revision.saturating_sub(kept)],
    )?;
    Ok(revision.cast_unsigned())
}

/// The newest ones, without their texts.
pub(super) fn list(connection: &Connection, limit: usize) -> Result<Vec<ConfigRow>, StoreError> {
    let read = || {
        let sql =
            "SELECT revision, at, actor, reason, file, hash, '', facts FROM configs ORDER BY revision DESC LIMIT ?1";
        let limit = i64::try_from(clamp(limit)).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(sql)?;
        statement
            .query_map([limit], config)?
            .collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(|error| store_error(&error))
}

/// One of them, whole; the newest where no number is given.
pub(super) fn one(connection: &Connection, revision: Option<u64>) -> Result<Option<ConfigRow>, StoreError> {
    let read = || {
        let sql = "SELECT revision, at, actor, reason, file, hash, text, facts FROM configs
             WHERE ?1 IS NULL OR revision = ?1 ORDER BY revision DESC LIMIT 1";
        let revision = revision.map(|revision| i64::try_from(revision).unwrap_or(i64::MAX));
        connection.prepare_cached(sql)?.query_row([revision], config).optional()
    };
    read().map_err(|error| store_error(&error))
}

fn config(row: &Row<'_>) -> rusqlite::Result<ConfigRow> {
    Ok(ConfigRow {
        revision: row.get::<_, i64>(0)?.cast_unsigned(),
        at: Wall::from_unix_millis(row.get(1)?),
        actor: row.get(2)?,
        reason: row.get(3)?,
        file: row.get(4)?,
        hash: row.get(5)?,
        text: row.get(6)?,
        facts: row.get(7)?,
    })
}
