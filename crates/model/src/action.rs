//! What the engine orders, and what it is told of the world.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::spec::{EnvValue, LifecycleSpec, ProbeKind, Probes, ProcessSpec};
use crate::{
    ActionId, AgentId, AgentName, Exit, Incarnation, InstanceId, Namespace, ProcessIdentity, Signal, SpawnFailure,
};

/// An order to the world, released only once it is written down. Doing it twice is doing it once.
#[derive(Clone, PartialEq, Debug)]
pub struct Action {
    /// Unique; carries the epoch that fences it.
    pub id: ActionId,
    /// What to do.
    pub order: Order,
}

/// What to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// Make sure that it can run. Answered by [`Observation::Prepared`].
    Prepare {
        /// The agent.
        agent: AgentId,
        /// What would run.
        process: Box<ProcessSpec>,
    },
    /// Start it. Answered by [`Observation::Spawned`].
    Spawn {
        /// Which run.
        instance: InstanceId,
        /// Namespace of the agent, for its environment.
        namespace: Namespace,
        /// Name of the agent, for its environment.
        name: AgentName,
        /// What runs.
        process: Box<ProcessSpec>,
    },
    /// Send a signal to the whole tree.
    Signal {
        /// Which run.
        instance: InstanceId,
        /// Which signal.
        signal: Signal,
    },
    /// Have the whole tree stand still, or go on.
    Freeze {
        /// Which run.
        instance: InstanceId,
        /// Whether it is to stand still.
        frozen: bool,
    },
    /// End the whole tree at once, by SIGKILL.
    Kill {
        /// Which run.
        instance: InstanceId,
    },
    /// The exit of an instance is written down; the keeper may forget it.
    Acknowledge {
        /// Which run.
        instance: InstanceId,
    },
    /// Say something to the agent itself, again and again until it has heard. Answered by [`Observation::Heard`]. A newer word to the same
    /// agent takes the place of the one before, and none is said to a run that is being ended.
    Tell {
        /// Which run.
        instance: InstanceId,
        /// What.
        word: Word,
        /// Why, in the words of whoever wants it.
        note: Option<String>,
        /// Where it listens.
        endpoint: LifecycleSpec,
        /// What is shown to it to be believed.
        token: Option<EnvValue>,
    },
    /// Look at it from outside from now on; no longer, where there are no probes.
    Probe {
        /// Which run.
        instance: InstanceId,
        /// Where it lives, for commands.
        namespace: Namespace,
        /// Its name, for commands.
        name: AgentName,
        /// How.
        probes: Box<Probes>,
        /// Where and with which environment commands are run; as the daemon itself, where nothing here runs the agent.
        process: Option<Box<ProcessSpec>>,
    },
}

/// What an agent is told of pauses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Take no new work, and end what is at work.
    Pause,
    /// Take no new work, and write down where you are.
    Checkpoint,
    /// Go on.
    Resume,
}

/// What was seen of the world.
#[derive(Clone, PartialEq, Debug)]
pub enum Observation {
    /// Whether an agent can run.
    Prepared {
        /// The agent.
        agent: AgentId,
        /// Why not, if not.
        result: Result<(), SpawnFailure>,
    },
    /// A run began, or could not.
    Spawned {
        /// Which run.
        instance: InstanceId,
        /// The process, or why there is none.
        result: Result<ProcessIdentity, SpawnFailure>,
    },
    /// A run was not begun, since later ones of the agent are known, of a store that is not there any more.
    Outnumbered {
        /// Which run.
        instance: InstanceId,
        /// The latest that is known.
        newest: Incarnation,
    },
    /// A run ended.
    Exited {
        /// Which run.
        instance: InstanceId,
        /// How.
        exit: Exit,
        /// How many processes of its tree were left and swept.
        swept: u32,
    },
    /// An instance spoke on its notify socket.
    Notified {
        /// Which run.
        instance: InstanceId,
        /// What it said.
        notice: Notice,
    },
    /// A probe was made.
    Probed {
        /// Which run.
        instance: InstanceId,
        /// Which probe.
        kind: ProbeKind,
        /// What was seen, if it failed.
        result: Result<(), String>,
    },
    /// What an instance answered to a word.
    Heard {
        /// Which run.
        instance: InstanceId,
        /// Which word.
        word: Word,
        /// Why it does not do it, if it does not; it is told again.
        result: Result<(), String>,
    },
    /// An agent that nothing runs reported.
    Reported {
        /// The agent.
        agent: AgentId,
        /// Its report.
        report: Report,
    },
}

/// Everything of one slot that the driver finds alive, and every exit that was not acknowledged.
///
/// The engine starts nothing of a slot before it has come.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inventory {
    /// What lives.
    pub live: Vec<LiveInstance>,
    /// What ended.
    pub exited: Vec<(InstanceId, Exit)>,
}

/// A process that the driver found alive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveInstance {
    /// Which run.
    pub instance: InstanceId,
    /// The process.
    pub process: ProcessIdentity,
    /// Whether it said `READY=1`.
    pub ready: bool,
}

/// What an instance says on its notify socket (the protocol of `sd_notify`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Notice {
    /// `READY=1`.
    Ready,
    /// `RELOADING=1`.
    Reloading,
    /// `STOPPING=1`.
    Stopping,
    /// `STATUS=`.
    Status {
        /// The text.
        text: String,
    },
    /// `WATCHDOG=1`.
    Watchdog,
    /// `WATCHDOG=trigger`: it asks to be treated as hung.
    WatchdogTrigger,
    /// `WATCHDOG_USEC=`: from now on it may be silent for so long.
    WatchdogInterval {
        /// In microseconds; 0 for as long as it likes.
        micros: u64,
    },
    /// `MAINPID=`: another process of its tree is the main one from now on.
    MainProcess {
        /// The process.
        process: ProcessIdentity,
    },
    /// `EXTEND_TIMEOUT_USEC=`.
    ExtendTimeout {
        /// By how much, in microseconds.
        micros: u64,
    },
}

/// What an agent says of itself. One observation among others: it can worsen its health, never clear what was seen from outside.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// The run that it believes to be; older ones are ignored.
    pub incarnation: Option<Incarnation>,
    /// How it says that it does.
    pub health: Option<crate::Health>,
    /// What it says beside.
    pub detail: Option<String>,
}
