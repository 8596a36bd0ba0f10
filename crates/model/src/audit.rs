//! Who changed what, when and why.

use alloc::string::String;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccessRole, AgentId, Namespace, Outcome, Revision, Wall};

/// One change that somebody asked for and got. Written in one transaction with the change itself.
///
/// Tasks that are handed out and reports are work, not changes, and what Stead does by itself is in the history of each agent.
/// Refused requests change nothing: they are logged and counted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditRow {
    /// When.
    pub at: Wall,
    /// Who.
    pub actor: String,
    /// What the asker might do.
    pub role: AccessRole,
    /// Of which namespace.
    pub namespace: Namespace,
    /// What sort of thing was changed.
    pub kind: AuditKind,
    /// Its id; the configuration, readers and circuits have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<AgentId>,
    /// Its name; of the configuration the file.
    pub name: String,
    /// What was asked for, such as `register`, `stop` or `apply`.
    pub verb: String,
    /// Whether it was made known or changed.
    pub outcome: Outcome,
    /// Its version right after; of the configuration the number of the revision, of readers and circuits nought.
    pub revision: Revision,
    /// Why, in the asker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Binds together all that the request led to.
    pub correlation_id: String,
    /// The trace that the request was part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// What a change was made to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// An agent or a component.
    Agent,
    /// A group of replicas.
    Group,
    /// What is in force as configuration.
    Config,
    /// A named reader of the events.
    Reader,
    /// A circuit before providers.
    Circuit,
    /// The level of degradation of a namespace.
    Degradation,
}

impl AuditKind {
    /// As text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Group => "group",
            Self::Config => "config",
            Self::Reader => "reader",
            Self::Circuit => "circuit",
            Self::Degradation => "degradation",
        }
    }
}
