//! One run of an agent: how it is told from every other, and how it ended.

use alloc::string::String;
use core::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AgentId, Incarnation, Signal};

/// Which run of which agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct InstanceId {
    /// The agent.
    pub agent: AgentId,
    /// Its run.
    pub incarnation: Incarnation,
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.agent, self.incarnation)
    }
}

/// What tells a process from every other one, also from a later one with the same pid.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProcessIdentity {
    /// The kernel's boot id.
    pub boot: String,
    /// Inode of the pid namespace.
    pub pid_namespace: u64,
    /// The pid within it; also the id of the process group.
    pub pid: i32,
    /// When it was started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Exit {
    /// By itself, with a code.
    Code {
        /// 0 is success.
        code: i32,
    },
    /// By a signal.
    Signal {
        /// Which.
        signal: Signal,
        /// Whether a core was dumped.
        core: bool,
    },
    /// Killed by the kernel for want of memory.
    OutOfMemory,
    /// While nobody could see it; the kernel no longer tells.
    Unknown,
}

impl Exit {
    /// Whether it ended by itself with code 0.
    #[must_use]
    pub const fn success(self) -> bool {
        matches!(self, Self::Code { code: 0 })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { code } => write!(f, "exited with code {code}"),
            Self::Signal { signal, core: false } => write!(f, "killed by {signal}"),
            Self::Signal { signal, core: true } => write!(f, "killed by {signal}, core dumped"),
            Self::OutOfMemory => f.write_str("killed by the kernel: out of memory"),
            Self::Unknown => f.write_str("ended while nobody watched; how is unknown"),
        }
    }
}

/// Why a process could not be started. Nothing of it runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SpawnFailure {
    /// What kind of fault it is; decides whether another try can help.
    pub kind: SpawnFailureKind,
    /// What was wrong and where, for people.
    pub detail: String,
}

/// Kinds of [`SpawnFailure`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpawnFailureKind {
    /// The program does not exist.
    NotFound,
    /// The program may not be executed, or is none.
    NotExecutable,
    /// The working directory does not exist or may not be entered.
    Directory,
    /// The user is unknown or may not be taken on.
    User,
    /// A limit, environment file or other setting cannot be put in force.
    Setting,
    /// The machine is short of processes, descriptors or memory; later it may work.
    Resources,
}

impl SpawnFailureKind {
    /// Whether the same try can succeed later with nothing changed.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Resources => true,
            Self::NotFound | Self::NotExecutable | Self::Directory | Self::User | Self::Setting => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_exit_says_how_it_came_about() {
        let exits = [
            Exit::Code { code: 3 },
            Exit::Signal {
                signal: Signal::KILL,
                core: false,
            },
            Exit::Signal {
                signal: Signal::TERM,
                core: true,
            },
            Exit::OutOfMemory,
            Exit::Unknown,
        ];
        let said: Vec<_> = exits.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "exited with code 3",
                "killed by SIGKILL",
                "killed by SIGTERM, core dumped",
                "killed by the kernel: out of memory",
                "ended while nobody watched; how is unknown"
            ]
        );
        assert!(exits.iter().all(|exit| !exit.success()) && Exit::Code { code: 0 }.success());
    }

    #[test]
    fn only_a_shortage_may_pass_by_itself() {
        assert!(SpawnFailureKind::Resources.may_pass());
        assert!(!SpawnFailureKind::NotFound.may_pass());
    }
}
