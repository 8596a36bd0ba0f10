//! What people and clients ask of the engine, and how it answers.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AgentId, AgentName, AgentSpec, Namespace, Origin, Revision, Wanted};

/// One request: who asks, of whom, what, and under which conditions.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// Who asks, and which request it is.
    pub origin: Origin,
    /// The namespace of the agent.
    pub namespace: Namespace,
    /// The agent.
    pub agent: AgentRef,
    /// Refused unless the agent is at this revision (`If-Match`).
    pub expected: Option<Revision>,
    /// Given the same answer as before when it was seen before (`Idempotency-Key`).
    pub idempotency: Option<IdempotencyKey>,
    /// Why, in the asker's words.
    pub reason: Option<String>,
    /// What.
    pub request: Request,
}

/// An agent by what people call it or by its id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AgentRef {
    /// By name, in the command's namespace.
    Name(AgentName),
    /// By id.
    Id(AgentId),
}

impl core::fmt::Display for AgentRef {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl core::str::FromStr for AgentRef {
    type Err = crate::InvalidId;

    /// Reads an id where the text looks like one, else a name.
    fn from_str(text: &str) -> Result<Self, crate::InvalidId> {
        text.parse()
            .map(Self::Id)
            .or_else(|_no_id| text.parse().map(Self::Name))
    }
}

/// A key that a client chose for one request, and the hash of that request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyKey {
    /// 1 to 255 visible characters.
    pub key: String,
    /// Hash of method, path and body.
    pub fingerprint: u64,
}

/// What is asked.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// Make it known. `agent` must be a name that no live agent of the namespace has.
    Register {
        /// What it is told to be.
        spec: Box<AgentSpec>,
        /// What is wanted of it; `Running` starts it.
        wanted: Wanted,
    },
    /// Tell it to be something else; in force at its next start.
    Respec {
        /// What it is told to be.
        spec: Box<AgentSpec>,
    },
    /// Tell it to be something else and put that in force at once: its process is replaced, by an idle moment where it has tasks.
    Update {
        /// What it is told to be; as it is, to be started anew alone.
        spec: Option<Box<AgentSpec>>,
    },
    /// Have it change its own size. Only for what nothing here runs.
    Scale {
        /// How many of itself it is to be.
        replicas: u32,
    },
    /// Want something else of it.
    Want(Wanted),
    /// Have it down once its tasks are done: it takes no new ones, and is stopped with those that it still has when the time is over.
    Drain {
        /// How long its tasks may take.
        within: crate::Span,
    },
    /// Have it pause, in a mode other than soft or for some time alone.
    Pause {
        /// What the pause does to it.
        mode: crate::PauseMode,
        /// How long it lasts; absent: until somebody ends it. At most 366 days.
        lasts: Option<crate::Span>,
    },
    /// Let it go on from a pause or maintenance.
    Resume,
    /// The whole fleet goes down: have it down, whatever is wanted of it.
    Halt,
    /// The fleet is back: what is wanted of it holds again.
    Lift,
    /// Make sure that it can run, without starting it.
    Deploy,
    /// Stop and start it, once.
    Restart,
    /// Forget failures: counters, quarantine and holds; start again where that is wanted.
    Reset,
    /// Give it a task. Twice the same id is once.
    Assign {
        /// The task's id.
        task: String,
    },
    /// A task of it is done. Twice the same id is once.
    Complete {
        /// The task's id.
        task: String,
    },
    /// Somebody saw an error of it: an observation.
    ReportError {
        /// What was seen.
        detail: String,
    },
}

