//! Who changed what, in its table.

use rusqlite::{Connection, params};
use stead_model::{AuditRow, Wall};

use super::fault::{Fault, store_error};
use super::read::{Clauses, body, rows, signed, text};
use super::rows::key;
use crate::record::encode;
use crate::retention::{PRUNE_ROWS, before};
use crate::{AuditPage, AuditQuery, Retention, StoreError};

pub(super) fn put(connection: &Connection, row: &AuditRow) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO audit (at, namespace, subject, name, actor, verb, correlation_id, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        row.at.unix_millis(),
        row.namespace.as_str(),
        row.id.map(key),
        row.name,
        row.actor,
        row.verb,
        row.correlation_id,
        encode(row)?,
    ])?;
    Ok(())
}

pub(super) fn list(connection: &Connection, query: &AuditQuery) -> Result<AuditPage, StoreError> {
    let mut wanted = Clauses::default();
    wanted.add(
        "namespace = ",
        query.namespace.as_ref().map(|namespace| text(namespace.as_str())),
    );
    wanted.add("subject = ", query.id.map(|id| key(id).into()));
    wanted.add("name = ", query.name.as_deref().map(text));
    wanted.add("actor = ", query.actor.as_deref().map(text));
    wanted.add("verb = ", query.verb.as_deref().map(text));
    wanted.add("correlation_id = ", query.correlation_id.as_deref().map(text));
    wanted.add("at >= ", query.from.map(|from| from.unix_millis().into()));
    wanted.add("at < ", query.until.map(|until| until.unix_millis().into()));
    wanted.add("id < ", query.below.map(signed));
    let limit = query.rows();
    let sql = format!(
        "SELECT id, body FROM audit {} ORDER BY id DESC LIMIT {}",
        wanted.sql,
        limit + 1
    );
    let mut found: Vec<(u64, AuditRow)> = Vec::new();
    rows(connection, &sql, rusqlite::params_from_iter(wanted.values), |row| {
        let id: i64 = row.get(0).map_err(|error| store_error(&error))?;
        found.push((id.cast_unsigned(), body(row, 1)?));
        Ok(())
    })?;
    Ok(AuditPage::cut(found, limit))
}

/// Forgets the oldest beyond what is retained; says how many. The newest stays, so that no number is given twice.
pub(super) fn prune(connection: &Connection, retention: &Retention, now: Wall) -> rusqlite::Result<usize> {
    let newest: i64 = connection.query_row("SELECT coalesce(max(id), 0) FROM audit", [], |row| row.get(0))?;
    let kept = i64::try_from(retention.audit_rows.max(1)).unwrap_or(i64::MAX);
    let beyond = newest.saturating_sub(kept) + 1;
    connection
        .prepare_cached(
            "DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT ?1)
             WHERE (at < ?2 OR id < ?3) AND id < ?4)",
        )?
        .execute(params![
            PRUNE_ROWS,
            before(now, retention.audit).unix_millis(),
            beyond,
            newest
        ])
}
