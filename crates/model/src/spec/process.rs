//! How a process is started, stopped and listened to.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidSpec, is_default};
use crate::{Bytes, Signal, Span};

/// A process of this machine.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Program and arguments, at least one.
    pub command: Vec<String>,
    /// Working directory; absent: the daemon's.
    pub dir: Option<String>,
    /// Environment variables on top of the daemon's own.
    pub env: BTreeMap<String, EnvValue>,
    /// User (name or number) to run as; absent: the daemon's.
    pub user: Option<String>,
    /// Resource limits.
    pub limits: Limits,
    /// How it is stopped.
    pub stop: StopSpec,
    /// How its output is kept.
    pub logs: LogSpec,
    /// Whether it says `READY=1` on its notify socket.
    pub notify: bool,
    /// Longest silence between two `WATCHDOG=1`.
    pub watchdog: Option<Span>,
}

/// The value of an environment variable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected a text in quotes, { secret = \"…\" } or { file = \"…\" }"
)]
pub enum EnvValue {
    /// Shown to everybody who may see the spec.
    Plain(String),
    /// `{ secret = "…" }`: given to the process, shown to nobody.
    Secret {
        /// The value.
        secret: String,
    },
    /// `{ file = "…" }`: read from a file at each start, without its last line break; never stored.
    File {
        /// Path of the file.
        file: String,
    },
}

impl EnvValue {
    /// Puts `***` in place of a secret.
    pub fn redact(&mut self) {
        match self {
            Self::Secret { secret } => "***".clone_into(secret),
            Self::Plain(_) | Self::File { .. } => {}
        }
    }
}

/// Resource limits of the process and its children (`setrlimit`); absent ones are inherited.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Open files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Address space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_space: Option<Bytes>,
    /// Seconds of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Processes of the same user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Size of a core dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<Bytes>,
    /// Size of a file written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<Bytes>,
}

/// How a process is stopped: a signal to its tree, a grace, then SIGKILL to what is left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopSpec {
    /// Default SIGTERM.
    pub signal: Signal,
    /// Time between the signal and SIGKILL; default 10 s. 0 s kills at once.
    pub grace: Span,
}

impl Default for StopSpec {
    fn default() -> Self {
        Self {
            signal: Signal::TERM,
            grace: Span::secs(10),
        }
    }
}

/// How standard output and error are kept: as files of lines that are rotated by size.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSpec {
    /// Size at which a file is rotated; default 10 MiB.
    #[serde(skip_serializing_if = "is_default_size")]
    pub max_size: Bytes,
    /// How many files are kept, the current one included; default 5, at least 1.
    pub files: u32,
}

impl Default for LogSpec {
    fn default() -> Self {
        Self {
            max_size: Bytes::mib(10),
            files: 5,
        }
    }
}

impl LogSpec {
    pub(super) fn checked(self) -> Result<Self, InvalidSpec> {
        match self {
            Self { files: 0, .. } => Err(InvalidSpec::Zero("logs.files")),
            Self { max_size: Bytes(0), .. } => Err(InvalidSpec::Zero("logs.max_size")),
            fine => Ok(fine),
        }
    }
}

fn is_default_size(size: &Bytes) -> bool {
    is_default(&LogSpec {
        max_size: *size,
        ..LogSpec::default()
    })
}

pub(super) fn checked_env(env: BTreeMap<String, EnvValue>) -> Result<BTreeMap<String, EnvValue>, InvalidSpec> {
    match env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => Err(InvalidSpec::EnvName(name.clone())),
        None => Ok(env),
    }
}
