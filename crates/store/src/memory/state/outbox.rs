//! The events' named readers, and the forgetting of events that respects them.

use stead_model::{AuditRow, ReaderName, Wall};

use super::{Before, State, select};
use crate::reader::{Kept, check};
use crate::retention::{Outbox, PRUNE_ROWS, before, lost};
use crate::{EventCursor, MOST_READERS, ReaderRow, Retention, Taken, TakenError};

impl State {
    /// All readers, by name.
    pub(in crate::memory) fn readers(&self) -> Vec<ReaderRow> {
        let newest = self.newest();
        let rows = self.readers.iter();
        rows.map(|(name, kept)| kept.row(name.clone(), newest)).collect()
    }

    /// Writes down how far a reader has taken the events, and who asked for it if it was not known; flushed.
    pub(in crate::memory) fn acknowledge(&mut self, taken: &Taken, asked: AuditRow) -> Result<ReaderRow, TakenError> {
        let newest = self.newest();
        if let Some(position) = taken.position {
            check(position, newest, self.event_at(position))?;
        }
        let is_new = !self.readers.contains_key(&taken.name);
        if is_new && self.readers.len() >= MOST_READERS as usize {
            return Err(TakenError::TooMany);
        }
        let start = self.last_event().unwrap_or(EventCursor::from_parts(0, 0));
        if is_new {
            self.put_audit(asked);
        }
        let made = || Kept::new(taken.position.unwrap_or(start), taken.at);
        let mut kept = self.readers.get(&taken.name).cloned().unwrap_or_else(made);
        let is_known = check(kept.position(), newest, self.event_at(kept.position())).is_ok();
        kept.take(taken.position, taken.at, is_known);
        let row = kept.row(taken.name.clone(), newest);
        self.readers.insert(taken.name.clone(), kept);
        self.flush();
        Ok(row)
    }

    /// Forgets a reader, and writes down who asked for it; flushed. Says whether there was one.
    pub(in crate::memory) fn remove_reader(&mut self, name: &ReaderName, asked: AuditRow) -> bool {
        let known = self.readers.remove(name).is_some();
        if known {
            self.put_audit(asked);
        }
        self.flush();
        known
    }

    /// Forgets events beyond their bounds, as far as readers have taken them; says how many, and how many of them a reader has lost.
    pub(super) fn prune_events(&mut self, retention: &Retention, now: Wall, step: &mut Vec<Before>) -> (u64, u64) {
        let young = |age| {
            let cutoff = before(now, age);
            let (reached, mut rest) = (self.events.iter().take(PRUNE_ROWS as usize), self.events.iter());
            let mut young = reached.filter(|(_, (_, event))| event.at >= cutoff);
            young
                .next()
                .or_else(|| rest.nth(PRUNE_ROWS as usize))
                .map(|(id, _)| *id)
        };
        let Some((oldest, _)) = self.events.first_key_value() else {
            return (0, 0);
        };
        let outbox = Outbox {
            oldest: *oldest,
            newest: self.newest(),
            young: young(retention.events),
            held: young(retention.held),
            taken: self.readers.values().map(|kept| kept.event).min(),
        };
        let gone: Vec<u64> = select(self.events.range(..outbox.cut(retention)));
        for id in &gone {
            let before = self.events.remove(id);
            step.push(Before::Event(*id, before.map(Box::new)));
        }
        let until = self.events.first_key_value().map_or(outbox.oldest, |(id, _)| *id);
        let mut most = 0;
        for (name, kept) in &mut self.readers {
            let lost = lost(kept.event, outbox.oldest, until);
            if lost > 0 {
                step.push(Before::Reader(name.clone(), Some(kept.clone())));
                kept.lost += lost;
                most = most.max(lost);
            }
        }
        (gone.len() as u64, most)
    }

    /// The kept event that has the number of a position.
    fn event_at(&self, position: EventCursor) -> Option<EventCursor> {
        self.events.get(&position.id()).map(|(cursor, _)| *cursor)
    }

    fn newest(&self) -> u64 {
        self.last_event().map_or(0, EventCursor::id)
    }
}
