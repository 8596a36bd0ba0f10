//! What deleted agents leave on the disk: their output, and the directory that was theirs.

use std::path::Path;
use std::time::Duration;

use stead_model::{AgentId, AgentRef, Namespace, Wall};
use stead_store::StoreError;
use tracing::{info, warn};

use crate::handle::Handle;

/// Removes the directories of agents that were deleted longer than `age` ago, which is how long their history is kept; gives how many went.
///
/// Only what the store knows as deleted goes: a directory of which nothing is known may be that of an agent that lives, when a store was put
/// back from a backup. One that cannot be removed is told of and tried again at the next call.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn clear(handle: &Handle, state_dir: &Path, age: Duration, now: Wall) -> Result<u32, StoreError> {
    let mut gone = 0;
    let entries = std::fs::read_dir(state_dir.join(AGENTS)).into_iter().flatten();
    for entry in entries.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<AgentId>().ok()) else {
            continue;
        };
        let known = handle.views().find(&Namespace::default(), &AgentRef::Id(id));
        if known.is_some() {
            continue;
        }
        let long_ago = |deleted: Wall| {
            let since = now.unix_millis().saturating_sub(deleted.unix_millis());
            u128::try_from(since).is_ok_and(|since| since > age.as_millis())
        };
        if handle
            .store()
            .agent_tombstone(id)?
            .is_some_and(|row| long_ago(row.phase_since))
        {
            match std::fs::remove_dir_all(entry.path()) {
                Ok(()) => gone += 1,
                Err(error) => warn!(%error, directory = %entry.path().display(), "what a deleted agent left stays"),
            }
        }
    }
    if gone > 0 {
        info!(gone, "removed the output and directories of agents deleted long ago");
    }
    Ok(gone)
}

/// The directory of all agents' directories.
const AGENTS: &str = "agents";
