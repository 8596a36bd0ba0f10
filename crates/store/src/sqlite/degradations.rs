//! What namespaces have given up, and how that changed, in their tables.

use rusqlite::{Connection, params};
use stead_model::LevelChange;
use stead_model::journal::DegradationRow;

use super::fault::Fault;
use super::read::{Clauses, body, rows, signed, text};
use super::rows::key;
use crate::query::LEVELS_KEPT;
use crate::record::encode;
use crate::{LevelPage, LevelQuery, StoreError};

pub(super) fn put(connection: &Connection, row: &DegradationRow) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO degradations (id, namespace, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (namespace) DO UPDATE SET id = excluded.id, body = excluded.body",
    )?;
    statement.execute(params![key(row.id), row.namespace.as_str(), encode(row)?])?;
    Ok(())
}

/// Writes a change, and forgets what is too old.
pub(super) fn put_change(connection: &Connection, row: &LevelChange) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO levels (namespace, sequence, at, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (namespace, sequence) DO UPDATE SET at = excluded.at, body = excluded.body",
    )?;
    let sequence = row.sequence.0.cast_signed();
    statement.execute(params![
        row.namespace.as_str(),
        sequence,
        row.at.unix_millis(),
        encode(row)?
    ])?;
    let mut statement = connection.prepare_cached("DELETE FROM levels WHERE namespace = ?1 AND sequence <= ?2")?;
    let kept = LEVELS_KEPT.cast_signed();
    statement.execute(params![row.namespace.as_str(), sequence.saturating_sub(kept)])?;
    Ok(())
}

pub(super) fn list(connection: &Connection, query: &LevelQuery) -> Result<LevelPage, StoreError> {
    let mut wanted = Clauses::default();
    wanted.add("namespace = ", Some(text(query.namespace.as_str())));
    wanted.add("at >= ", query.from.map(|from| from.unix_millis().into()));
    wanted.add("at < ", query.until.map(|until| until.unix_millis().into()));
    wanted.add("sequence < ", query.below.map(signed));
    let limit = query.rows();
    let sql = format!(
        "SELECT body FROM levels {} ORDER BY sequence DESC LIMIT {}",
        wanted.sql,
        limit + 1
    );
    let mut found: Vec<(u64, LevelChange)> = Vec::new();
    rows(connection, &sql, rusqlite::params_from_iter(wanted.values), |row| {
        let change: LevelChange = body(row, 0)?;
        found.push((change.sequence.0, change));
        Ok(())
    })?;
    Ok(LevelPage::cut(found, limit))
}
