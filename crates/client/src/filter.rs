//! Which of many.

use stead_model::{AgentName, AgentRef, Namespace, ReaderName};

use crate::Output;

/// Parameters of a query, in order.
pub(crate) type Query = Vec<(&'static str, String)>;

/// Which agents to list. What is absent does not matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AgentFilter {
    /// Their namespace; absent: all.
    pub namespace: Option<Namespace>,
    /// Their labels: `team=a,tier!=b,role in (x,y),!flag`.
    pub selector: Option<String>,
    /// Their phase.
    pub phase: Option<String>,
    /// Their health.
    pub health: Option<String>,
    /// A class of phases: `operational`, `error`, …
    pub class: Option<String>,
    /// Their lifecycle profile.
    pub profile: Option<String>,
    /// What is wanted of them.
    pub intent: Option<String>,
    /// The group that they are replicas of.
    pub group: Option<AgentName>,
    /// At most this many in one page, 1 to 1000; the daemon's default is 100.
    pub limit: Option<u32>,
    /// Behind this cursor of an earlier page.
    pub cursor: Option<String>,
}

impl AgentFilter {
    pub(crate) fn query(&self) -> Query {
        let mut query = Vec::new();
        put(&mut query, "namespace", self.namespace.as_ref());
        put(&mut query, "selector", self.selector.as_ref());
        put(&mut query, "phase", self.phase.as_ref());
        put(&mut query, "health", self.health.as_ref());
        put(&mut query, "class", self.class.as_ref());
        put(&mut query, "profile", self.profile.as_ref());
        put(&mut query, "intent", self.intent.as_ref());
        put(&mut query, "group", self.group.as_ref());
        put(&mut query, "limit", self.limit.as_ref());
        put(&mut query, "cursor", self.cursor.as_ref());
        query
    }
}

/// Which groups to list. What is absent does not matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GroupFilter {
    /// Their namespace; absent: all.
    pub namespace: Option<Namespace>,
    /// Their labels: `team=a,tier!=b,role in (x,y),!flag`.
    pub selector: Option<String>,
    /// At most this many in one page, 1 to 1000; the daemon's default is 100.
    pub limit: Option<u32>,
    /// Behind this cursor of an earlier page.
    pub cursor: Option<String>,
}

impl GroupFilter {
    pub(crate) fn query(&self) -> Query {
        let mut query = Vec::new();
        put(&mut query, "namespace", self.namespace.as_ref());
        put(&mut query, "selector", self.selector.as_ref());
        put(&mut query, "limit", self.limit.as_ref());
        put(&mut query, "cursor", self.cursor.as_ref());
        query
    }
}

/// Which transitions to list, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TransitionFilter {
    /// Of the replicas of this group, also of those that it has no more.
    pub group: Option<AgentName>,
    /// Into this phase.
    pub state: Option<String>,
    /// For this reason (`category.code`).
    pub reason: Option<String>,
    /// At or after this time (RFC 3339) or within this span before now (`10m`).
    pub since: Option<String>,
    /// Before this time or span.
    pub until: Option<String>,
    /// At most this many in one page, 1 to 1000; the daemon's default is 100.
    pub limit: Option<u32>,
    /// Behind this cursor of an earlier page.
    pub cursor: Option<String>,
}

impl TransitionFilter {
    pub(crate) fn query(&self) -> Query {
        let mut query = Vec::new();
        put(&mut query, "group", self.group.as_ref());
        put(&mut query, "state", self.state.as_ref());
        put(&mut query, "reason", self.reason.as_ref());
        put(&mut query, "since", self.since.as_ref());
        put(&mut query, "until", self.until.as_ref());
        put(&mut query, "limit", self.limit.as_ref());
        put(&mut query, "cursor", self.cursor.as_ref());
        query
    }
}

/// Which changes that somebody asked for, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// Of this namespace; absent: all.
    pub namespace: Option<Namespace>,
    /// Of this agent or group.
    pub agent: Option<AgentRef>,
    /// By this actor.
    pub actor: Option<String>,
    /// By this verb.
    pub verb: Option<String>,
    /// By this one request.
    pub correlation_id: Option<String>,
    /// At or after this time (RFC 3339) or within this span before now (`10m`).
    pub since: Option<String>,
    /// Before this time or span.
    pub until: Option<String>,
    /// At most this many in one page, 1 to 1000; the daemon's default is 100.
    pub limit: Option<u32>,
    /// Behind this cursor of an earlier page.
    pub cursor: Option<String>,
}

