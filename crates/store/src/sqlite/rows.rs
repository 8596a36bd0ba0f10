//! Rows as SQLite holds them: each table's writing in one place.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use stead_model::journal::{AgentRow, AnswerRow, Append, Change, GroupRow, SpecRow};
use stead_model::{AgentId, AgentName, Epoch, Event, Incarnation, Position, Reason, Sequence, Slot, Transition, Wall};

use super::fault::Fault;
use super::{audit, degradations, recoveries};
use crate::lease::Head;
use crate::record::encode;
use crate::retention::history_cut;
use crate::{Owner, StoreError};

/// The statement that writes one event, and one more for each number.
macro_rules! insert_events {
    ($($more:literal)*) => {
        concat!(
            "INSERT INTO events (id, slot, epoch, position, at, namespace, agent, type, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            $(insert_events!(@row $more)),*
        )
    };
    (@row $number:literal) => {
        ", (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    };
}

/// The numbers that the next rows of history and events get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numbers {
    pub(super) transition: i64,
    pub(super) event: i64,
}

impl Numbers {
    /// Goes on behind what is stored.
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let next = |sql| connection.query_row(sql, [], |row| row.get(0));
        Ok(Self {
            transition: next("SELECT coalesce(max(id), 0) + 1 FROM transitions")?,
            event: next("SELECT coalesce(max(id), 0) + 1 FROM events")?,
        })
    }
}

pub(super) fn head(connection: &Connection, slot: Slot) -> rusqlite::Result<Head> {
    let mut statement =
        connection.prepare_cached("SELECT epoch, owner, expires_at, position FROM slots WHERE slot = ?1")?;
    let found = statement.query_row([slot.number()], |row| {
        Ok(Head {
            epoch: Epoch(row.get::<_, i64>(0)?.cast_unsigned()),
            owner: row.get::<_, Option<String>>(1)?.map(|name| Owner::new(&name)),
            until: Wall::from_unix_millis(row.get(2)?),
            position: Position(row.get::<_, i64>(3)?.cast_unsigned()),
        })
    });
    Ok(found.optional()?.unwrap_or(Head::EMPTY))
}

pub(super) fn put_head(connection: &Connection, slot: Slot, head: &Head) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO slots (slot, epoch, owner, expires_at, position) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (slot) DO UPDATE
         SET epoch = excluded.epoch, owner = excluded.owner, expires_at = excluded.expires_at, position = excluded.position",
    )?;
    statement.execute(params![
        slot.number(),
        head.epoch.0.cast_signed(),
        head.owner.as_ref().map(Owner::as_str),
        head.until.unix_millis(),
        head.position.0.cast_signed(),
    ])?;
    Ok(())
}

/// Writes an admitted append. After an error the transaction must be rolled back.
pub(super) fn put_append(
    connection: &Connection,
    append: &Append,
    numbers: &mut Numbers,
    history: u32,
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(PUT_POSITION)?;
    statement.execute(params![append.slot.number(), append.position.0.cast_signed()])?;
    for change in &append.changes {
        match change {
            Change::Agent(row) => put_agent(connection, row)?,
            Change::Spec(row) => put_spec(connection, row)?,
            Change::Group(row) => put_group(connection, row)?,
            Change::Answer(row) => put_answer(connection, append.slot, row)?,
            Change::Audit(row) => audit::put(connection, row)?,
            Change::Recovery(row) => recoveries::put(connection, row)?,
            Change::Degradation(row) => degradations::put(connection, row)?,
            Change::Level(row) => degradations::put_change(connection, row)?,
        }
    }
    for row in &append.transitions {
        put_transition(connection, row, numbers.transition, history)?;
        numbers.transition += 1;
    }
    for events in append.events.chunks(EVENTS_AT_ONCE) {
        put_events(connection, append, events, &mut numbers.event)?;
    }
    Ok(())
}

/// Runs the statements that every append runs, for rows that are not there, in a transaction of its own. It is left open.
pub(super) fn rehearse(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    connection.prepare_cached(PUT_POSITION)?.execute([NOBODY, 0])?;
    let nothing = params![NOBODY, "", "", false, "", "", 0, 0, ""];
    connection.prepare_cached(UPDATE_AGENT)?.execute(nothing)?;
    Ok(())
}

fn put_agent(connection: &Connection, row: &AgentRow) -> Result<(), Fault> {
    let body = encode(row)?;
    // The common case touches no index: an agent that keeps its name.
    let mut statement = connection.prepare_cached(UPDATE_AGENT)?;
    let values = params![
        key(row.id),
        row.namespace.as_str(),
        row.name.as_str(),
        row.removed,
        row.phase,
        row.intent.wanted.as_str(),
        row.revision.0.cast_signed(),
        row.spec_revision,
        body,
    ];
    if statement.execute(values)? == 0 {
        let mut statement = connection.prepare_cached(
            "INSERT INTO agents (id, namespace, name, removed, phase, intent, revision, spec_revision, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE SET namespace = excluded.namespace,
             name = excluded.name, removed = excluded.removed, phase = excluded.phase, intent = excluded.intent,
             revision = excluded.revision, spec_revision = excluded.spec_revision, body = excluded.body",
        )?;
        statement.execute(values)?;
    }
    Ok(())
}

fn put_spec(connection: &Connection, row: &SpecRow) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO specs (agent, revision, at, actor, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (agent, revision) DO UPDATE SET at = excluded.at, actor = excluded.actor, body = excluded.body",
    )?;
    let body = encode(row)?;
    statement.execute(params![
        key(row.agent),
        row.revision,
        row.at.unix_millis(),
        row.actor,
        body
    ])?;
    Ok(())
}

