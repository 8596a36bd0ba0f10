//! Idempotency keys: the same request sent again is the same execution.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ExecutionId, StreamId};

/// What whoever asks chose for one request, so that it can be sent again when its answer was lost: 1 to 255 visible ASCII
/// characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestKey(Arc<str>);

/// Not a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct InvalidKey;

impl FromStr for RequestKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.into())).ok_or(InvalidKey)
    }
}

impl TryFrom<String> for RequestKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<RequestKey> for String {
    fn from(key: RequestKey) -> Self {
        key.0.as_ref().to_owned()
    }
}

/// A key, and what it was used for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) key: RequestKey,
    fingerprint: u64,
}

impl Ticket {
    pub(super) fn new(key: RequestKey, entry_point: &str, input: &str, stream: Option<&StreamId>) -> Self {
        let stream = stream.map_or("", StreamId::as_str);
        Self {
            key,
            fingerprint: fingerprint([entry_point, input, stream]),
        }
    }
}

/// FNV-1a over the parts, each behind its length. Written down with executions: it must never change.
fn fingerprint(parts: [&str; 3]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        let length = (part.len() as u64).to_le_bytes();
        length.into_iter().chain(part.bytes()).fold(hash, step)
    })
}

/// Which execution each key stands for, as long as that is known here.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_key: BTreeMap<RequestKey, (u64, ExecutionId)>,
    by_execution: BTreeMap<ExecutionId, RequestKey>,
}

impl Keys {
    /// The execution that a ticket stands for; an error where its key was used for another request.
    pub(super) fn find(&self, ticket: &Ticket) -> Result<Option<ExecutionId>, ExecutionId> {
        match self.by_key.get(&ticket.key) {
            Some((fingerprint, execution)) if *fingerprint == ticket.fingerprint => Ok(Some(*execution)),
            Some((_, execution)) => Err(*execution),
            None => Ok(None),
        }
    }

    pub(super) fn add(&mut self, ticket: &Ticket, execution: ExecutionId) {
        self.by_key.insert(ticket.key.clone(), (ticket.fingerprint, execution));
        self.by_execution.insert(execution, ticket.key.clone());
    }

    pub(super) fn forget(&mut self, execution: ExecutionId) {
        if let Some(key) = self.by_execution.remove(&execution) {
            self.by_key.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_requests_apart_and_stays_the_same_for_ever() {
        assert_eq!(fingerprint(["answer", "null", ""]), 0xb353_71d5_6ec1_3ed0);
        assert_ne!(fingerprint(["a", "b", ""]), fingerprint(["a", "", "b"]));
    }

    #[test]
    fn a_key_is_visible_and_not_too_long() {
        assert!("k-1".parse::<RequestKey>().is_ok());
        for bad in ["", "a b", "\u{e4}", &"x".repeat(256)] {
            assert_eq!(bad.parse::<RequestKey>(), Err(InvalidKey));
        }
    }
}
