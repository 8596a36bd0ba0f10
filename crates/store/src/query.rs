//! Questions to a store, and places in its answers.

use std::fmt;
use std::str::FromStr;

use stead_model::{
    AgentId, AgentName, AttemptState, AuditRow, Epoch, Event, FailureKind, LevelChange, Namespace, Position, Reason,
    RecoveryAttempt, Slot, Strategy, Transition, Wall,
};

use crate::ReadError;

/// Which rows of history are wanted. Everything left out matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TransitionQuery {
    /// Of this namespace. Leave it out only for those who may see all.
    pub namespace: Option<Namespace>,
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// Of agents that were replicas of a group of this name then.
    pub group: Option<AgentName>,
    /// Into this phase.
    pub to: Option<String>,
    /// For this reason.
    pub reason: Option<Reason>,
    /// At this time or later.
    pub from: Option<Wall>,
    /// Before this time.
    pub until: Option<Wall>,
    /// After the last row of an earlier page of the same query.
    pub cursor: Option<PageCursor>,
    /// How many at most; from 1 to 1,000, else the nearer of them.
    pub limit: usize,
}

impl TransitionQuery {
    /// Whether `row` is wanted, whatever the page.
    pub(crate) fn matches(&self, row: &Transition) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == row.namespace)
            && self.agent.is_none_or(|agent| agent == row.agent)
            && (self.group.is_none() || self.group == row.group)
            && self.to.as_ref().is_none_or(|to| *to == row.to)
            && self.reason.is_none_or(|reason| reason == row.reason)
            && self.from.is_none_or(|from| row.at >= from)
            && self.until.is_none_or(|until| row.at < until)
    }

    /// The number that rows must be below, if the cursor belongs to this query.
    pub(crate) fn below(&self) -> Result<Option<u64>, ReadError> {
        match (&self.cursor, self.agent) {
            (None, _) => Ok(None),
            (Some(PageCursor::Sequence(below)), Some(_)) | (Some(PageCursor::Row(below)), None) => Ok(Some(*below)),
            (Some(PageCursor::Sequence(_)), None) | (Some(PageCursor::Row(_)), Some(_)) => Err(ReadError::Cursor),
        }
    }

    /// The cursor behind the last row of a page: its number among all rows, or the agent's own.
    pub(crate) fn cursor_at(&self, row: u64, last: &Transition) -> PageCursor {
        match self.agent {
            Some(_) => PageCursor::Sequence(last.sequence.0),
            None => PageCursor::Row(row),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        clamp(self.limit)
    }
}

/// Rows of history, newest first.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// The rows.
    pub items: Vec<Transition>,
    /// Where the next page starts; nothing if this was the last.
    pub next: Option<PageCursor>,
}

/// A place in pages of history. Opaque: only its text leaves the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageCursor {
    /// Below this number of an agent's own history.
    #[doc(hidden)]
    Sequence(u64),
    /// Below this row of all.
    #[doc(hidden)]
    Row(u64),
}

impl fmt::Display for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence(below) => write!(f, "s{below:x}"),
            Self::Row(below) => write!(f, "r{below:x}"),
        }
    }
}

impl FromStr for PageCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if let Some(digits) = text.strip_prefix('s') {
            hex(digits).map(Self::Sequence)
        } else if let Some(digits) = text.strip_prefix('r') {
            hex(digits).map(Self::Row)
        } else {
            Err(InvalidCursor)
        }
    }
}

/// Which changes that somebody asked for are wanted. Everything left out matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditQuery {
    /// Of this namespace. Leave it out only for those who may see all.
    pub namespace: Option<Namespace>,
    /// Of this agent or group.
    pub id: Option<AgentId>,
    /// Of whatever had this name.
    pub name: Option<String>,
    /// By this actor.
    pub actor: Option<String>,
    /// By this verb.
    pub verb: Option<String>,
    /// By this one request.
    pub correlation_id: Option<String>,
    /// At this time or later.
    pub from: Option<Wall>,
    /// Before this time.
    pub until: Option<Wall>,
    /// Older than the row of this number: where an earlier page of the same query ended.
    pub below: Option<u64>,
    /// How many at most; from 1 to 1,000, else the nearer of them.
    pub limit: usize,
}

impl AuditQuery {
    /// Whether `row` is wanted, whatever the page.
    pub(crate) fn matches(&self, row: &AuditRow) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        self.namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == row.namespace)
            && self.id.is_none_or(|id| row.id == Some(id))
            && is(&self.name, &row.name)
            && is(&self.actor, &row.actor)
            && is(&self.verb, &row.verb)
            && is(&self.correlation_id, &row.correlation_id)
            && self.from.is_none_or(|from| row.at >= from)
            && self.until.is_none_or(|until| row.at < until)
    }

    pub(crate) fn rows(&self) -> usize {
        clamp(self.limit)
    }
}

