//! `events`: everything that happens, live and resumable, as server-sent events.
//!
//! History and presence are one: a stream reads the store behind its cursor and waits for the next commit only when it found
//! nothing there. So nothing is lost or doubled between the two, and a slow reader costs one page of memory.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, Method};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{AgentName, AgentRef, Event, Namespace, ProblemCode, ReaderName, Selector, Wall};
use stead_store::{EventCursor, EventFilter, EventPage, ReadError, Store};
use tokio::sync::watch;

use super::extract::{Read, When, suggest};
use super::find::views;
use super::history::agent_ref;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::Events;
use super::{Api, BASE, readers};

pub(super) fn mount(table: &mut Table) {
    let about = About::new("streamEvents", "history", "Streams what happens, from now on or from a cursor")
        .more(
            "Each event has its cursor as `id`; an `id` alone, without data, is sent where others were passed over. Who comes back \
             with the last one misses nothing. Where events behind it are no longer kept, the first one is of type `gap`, without \
             agent, and the oldest kept follow. A comment every 15 s shows that the stream lives. With `follow=false` the answer ends behind \
             what is kept; asked for nothing else, it only tells the present cursor.",
        )
        .may(&[
            ProblemCode::UnknownAgent,
            ProblemCode::UnknownGroup,
            ProblemCode::StoreUnavailable,
        ])
        .headers(&[("Last-Event-ID", "The cursor to go on behind; goes before `after`.")]);
    table.add(Method::GET, format!("{BASE}/events"), about, open);
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Those of this namespace. Default: of all; where an agent or a group is named, `default`.
    namespace: Option<Namespace>,
    /// Those of this agent: its name or id.
    #[schemars(with = "Option<String>")]
    #[serde(default, deserialize_with = "agent_ref")]
    agent: Option<AgentRef>,
    /// Those of this group and its replicas, also of those that it has no more.
    group: Option<AgentName>,
    /// Those of these types, separated by commas.
    r#type: Option<String>,
    /// Those of agents whose labels fit now.
    #[serde(default)]
    selector: Selector,
    /// Those behind this cursor. Default: from now on.
    after: Option<String>,
    /// Those behind the place of this named reader, where no cursor is given. One that is not known begins as if none were named: reading
    /// makes nobody known, and moves no place.
    reader: Option<ReaderName>,
    /// Those kept from this time on, and then what happens: RFC 3339, or how long ago.
    since: Option<When>,
    /// Whether to go on as events come. Default true; with false the answer ends where no more are kept.
    #[serde(default = "always")]
    follow: bool,
}

const fn always() -> bool {
    true
}

async fn open(api: Api, read: Read<(), EventsQuery>) -> Result<Events, Failure> {
    let asked = read.query;
    let types: Vec<String> = asked.r#type.as_deref().map(types).transpose()?.unwrap_or_default();
    let agent = match &asked.agent {
        Some(agent) => Some(api.id(asked.namespace.clone(), agent).await?),
        None => None,
    };
    let namespace = api.namespace_of_history(asked.namespace, asked.group.as_ref()).await?;
    let since = asked.since.map(|since| since.resolve(api.state.ports.host.now()));
    let kept = match asked.reader {
        Some(name) => readers::find(&api, name).await?.map(|row| row.position),
        None => None,
    };
    let cursor = match last_seen(&read.headers, asked.after)?.or(kept) {
        Some(cursor) => Some(cursor),
        None if since.is_some() => None,
        None => api.read(|store| store.last_event()).await?,
    };
    let mut feed = Feed {
        committed: api.state.handle.committed(),
        filter: EventFilter {
            namespace,
            agent,
            types,
        },
        group: asked.group,
        selector: asked.selector,
        since,
        follow: asked.follow,
        cursor,
        greeted: false,
        broke_off: false,
        ahead: None,
        api,
    };
    // What cannot be read at all is refused while it can still be said why.
    feed.ahead = Some(feed.read().await?);
    let frames = stream::unfold(feed, |mut feed| async move {
        let frames = feed.next().await?;
        Some((frames, feed))
    });
    Ok(Events(Body::from_stream(frames)))
}

/// One client's place in the events.
struct Feed {
    api: Api,
    committed: watch::Receiver<u64>,
    filter: EventFilter,
    group: Option<AgentName>,
    selector: Selector,
    /// Older ones are passed over.
    since: Option<Wall>,
    /// Whether to wait for more where there are none.
    follow: bool,
    /// Behind which event to go on; `None` is before the oldest.
    cursor: Option<EventCursor>,
    greeted: bool,
    broke_off: bool,
    /// What was read before the answer began.
    ahead: Option<Found>,
}

/// What there is behind a cursor.
enum Found {
    Page(EventPage),
    /// What the cursor points at is no longer kept.
    Gone,
}

/// Why an answer breaks off. The client never sees it: its connection ends in the middle.
#[derive(Debug, thiserror::Error)]
#[error("the events cannot be read now")]
struct Unread;

