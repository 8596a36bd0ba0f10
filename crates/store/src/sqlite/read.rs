//! Reading: whole slots at the start, pages of history and events for people.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};
use stead_model::journal::{AgentRow, AnswerRow, SlotState, SpecRow};
use stead_model::{AgentId, AgentName, Epoch, Event, Namespace, Position, Slot};

use super::fault::store_error;
use super::rows::{TRANSITION_COLUMNS, head, key, transition};
use crate::query::{MAX_REMOVED, clamp};
use crate::record::{Record, Specs, decode};
use crate::retention::ANSWERS_LOADED;
use crate::{EventCursor, EventFilter, EventPage, Loader, Page, ReadError, StoreError, TransitionQuery};

/// Touches both ends of every table: a file that is broken in large is found at once, whatever its size.
pub(super) fn look(connection: &Connection) -> Result<(), StoreError> {
    const ENDS: [&str; 17] = [
        "SELECT * FROM slots ORDER BY slot LIMIT 1",
        "SELECT * FROM agents ORDER BY id LIMIT 1",
        "SELECT * FROM agents ORDER BY id DESC LIMIT 1",
        "SELECT * FROM specs ORDER BY agent LIMIT 1",
        "SELECT * FROM specs ORDER BY agent DESC LIMIT 1",
        "SELECT * FROM transitions ORDER BY id LIMIT 1",
        "SELECT * FROM transitions ORDER BY id DESC LIMIT 1",
        "SELECT * FROM events ORDER BY id LIMIT 1",
        "SELECT * FROM events ORDER BY id DESC LIMIT 1",
        "SELECT * FROM answers LIMIT 1",
        "SELECT * FROM groups LIMIT 1",
        "SELECT * FROM audit ORDER BY id DESC LIMIT 1",
        "SELECT * FROM recoveries ORDER BY id DESC LIMIT 1",
        "SELECT revision FROM configs LIMIT 1",
        "SELECT * FROM readers LIMIT 1",
        "SELECT * FROM degradations LIMIT 1",
        "SELECT * FROM levels ORDER BY id DESC LIMIT 1",
    ];
    for end in ENDS {
        let mut statement = connection.prepare(end).map_err(|error| store_error(&error))?;
        let found = statement.query_row([], |_| Ok(())).optional();
        found.map_err(|error| store_error(&error))?;
    }
    Ok(())
}

/// Loads slots one after the other.
pub(super) fn slots(
    connection: &Connection,
    slots: &[Slot],
    each: &mut dyn FnMut(SlotState),
) -> Result<(), StoreError> {
    for slot in slots {
        let mut state = all_but_agents(connection, *slot)?;
        let of_groups = std::mem::take(&mut state.specs);
        let (agents, specs) = (&mut state.agents, &mut state.specs);
        agents_of(connection, *slot, |agent, spec| {
            agents.push(agent);
            specs.extend(spec.map(decode::<SpecRow>).transpose()?);
            Ok(())
        })?;
        specs.extend(of_groups);
        each(state);
    }
    Ok(())
}

/// Loads slots one after the other, agent by agent.
pub(super) fn into(connection: &Connection, slots: &[Slot], loader: &mut dyn Loader) -> Result<(), StoreError> {
    let mut specs = Specs::default();
    for slot in slots {
        loader.begin(all_but_agents(connection, *slot)?);
        agents_of(connection, *slot, |agent, spec| {
            let spec = spec.map(|body| specs.decode(body)).transpose()?;
            loader.agent(agent, spec);
            Ok(())
        })?;
        loader.end();
    }
    Ok(())
}

fn all_but_agents(connection: &Connection, slot: Slot) -> Result<SlotState, StoreError> {
    let head = head(connection, slot).map_err(|error| store_error(&error))?;
    let mut state = SlotState::empty(slot, head.epoch);
    state.position = head.position;
    let (first, last) = ids(slot);
    let sql = "SELECT body FROM groups WHERE id BETWEEN ?1 AND ?2 AND removed = 0 ORDER BY id";
    rows(connection, sql, params![first, last], |row| {
        state.groups.push(body(row, 0)?);
        Ok(())
    })?;
    let sql = "SELECT s.body FROM groups g JOIN specs s ON s.agent = g.id AND s.revision >= g.oldest
               WHERE g.id BETWEEN ?1 AND ?2 AND g.removed = 0 ORDER BY s.agent, s.revision";
    rows(connection, sql, params![first, last], |row| {
        state.specs.push(body(row, 0)?);
        Ok(())
    })?;
    let sql = "SELECT body FROM answers WHERE slot = ?1 ORDER BY at DESC, namespace, key LIMIT ?2";
    rows(connection, sql, params![slot.number(), ANSWERS_LOADED], |row| {
        state.answers.push(body(row, 0)?);
        Ok(())
    })?;
    let sql = "SELECT body FROM degradations WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
    rows(connection, sql, params![first, last], |row| {
        state.degradations.push(body(row, 0)?);
        Ok(())
    })?;
    Ok(state)
}

