//! How long what only grows is kept.

use std::time::Duration;

use stead_model::{Sequence, Wall};

/// How much is kept of what only grows.
///
/// | field | default |
/// |---|---|
/// | `transitions` | 30 days |
/// | `transition_rows` | 1,000 of each agent |
/// | `events` | 7 days |
/// | `event_rows` | 200,000 |
/// | `held` | 28 days |
/// | `held_rows` | 800,000 |
/// | `answers` | 1 day |
/// | `answer_rows` | 200,000 |
/// | `recoveries` | 30 days |
/// | `recovery_rows` | 200,000 |
/// | `audit` | 365 days |
/// | `audit_rows` | 200,000 |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Age of history; too short, and `why` cannot look back.
    pub transitions: Duration,
    /// Rows of history of each agent, and up to 63 more. Bounded at writing: what is told here holds for what is written from then on.
    pub transition_rows: u32,
    /// Age of events; too short, and readers that were away find a gap.
    pub events: Duration,
    /// Number of events, whatever their age.
    pub event_rows: u64,
    /// Age of events that a named reader has not taken; shorter than `events` counts as that long. Too long, and a reader that never
    /// comes back fills the disk.
    pub held: Duration,
    /// Number of such events, whatever their age; fewer than `event_rows` counts as so many.
    pub held_rows: u64,
    /// Age of answers to requests with an idempotency key; too short, and a late repeat acts twice.
    pub answers: Duration,
    /// Number of answers, whatever their age; those given in the same millisecond go together.
    pub answer_rows: u64,
    /// Age of attempts to bring agents back; too short, and nobody sees what was tried before.
    pub recoveries: Duration,
    /// Number of such attempts, whatever their age.
    pub recovery_rows: u64,
    /// Age of the audit; too short, and nobody can say who did it.
    pub audit: Duration,
    /// Number of rows of the audit, whatever their age.
    pub audit_rows: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            transitions: 30 * DAY,
            transition_rows: ROWS_PER_AGENT,
            events: 7 * DAY,
            event_rows: 200_000,
            held: 28 * DAY,
            held_rows: 800_000,
            answers: DAY,
            answer_rows: 200_000,
            recoveries: 30 * DAY,
            recovery_rows: 200_000,
            audit: 365 * DAY,
            audit_rows: 200_000,
        }
    }
}

/// What a call of [`Store::prune`](crate::Store::prune) forgot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pruned {
    /// Rows of history.
    pub transitions: u64,
    /// Events.
    pub events: u64,
    /// Those of the events that a named reader had not taken; of the reader that had taken fewest of them.
    pub lost: u64,
    /// Answers.
    pub answers: u64,
    /// Attempts to bring agents back.
    pub recoveries: u64,
    /// Rows of the audit.
    pub audit: u64,
    /// There may be more to forget.
    pub more: bool,
}

/// What pruning events has to know of them, by their numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outbox {
    /// The oldest kept.
    pub(crate) oldest: u64,
    /// The newest.
    pub(crate) newest: u64,
    /// The first that is young enough, or the first behind [`PRUNE_ROWS`] of them that are not; nothing if none is.
    pub(crate) young: Option<u64>,
    /// The first that is young enough to be held for readers, in the same way.
    pub(crate) held: Option<u64>,
    /// The last that every named reader has taken, if there are readers.
    pub(crate) taken: Option<u64>,
}

impl Outbox {
    /// The event before which all are forgotten. The newest never is.
    pub(crate) fn cut(&self, retention: &Retention) -> u64 {
        let bound = |young: Option<u64>, rows: u64| {
            let surplus = self.newest.saturating_sub(rows.max(1)) + 1;
            young.unwrap_or(self.newest).max(surplus).min(self.newest)
        };
        let cut = bound(self.young, retention.event_rows);
        let held = bound(self.held, retention.held_rows);
        self.taken.map_or(cut, |taken| cut.min(held.max(taken + 1)))
    }
}

/// How many of the events from `oldest` on and before `until` are behind `taken`.
pub(crate) fn lost(taken: u64, oldest: u64, until: u64) -> u64 {
    until.saturating_sub(oldest.max(taken + 1))
}

/// Where an agent's history ends for one that keeps `rows` of it, asked when `written` is written: now and then, so that the bound is
/// soft by [`CUT_EVERY`] rows and costs next to nothing.
pub(crate) fn history_cut(written: Sequence, rows: u32) -> Option<Sequence> {
    let cut = written.0.saturating_sub(u64::from(rows));
    (written.0.is_multiple_of(CUT_EVERY) && cut > 0).then_some(Sequence(cut))
}

/// The time before which something of that age is forgotten.
pub(crate) fn before(now: Wall, age: Duration) -> Wall {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Wall::from_unix_millis(now.unix_millis().saturating_sub(age))
}

/// How many rows of a kind one call of `prune` forgets at most: the writer is busy for that long.
pub(crate) const PRUNE_ROWS: u32 = 1_000;

/// How many answers of a slot are loaded with it, the newest ones; the others are read when they are asked for.
pub(crate) const ANSWERS_LOADED: u32 = 16;

/// Rows of history kept for each agent unless told otherwise.
pub(crate) const ROWS_PER_AGENT: u32 = 1_000;

const CUT_EVERY: u64 = 64;
const DAY: Duration = Duration::from_secs(86_400);