impl Request {
    /// The verb that people know it by.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Respec { .. } => "respec",
            Self::Update { .. } => "update",
            Self::Scale { .. } => "scale",
            Self::Want(Wanted::Running) => "start",
            Self::Want(Wanted::Paused) | Self::Pause { .. } => "pause",
            Self::Want(Wanted::Maintenance) => "maintenance",
            Self::Want(Wanted::Stopped) => "stop",
            Self::Want(Wanted::Terminated) => "terminate",
            Self::Want(Wanted::Deleted) => "delete",
            Self::Drain { .. } => "drain",
            Self::Resume => "resume",
            Self::Halt => "halt",
            Self::Lift => "lift",
            Self::Deploy => "deploy",
            Self::Restart => "restart",
            Self::Reset => "reset",
            Self::Assign { .. } => "assign",
            Self::Complete { .. } => "complete",
            Self::ReportError { .. } => "report-error",
        }
    }
}

impl Request {
    /// Whether it changes what an agent is or what is wanted of it, rather than handing it work or telling of it.
    #[must_use]
    pub const fn is_audited(&self) -> bool {
        match self {
            Self::Assign { .. } | Self::Complete { .. } | Self::ReportError { .. } => false,
            Self::Register { .. }
            | Self::Respec { .. }
            | Self::Update { .. }
            | Self::Scale { .. }
            | Self::Want(_)
            | Self::Drain { .. }
            | Self::Pause { .. }
            | Self::Resume
            | Self::Halt
            | Self::Lift
            | Self::Deploy
            | Self::Restart
            | Self::Reset => true,
        }
    }
}

/// What a request led to, once it is durable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// Whether anything was changed, or it already was so.
    pub outcome: Outcome,
    /// The agent right after.
    pub agent: crate::AgentView,
    /// Binds together all that the request led to.
    pub correlation_id: String,
}

/// Whether a request changed anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The agent is known from now on.
    Created,
    /// It was accepted and written down; where it takes time, it is under way.
    Accepted,
    /// It was so before.
    Already,
}

/// Why a request was refused. State and history are unchanged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// No such agent.
    #[error("there is no agent `{0}`")]
    Unknown(String),
    /// The id is that of an agent that was deleted.
    #[error("agent {0} was deleted")]
    Gone(AgentId),
    /// A live agent has the name.
    #[error("there is already an agent `{name}` ({id})")]
    Duplicate {
        /// The name.
        name: AgentName,
        /// Who has it.
        id: AgentId,
    },
    /// The agent is at another revision than the asker believes.
    #[error("the agent is at revision {current}, not {expected}")]
    Stale {
        /// What the asker believes.
        expected: Revision,
        /// What is.
        current: Revision,
    },
    /// The key was used for another request.
    #[error("the idempotency key `{0}` was used for another request")]
    KeyReused(String),
    /// The agent's phase does not permit it.
    #[error("{verb} is not possible in phase {phase}")]
    NotPossible {
        /// What was asked.
        verb: &'static str,
        /// Where the agent is.
        phase: String,
        /// The phases that may follow from there.
        possible: Vec<String>,
        /// What can be asked of it instead.
        verbs: Vec<&'static str>,
    },
    /// No such profile.
    #[error("there is no profile `{0}`")]
    UnknownProfile(String),
    /// A profile cannot change while the agent lives.
    #[error("the profile of an agent cannot change; delete it and register it anew")]
    ProfileChange,
    /// What runs it cannot change while the agent lives.
    #[error("an agent cannot change between a process and none; delete it and register it anew")]
    DriverChange,
    /// It would never start.
    #[error("`depends_on.{0}`: an agent cannot wait for itself; remove this")]
    SelfDependency(AgentName),
    /// A transition policy stands against it.
    #[error("policy `{policy}` forbids {edge}: {why}")]
    Policy {
        /// Its name.
        policy: String,
        /// The edge that was to be taken.
        edge: String,
        /// What it asks for.
        why: String,
    },
    /// Requests have moved the agent as often as a policy permits.
    #[error("policy `{policy}` permits {max} transitions per {per} by request; ask again in {}", .retry_after.up_to_secs())]
    RateLimited {
        /// Its name.
        policy: String,
        /// How many.
        max: u32,
        /// Within how long.
        per: crate::Span,
        /// When the next one is permitted.
        retry_after: crate::Span,
    },
    /// The agent does not offer such a pause.
    #[error(
        "agent {name} offers no pause of mode {mode}; use soft, or freeze where Stead runs its process; checkpoint and hibernate are \
         for those whose spec says where they take word of it (`lifecycle`)"
    )]
    NotOffered {
        /// The agent.
        name: AgentName,
        /// What was asked for.
        mode: crate::PauseMode,
    },
    /// No time, or too long.
    #[error("a pause lasts longer than nothing and at most 366 days; leave its end out to have somebody end it")]
    PauseSpan,
    /// No such group.
    #[error("there is no group `{0}`")]
    UnknownGroup(String),
    /// It is told what to be by its group.
    #[error("agent {name} is a replica of group {group}; change the group")]
    Replica {
        /// The agent.
        name: AgentName,
        /// Its group.
        group: AgentName,
    },
    /// A single process has no size.
    #[error(
        "agent {0} is a single process; give it `replicas` in the fleet file, or create a group, to have more of it"
    )]
    NotScalable(AgentName),
    /// There is no such revision to go back to.
    #[error("{}", no_revision(*.wanted, .kept))]
    NoRevision {
        /// The one that was asked for; the last good one if none.
        wanted: Option<u32>,
        /// Those that are kept.
        kept: Vec<u32>,
    },
    /// More than there may be.
    #[error("a group has at most {limit} replicas, not {wanted}")]
    TooManyReplicas {
        /// What was asked for.
        wanted: u32,
        /// The limit.
        limit: u32,
    },
    /// As many tasks as one agent may have.
    #[error("the agent has {0} tasks in flight, as many as it may have")]
    TooManyTasks(u32),
    /// A field beyond its limit.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// Which.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// As many agents as one slot may have.
    #[error("the fleet is full: {0} agents")]
    Full(usize),
}

