//! Names of executions and of the streams that they run in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One execution of an entry point, as `exe_`, the run of the runtime that took it in and a number.
///
/// Runs differ between processes, so that an execution which is resumed elsewhere keeps its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutionId {
    run: u64,
    number: u64,
}

/// A line of executions of which one runs at a time: 1 to 64 of `A-Z a-z 0-9 . _ -`, not beginning with a dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

/// Gives out ids that no other process gives out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    run: u64,
    next: u64,
}

impl Numbers {
    pub(super) fn new() -> Self {
        let random = uuid::Uuid::now_v7().as_u128();
        Self {
            run: u64::try_from(random & RUN).unwrap_or_default(),
            next: 0,
        }
    }

    pub(super) fn execution(&mut self) -> ExecutionId {
        self.next += 1;
        ExecutionId {
            run: self.run,
            number: self.next,
        }
    }
}

/// The random tail of a version 7 UUID, of which 48 bits are plenty to tell processes apart.
const RUN: u128 = (1 << 48) - 1;

impl StreamId {
    /// The stream of an execution that named none.
    pub(super) fn of(execution: ExecutionId) -> Self {
        Self(format!("str_{:012x}-{}", execution.run, execution.number).into())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::Stream(shortened(text)))
        }
    }
}

impl FromStr for ExecutionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parts = text.strip_prefix("exe_").and_then(|rest| rest.split_once('-'));
        let read = parts.and_then(|(run, number)| {
            let plain = run.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit());
            let run = u64::from_str_radix(run, 16).ok().filter(|_| plain)?;
            Some(Self {
                run,
                number: number.parse().ok()?,
            })
        });
        read.ok_or_else(|| InvalidId::Execution(shortened(text)))
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exe_{:012x}-{}", self.run, self.number)
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Gives a type that is written as text its conversions and its schema.
macro_rules! as_text {
    ($type:ident, $name:literal, $pattern:literal) => {
        impl TryFrom<String> for $type {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.to_string()
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

as_text!(ExecutionId, "ExecutionId", "^exe_[0-9a-f]{12}-[0-9]+$");
as_text!(StreamId, "StreamId", "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$");

/// What was no id. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidId {
    /// Not the name of a stream.
    #[error("`{0}` is no stream: use 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot")]
    Stream(String),
    /// Not the id of an execution.
    #[error("`{0}` is no execution: an id is `exe_`, 12 hexadecimal digits, `-` and a number")]
    Execution(String),
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_they_are_written() {
        let mut numbers = Numbers::new();
        let (one, other) = (numbers.execution(), numbers.execution());
        assert_ne!(one, other);
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_eq!(StreamId::of(one).to_string().parse(), Ok(StreamId::of(one)));
        assert_ne!(Numbers::new().execution(), one);
    }

    #[test]
    fn what_could_leave_its_directory_is_no_stream() {
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad}");
        }
        for bad in ["exe_", "exe_1-1", "exe_00000000000g-1", "exe_000000000001-+1", "7"] {
            assert!(bad.parse::<ExecutionId>().is_err(), "{bad}");
        }
    }
}
