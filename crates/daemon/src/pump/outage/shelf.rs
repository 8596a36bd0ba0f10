//! What waits for a store that is away, in order, within bounds.

use std::collections::BTreeMap;

use stead_model::journal::{Append, Durability, Receipt, Shelved, SlotState};
use stead_model::{Event, Happening, Position, Slot};
use stead_store::StoreError;

/// How many rows of history and events are kept; later ones are given up, and one `gap` stands for them.
const MOST_ROWS: usize = 20_000;

/// Appends of every slot. What follows on each other is merged, so that there is one state row of each agent however long it takes.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    slots: BTreeMap<Slot, BTreeMap<Position, Piece>>,
    rows: usize,
    gap_told: bool,
}

#[derive(Debug)]
struct Piece {
    shelved: Shelved,
    fate: Fate,
}

/// Whether an append may have been written after all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It was not.
    Unwritten,
    /// It may have been: it stays apart, to be dropped as a whole if it was.
    Doubtful,
}

impl Fate {
    pub(super) const fn after(error: &StoreError) -> Self {
        match error {
            StoreError::Unknown { .. } => Self::Doubtful,
            StoreError::Fenced { .. }
            | StoreError::Held { .. }
            | StoreError::OutOfOrder { .. }
            | StoreError::Broken { .. }
            | StoreError::Refused { .. }
            | StoreError::Busy
            | StoreError::Full
            | StoreError::Corrupt { .. }
            | StoreError::Down { .. } => Self::Unwritten,
        }
    }
}

impl Shelf {
    /// Keeps an append; gives the receipt that lets upkeep go on, if it is one.
    pub(super) fn put(&mut self, append: Append, fate: Fate, why: &str) -> Option<Receipt> {
        let facts = append.durability == Durability::Written;
        let slot = append.slot;
        let gap = append.events.first().map(|event| gap_after(event, why));
        let (receipt, mut shelved) = append.shelve();
        if self.rows + shelved.history() > MOST_ROWS {
            let told = std::mem::replace(&mut self.gap_told, true);
            shelved.strip(gap.filter(|_| !told));
        }
        self.rows += shelved.history();
        let pieces = self.slots.entry(slot).or_default();
        let first = shelved.first();
        pieces.insert(first, Piece { shelved, fate });
        // One that was under way may fail after later ones were shelved: it may join both its neighbours.
        let before = pieces.range(..first).next_back().map(|(first, _)| *first);
        join(pieces, first);
        if let Some(before) = before {
            join(pieces, before);
        }
        facts.then_some(receipt)
    }

    /// Takes what a slot does not have yet, in order.
    pub(super) fn take(&mut self, state: &SlotState) -> impl Iterator<Item = Append> {
        let written = state.position;
        self.slots
            .remove(&state.slot)
            .into_iter()
            .flat_map(BTreeMap::into_values)
            .map(|piece| piece.shelved)
            .filter(move |shelved| shelved.position() > written)
            .map(Shelved::into_append)
    }
}

/// Merges the piece at `first` with the one behind it, if both are surely unwritten and nothing is between them.
fn join(pieces: &mut BTreeMap<Position, Piece>, first: Position) {
    let Some(piece) = pieces.get(&first).filter(|piece| piece.fate == Fate::Unwritten) else {
        return;
    };
    let next = piece.shelved.position().next();
    if pieces.get(&next).is_some_and(|behind| behind.fate == Fate::Unwritten)
        && let Some(behind) = pieces.remove(&next)
        && let Some(piece) = pieces.get_mut(&first)
        && let Err(apart) = piece.shelved.absorb(behind.shelved)
    {
        let fate = Fate::Unwritten;
        pieces.insert(next, Piece { shelved: apart, fate });
    }
}

/// An event that says that others could not be kept.
fn gap_after(event: &Event, why: &str) -> Event {
    let what = Happening::Gap {
        detail: format!("the store was away ({why}) for longer than history could be kept in memory"),
    };
    Event {
        actor: "stead".into(),
        what,
        ..event.clone()
    }
}

#[cfg(test)]
mod tests;
