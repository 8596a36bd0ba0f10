//! Answers that a repeated request gets again, over all slots of a node.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use core::time::Duration;

use stead_model::journal::AnswerRow;
use stead_model::{IdempotencyKey, Namespace, Refusal, Slot, Wall};

/// How long an answer is kept.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How many answers are kept in memory; the oldest goes first. Older ones are in the store, where whoever hands commands in looks
/// first: these here are those that it may not hold yet.
const MOST: usize = 16_384;

#[derive(Debug, Default)]
pub(crate) struct Answers {
    rows: BTreeMap<(Namespace, String), AnswerRow>,
    order: VecDeque<(Namespace, String)>,
}

/// A key that was used before.
#[derive(Debug)]
pub(crate) struct Repeated<A> {
    /// The slot that the answer was given in.
    pub(crate) slot: Slot,
    /// The same answer again, or that the key was used for something else.
    pub(crate) reply: Result<A, Refusal>,
}

impl Answers {
    /// The answer that was given to a request with this key, if there was one.
    pub(crate) fn repeat<A: serde::de::DeserializeOwned>(
        &self,
        namespace: &Namespace,
        key: &IdempotencyKey,
        now: Wall,
    ) -> Option<Repeated<A>> {
        let row = self.rows.get(&(namespace.clone(), key.key.clone()))?;
        if now.since(row.at) > KEPT {
            return None;
        }
        let reply = if row.fingerprint == key.fingerprint {
            serde_json::from_str(&row.answer).ok().map(Ok)?
        } else {
            Err(Refusal::KeyReused(key.key.clone()))
        };
        Some(Repeated {
            slot: row.agent.slot(),
            reply,
        })
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

    /// Forgets the answers of a slot that is given up.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.rows.retain(|_, row| row.agent.slot() != slot);
        let rows = &self.rows;
        self.order.retain(|key| rows.contains_key(key));
    }
}