/// Changes that somebody asked for, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditPage {
    /// The rows.
    pub items: Vec<AuditRow>,
    /// What the next page is below; nothing if this was the last.
    pub next: Option<u64>,
}

impl AuditPage {
    /// The first `limit` rows, and whether there are more.
    pub(crate) fn cut(found: Vec<(u64, AuditRow)>, limit: usize) -> Self {
        let (items, next) = cut(found, limit);
        Self { items, next }
    }
}

/// The first `limit` rows, and the number of the last of them if there are more.
fn cut<R>(mut found: Vec<(u64, R)>, limit: usize) -> (Vec<R>, Option<u64>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(id, _)| *id);
    (found.into_iter().map(|(_, row)| row).collect(), next)
}

/// Which attempts to bring agents back are wanted. Everything left out matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveryQuery {
    /// Of this namespace. Leave it out only for those who may see all.
    pub namespace: Option<Namespace>,
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// Of whatever had this name.
    pub name: Option<AgentName>,
    /// Of this strategy.
    pub strategy: Option<Strategy>,
    /// Against this kind of failure.
    pub failure: Option<FailureKind>,
    /// That stand or ended so.
    pub state: Option<AttemptState>,
    /// Begun at this time or later.
    pub from: Option<Wall>,
    /// Begun before this time.
    pub until: Option<Wall>,
    /// Older than the row of this number: where an earlier page of the same query ended.
    pub below: Option<u64>,
    /// How many at most; from 1 to 1,000, else the nearer of them.
    pub limit: usize,
}

impl RecoveryQuery {
    /// Whether `row` is wanted, whatever the page.
    pub(crate) fn matches(&self, row: &RecoveryAttempt) -> bool {
        let Self {
            namespace,
            agent,
            name,
            strategy,
            failure,
            state,
            from,
            until,
            below: _,
            limit: _,
        } = self;
        namespace.as_ref().is_none_or(|namespace| *namespace == row.namespace)
            && agent.is_none_or(|agent| agent == row.agent)
            && name.as_ref().is_none_or(|name| *name == row.name)
            && strategy.is_none_or(|strategy| strategy == row.strategy)
            && failure.is_none_or(|failure| failure == row.failure)
            && state.is_none_or(|state| state == row.state)
            && from.is_none_or(|from| row.began >= from)
            && until.is_none_or(|until| row.began < until)
    }

    pub(crate) fn rows(&self) -> usize {
        clamp(self.limit)
    }
}

/// Attempts to bring agents back, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveryPage {
    /// The rows.
    pub items: Vec<RecoveryAttempt>,
    /// What the next page is below; nothing if this was the last.
    pub next: Option<u64>,
}

impl RecoveryPage {
    /// The first `limit` rows, and whether there are more.
    pub(crate) fn cut(found: Vec<(u64, RecoveryAttempt)>, limit: usize) -> Self {
        let (items, next) = cut(found, limit);
        Self { items, next }
    }
}

/// Which changes of what a namespace has given up are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LevelQuery {
    /// Of this namespace.
    pub namespace: Namespace,
    /// At this time or later.
    pub from: Option<Wall>,
    /// Before this time.
    pub until: Option<Wall>,
    /// Of a lower number: where an earlier page of the same query ended.
    pub below: Option<u64>,
    /// How many at most; from 1 to 1,000, else the nearer of them.
    pub limit: usize,
}

impl LevelQuery {
    /// Whether `row` is wanted, whatever the page.
    pub(crate) fn matches(&self, row: &LevelChange) -> bool {
        self.namespace == row.namespace
            && self.from.is_none_or(|from| row.at >= from)
            && self.until.is_none_or(|until| row.at < until)
    }

    pub(crate) fn rows(&self) -> usize {
        clamp(self.limit)
    }
}

/// Changes of what a namespace has given up, newest first.
#[derive(Clone, PartialEq, Debug)]
pub struct LevelPage {
    /// The rows.
    pub items: Vec<LevelChange>,
    /// What the next page is below; nothing if this was the last.
    pub next: Option<u64>,
}

impl LevelPage {
    /// The first `limit` rows, and whether there are more.
    pub(crate) fn cut(found: Vec<(u64, LevelChange)>, limit: usize) -> Self {
        let (items, next) = cut(found, limit);
        Self { items, next }
    }
}

/// How many changes of each namespace are kept.
pub(crate) const LEVELS_KEPT: u64 = 1_000;

/// Which events are wanted. Everything left out matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    /// Of this namespace. Leave it out only for those who may see all.
    pub namespace: Option<Namespace>,
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// Of these types, as in the events' `type`; empty: of all.
    pub types: Vec<String>,
}

