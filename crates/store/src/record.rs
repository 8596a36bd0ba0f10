//! Stored forms of rows: a version tag, then the form of that version. What is stored outlives the code that wrote it.

mod v1;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stead_model::journal::{Append, Change, SpecRow};
use stead_model::{AgentId, AgentSpec};

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

/// Specs that were read, by the words that they are stored in: many agents are told the same.
#[derive(Default)]
pub(crate) struct Specs(HashMap<Box<str>, Arc<AgentSpec>>);

/// How many different ones are remembered.
const MOST_SPECS: usize = 1024;

impl Specs {
    /// Reads what an agent is told to be of the body of a [`SpecRow`].
    pub(crate) fn decode(&mut self, body: &[u8]) -> Result<Arc<AgentSpec>, StoreError> {
        let Some((&v1::TAG, form)) = body.split_first() else {
            return decode::<SpecRow>(body).map(|row| Arc::new(row.spec));
        };
        let words = v1::read_words(form)?;
        if let Some(known) = self.0.get(words) {
            return Ok(Arc::clone(known));
        }
        let spec = Arc::new(v1::read_spec(words)?);
        if self.0.len() == MOST_SPECS {
            self.0.clear();
        }
        self.0.insert(words.into(), Arc::clone(&spec));
        Ok(spec)
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
            Change::Recovery(row) => Some(row.agent),
            Change::Degradation(row) => Some(row.id),
            Change::Answer(_) | Change::Audit(_) | Change::Level(_) => None,
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
