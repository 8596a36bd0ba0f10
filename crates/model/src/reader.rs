//! Named readers of the events, as they are shown.

use alloc::string::String;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ReaderName, Wall};

/// A named reader of the events, and how far it has taken them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReaderView {
    /// Its name.
    pub name: ReaderName,
    /// Cursor of the last event that it has taken; `0-00000000` is before the first.
    pub position: String,
    /// When it said so last.
    pub updated_at: Wall,
    /// How many events come after that one, fitting its filter or not.
    pub behind: u64,
    /// How many were forgotten before it took them, since it is known.
    pub lost: u64,
}
