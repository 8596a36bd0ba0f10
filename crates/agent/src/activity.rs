//! What an agent is busy with, as it says itself.

use std::hash::{DefaultHasher, Hash, Hasher};

use schemars::JsonSchema;
use serde::Serialize;

/// What a piece of work is doing just now. The same call again and again has the same hash, which is how loops are found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Activity {
    /// It waits for a model.
    LlmCall {
        /// Which model.
        model: String,
    },
    /// It waits for a tool.
    Tool {
        /// Which tool.
        name: String,
        /// Hash of the tool and its arguments; the arguments themselves stay in the process.
        hash: u64,
    },
    /// It waits for a person.
    WaitingInput,
    /// It does nothing.
    Idle,
}

impl Activity {
    /// A call of a tool, with its arguments as any value that can be hashed.
    #[must_use]
    pub fn tool(name: impl Into<String>, arguments: &impl Hash) -> Self {
        let name = name.into();
        // The default hasher has fixed keys: one binary always finds the same hash.
        let mut hasher = DefaultHasher::new();
        (&name, arguments).hash(&mut hasher);
        Self::Tool {
            hash: hasher.finish(),
            name,
        }
    }

    /// The word that it is written as.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LlmCall { .. } => "llm_call",
            Self::Tool { .. } => "tool",
            Self::WaitingInput => "waiting_input",
            Self::Idle => "idle",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_has_the_same_hash_and_another_has_not() {
        assert_eq!(Activity::tool("search", &"cats"), Activity::tool("search", &"cats"));
        assert_ne!(Activity::tool("search", &"cats"), Activity::tool("search", &"dogs"));
        assert_ne!(Activity::tool("search", &"cats"), Activity::tool("fetch", &"cats"));
    }
}
