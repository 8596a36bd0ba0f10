//! Transitions: what caused them, what is told of them, and why they are refused.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use stead_model::{Reason, Wall};

use super::AgentState;

/// Why somebody wants an agent moved.
#[derive(Clone, PartialEq, Debug)]
pub struct Cause {
    /// As a code.
    pub reason: Reason,
    /// In words.
    pub description: String,
    /// Who.
    pub triggered_by: String,
    /// Free facts, at most 16 KiB as JSON.
    pub metadata: Map<String, Value>,
}

impl Cause {
    /// A cause by its code, from within the process.
    #[must_use]
    pub fn new(reason: Reason, description: impl Into<String>) -> Self {
        Self {
            reason,
            description: description.into(),
            triggered_by: "agent".to_owned(),
            metadata: Map::new(),
        }
    }

    /// Somebody asked for it.
    #[must_use]
    pub fn request(by: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            triggered_by: by.into(),
            ..Self::new(Reason::Request, description)
        }
    }

    /// The same with one fact more.
    #[must_use]
    pub fn with(mut self, fact: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(fact.into(), value.into());
        self
    }
}

/// One transition, as handlers are told it and history keeps it.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct StateChange {
    /// Its number in the agent's history, contiguous from 1.
    pub sequence: u64,
    /// The agent.
    #[schemars(with = "String")]
    pub agent: Arc<str>,
    /// State before.
    pub from: AgentState,
    /// State after.
    pub to: AgentState,
    /// When.
    pub at: Wall,
    /// Why, as a code.
    pub reason: Reason,
    /// Why, in words.
    pub description: String,
    /// Who caused it.
    pub triggered_by: String,
    /// Free facts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// Why an agent was not moved. Its state and its history are as they were.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotMoved {
    /// The profile has no such edge.
    #[error("{agent} cannot go from {from} to {to}; possible from here: {}", list(possible))]
    NoEdge {
        /// The agent.
        agent: Arc<str>,
        /// Where it is.
        from: AgentState,
        /// Where it was to go.
        to: AgentState,
        /// Where it could go.
        possible: Vec<AgentState>,
    },
    /// A guard stands against it.
    #[error("the guard `{guard}` stands against {from} to {to}: {why}")]
    Guarded {
        /// Which guard.
        guard: Arc<str>,
        /// Where the agent is.
        from: AgentState,
        /// Where it was to go.
        to: AgentState,
        /// What the guard said.
        why: String,
    },
    /// More facts than are kept.
    #[error("the metadata has {0} bytes as JSON, more than the 16384 that are kept")]
    TooMuch(usize),
    /// A handler moves the agent whose transition it handles: it would wait for itself.
    #[error("{0} is being moved by the transition that this handler belongs to; move it after, from a task of its own")]
    FromHandler(Arc<str>),
    /// Nobody is called so.
    #[error("there is no agent `{0}`")]
    Unknown(String),
    /// Somebody is called so already.
    #[error("there is an agent `{0}` already")]
    Twice(String),
    /// A task that it does not have.
    #[error("{agent} has no task `{task}`")]
    NoTask {
        /// The agent.
        agent: Arc<str>,
        /// The task.
        task: String,
    },
}

fn list(states: &[AgentState]) -> String {
    if states.is_empty() {
        return "nowhere".to_owned();
    }
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ")
}
