//! What a store could not do, and what that means for the state.

use std::path::PathBuf;

use stead_model::{Epoch, Position, Slot, Wall};

use crate::Owner;

/// Why a store refused or failed. Every variant says what became of the state and what the caller may do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// The slot is not owned under the epoch that was given. Nothing was written; the caller lost the slot and stops acting for it.
    #[error("slot {slot} is fenced: its epoch is {epoch}, {}", holder(owner.as_ref()))]
    Fenced {
        /// The slot.
        slot: Slot,
        /// The epoch that the store knows.
        epoch: Epoch,
        /// Who holds it now, if anyone.
        owner: Option<Owner>,
    },
    /// Somebody else holds the slot. Nothing was taken; try again after `until`.
    #[error("slot {slot} is held by {owner} until {until}")]
    Held {
        /// The slot.
        slot: Slot,
        /// Who holds it.
        owner: Owner,
        /// Until when, unless renewed.
        until: Wall,
    },
    /// The append is not the slot's next one. Nothing was written; load the slot.
    #[error("slot {slot} expects position {expected} next")]
    OutOfOrder {
        /// The slot.
        slot: Slot,
        /// The only position that it would take.
        expected: Position,
    },
    /// An earlier append of the slot failed. Nothing was written; load the slot and go on from there.
    #[error("an earlier append of slot {slot} failed; it must be loaded first")]
    Broken {
        /// The slot.
        slot: Slot,
    },
    /// The append breaks a rule of what is stored: a live name twice, a transition twice, a row of another slot. Nothing was
    /// written; the caller decided on a wrong state.
    #[error("the append to slot {slot} contradicts what is stored: {detail}")]
    Refused {
        /// The slot.
        slot: Slot,
        /// Which rule.
        detail: String,
    },
    /// Too many appends wait. Nothing was written; load the slot once earlier ones completed.
    #[error("too many appends wait to be written")]
    Busy,
    /// No space is left. The whole transaction was rolled back; reads go on, and every later append is tried afresh.
    #[error("no space is left for the store")]
    Full,
    /// The store's bytes make no sense. Nothing of this call was written; reads of other parts may go on.
    #[error("the store is corrupt: {detail}")]
    Corrupt {
        /// What was found.
        detail: String,
    },
    /// The commit failed in a way that leaves open whether it happened. Never try again blindly: load the slot and compare positions.
    #[error("it is unknown whether the commit happened: {detail}")]
    Unknown {
        /// What failed.
        detail: String,
    },
    /// The store cannot be reached. Nothing of this call was written; later ones reopen it.
    #[error("the store is down: {detail}")]
    Down {
        /// What failed.
        detail: String,
    },
}

impl StoreError {
    /// Whether the store itself is unwell, rather than this one call wrong.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Full | Self::Corrupt { .. } | Self::Unknown { .. } | Self::Down { .. } | Self::Busy => true,
            Self::Fenced { .. }
            | Self::Held { .. }
            | Self::OutOfOrder { .. }
            | Self::Broken { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// Whether the stored bytes are damaged: time does not mend that.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

fn holder(owner: Option<&Owner>) -> String {
    owner.map_or_else(|| "held by nobody".to_owned(), |owner| format!("held by {owner}"))
}

/// Why something could not be read. Reading changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// The cursor is older than what is kept, or points at events that a power cut took. Start afresh and tell of a gap.
    #[error("the cursor points at what is no longer kept")]
    Gone,
    /// The cursor belongs to another question.
    #[error("the cursor belongs to another query")]
    Cursor,
    /// The store could not read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a store could not be opened. Nothing in it was changed, except where `Migration` says so.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file was written by a newer Stead. Use that one, or a copy of the file from before its upgrade.
    #[error("{} has schema {found}, this version of stead knows up to {known}: use the newer stead, or a backup beside the file", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema known here.
        known: u32,
    },
    /// A migration that the file went through is not the one known here: one of the two was edited.
    #[error("{} went through another migration {version} than this version of stead knows", path.display())]
    Edited {
        /// The file.
        path: PathBuf,
        /// Which migration.
        version: u32,
    },
    /// The file is a database of something else.
    #[error("{} is no database of stead", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A migration failed and was rolled back; the file is as before, and its backup beside it.
    #[error("migration {version} of {} failed", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// Which migration.
        version: u32,
        /// What failed.
        #[source]
        source: StoreError,
    },
    /// The file or its directory cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be read.
    #[error("cannot open {}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: StoreError,
    },
}

impl OpenError {
    /// What is wrong with the file's bytes, if that is why it could not be opened. What is left of it may still be
    /// [read](crate::DamagedStore).
    #[must_use]
    pub const fn damage(&self) -> Option<&StoreError> {
        match self {
            Self::Store { source, .. } | Self::Migration { source, .. } if source.is_damage() => Some(source),
            Self::Newer { .. }
            | Self::Edited { .. }
            | Self::Foreign { .. }
            | Self::Migration { .. }
            | Self::Io { .. }
            | Self::Store { .. } => None,
        }
    }
}
