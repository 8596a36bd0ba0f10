//! What processes write to their standard streams.

use alloc::string::String;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Incarnation, Wall};

/// Where a line was written to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogStream {
    /// The word that it is written as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When it was read from the agent.
    pub at: Wall,
    /// Where it was written to.
    pub stream: LogStream,
    /// The run that wrote it.
    pub incarnation: Incarnation,
    /// The line, without its end; what is not UTF-8 is replaced.
    pub line: String,
}
