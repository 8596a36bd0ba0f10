//! What is written down of an execution, so that the next process can go on with it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stead_model::Wall;

use super::keys::Ticket;
use super::{ExecutionId, StreamId};

/// Version 1. Fields may be added with a default; another meaning is another version.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u8,
    pub(super) execution: ExecutionId,
    pub(super) stream: StreamId,
    pub(super) entry_point: String,
    pub(super) input: Box<RawValue>,
    #[serde(default)]
    pub(super) checkpoint: Option<Box<RawValue>>,
    pub(super) started_at: Wall,
    pub(super) attempt: u32,
    /// Tries that were begun since the checkpoint last changed, without those that were interrupted on purpose. Older records have none.
    #[serde(default)]
    pub(super) tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ticket: Option<Ticket>,
}

pub(super) const VERSION: u8 = 1;

/// Under which key the pause is kept.
pub(super) const PAUSE_KEY: &str = "pause";

/// Under which key a stream's work is kept.
pub(super) fn key(stream: &StreamId) -> String {
    format!("{STREAM}{stream}")
}

/// The stream whose work is kept under a key, as it is written there.
pub(super) fn stream(key: &str) -> Option<&str> {
    key.strip_prefix(STREAM)
}

/// Reads what an earlier process wrote.
pub(super) fn read(bytes: &[u8]) -> Result<Record, String> {
    let record: Record = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if record.version == VERSION {
        Ok(record)
    } else {
        Err(format!("version {} is not known here, only {VERSION}", record.version))
    }
}

const STREAM: &str = "stream-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_version_1_are_read_for_ever() {
        let bytes = br#"{"version":1,"execution":"exe_0123456789ab-7","stream":"mail","entry_point":"answer","input":{"a":1},"checkpoint":[2],"started_at":"2026-11-22T09:00:00.000Z","attempt":3}"#;
        let record = read(bytes).unwrap();
        assert_eq!((record.input.get(), record.attempt, record.tries), (r#"{"a":1}"#, 3, 0));
        assert_eq!(record.checkpoint.unwrap().get(), "[2]");
        let without = br#"{"version":1,"execution":"exe_0123456789ab-7","stream":"mail","entry_point":"answer","input":null,"started_at":"2026-11-22T09:00:00.000Z","attempt":1}"#;
        assert!(read(without).unwrap().checkpoint.is_none());
    }

    #[test]
    fn a_later_version_is_not_guessed_at() {
        let bytes = br#"{"version":2,"execution":"exe_0123456789ab-7","stream":"mail","entry_point":"answer","input":null,"started_at":"2026-11-22T09:00:00.000Z","attempt":1}"#;
        assert!(read(bytes).unwrap_err().contains("version 2"));
        assert!(read(b"{").is_err());
    }
}
