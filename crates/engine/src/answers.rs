//! Answers that a repeated request gets again.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use core::time::Duration;

use stead_model::journal::AnswerRow;
use stead_model::{Answer, IdempotencyKey, Namespace, Refusal, Wall};

/// How long an answer is kept.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How many answers one slot keeps in memory; the oldest goes first.
const MOST: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Answers {
    rows: BTreeMap<(Namespace, String), AnswerRow>,
    order: VecDeque<(Namespace, String)>,
}

impl Answers {
    /// The answer that was given to the same request, if it was.
    pub(crate) fn repeat(&self, namespace: &Namespace, key: &IdempotencyKey) -> Option<Result<Answer, Refusal>> {
        let row = self.rows.get(&(namespace.clone(), key.key.clone()))?;
        if row.fingerprint != key.fingerprint {
            return Some(Err(Refusal::KeyReused(key.key.clone())));
        }
        serde_json::from_str(&row.answer).ok().map(Ok)
    }

    pub(crate) fn keep(&mut self, row: AnswerRow, now: Wall) {
        let key = (row.namespace.clone(), row.key.clone());
        if self.rows.insert(key.clone(), row).is_none() {
            self.order.push_back(key);
        }
        while let Some(oldest) = self.order.front()
            && (self.order.len() > MOST || self.rows.get(oldest).is_some_and(|row| now.since(row.at) > KEPT))
        {
            if let Some(oldest) = self.order.pop_front() {
                self.rows.remove(&oldest);
            }
        }
    }
}
