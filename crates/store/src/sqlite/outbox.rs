//! The events' named readers, and the forgetting of events that respects them.

use rusqlite::{Connection, OptionalExtension, Row, params};
use stead_model::{ReaderName, Wall};

use super::fault::store_error;
use super::read::{cursor, last_event};
use crate::reader::{Kept, check};
use crate::retention::{Outbox, PRUNE_ROWS, before, lost};
use crate::{EventCursor, MOST_READERS, ReaderRow, Retention, StoreError, Taken, TakenError};

/// All readers, by name.
pub(super) fn readers(connection: &Connection) -> Result<Vec<ReaderRow>, StoreError> {
    let newest = last_event(connection)?.map_or(0, EventCursor::id);
    let read = || {
        let mut statement =
            connection.prepare_cached("SELECT event, mark, at, lost, name FROM readers ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(4)?, kept(row)?)))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(|error| store_error(&error))?;
    rows.into_iter()
        .map(|(name, kept)| Ok(kept.row(named(&name)?, newest)))
        .collect()
}

/// Writes down how far a reader has taken the events; says how it is then, and whether it was not known before.
pub(super) fn acknowledge(
    connection: &Connection,
    taken: &Taken,
) -> Result<Result<(ReaderRow, bool), TakenError>, StoreError> {
    let newest = last_event(connection)?;
    let last = newest.map_or(0, EventCursor::id);
    if let Some(position) = taken.position {
        let found = at(connection, position).map_err(|error| store_error(&error))?;
        if let Err(refused) = check(position, last, found) {
            return Ok(Err(refused));
        }
    }
    let write = || {
        let sql = "SELECT event, mark, at, lost FROM readers WHERE name = ?1";
        let known = connection.query_row(sql, [taken.name.as_str()], kept).optional()?;
        let is_new = known.is_none();
        let full: bool =
            connection.query_row("SELECT count(*) >= ?1 FROM readers", [MOST_READERS], |row| row.get(0))?;
        if is_new && full {
            return Ok(Err(TakenError::TooMany));
        }
        let start = newest.unwrap_or(EventCursor::from_parts(0, 0));
        let mut kept = known.unwrap_or_else(|| Kept::new(taken.position.unwrap_or(start), taken.at));
        let is_known = check(kept.position(), last, at(connection, kept.position())?).is_ok();
        kept.take(taken.position, taken.at, is_known);
        connection.execute(
            "INSERT INTO readers (name, event, mark, at, lost) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE
             SET event = excluded.event, mark = excluded.mark, at = excluded.at",
            params![
                taken.name.as_str(),
                kept.event.cast_signed(),
                kept.mark,
                kept.at.unix_millis(),
                kept.lost.cast_signed()
            ],
        )?;
        Ok(Ok((kept.row(taken.name.clone(), last), is_new)))
    };
    write().map_err(|error: rusqlite::Error| store_error(&error))
}

/// Forgets a reader; says whether there was one.
pub(super) fn remove(connection: &Connection, name: &ReaderName) -> rusqlite::Result<bool> {
    Ok(connection.execute("DELETE FROM readers WHERE name = ?1", [name.as_str()])? > 0)
}

/// Forgets events beyond their bounds, as far as readers have taken them; says how many, and how many of them a reader has lost.
pub(super) fn prune(connection: &Connection, retention: &Retention, now: Wall) -> rusqlite::Result<(usize, u64)> {
    let number = |sql| connection.query_row::<Option<i64>, _, _>(sql, [], |row| row.get(0));
    // What no call reaches is not looked at: behind it stands the first that would stay anyhow.
    let young = |age| {
        let sql = "SELECT coalesce(
            (SELECT id FROM (SELECT id, at FROM events ORDER BY id LIMIT ?2) WHERE at >= ?1 ORDER BY id LIMIT 1),
            (SELECT id FROM events ORDER BY id LIMIT 1 OFFSET ?2))";
        connection
            .prepare_cached(sql)?
            .query_row(params![before(now, age).unix_millis(), PRUNE_ROWS], |row| {
                row.get::<_, Option<i64>>(0)
            })
    };
    let Some(newest) = number("SELECT max(id) FROM events")? else {
        return Ok((0, 0));
    };
    let oldest = || number("SELECT min(id) FROM events").map(|id| id.unwrap_or_default().cast_unsigned());
    let outbox = Outbox {
        oldest: oldest()?,
        newest: newest.cast_unsigned(),
        young: young(retention.events)?.map(i64::cast_unsigned),
        held: young(retention.held)?.map(i64::cast_unsigned),
        taken: number("SELECT min(event) FROM readers")?.map(i64::cast_unsigned),
    };
    let gone = connection
        .prepare_cached("DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < ?1 ORDER BY id LIMIT ?2)")?
        .execute(params![outbox.cut(retention).cast_signed(), PRUNE_ROWS])?;
    let until = oldest()?;
    let Some(taken) = outbox.taken.filter(|taken| lost(*taken, outbox.oldest, until) > 0) else {
        return Ok((gone, 0));
    };
    connection.execute(
        "UPDATE readers SET lost = lost + ?2 - max(?1, event + 1) WHERE ?2 > max(?1, event + 1)",
        params![outbox.oldest.cast_signed(), until.cast_signed()],
    )?;
    Ok((gone, lost(taken, outbox.oldest, until)))
}

/// The kept event that has the number of a position.
fn at(connection: &Connection, position: EventCursor) -> rusqlite::Result<Option<EventCursor>> {
    let sql = "SELECT id, slot, epoch, position FROM events WHERE id = ?1";
    let id = i64::try_from(position.id()).unwrap_or(i64::MAX);
    connection.query_row(sql, [id], cursor).optional()
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        event: row.get::<_, i64>(0)?.cast_unsigned(),
        mark: row.get(1)?,
        at: Wall::from_unix_millis(row.get(2)?),
        lost: row.get::<_, i64>(3)?.cast_unsigned(),
    })
}

fn named(name: &str) -> Result<ReaderName, StoreError> {
    name.parse().map_err(|error| StoreError::Corrupt {
        detail: format!("a reader: {error}"),
    })
}