fn put_group(connection: &Connection, row: &GroupRow) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO groups (id, namespace, name, revision, oldest, removed, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, oldest = excluded.oldest,
         removed = excluded.removed, body = excluded.body",
    )?;
    statement.execute(params![
        key(row.id),
        row.namespace.as_str(),
        row.name.as_str(),
        row.revision.0.cast_signed(),
        row.oldest(),
        row.removed,
        encode(row)?,
    ])?;
    Ok(())
}

fn put_answer(connection: &Connection, slot: Slot, row: &AnswerRow) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO answers (namespace, key, slot, at, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (namespace, key) DO UPDATE SET slot = excluded.slot, at = excluded.at, body = excluded.body",
    )?;
    let body = encode(row)?;
    statement.execute(params![
        row.namespace.as_str(),
        row.key,
        slot.number(),
        row.at.unix_millis(),
        body
    ])?;
    Ok(())
}

fn put_transition(connection: &Connection, row: &Transition, id: i64, history: u32) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO transitions (id, agent, sequence, namespace, name, incarnation, from_phase, to_phase, at, reason, description,
         triggered_by, via, correlation_id, trace_id, metadata, group_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    let metadata = (!row.metadata.is_empty()).then(|| serde_json::to_string(&row.metadata));
    let metadata = metadata.transpose().map_err(|error| StoreError::Corrupt {
        detail: format!("metadata cannot be written: {error}"),
    })?;
    statement.execute(params![
        id,
        key(row.agent),
        row.sequence.0.cast_signed(),
        row.namespace.as_str(),
        row.name.as_str(),
        row.incarnation.0.cast_signed(),
        row.from,
        row.to,
        row.at.unix_millis(),
        row.reason.as_str(),
        row.description,
        row.triggered_by,
        row.via,
        row.correlation_id,
        row.trace_id,
        metadata,
        row.group.as_ref().map(AgentName::as_str),
    ])?;
    if let Some(cut) = history_cut(row.sequence, history) {
        let mut statement = connection.prepare_cached("DELETE FROM transitions WHERE agent = ?1 AND sequence <= ?2")?;
        statement.execute(params![key(row.agent), cut.0.cast_signed()])?;
    }
    Ok(())
}

/// Writes a few events by one statement: most of what a row costs is the statement.
fn put_events(connection: &Connection, append: &Append, events: &[Event], next: &mut i64) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(INSERT_EVENTS.get(events.len()).copied().unwrap_or_default())?;
    let (slot, epoch) = (append.slot.number(), append.epoch.0.cast_signed());
    let mut column = 0_usize;
    for event in events {
        let values = params![
            *next,
            slot,
            epoch,
            append.position.0.cast_signed(),
            event.at.unix_millis(),
            event.namespace.as_str(),
            key(event.agent),
            event.what.kind(),
            encode(event)?,
        ];
        for value in values {
            column += 1;
            statement.raw_bind_parameter(column, value)?;
        }
        *next += 1;
    }
    statement.raw_execute()?;
    Ok(())
}

/// A key that no row has.
const NOBODY: i64 = -1;
const PUT_POSITION: &str = "UPDATE slots SET position = ?2 WHERE slot = ?1";
const UPDATE_AGENT: &str = "UPDATE agents SET phase = ?5, intent = ?6, revision = ?7, spec_revision = ?8, body = ?9
     WHERE id = ?1 AND namespace = ?2 AND name = ?3 AND removed = ?4";

/// How many events are written by one statement: as many as an end with its restart has.
const EVENTS_AT_ONCE: usize = 8;

/// The statements that write so many events.
const INSERT_EVENTS: [&str; EVENTS_AT_ONCE + 1] = [
    "",
    insert_events!(),
    insert_events!(2),
    insert_events!(2 3),
    insert_events!(2 3 4),
    insert_events!(2 3 4 5),
    insert_events!(2 3 4 5 6),
    insert_events!(2 3 4 5 6 7),
    insert_events!(2 3 4 5 6 7 8),
];
/// Columns of a transition in the order of [`transition`], the row's own number first.
pub(super) const TRANSITION_COLUMNS: &str = "id, agent, sequence, namespace, name, incarnation, from_phase, to_phase, at, reason, \
     description, triggered_by, via, correlation_id, trace_id, metadata, group_name";

/// Reads a transition and its row's number.
pub(super) fn transition(row: &Row<'_>) -> rusqlite::Result<(u64, Transition)> {
    let metadata: Option<String> = row.get(15)?;
    let transition = Transition {
        agent: agent(row.get(1)?),
        sequence: Sequence(row.get::<_, i64>(2)?.cast_unsigned()),
        namespace: parsed(row, 3)?,
        name: parsed(row, 4)?,
        group: match row.get_ref(16)?.as_str_or_null() {
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(parsed(row, 16)?),
        },
        incarnation: Incarnation(row.get::<_, i64>(5)?.cast_unsigned()),
        from: row.get::<_, String>(6)?.into(),
        to: row.get::<_, String>(7)?.into(),
        at: Wall::from_unix_millis(row.get(8)?),
        reason: parsed::<Reason>(row, 9)?,
        description: row.get(10)?,
        triggered_by: row.get(11)?,
        via: row.get(12)?,
        correlation_id: row.get(13)?,
        trace_id: row.get(14)?,
        metadata: match metadata {
            None => serde_json::Map::new(),
            Some(text) => serde_json::from_str(&text).map_err(|error| unreadable(15, error))?,
        },
    };
    Ok((row.get::<_, i64>(0)?.cast_unsigned(), transition))
}

/// An agent's id as a key.
pub(super) const fn key(agent: AgentId) -> i64 {
    agent.to_bits().cast_signed()
}

/// The agent of a key.
pub(super) const fn agent(key: i64) -> AgentId {
    AgentId::from_bits(key.cast_unsigned())
}

fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
