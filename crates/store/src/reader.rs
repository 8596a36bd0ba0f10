//! Named readers of the events, whose places are kept.

use stead_model::{ReaderName, Wall};

use crate::{EventCursor, StoreError};

/// How many readers may have a name. Each holds events back: they are meant for exporters, not for people who look.
pub const MOST_READERS: u32 = 64;

/// A named reader of the events, and how far it has taken them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReaderRow {
    /// Its name.
    pub name: ReaderName,
    /// The last event that it has taken.
    pub position: EventCursor,
    /// When it said so last.
    pub at: Wall,
    /// How many events come after it.
    pub behind: u64,
    /// How many were forgotten before it took them, since it is known.
    pub lost: u64,
}

/// What a reader says: how far it has taken the events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Who says so.
    pub name: ReaderName,
    /// The last event that it has taken; nothing leaves it where it is, at the newest event if it is not known yet. It only moves forward,
    /// unless the event of its own place is not known any more.
    pub position: Option<EventCursor>,
    /// When it says so.
    pub at: Wall,
}

/// Why a reader was not taken at its word. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TakenError {
    /// There never was such an event, or a power cut took it. Read again from the place that is kept.
    #[error("the position is of an event that is not known here")]
    Gone,
    /// There are as many readers as may be. Remove one that is not needed any more.
    #[error("there are {MOST_READERS} readers already")]
    TooMany,
    /// The store could not write.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A reader as it is kept, by number and mark of its event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) event: u64,
    pub(crate) mark: u32,
    pub(crate) at: Wall,
    pub(crate) lost: u64,
}

impl Kept {
    /// One that is made known at a place.
    pub(crate) fn new(position: EventCursor, at: Wall) -> Self {
        let (event, mark) = position.parts();
        Self {
            event,
            mark,
            at,
            lost: 0,
        }
    }

    /// The last event that it has taken.
    pub(crate) const fn position(&self) -> EventCursor {
        EventCursor::from_parts(self.event, self.mark)
    }

    /// Moves it on; a place behind it changes nothing but when it spoke, unless its own is of an event that is not known any more, such
    /// as after the database was put back from a copy.
    pub(crate) fn take(&mut self, position: Option<EventCursor>, at: Wall, is_known: bool) {
        self.at = at;
        if let Some((event, mark)) = position.map(EventCursor::parts)
            && (event > self.event || !is_known)
        {
            (self.event, self.mark) = (event, mark);
        }
    }

    pub(crate) fn row(&self, name: ReaderName, newest: u64) -> ReaderRow {
        ReaderRow {
            name,
            position: self.position(),
            at: self.at,
            behind: newest.saturating_sub(self.event),
            lost: self.lost,
        }
    }
}

/// Checks that a position is of an event that is or was kept, given the newest's number and the kept event of its own.
pub(crate) fn check(position: EventCursor, newest: u64, found: Option<EventCursor>) -> Result<(), TakenError> {
    if position.id() > newest || found.is_some_and(|found| found != position) {
        return Err(TakenError::Gone);
    }
    Ok(())
}
