//! Attempts to bring an agent back, in their table.

use rusqlite::{Connection, params};
use stead_model::{RecoveryAttempt, Wall};

use super::fault::{Fault, store_error};
use super::read::{Clauses, body, rows, signed, text};
use super::rows::key;
use crate::record::encode;
use crate::retention::{PRUNE_ROWS, before};
use crate::{RecoveryPage, RecoveryQuery, Retention, StoreError};

pub(super) fn put(connection: &Connection, row: &RecoveryAttempt) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO recoveries (agent, number, began, namespace, name, strategy, failure, state, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (agent, number) DO UPDATE SET state = excluded.state, body = excluded.body",
    )?;
    statement.execute(params![
        key(row.agent),
        row.number.cast_signed(),
        row.began.unix_millis(),
        row.namespace.as_str(),
        row.name.as_str(),
        row.strategy.as_str(),
        row.failure.as_str(),
        row.state.as_str(),
        encode(row)?,
    ])?;
    Ok(())
}

pub(super) fn list(connection: &Connection, query: &RecoveryQuery) -> Result<RecoveryPage, StoreError> {
    let mut wanted = Clauses::default();
    wanted.add(
        "namespace = ",
        query.namespace.as_ref().map(|namespace| text(namespace.as_str())),
    );
    wanted.add("agent = ", query.agent.map(|id| key(id).into()));
    wanted.add("name = ", query.name.as_ref().map(|name| text(name.as_str())));
    wanted.add("strategy = ", query.strategy.map(|strategy| text(strategy.as_str())));
    wanted.add("failure = ", query.failure.map(|failure| text(failure.as_str())));
    wanted.add("state = ", query.state.map(|state| text(state.as_str())));
    wanted.add("began >= ", query.from.map(|from| from.unix_millis().into()));
    wanted.add("began < ", query.until.map(|until| until.unix_millis().into()));
    wanted.add("id < ", query.below.map(signed));
    let limit = query.rows();
    let sql = format!(
        "SELECT id, body FROM recoveries {} ORDER BY id DESC LIMIT {}",
        wanted.sql,
        limit + 1
    );
    let mut found: Vec<(u64, RecoveryAttempt)> = Vec::new();
    rows(connection, &sql, rusqlite::params_from_iter(wanted.values), |row| {
        let id: i64 = row.get(0).map_err(|error| store_error(&error))?;
        found.push((id.cast_unsigned(), body(row, 1)?));
        Ok(())
    })?;
    Ok(RecoveryPage::cut(found, limit))
}

/// Forgets the oldest beyond what is retained; says how many. The newest stays, so that no number is given twice.
pub(super) fn prune(connection: &Connection, retention: &Retention, now: Wall) -> rusqlite::Result<usize> {
    let newest: i64 = connection.query_row("SELECT coalesce(max(id), 0) FROM recoveries", [], |row| row.get(0))?;
    let kept = i64::try_from(retention.recovery_rows.max(1)).unwrap_or(i64::MAX);
    let beyond = newest.saturating_sub(kept) + 1;
    connection
        .prepare_cached(
            "DELETE FROM recoveries WHERE id IN (SELECT id FROM (SELECT id, began FROM recoveries ORDER BY id LIMIT ?1)
             WHERE (began < ?2 OR id < ?3) AND id < ?4)",
        )?
        .execute(params![
            PRUNE_ROWS,
            before(now, retention.recoveries).unix_millis(),
            beyond,
            newest
        ])
}
