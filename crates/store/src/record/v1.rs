//! The first form: the digit 1, then JSON as the model writes it. Fields that were added later have defaults in the model.

use serde::Deserialize;
use serde_json::value::RawValue;
use stead_model::journal::{AgentRow, AnswerRow, DegradationRow, GroupRow, SpecRow};
use stead_model::{AgentSpec, AuditRow, Event, LevelChange, RecoveryAttempt};

use super::{Record, corrupt};
use crate::StoreError;

pub(super) const TAG: u8 = b'1';

impl Record for AgentRow {
    const WHAT: &'static str = "an agent's row";
}

impl Record for SpecRow {
    const WHAT: &'static str = "a spec";
}

impl Record for GroupRow {
    const WHAT: &'static str = "a group's row";
}

impl Record for AnswerRow {
    const WHAT: &'static str = "an answer";
}

impl Record for AuditRow {
    const WHAT: &'static str = "a row of the audit";
}

impl Record for RecoveryAttempt {
    const WHAT: &'static str = "an attempt to bring an agent back";
}

impl Record for DegradationRow {
    const WHAT: &'static str = "what a namespace has given up";
}

impl Record for LevelChange {
    const WHAT: &'static str = "a change of what a namespace has given up";
}

impl Record for Event {
    const WHAT: &'static str = "an event";
}

pub(super) fn write<R: Record>(row: &R, body: &mut Vec<u8>) -> Result<(), StoreError> {
    body.push(TAG);
    // The model's types have text keys and finite numbers alone, so this does not fail; if it did, nothing was written.
    serde_json::to_writer(&mut *body, row).map_err(|error| corrupt::<R>(&error.to_string()))
}

pub(super) fn read<R: Record>(form: &[u8]) -> Result<R, StoreError> {
    serde_json::from_slice(form).map_err(|error| corrupt::<R>(&error.to_string()))
}

/// The words in which a [`SpecRow`] tells what an agent is to be.
pub(super) fn read_words(form: &[u8]) -> Result<&str, StoreError> {
    #[derive(Deserialize)]
    struct Words<'w> {
        #[serde(borrow)]
        spec: &'w RawValue,
    }
    let words: Words<'_> = serde_json::from_slice(form).map_err(|error| corrupt::<SpecRow>(&error.to_string()))?;
    Ok(words.spec.get())
}

/// Reads such words.
pub(super) fn read_spec(words: &str) -> Result<AgentSpec, StoreError> {
    serde_json::from_str(words).map_err(|error| corrupt::<SpecRow>(&error.to_string()))
}