impl EventFilter {
    pub(crate) fn matches(&self, event: &Event) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == event.namespace)
            && self.agent.is_none_or(|agent| agent == event.agent)
            && (self.types.is_empty() || self.types.iter().any(|kind| kind == event.what.kind()))
    }
}

/// Events in the order of their commit.
#[derive(Clone, PartialEq, Debug)]
pub struct EventPage {
    /// The events, each with its own cursor.
    pub items: Vec<(EventCursor, Event)>,
    /// How far was looked, matching or not: where to go on. Nothing if there never was an event.
    pub next: Option<EventCursor>,
}

/// The place of one event in the order of commits. Opaque and stable; a cursor to an event that a power cut took is known as such.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventCursor {
    id: u64,
    mark: u32,
}

impl EventCursor {
    /// Points at event `id`, written by that append: the epoch tells it from one that took its number after a power cut.
    pub(crate) fn new(id: u64, slot: Slot, epoch: Epoch, position: Position) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in [u64::from(slot.number()), epoch.0, position.0] {
            hash = (hash ^ part).wrapping_mul(0x0000_0100_0000_01b3);
            hash ^= hash >> 29;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a mark of 32 bits is wanted")]
        Self { id, mark: hash as u32 }
    }

    /// What [`EventCursor::parts`] told; number 0 is before the first event.
    pub(crate) const fn from_parts(id: u64, mark: u32) -> Self {
        Self { id, mark }
    }

    pub(crate) const fn id(self) -> u64 {
        self.id
    }

    /// Its number and mark, for storing.
    pub(crate) const fn parts(self) -> (u64, u32) {
        (self.id, self.mark)
    }

    /// Says whether reading may go on behind this cursor, given the oldest and newest kept ids and the kept event of its id.
    pub(crate) fn check(self, kept: Option<(u64, u64)>, found: Option<Self>) -> Result<(), ReadError> {
        let Some((oldest, newest)) = kept else {
            return if self.id == 0 { Ok(()) } else { Err(ReadError::Gone) };
        };
        let is_kept = found == Some(self);
        // The one just before the oldest misses nothing.
        let was_kept_last = self.id.checked_add(1) == Some(oldest);
        if self.id <= newest && (is_kept || was_kept_last) {
            Ok(())
        } else {
            Err(ReadError::Gone)
        }
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:08x}", self.id, self.mark)
    }
}

impl FromStr for EventCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (id, mark) = text.split_once('-').ok_or(InvalidCursor)?;
        Ok(Self {
            id: hex(id)?,
            mark: u32::try_from(hex(mark)?).map_err(|_beyond| InvalidCursor)?,
        })
    }
}

/// What was no cursor of this store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a cursor: use one that an earlier answer gave, unchanged")]
pub struct InvalidCursor;

pub(crate) fn clamp(limit: usize) -> usize {
    limit.clamp(1, MAX_ROWS)
}

fn hex(digits: &str) -> Result<u64, InvalidCursor> {
    if digits.starts_with('+') {
        return Err(InvalidCursor);
    }
    u64::from_str_radix(digits, 16).map_err(|_not_hex| InvalidCursor)
}

/// How many removed agents of one name are shown.
pub(crate) const MAX_REMOVED: usize = 100;

const MAX_ROWS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(id: u64, epoch: u64) -> EventCursor {
        EventCursor::new(id, Slot::try_from(5).unwrap(), Epoch(epoch), Position(9))
    }

    #[test]
    fn cursors_read_back_from_their_text() {
        let event = cursor(77, 3);
        assert_eq!(event.to_string().parse(), Ok(event));
        for page in [PageCursor::Row(255), PageCursor::Sequence(1)] {
            assert_eq!(page.to_string().parse(), Ok(page));
        }
        for text in ["", "-", "s", "r+1", "x1", "1", "1-", "1-1ffffffff", "-1-1", "é"] {
            assert!(text.parse::<PageCursor>().is_err(), "{text}");
            assert!(text.parse::<EventCursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_of_an_event_that_was_lost_and_replaced_is_gone() {
        let kept = Some((1, 10));
        assert_eq!(cursor(7, 1).check(kept, Some(cursor(7, 1))), Ok(()));
        assert_eq!(cursor(7, 1).check(kept, Some(cursor(7, 2))), Err(ReadError::Gone));
        assert_eq!(cursor(11, 1).check(kept, None), Err(ReadError::Gone));
    }

    #[test]
    fn a_cursor_is_gone_once_an_event_behind_it_is_forgotten() {
        assert_eq!(cursor(4, 1).check(Some((5, 10)), None), Ok(()));
        assert_eq!(cursor(3, 1).check(Some((5, 10)), None), Err(ReadError::Gone));
        assert_eq!(cursor(3, 1).check(None, None), Err(ReadError::Gone));
    }
}
