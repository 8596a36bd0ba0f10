//! What people are told of a damaged store.

use std::path::Path;

use stead_store::StoreError;

/// What a daemon says that came up and found its store damaged.
pub(crate) fn at_start(database: &Path, damage: &StoreError) -> String {
    let meanwhile = "no change is taken, and agents are left as they are";
    tell(database, damage, meanwhile)
}

/// What a daemon says whose store turns out to be damaged while it runs.
pub(crate) fn at_work(database: &Path, damage: &StoreError) -> String {
    let meanwhile = "no change is taken; agents are cared for from memory, and no history of it is kept";
    tell(database, damage, meanwhile)
}

fn tell(database: &Path, damage: &StoreError, meanwhile: &str) -> String {
    let file = database.display();
    format!(
        "the database {file} is damaged ({damage}): {meanwhile}. End this daemon (`stead down --leave-agents`), then either put a whole \
         copy of the file in its place and remove the -wal and -shm beside it, or move all three away, which ends what runs and starts \
         it anew; then start the daemon again"
    )
}