/// Reads the agents of a slot, with the bodies of their specs.
fn agents_of(
    connection: &Connection,
    slot: Slot,
    mut each: impl FnMut(AgentRow, Option<&[u8]>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (first, last) = ids(slot);
    let sql = "SELECT a.body, s.body FROM agents a LEFT JOIN specs s ON s.agent = a.id AND s.revision = a.spec_revision
               WHERE a.id BETWEEN ?1 AND ?2 AND a.removed = 0 ORDER BY a.id";
    rows(connection, sql, params![first, last], |row| {
        let spec = row.get_ref(1).map_err(|error| store_error(&error))?;
        let spec = spec.as_blob_or_null().map_err(|error| StoreError::Corrupt {
            detail: format!("a spec cannot be read: {error}"),
        })?;
        each(body(row, 0)?, spec)
    })
}

/// The keys between which those of a slot lie.
fn ids(slot: Slot) -> (i64, i64) {
    (key(AgentId::new(slot, 0)), key(AgentId::new(slot, u64::MAX)))
}

pub(super) fn transitions(
    connection: &Connection,
    query: &TransitionQuery,
    below: Option<u64>,
) -> Result<Page, StoreError> {
    let number = if query.agent.is_some() { "sequence" } else { "id" };
    let mut wanted = Clauses::default();
    wanted.add("agent = ", query.agent.map(|agent| key(agent).into()));
    wanted.add(
        "namespace = ",
        query.namespace.as_ref().map(|namespace| text(namespace.as_str())),
    );
    wanted.add("group_name = ", query.group.as_ref().map(|group| text(group.as_str())));
    wanted.add("to_phase = ", query.to.as_deref().map(text));
    wanted.add("reason = ", query.reason.map(|reason| text(reason.as_str())));
    wanted.add("at >= ", query.from.map(|from| from.unix_millis().into()));
    wanted.add("at < ", query.until.map(|until| until.unix_millis().into()));
    wanted.add(&format!("{number} < "), below.map(signed));
    let limit = query.rows();
    let sql = format!(
        "SELECT {TRANSITION_COLUMNS} FROM transitions {} ORDER BY {number} DESC LIMIT {}",
        wanted.sql,
        limit + 1
    );
    let mut found = Vec::new();
    rows(connection, &sql, rusqlite::params_from_iter(wanted.values), |row| {
        found.push(transition(row).map_err(|error| store_error(&error))?);
        Ok(())
    })?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|(id, last)| query.cursor_at(*id, last));
    let items = found.into_iter().map(|(_, row)| row).collect();
    Ok(Page { items, next })
}

pub(super) fn last_event(connection: &Connection) -> Result<Option<EventCursor>, StoreError> {
    one(
        connection,
        "SELECT id, slot, epoch, position FROM events ORDER BY id DESC LIMIT 1",
        [],
        cursor,
    )
}

pub(super) fn events(
    connection: &Connection,
    after: Option<EventCursor>,
    filter: &EventFilter,
    limit: usize,
) -> Result<Result<EventPage, ReadError>, StoreError> {
    let newest = last_event(connection)?;
    if let Some(after) = after {
        let oldest = "SELECT id FROM events ORDER BY id LIMIT 1";
        let oldest = one(connection, oldest, [], |row| row.get::<_, i64>(0))?.map(i64::cast_unsigned);
        let at = "SELECT id, slot, epoch, position FROM events WHERE id = ?1";
        let found = one(connection, at, [after.id().cast_signed()], cursor)?;
        if let Err(gone) = after.check(oldest.zip(newest.map(EventCursor::id)), found) {
            return Ok(Err(gone));
        }
    }
    let mut wanted = Clauses::default();
    wanted.add("id > ", Some(signed(after.map_or(0, EventCursor::id))));
    wanted.add(
        "namespace = ",
        filter.namespace.as_ref().map(|namespace| text(namespace.as_str())),
    );
    wanted.add("agent = ", filter.agent.map(|agent| key(agent).into()));
    wanted.any_of("type", filter.types.iter().map(|kind| text(kind)).collect());
    let limit = clamp(limit);
    let sql = format!(
        "SELECT id, slot, epoch, position, body FROM events {} ORDER BY id LIMIT {limit}",
        wanted.sql
    );
    let mut items: Vec<(EventCursor, Event)> = Vec::new();
    rows(connection, &sql, rusqlite::params_from_iter(wanted.values), |row| {
        let at = cursor(row).map_err(|error| store_error(&error))?;
        items.push((at, body(row, 4)?));
        Ok(())
    })?;
    let next = if items.len() == limit {
        items.last().map(|(cursor, _)| *cursor)
    } else {
        newest
    };
    Ok(Ok(EventPage { items, next }))
}

