//! Named readers of the events: how far each has taken them, so that what it has not taken is held.

use axum::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{
    AuditKind, AuditRow, Namespace, Origin, Outcome, ProblemCode, ReaderName, ReaderView, Revision, Wall,
};
use stead_store::{EventCursor, MOST_READERS, ReaderRow, Taken, TakenError};

use super::extract::{JsonOr, NoQuery, Place, Post, Read, part};
use super::openapi::Sketch;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{List, Shown};
use super::{Api, BASE};

pub(super) fn mount(table: &mut Table) {
    use ProblemCode::{CursorGone, LimitReached, StoreUnavailable, UnknownReader};
    let about = |id, summary| About::new(id, "history", summary);
    let one = format!("{BASE}/readers/{{reader}}");
    let listing = about(
        "listReaders",
        "Lists the named readers of the events, and how far each has taken them",
    )
    .may(&[StoreUnavailable]);
    table.add(Method::GET, format!("{BASE}/readers"), listing, list);
    let taking = about(
        "acknowledgeEvents",
        "Says how far a named reader has taken the events; makes it known if it is not",
    )
    .more(
        "Events that it has not taken are kept beyond the bounds of `[retention.events]`, up to those of `[retention.held]`. A \
place only moves forward: an earlier one is answered with the one that is kept, unless the event of that one is not known any more. At most 64 readers have a name.",
    )
    .may(&[CursorGone, LimitReached, StoreUnavailable]);
    table.add(Method::PUT, &*one, taking, take);
    let removing = about(
        "removeReader",
        "Forgets a named reader: nothing is held for it any more; answered with how it was",
    )
    .may(&[UnknownReader, StoreUnavailable]);
    table.add(Method::DELETE, &*one, removing, remove);
}

/// How far a reader has taken the events.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Word {
    /// Cursor of the last event that it has taken. Default: it stays where it is, at the newest event if it is not known yet.
    #[schemars(with = "Option<String>")]
    position: Option<Cursor>,
}

/// A cursor of an event.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Cursor(EventCursor);

impl TryFrom<String> for Cursor {
    type Error = stead_store::InvalidCursor;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl Place for ReaderName {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        let name = part(parts, "reader").parse();
        name.map_err(|invalid| Failure::invalid(format!("in the path: {invalid}")))
    }

    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<Self>();
        sketch.path("reader", "Name of the reader.", schema);
    }
}

async fn list(api: Api, _: Read<(), NoQuery>) -> Result<Shown<List<ReaderView>>, Failure> {
    let rows = api.read(|store| store.readers()).await?;
    Ok(Shown(List {
        items: rows.into_iter().map(view).collect(),
        next_cursor: None,
    }))
}

async fn take(api: Api, post: Post<ReaderName, NoQuery, JsonOr<Word>>) -> Result<Shown<ReaderView>, Failure> {
    let JsonOr(Word { position }) = post.body;
    let at = api.state.ports.host.now();
    let asked = audit(&post.path, at, post.origin, Asked::Register);
    let taken = Taken {
        name: post.path,
        position: position.map(|Cursor(position)| position),
        at,
    };
    let row = api.read(move |store| store.acknowledge(taken, asked)).await?;
    Ok(Shown(view(row)))
}

async fn remove(api: Api, post: Post<ReaderName, NoQuery, ()>) -> Result<Shown<ReaderView>, Failure> {
    let (name, at) = (post.path, api.state.ports.host.now());
    let asked = audit(&name, at, post.origin, Asked::Delete);
    let row = find(&api, name.clone()).await?.ok_or_else(|| unknown(&name))?;
    let wanted = name.clone();
    if !api.read(move |store| store.remove_reader(&wanted, asked)).await? {
        return Err(unknown(&name));
    }
    Ok(Shown(view(row)))
}

/// A reader, if it is known.
pub(super) async fn find(api: &Api, name: ReaderName) -> Result<Option<ReaderRow>, Failure> {
    let rows = api.read(|store| store.readers()).await?;
    Ok(rows.into_iter().find(|row| row.name == name))
}

fn view(row: ReaderRow) -> ReaderView {
    ReaderView {
        name: row.name,
        position: row.position.to_string(),
        updated_at: row.at,
        behind: row.behind,
        lost: row.lost,
    }
}

/// What is asked of a reader.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Register,
    Delete,
}

fn audit(name: &ReaderName, at: Wall, origin: Origin, asked: Asked) -> AuditRow {
    let (verb, outcome) = match asked {
        Asked::Register => ("register", Outcome::Created),
        Asked::Delete => ("delete", Outcome::Accepted),
    };
    AuditRow {
        at,
        actor: origin.actor,
        role: origin.role,
        namespace: Namespace::default(),
        kind: AuditKind::Reader,
        id: None,
        name: name.to_string(),
        verb: verb.into(),
        outcome,
        revision: Revision(0),
        reason: None,
        correlation_id: origin.correlation_id,
        trace_id: origin.trace_id,
    }
}

fn unknown(name: &ReaderName) -> Failure {
    let detail = format!("no reader is called {name}");
    Failure::new(ProblemCode::UnknownReader, detail)
}

impl From<TakenError> for Failure {
    fn from(error: TakenError) -> Self {
        match error {
            TakenError::Gone => {
                let detail = format!("{error}; use the cursor of an event that was read from this daemon");
                Self::new(ProblemCode::CursorGone, detail)
            }
            TakenError::TooMany => {
                let detail =
                    format!("there are {MOST_READERS} readers, which is the most; remove one that is not needed");
                Self::new(ProblemCode::LimitReached, detail)
            }
            TakenError::Store(error) => error.into(),
        }
    }
}
