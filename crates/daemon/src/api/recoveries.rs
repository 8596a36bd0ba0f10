//! What was done to bring agents back, and whether it helped.

use axum::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{AgentRef, AttemptState, FailureKind, Foresight, Namespace, ProblemCode, RecoveryAttempt, Strategy};
use stead_store::RecoveryQuery;

use super::extract::{Limit, Read, When};
use super::history::agent_ref;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{List, Shown};
use super::{Api, BASE, cursor};

pub(super) fn mount(table: &mut Table) {
    let about = About::new(
        "listRecoveries",
        "history",
        "Lists attempts to bring agents back, newest first: what, why, how long, and whether it helped",
    )
    .more(
        "Each is written in one transaction with what it does, and again when it has ended. One that was carried out and did not \
show that it helped has failed.",
    )
    .may(&[ProblemCode::StoreUnavailable]);
    table.add(Method::GET, format!("{BASE}/recoveries"), about, list);
    let about = About::new(
        "foreseeRecovery",
        "history",
        "Says what would be done about a failure of an agent, had it come now; nothing is done",
    )
    .may(&[
        ProblemCode::UnknownAgent,
        ProblemCode::AgentGone,
        ProblemCode::Busy,
        ProblemCode::ShuttingDown,
        ProblemCode::StoreUnavailable,
    ]);
    table.add(Method::GET, format!("{BASE}/recoveries/what-if"), about, what_if);
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AttemptsQuery {
    /// Those of this namespace. Default: of all.
    namespace: Option<Namespace>,
    /// Those of this agent: its id, or its name, which others may have had before it.
    #[schemars(with = "Option<String>")]
    #[serde(default, deserialize_with = "agent_ref")]
    agent: Option<AgentRef>,
    /// Those of this strategy.
    strategy: Option<Strategy>,
    /// Those against this kind of failure.
    failure: Option<FailureKind>,
    /// Those that stand or ended so.
    state: Option<AttemptState>,
    /// Those begun from this time on: RFC 3339, or how long ago.
    since: Option<When>,
    /// Those begun before this time: RFC 3339, or how long ago.
    until: Option<When>,
    /// How many at most.
    #[serde(default)]
    limit: Limit,
    /// Where an earlier page of the same query ended: its `next_cursor`.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WhatIfQuery {
    /// The agent's namespace. Default: `default`.
    namespace: Option<Namespace>,
    /// The agent: its name or id.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "agent_ref")]
    agent: Option<AgentRef>,
    /// The kind of failure.
    failure: FailureKind,
}

async fn what_if(api: Api, read: Read<(), WhatIfQuery>) -> Result<Shown<Foresight>, Failure> {
    let asked = read.query;
    let Some(agent) = asked.agent else {
        return Err(Failure::invalid("in the query: agent: name the agent"));
    };
    let namespace = api.namespace(asked.namespace, &agent);
    Ok(Shown(api.state.handle.foresee(namespace, agent, asked.failure).await?))
}

async fn list(api: Api, read: Read<(), AttemptsQuery>) -> Result<Shown<List<RecoveryAttempt>>, Failure> {
    let (asked, now) = (read.query, api.state.ports.host.now());
    let below = asked
        .cursor
        .map(|text| cursor::read('v', &text, "recoveries"))
        .transpose()?;
    let (agent, name) = match asked.agent {
        Some(AgentRef::Id(id)) => (Some(id), None),
        Some(AgentRef::Name(name)) => (None, Some(name)),
        None => (None, None),
    };
    let query = RecoveryQuery {
        namespace: asked.namespace,
        agent,
        name,
        strategy: asked.strategy,
        failure: asked.failure,
        state: asked.state,
        from: asked.since.map(|since| since.resolve(now)),
        until: asked.until.map(|until| until.resolve(now)),
        below,
        limit: asked.limit.0,
    };
    let page = api.read(move |store| store.recoveries(&query)).await?;
    Ok(Shown(List {
        items: page.items,
        next_cursor: page.next.map(|next| cursor::write('v', next)),
    }))
}