pub(super) fn tombstone(connection: &Connection, agent: AgentId) -> Result<Option<AgentRow>, StoreError> {
    let sql = "SELECT body FROM agents WHERE id = ?1 AND removed = 1";
    let mut found = None;
    rows(connection, sql, params![key(agent)], |row| {
        found = Some(body(row, 0)?);
        Ok(())
    })?;
    Ok(found)
}

pub(super) fn is_removed_group(connection: &Connection, group: AgentId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM groups WHERE id = ?1 AND removed = 1";
    Ok(one(connection, sql, [key(group)], |_| Ok(()))?.is_some())
}

pub(super) fn answer(
    connection: &Connection,
    namespace: &Namespace,
    key: &str,
) -> Result<Option<AnswerRow>, StoreError> {
    let sql = "SELECT body FROM answers WHERE namespace = ?1 AND key = ?2";
    let found = collect(connection, sql, params![namespace.as_str(), key])?;
    Ok(found.into_iter().next())
}

pub(super) fn removed(
    connection: &Connection,
    namespace: &Namespace,
    name: &AgentName,
) -> Result<Vec<AgentRow>, StoreError> {
    let sql = format!(
        "SELECT body FROM agents WHERE namespace = ?1 AND name = ?2 AND removed = 1
         ORDER BY id >= 0, id DESC LIMIT {MAX_REMOVED}"
    );
    collect(connection, &sql, params![namespace.as_str(), name.as_str()])
}

pub(super) fn specs(connection: &Connection, agent: AgentId, limit: usize) -> Result<Vec<SpecRow>, StoreError> {
    let sql = format!(
        "SELECT body FROM specs WHERE agent = ?1 ORDER BY revision DESC LIMIT {}",
        clamp(limit)
    );
    collect(connection, &sql, params![key(agent)])
}

/// Conditions that are only there where something was asked for.
#[derive(Default)]
pub(super) struct Clauses {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Clauses {
    pub(super) fn add(&mut self, condition: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.begin();
            self.values.push(value);
            self.sql.push_str(condition);
            self.sql.push('?');
        }
    }

    fn any_of(&mut self, column: &str, values: Vec<Value>) {
        if !values.is_empty() {
            self.begin();
            self.sql.push_str(column);
            self.sql.push_str(" IN (?");
            self.sql.push_str(&", ?".repeat(values.len() - 1));
            self.sql.push(')');
            self.values.extend(values);
        }
    }

    fn begin(&mut self) {
        self.sql.push_str(if self.sql.is_empty() { "WHERE " } else { " AND " });
    }
}

pub(super) fn rows(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    mut each: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| store_error(&error))?;
    let mut found = statement.query(values).map_err(|error| store_error(&error))?;
    while let Some(row) = found.next().map_err(|error| store_error(&error))? {
        each(row)?;
    }
    Ok(())
}

fn collect<R: Record>(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<R>, StoreError> {
    let mut found = Vec::new();
    rows(connection, sql, values, |row| {
        found.push(body(row, 0)?);
        Ok(())
    })?;
    Ok(found)
}

fn one<A>(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<A>,
) -> Result<Option<A>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| store_error(&error))?;
    statement
        .query_row(values, read)
        .optional()
        .map_err(|error| store_error(&error))
}

pub(super) fn body<R: Record>(row: &Row<'_>, column: usize) -> Result<R, StoreError> {
    let bytes = row.get_ref(column).map_err(|error| store_error(&error))?;
    decode(bytes.as_blob().map_err(|error| StoreError::Corrupt {
        detail: format!("{} cannot be read: {error}", R::WHAT),
    })?)
}

pub(super) fn cursor(row: &Row<'_>) -> rusqlite::Result<EventCursor> {
    // A number beyond the last slot cannot have been written; any slot of it gives a cursor that is gone.
    let slot =
        Slot::try_from(row.get::<_, u16>(1)?).map_err(|_beyond| rusqlite::Error::IntegralValueOutOfRange(1, 0))?;
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(EventCursor::new(
        number(0)?,
        slot,
        Epoch(number(2)?),
        Position(number(3)?),
    ))
}

pub(super) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

pub(super) fn signed(number: u64) -> Value {
    // Beyond what is ever counted to; the nearest number asks the same.
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