fn no_revision(wanted: Option<u32>, kept: &[u32]) -> String {
    let kept = kept.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    match wanted {
        Some(wanted) => alloc::format!("there is no revision {wanted} to go back to; kept are {kept}"),
        None => alloc::format!("there is no earlier revision to go back to; kept are {kept}"),
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_request_is_known_by_its_verb() {
        let spec = Box::new(AgentSpec::reporting("agent"));
        let task = || "t".to_string();
        let wanted = Wanted::ALL.iter().map(|wanted| Request::Want(*wanted).verb());
        assert!(wanted.eq(["start", "pause", "maintenance", "stop", "terminate", "delete"]));
        let others = [
            Request::Register {
                spec: spec.clone(),
                wanted: Wanted::Running,
            },
            Request::Respec { spec },
            Request::Resume,
            Request::Deploy,
            Request::Restart,
            Request::Reset,
            Request::Assign { task: task() },
            Request::Complete { task: task() },
            Request::ReportError { detail: task() },
        ];
        let verbs = others.iter().map(Request::verb);
        assert!(verbs.eq([
            "register",
            "respec",
            "resume",
            "deploy",
            "restart",
            "reset",
            "assign",
            "complete",
            "report-error"
        ]));
    }

    #[test]
    fn an_agent_is_referred_to_by_name_or_id_and_by_nothing_else() {
        for text in ["web-1", "agt_0000000000001"] {
            assert_eq!(text.parse::<AgentRef>().unwrap().to_string(), text);
        }
        assert!(matches!("agt_0000000000001".parse(), Ok(AgentRef::Id(_))));
        assert!("agt_nothing".parse::<AgentRef>().is_err());
    }

    #[test]
    fn a_refusal_says_what_stands_against_it() {
        let said = [
            (Refusal::DriverChange, "between a process and none"),
            (Refusal::TooManyTasks(3), "3 tasks in flight"),
            (Refusal::Full(7), "7 agents"),
            (Refusal::Gone(AgentId::from_bits(1)), "agt_0000000000001 was deleted"),
        ];
        for (refusal, words) in said {
            assert!(refusal.to_string().contains(words), "{refusal}");
        }
    }
}
