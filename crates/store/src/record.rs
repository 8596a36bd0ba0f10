//! Stored forms of rows: a version tag, then the form of that version. What is stored outlives the code that wrote it.

mod v1;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stead_model::AgentId;
use stead_model::journal::{Append, Change};

use crate::StoreError;

/// A row that is stored as one body.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// What it is, for messages.
    const WHAT: &'static str;
}

/// Writes a row in the newest form.
pub(crate) fn encode(row: &impl Record) -> Result<Vec<u8>, StoreError> {
    let mut body = Vec::with_capacity(TYPICAL);
    v1::write(row, &mut body)?;
    Ok(body)
}

/// Reads a row in whichever form it was written.
pub(crate) fn decode<R: Record>(body: &[u8]) -> Result<R, StoreError> {
    match body.split_first() {
        Some((&v1::TAG, form)) => v1::read(form),
        Some((tag, _)) => Err(corrupt::<R>(&format!("its form is marked {tag}, which is unknown"))),
        None => Err(corrupt::<R>("it is empty")),
    }
}

/// The first agent of a state row that does not belong to the append's slot.
pub(crate) fn stray(append: &Append) -> Option<AgentId> {
    append
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Agent(row) => Some(row.id),
            Change::Spec(row) => Some(row.agent),
            Change::Group(row) => Some(row.id),
            Change::Answer(_) | Change::Audit(_) => None,
        })
        .find(|agent| agent.slot() != append.slot)
}

fn corrupt<R: Record>(why: &str) -> StoreError {
    StoreError::Corrupt {
        detail: format!("{} cannot be read: {why}", R::WHAT),
    }
}

const TYPICAL: usize = 768;

#[cfg(test)]
mod tests;