impl Feed {
    /// The next frames, as soon as there are any; `None` is the end. An error breaks the answer off: who asked for what is kept is not to
    /// take what was read of it for all.
    async fn next(&mut self) -> Option<Result<Bytes, Unread>> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(Ok(format!(": stead\nretry: 2000\n{}", self.place()).into()));
        }
        if self.broke_off {
            return None;
        }
        loop {
            let found = match self.ahead.take() {
                Some(found) => Ok(found),
                None => self.read().await,
            };
            match found {
                Ok(Found::Page(page)) => {
                    let advanced = page.next.is_some() && page.next != self.cursor;
                    let frames = self.frames(&page.items);
                    self.cursor = page.next.or(self.cursor);
                    if !frames.is_empty() {
                        return Some(Ok(frames.into()));
                    }
                    if advanced {
                        continue;
                    }
                }
                Ok(Found::Gone) => {
                    self.cursor = None;
                    return Some(Ok(GAP.into()));
                }
                // The client comes back with its cursor and is told what is wrong.
                Err(_untold) => {
                    self.broke_off = true;
                    return Some(Err(Unread));
                }
            }
            if !self.follow {
                return None;
            }
            tokio::select! {
                () = self.api.state.closing.cancelled() => return None,
                committed = self.committed.changed() => committed.ok()?,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Ok(format!(": alive\n{}", self.place()).into())),
            }
        }
    }

    /// Reads what there is behind the cursor.
    async fn read(&mut self) -> Result<Found, Failure> {
        // Marked as seen before reading: what is committed meanwhile wakes who waits for more.
        self.committed.borrow_and_update();
        let (after, filter) = (self.cursor, self.filter.clone());
        let read = move |store: &dyn Store| match store.events(after, &filter, PAGE) {
            Err(ReadError::Gone) => Ok(Found::Gone),
            page => page.map(Found::Page),
        };
        self.api.read(read).await
    }

    /// Tells the client where it is without an event.
    fn place(&self) -> String {
        self.cursor
            .map_or_else(|| "\n".to_owned(), |cursor| format!("id: {cursor}\n\n"))
    }

    fn frames(&self, events: &[(EventCursor, Event)]) -> String {
        let mut frames = String::new();
        for (cursor, event) in events.iter().filter(|(_, event)| self.fits(event)) {
            // An event is strings and numbers: it always is JSON, of one line.
            let data = serde_json::to_string(event).unwrap_or_default();
            let _never = write!(frames, "id: {cursor}\nevent: {}\ndata: {data}\n\n", event.what.kind());
        }
        frames
    }

    fn fits(&self, event: &Event) -> bool {
        let labels_fit = || {
            let agent = views(&self.api).find(&event.namespace, &AgentRef::Id(event.agent));
            agent.is_some_and(|agent| self.selector.takes(|key| agent.glance().label(key)))
        };
        let group_fits = self.group.is_none() || self.group == event.group;
        self.since.is_none_or(|since| event.at >= since) && group_fits && (self.selector.is_empty() || labels_fit())
    }
}

fn last_seen(headers: &HeaderMap, after: Option<String>) -> Result<Option<EventCursor>, Failure> {
    let header = headers.get(&LAST_EVENT_ID).filter(|id| !id.is_empty());
    let (place, text) = match (header, after) {
        (Some(id), _) => ("Last-Event-ID", id.to_str().unwrap_or_default().to_owned()),
        (None, Some(after)) => ("in the query: after", after),
        (None, None) => return Ok(None),
    };
    text.parse()
        .map(Some)
        .map_err(|invalid| Failure::invalid(format!("{place}: {invalid}")))
}

fn types(list: &str) -> Result<Vec<String>, Failure> {
    let known = |kind: &str| {
        if KINDS.contains(&kind) {
            return Ok(kind.to_owned());
        }
        let all: Vec<_> = KINDS.iter().map(|kind| format!("`{kind}`")).collect();
        let said = format!("unknown variant `{kind}`, expected one of {}", all.join(", "));
        Err(Failure::invalid(format!("in the query: type: {}", suggest(&said))))
    };
    list.split(',').map(str::trim).map(known).collect()
}

/// Every type of event.
const KINDS: &[&str] = &[
    "agent_registered",
    "phase_changed",
    "health_changed",
    "readiness_changed",
    "intent_changed",
    "condition_raised",
    "condition_cleared",
    "spec_changed",
    "restart_scheduled",
    "recovery_started",
    "recovery_ended",
    "task_assigned",
    "task_completed",
    "group_created",
    "group_scaled",
    "rollout_started",
    "rollout_failed",
    "rollout_ended",
    "group_deleted",
    "degradation_changed",
    "gap",
];

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What a client gets whose cursor points at what is no longer kept.
const GAP: &str = "event: gap\ndata: {\"type\":\"gap\",\"detail\":\"events behind the cursor are no longer kept; the oldest kept follow\"}\n\n";

/// Events that are read at once: the bound of what one client's stream holds.
const PAGE: usize = 256;

const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_event_can_be_asked_for() {
        let schema = schemars::schema_for!(stead_model::Happening).to_value();
        let known: Vec<_> = schema["oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|kind| kind["properties"]["type"]["const"].as_str().unwrap())
            .collect();
        assert_eq!(known, KINDS);
    }
}
