//! Whom a request concerns, and what is asked of them.

use std::str::FromStr;

use serde::Serialize;
use stead_model::{AgentRef, InvalidId, Namespace, PauseMode, Revision, Span};

use crate::filter::Query;

/// One agent or component: by name in a namespace, or by id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Where it lives; of no importance where the agent is named by its id.
    pub namespace: Namespace,
    /// Its name or id.
    pub agent: AgentRef,
    /// Under which route it is found.
    pub registry: Registry,
}

impl Target {
    /// The agent of that name or id in the namespace `default`.
    ///
    /// # Errors
    /// The text is neither a name nor an id.
    pub fn named(agent: &str) -> Result<Self, InvalidId> {
        Ok(Self::new(Namespace::default(), AgentRef::from_str(agent)?))
    }

    /// An agent of a namespace.
    #[must_use]
    pub fn new(namespace: Namespace, agent: AgentRef) -> Self {
        Self {
            namespace,
            agent,
            registry: Registry::Agents,
        }
    }

    /// Its namespace as a parameter. An id says enough by itself, and may be of any namespace.
    pub(crate) fn query(&self) -> Query {
        match &self.agent {
            AgentRef::Name(_) => vec![("namespace", self.namespace.to_string())],
            AgentRef::Id(_) => Vec::new(),
        }
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        // Names and ids are made of characters that a path holds as they are.
        format!("{}/{}{rest}", self.registry.path(), self.agent)
    }
}

/// The two lists of what a daemon keeps: the same shape, different lifecycles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Registry {
    /// What works.
    #[default]
    Agents,
    /// What agents depend on.
    Components,
}

impl Registry {
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Agents => "/agents",
            Self::Components => "/components",
        }
    }
}

/// What can be asked of an agent's life: `POST {agent}/lifecycle/{verb}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Make sure that it can run, without starting it.
    Deploy,
    /// Have it work.
    Start,
    /// Have it down.
    Stop,
    /// Have it up without taking work.
    Pause,
    /// Have it work again after a pause.
    Resume,
    /// Stop and start it, once.
    Restart,
    /// Leave it alone while people work on it.
    Maintenance,
    /// The same as a pause.
    Suspend,
    /// Have it down for good, its record kept.
    Terminate,
    /// Forget its failures.
    Reset,
}

impl Verb {
    /// The word in the route.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Maintenance => "maintenance",
            Self::Suspend => "suspend",
            Self::Terminate => "terminate",
            Self::Reset => "reset",
        }
    }
}

/// What a pause is to be: a soft one without an end, unless told otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Pausing {
    /// What it does to the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<PauseMode>,
    /// After how long it ends by itself.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
}

/// Under which circumstances a change is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// Why, in the asker's words; kept in the history.
    pub reason: Option<String>,
    /// Refused with `stale-revision` unless the agent is at this revision.
    pub if_revision: Option<Revision>,
}

impl Change {
    /// A change with a reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            if_revision: None,
        }
    }
}
