//! `[retention]`: how long what only grows is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::Span;
use stead_store::Retention;

/// Bounds of what only grows. What is absent has its default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retained {
    /// Transitions of agents. Default 1,000 rows of each agent, and 30 days.
    #[serde(skip_serializing_if = "is_default")]
    pub transitions: Kept,
    /// Events, which readers follow with a cursor. Default 200,000 rows in all, and 7 days.
    #[serde(skip_serializing_if = "is_default")]
    pub events: Kept,
    /// Events that a named reader has not taken yet: they are kept beyond the bounds of `events`, up to these. Default four times those.
    #[serde(skip_serializing_if = "is_default")]
    pub held: Kept,
    /// Answers to requests with an idempotency key. Default 200,000 rows in all, and 1 day.
    #[serde(skip_serializing_if = "is_default")]
    pub answers: Kept,
    /// Attempts to bring agents back. Default 200,000 rows in all, and 30 days.
    #[serde(skip_serializing_if = "is_default")]
    pub recoveries: Kept,
    /// Who changed what. Default 200,000 rows in all, and 365 days.
    #[serde(skip_serializing_if = "is_default")]
    pub audit: Kept,
}

/// How many rows are kept, and for how long: whichever bound is met first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kept {
    /// So many rows, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// Not older than this, at least a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Span>,
}

impl Retained {
    /// What the store is told.
    #[must_use]
    pub fn bounds(&self) -> Retention {
        let default = Retention::default();
        let age = |kept: &Kept, default| kept.age.map_or(default, |age| age.0);
        let rows = |kept: &Kept, default| kept.rows.map_or(default, u64::from);
        let events = age(&self.events, default.events);
        let event_rows = rows(&self.events, default.event_rows);
        Retention {
            transitions: age(&self.transitions, default.transitions),
            transition_rows: self.transitions.rows.unwrap_or(default.transition_rows),
            events,
            event_rows,
            held: age(&self.held, events.saturating_mul(HELD)),
            held_rows: rows(&self.held, event_rows.saturating_mul(u64::from(HELD))),
            answers: age(&self.answers, default.answers),
            answer_rows: rows(&self.answers, default.answer_rows),
            recoveries: age(&self.recoveries, default.recoveries),
            recovery_rows: rows(&self.recoveries, default.recovery_rows),
            audit: age(&self.audit, default.audit),
            audit_rows: rows(&self.audit, default.audit_rows),
        }
    }

    /// The keys whose value would keep nothing, with what is wrong.
    pub(super) fn wrong(&self) -> impl Iterator<Item = (String, &'static str)> {
        let tables = [
            ("transitions", &self.transitions),
            ("events", &self.events),
            ("held", &self.held),
            ("answers", &self.answers),
            ("recoveries", &self.recoveries),
            ("audit", &self.audit),
        ];
        let of_each = tables.into_iter().flat_map(|(table, kept)| {
            let rows = (kept.rows == Some(0)).then_some(("rows", "must be at least 1"));
            let short = kept.age.is_some_and(|age| age < Span::secs(SHORTEST));
            let age = short.then_some(("age", "must be at least 1m"));
            rows.into_iter()
                .chain(age)
                .map(move |(key, said)| (format!("{table}.{key}"), said))
        });
        let bounds = self.bounds();
        let few =
            (bounds.held_rows < bounds.event_rows).then_some(("held.rows", "must be at least as many as of `events`"));
        let short = (bounds.held < bounds.events).then_some(("held.age", "must be at least as long as of `events`"));
        let held = few.into_iter().chain(short).map(|(key, said)| (key.to_owned(), said));
        of_each.chain(held)
    }
}

fn is_default(kept: &Kept) -> bool {
    *kept == Kept::default()
}

/// How many times the bounds of events those are held for that a reader has not taken.
const HELD: u32 = 4;

/// A shorter age would forget what somebody is about to ask for.
const SHORTEST: u64 = 60;