impl AuditFilter {
    pub(crate) fn query(&self) -> Query {
        let mut query = Vec::new();
        put(&mut query, "namespace", self.namespace.as_ref());
        put(&mut query, "agent", self.agent.as_ref());
        put(&mut query, "actor", self.actor.as_ref());
        put(&mut query, "verb", self.verb.as_ref());
        put(&mut query, "correlation_id", self.correlation_id.as_ref());
        put(&mut query, "since", self.since.as_ref());
        put(&mut query, "until", self.until.as_ref());
        put(&mut query, "limit", self.limit.as_ref());
        put(&mut query, "cursor", self.cursor.as_ref());
        query
    }
}

/// Which attempts to bring agents back, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveryFilter {
    /// Of this namespace; absent: all.
    pub namespace: Option<Namespace>,
    /// Of this agent.
    pub agent: Option<AgentRef>,
    /// Of this strategy, such as `restart`.
    pub strategy: Option<String>,
    /// Against this kind of failure, such as `process_exit`.
    pub failure: Option<String>,
    /// That stand or ended so, such as `failed`.
    pub state: Option<String>,
    /// Begun at or after this time (RFC 3339) or within this span before now (`10m`).
    pub since: Option<String>,
    /// Begun before this time or span.
    pub until: Option<String>,
    /// At most this many in one page, 1 to 1000; the daemon's default is 100.
    pub limit: Option<u32>,
    /// Behind this cursor of an earlier page.
    pub cursor: Option<String>,
}

impl RecoveryFilter {
    pub(crate) fn query(&self) -> Query {
        let mut query = Vec::new();
        put(&mut query, "namespace", self.namespace.as_ref());
        put(&mut query, "agent", self.agent.as_ref());
        put(&mut query, "strategy", self.strategy.as_ref());
        put(&mut query, "failure", self.failure.as_ref());
        put(&mut query, "state", self.state.as_ref());
        put(&mut query, "since", self.since.as_ref());
        put(&mut query, "until", self.until.as_ref());
        put(&mut query, "limit", self.limit.as_ref());
        put(&mut query, "cursor", self.cursor.as_ref());
        query
    }
}

/// Which lines of an agent's output.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogQuery {
    /// At most this many of the latest; the daemon's default is 100.
    pub tail: Option<u64>,
    /// At or after this time (RFC 3339) or within this span before now (`10m`).
    pub since: Option<String>,
    /// One stream alone.
    pub stream: Option<Output>,
    /// Go on with what is printed from now on.
    pub follow: bool,
}

impl LogQuery {
    pub(crate) fn query(&self) -> Query {
        let mut query = Vec::new();
        put(&mut query, "tail", self.tail.as_ref());
        put(&mut query, "since", self.since.as_ref());
        put(&mut query, "stream", self.stream.map(Output::as_str).as_ref());
        put(&mut query, "follow", self.follow.then_some(true).as_ref());
        query
    }
}

/// Which events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    /// Of this namespace; absent: all.
    pub namespace: Option<Namespace>,
    /// Of this agent.
    pub agent: Option<AgentRef>,
    /// Of this group and its replicas, also of those that it has no more.
    pub group: Option<AgentName>,
    /// Of these types; empty: all.
    pub types: Vec<String>,
    /// Of agents with such labels.
    pub selector: Option<String>,
    /// Behind this cursor; absent: from now on.
    pub after: Option<String>,
    /// Behind the place of this named reader, where no cursor is given.
    pub reader: Option<ReaderName>,
    /// Those kept from this time (RFC 3339) or within this span before now (`10m`), and then what happens.
    pub since: Option<String>,
}

impl EventFilter {
    pub(crate) fn query(&self) -> Query {
        let mut query = Vec::new();
        put(&mut query, "namespace", self.namespace.as_ref());
        put(&mut query, "agent", self.agent.as_ref());
        put(&mut query, "group", self.group.as_ref());
        let types = (!self.types.is_empty()).then(|| self.types.join(","));
        put(&mut query, "type", types.as_ref());
        put(&mut query, "after", self.after.as_ref());
        put(&mut query, "reader", self.reader.as_ref());
        put(&mut query, "selector", self.selector.as_ref());
        put(&mut query, "since", self.since.as_ref());
        query
    }
}

fn put(query: &mut Query, name: &'static str, value: Option<&impl ToString>) {
    if let Some(value) = value {
        query.push((name, value.to_string()));
    }
}
