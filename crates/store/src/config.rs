//! What was applied as configuration, revision by revision.

use std::fmt;

use stead_model::Wall;

/// How many revisions are kept: the newest.
pub const MOST_CONFIGS: u64 = 100;

/// One revision of the configuration.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConfigRow {
    /// Its number: 1, 2, 3 and so on, over all fleet files of this store.
    pub revision: u64,
    /// When it was applied.
    pub at: Wall,
    /// Who applied it.
    pub actor: String,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// Where the file lies.
    pub file: String,
    /// What it comes to.
    pub hash: String,
    /// The file as it is written, secrets included. Empty in lists.
    pub text: String,
    /// What else the daemon keeps of it, as JSON.
    pub facts: String,
}

impl fmt::Debug for ConfigRow {
    /// Shows nothing of the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigRow")
            .field("revision", &self.revision)
            .field("at", &self.at)
            .field("actor", &self.actor)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}
