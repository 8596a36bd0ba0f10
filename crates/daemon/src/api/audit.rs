//! Who changed what, when and why.

use axum::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{AgentRef, AuditRow, Namespace, ProblemCode};
use stead_store::AuditQuery;

use super::extract::{Limit, Read, When};
use super::history::agent_ref;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{List, Shown};
use super::{Api, BASE, cursor};

pub(super) fn mount(table: &mut Table) {
    let about = About::new(
        "listAudit",
        "history",
        "Lists changes that somebody asked for, newest first: who, when, why",
    )
    .more(
        "Written in one transaction with each change. Refused requests change nothing: they are logged and counted. Tasks \
that are handed out and heartbeats are no changes; what Stead does by itself is in the transitions.",
    )
    .may(&[ProblemCode::StoreUnavailable]);
    table.add(Method::GET, format!("{BASE}/audit"), about, list);
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AsksQuery {
    /// Those of this namespace. Default: of all.
    namespace: Option<Namespace>,
    /// Those of this agent or group: its id, or its name, which others may have had before it.
    #[schemars(with = "Option<String>")]
    #[serde(default, deserialize_with = "agent_ref")]
    agent: Option<AgentRef>,
    /// Those by this actor.
    actor: Option<String>,
    /// Those by this verb, such as `stop` or `apply`.
    verb: Option<String>,
    /// All that one request led to.
    correlation_id: Option<String>,
    /// Those from this time on: RFC 3339, or how long ago.
    since: Option<When>,
    /// Those before this time: RFC 3339, or how long ago.
    until: Option<When>,
    /// How many at most.
    #[serde(default)]
    limit: Limit,
    /// Where an earlier page of the same query ended: its `next_cursor`.
    cursor: Option<String>,
}

async fn list(api: Api, read: Read<(), AsksQuery>) -> Result<Shown<List<AuditRow>>, Failure> {
    let (asked, now) = (read.query, api.state.ports.host.now());
    let below = asked
        .cursor
        .map(|text| cursor::read('a', &text, "the audit"))
        .transpose()?;
    let (id, name) = match asked.agent {
        Some(AgentRef::Id(id)) => (Some(id), None),
        Some(AgentRef::Name(name)) => (None, Some(name.to_string())),
        None => (None, None),
    };
    let query = AuditQuery {
        namespace: asked.namespace,
        id,
        name,
        actor: asked.actor,
        verb: asked.verb,
        correlation_id: asked.correlation_id,
        from: asked.since.map(|since| since.resolve(now)),
        until: asked.until.map(|until| until.resolve(now)),
        below,
        limit: asked.limit.0,
    };
    let page = api.read(move |store| store.audit(&query)).await?;
    Ok(Shown(List {
        items: page.items,
        next_cursor: page.next.map(|next| cursor::write('a', next)),
    }))
}
