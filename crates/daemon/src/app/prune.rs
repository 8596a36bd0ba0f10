//! History, events, answers and what deleted agents left within their bounds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stead_store::{Retention, Store, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::remains;
use crate::clock::Clock;
use crate::handle::Handle;

/// How often what is beyond its bounds is looked for, if anything was written since.
const EVERY: Duration = Duration::from_secs(600);

/// Forgets what is beyond the retention in force, again and again, until `closing` is cancelled. An idle daemon does nothing.
pub(crate) async fn keep_pruned(handle: Handle, clock: Clock, state_dir: PathBuf, closing: CancellationToken) {
    let mut commits = handle.committed();
    loop {
        let written = async {
            tokio::time::sleep(EVERY).await;
            commits.changed().await
        };
        tokio::select! {
            written = written => if written.is_err() { return },
            () = closing.cancelled() => return,
        }
        let retention = handle.retention().load_full();
        let (handle, state_dir, closing) = (handle.clone(), state_dir.clone(), closing.clone());
        let pruned = tokio::task::spawn_blocking(move || {
            let done = prune(&handle.store(), &retention, clock, &closing)?;
            remains::clear(&handle, &state_dir, retention.transitions, clock.now().wall)?;
            Ok::<_, StoreError>(done)
        })
        .await;
        match pruned {
            Ok(Ok((rounds, 0))) => debug!(rounds, "pruned"),
            Ok(Ok((rounds, lost))) => {
                warn!(
                    rounds,
                    lost, "events were forgotten that a named reader had not taken; `stead readers list` shows which"
                );
            }
            Ok(Err(error)) => warn!(%error, "history could not be pruned; it is tried again later"),
            Err(stopped) => warn!(%stopped, "pruning broke off"),
        }
    }
}

/// Prunes in small slices, so that writers wait for none of them long; says in how many, and how many events a reader has lost.
fn prune(
    store: &Arc<dyn Store>,
    retention: &Retention,
    clock: Clock,
    closing: &CancellationToken,
) -> Result<(u32, u64), StoreError> {
    let (mut rounds, mut lost) = (0, 0);
    while !closing.is_cancelled() {
        rounds += 1;
        let pruned = store.prune(retention, clock.now().wall)?;
        lost += pruned.lost;
        if !pruned.more {
            break;
        }
    }
    Ok((rounds, lost))
}
