//! What happened, and why agents are as they are.

use axum::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use stead_model::{
    AgentName, AgentRef, AgentView, Explanation, FeatureView, Namespace, ProblemCode, Reason, Transition,
};
use stead_store::{PageCursor, RecoveryQuery, TransitionQuery};

use super::agents::{InNamespace, Kind};
use super::extract::{Limit, Read, When};
use super::logs::last_lines;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{List, Shown};
use super::{Api, BASE};

/// What is told of one agent.
pub(super) fn mount_of(table: &mut Table, kind: Kind) {
    use ProblemCode::{AgentGone, Busy, ShuttingDown, StoreUnavailable, UnknownAgent, UnknownGroup};
    let about = |id: &str, summary| About::new(kind.id(id), "history", summary);
    let why = about(
        "explainAgent",
        "Explains why it is as it is, what happens next, and what would clear what is wrong",
    )
    .more(super::lifecycle::FRESH)
    .may(&[UnknownAgent, AgentGone, Busy, ShuttingDown]);
    table.add(Method::GET, kind.path("/{agent}/why"), why, explain);
    let rows = about("listAgentTransitions", "Lists its transitions, newest first")
        .more("By name also of one that was deleted, if no other one has its name now.")
        .may(&[UnknownAgent, UnknownGroup, StoreUnavailable]);
    table.add(Method::GET, kind.path("/{agent}/transitions"), rows, transitions_of);
}

/// What is told over all.
pub(super) fn mount(table: &mut Table) {
    use ProblemCode::{StoreUnavailable, UnknownAgent, UnknownGroup};
    let rows = About::new(
        "listTransitions",
        "history",
        "Lists transitions of all agents and components, newest first",
    )
    .may(&[UnknownAgent, UnknownGroup, StoreUnavailable]);
    table.add(Method::GET, format!("{BASE}/transitions"), rows, transitions);
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RowsQuery {
    /// Those of this namespace. Default: of all; where an agent or a group is named, `default`.
    namespace: Option<Namespace>,
    /// Those of this agent: its name or id. Its history alone, where the path names one.
    #[schemars(with = "Option<String>")]
    #[serde(default, deserialize_with = "agent_ref")]
    agent: Option<AgentRef>,
    /// Those of the replicas of this group, also of those that it has no more.
    group: Option<AgentName>,
    /// Those into this phase.
    state: Option<String>,
    /// Those for this reason, such as `failure.crash`.
    reason: Option<Reason>,
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

async fn explain(api: Api, read: Read<AgentRef, InNamespace>) -> Result<Shown<Explanation>, Failure> {
    let namespace = api.namespace(read.query.namespace, &read.path);
    let mut explanation = api.state.handle.explain(namespace, read.path).await?;
    explanation.features_off = features_off(&api, &explanation.agent);
    let latest = TransitionQuery {
        agent: Some(explanation.agent.id),
        limit: LATEST,
        ..TransitionQuery::default()
    };
    explanation.history = api.read(move |store| store.transitions(&latest)).await?.items;
    let tried = RecoveryQuery {
        agent: Some(explanation.agent.id),
        limit: LATEST,
        ..RecoveryQuery::default()
    };
    explanation.attempts = api.read(move |store| store.recoveries(&tried)).await?.items;
    if explanation.is_of_a_failure() {
        explanation.last_output = last_lines(&api, explanation.agent.id).await?;
    }
    Ok(Shown(explanation))
}

/// Features that need an agent, or the group that it is of, and are off.
fn features_off(api: &Api, agent: &AgentView) -> Vec<FeatureView> {
    let Some(view) = api.state.handle.views().degradation(&agent.namespace) else {
        return Vec::new();
    };
    let needs = |name: &AgentName| *name == agent.name || agent.group.as_ref() == Some(name);
    let off = view.off().filter(|feature| feature.requires.iter().any(needs));
    off.cloned().collect()
}

/// How many transitions an explanation shows.
const LATEST: usize = 5;

async fn transitions_of(api: Api, read: Read<AgentRef, RowsQuery>) -> Result<Shown<List<Transition>>, Failure> {
    if read.query.agent.is_some() {
        return Err(Failure::invalid(
            "in the query: agent: the path names one already; use /transitions",
        ));
    }
    page(
        &api,
        RowsQuery {
            agent: Some(read.path),
            ..read.query
        },
    )
    .await
}

async fn transitions(api: Api, read: Read<(), RowsQuery>) -> Result<Shown<List<Transition>>, Failure> {
    page(&api, read.query).await
}

async fn page(api: &Api, asked: RowsQuery) -> Result<Shown<List<Transition>>, Failure> {
    api.check_phase(asked.state.as_deref())?;
    let now = api.state.ports.host.now();
    let cursor: Option<PageCursor> = asked
        .cursor
        .map(|text| {
            text.parse()
                .map_err(|invalid| Failure::invalid(format!("in the query: cursor: {invalid}")))
        })
        .transpose()?;
    let agent = match &asked.agent {
        Some(agent) => Some(api.id(asked.namespace.clone(), agent).await?),
        None => None,
    };
    let namespace = api.namespace_of_history(asked.namespace, asked.group.as_ref()).await?;
    let query = TransitionQuery {
        namespace,
        agent,
        group: asked.group,
        to: asked.state,
        reason: asked.reason,
        from: asked.since.map(|since| since.resolve(now)),
        until: asked.until.map(|until| until.resolve(now)),
        cursor,
        limit: asked.limit.0,
    };
    let page = api.read(move |store| store.transitions(&query)).await?;
    Ok(Shown(List {
        items: page.items,
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}

pub(super) fn agent_ref<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AgentRef>, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map(Some)
        .map_err(serde::de::Error::custom)
}
