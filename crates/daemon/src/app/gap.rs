//! What a daemon could not write down before it ended: remembered beside the store, told by the next one as a gap.

use std::sync::Arc;

use stead_model::journal::{Append, Durability, SlotState};
use stead_model::{Event, Happening, Wall};
use stead_store::StateDir;
use tracing::warn;

/// Remembers since when the store is away, in the lock file: it has its place on the disk already, also where that is full.
pub(super) fn note_away(dir: &Arc<StateDir>) -> Box<dyn Fn(Option<Wall>) + Send> {
    let dir = Arc::clone(dir);
    Box::new(move |since| {
        let noted = dir.announce(|holder| {
            // What an earlier daemon noted and nobody has told yet goes before.
            holder.away_since = since.map(|since| holder.away_since.unwrap_or(since));
        });
        if let Err(error) = noted {
            warn!(%error, "that the store is away could not be noted; should this daemon end now, no gap will tell of it");
        }
    })
}

/// The one event that tells of it, in the slot of an agent, which moves on by it. Nothing where the slot has no agent.
pub(super) fn tell(state: &SlotState, since: Wall, now: Wall) -> Option<Append> {
    let agent = state.agents.first()?;
    let event = Event {
        at: now,
        namespace: agent.namespace.clone(),
        agent: agent.id,
        name: agent.name.clone(),
        group: None,
        revision: agent.revision,
        actor: "stead".into(),
        correlation_id: format!("gap-{}", since.unix_millis()),
        trace_id: None,
        what: Happening::Gap {
            detail: format!(
                "the store was away from {since} until the daemon ended; what agents did in that time could not be written down"
            ),
        },
    };
    let position = state.position.next();
    Some(Append {
        slot: state.slot,
        epoch: state.epoch,
        first: position,
        position,
        durability: Durability::Flushed,
        changes: Vec::new(),
        transitions: Vec::new(),
        events: vec![event],
    })
}
