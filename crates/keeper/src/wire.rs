//! What the daemon and the keeper say to each other.

mod frame;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stead_model::spec::ProcessSpec;
use stead_model::{
    AgentName, Epoch, Exit, Incarnation, InstanceId, Namespace, ProcessIdentity, Signal, SpawnFailure, Wall,
};

pub use frame::{Inbox, TooLarge, encode};

/// The version of the wire that is spoken here. Since 2 a start may be foreseen: [`Request::Foresee`]; since 3 an end is heralded:
/// [`Event::Stirring`].
pub const VERSION: u32 = 3;
/// The oldest version that is understood: the one before [`VERSION`].
pub const OLDEST_VERSION: u32 = 2;
/// For how many runs at a time a keeper makes something ready: it holds descriptors. More are passed over.
pub const MOST_FORESEEN: usize = 16;
/// The most bytes of one frame's JSON.
pub const MAX_FRAME: usize = 1 << 20;

/// A request with the number that its answers carry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Chosen by the client; answers repeat it.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// What a client may ask.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The first frame of a session. Answered by [`Reply::Welcome`].
    Hello {
        /// The newest version that the client speaks.
        version: u32,
        /// The oldest that it understands.
        oldest: u32,
        /// The ownership under which it orders; lower ones than were seen are refused.
        epoch: Epoch,
    },
    /// Starts an instance, once. Answered by [`Reply::Spawned`] or [`Reply::SpawnFailed`].
    Spawn(Box<SpawnOrder>),
    /// Makes ready what this order needs, and starts nothing. Not answered; forgotten with the session. Since version 2.
    Foresee(Box<SpawnOrder>),
    /// Starts what was foreseen. Answered as [`Request::Spawn`], or refused as [`Refusal::Unforeseen`]. Since version 2.
    Begin {
        /// Which.
        instance: InstanceId,
    },
    /// Sends a signal.
    Signal {
        /// To which instance.
        instance: InstanceId,
        /// Which signal.
        signal: Signal,
        /// To how much of it.
        target: Target,
    },
    /// Kills the whole tree of an instance.
    KillTree {
        /// Which.
        instance: InstanceId,
    },
    /// Stops the whole tree in its tracks.
    Freeze {
        /// Which.
        instance: InstanceId,
    },
    /// Lets a frozen tree go on.
    Thaw {
        /// Which.
        instance: InstanceId,
    },
    /// Answered by one [`Reply::Instance`] each and [`Reply::Listed`].
    List,
    /// Says that the exit of an instance is written down; the keeper forgets the instance.
    Acknowledge {
        /// Which.
        instance: InstanceId,
    },
    /// Asks whether a process could be started, without starting it. Answered by [`Reply::Done`] or [`Reply::Unfit`].
    Prepare {
        /// The process.
        spec: Box<ProcessSpec>,
    },
    /// Ends the keeper. Its agents live on.
    Shutdown,
    /// Replaces the keeper by a new version of itself, which keeps every agent. On success the session just ends.
    Upgrade {
        /// The program; absent: the one that runs.
        program: Option<String>,
    },
}

/// What is to be started.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SpawnOrder {
    /// Which run of which agent.
    pub instance: InstanceId,
    /// The agent's name, for its environment.
    pub name: AgentName,
    /// Its namespace.
    pub namespace: Namespace,
    /// The process.
    pub spec: ProcessSpec,
    /// Variables on top of the spec's, such as `STEAD_URL`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// How much of an instance a signal reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Its main process.
    Leader,
    /// Every process of it.
    Tree,
}

/// What the keeper says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// An answer.
    Reply {
        /// The request's number; 0 where the frame had none that could be read.
        to: u64,
        /// The answer.
        reply: Reply,
    },
    /// Something that happened.
    Event(Event),
}

/// Answers of the keeper.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The session is open.
    Welcome(Welcome),
    /// It is done; also where there was nothing left to do.
    Done,
    /// The instance runs.
    Spawned {
        /// Which.
        instance: InstanceId,
        /// Its process.
        identity: ProcessIdentity,
    },
    /// The instance could not be started. Nothing of it runs, nothing of it is kept.
    SpawnFailed {
        /// Which.
        instance: InstanceId,
        /// Why.
        failure: SpawnFailure,
    },
    /// The process could not be started as things are.
    Unfit {
        /// Why.
        failure: SpawnFailure,
    },
    /// One instance of a list.
    Instance(Box<InstanceView>),
    /// The list is complete.
    Listed {
        /// How many there were.
        count: u64,
    },
    /// The request was not carried out. Nothing was changed.
    Refused {
        /// For programs.
        code: Refusal,
        /// For people.
        detail: String,
        /// The newest run of the agent that is known, where the order was of one that is too old: the next one must be beyond.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        newest: Option<Incarnation>,
    },
}

/// What the keeper says of itself when a session opens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that is spoken from here.
    pub version: u32,
    /// The keeper's pid.
    pub pid: i32,
    /// How many instances it has descriptors for.
    pub capacity: u64,
    /// Whether each instance has a cgroup of its own; else its tree is found by session and environment.
    pub cgroups: bool,
    /// The form in which it hands itself over to the program that replaces it. Keepers that do not say hand over in the first.
    #[serde(default = "first_handover")]
    pub handover: u32,
}

const fn first_handover() -> u32 {
    1
}

/// Why a request was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The frame was not JSON of the known form. The session ends.
    Malformed,
    /// The frame was longer than [`MAX_FRAME`]. The session ends.
    TooLarge,
    /// No version is understood by both. The session ends.
    Version,
    /// The epoch is lower than one seen. The session ends.
    Fenced,
    /// A session with the same epoch is open. The new one ends.
    Taken,
    /// The session did not start with hello. It ends.
    NoHello,
    /// No such request is known.
    UnknownRequest,
    /// No such instance is known.
    UnknownInstance,
    /// A newer run of the agent is known, or this one is over and was acknowledged.
    Stale,
    /// An older run of the agent still lives.
    OlderLives,
    /// Nothing is ready for this instance: order it whole.
    Unforeseen,
    /// The instance has no process any more, or still has one, so the request makes no sense.
    WrongState,
    /// The system refused; the detail says what.
    Failed,
    /// A code of a later version.
    #[serde(other)]
    Other,
}

/// What the keeper tells unasked.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something is about to be told, most likely an end: to wake whoever acts on it takes as long as to find out what befell. Since
    /// version 3.
    Stirring,
    /// The main process of an instance ended. Kept, and listed, until it is acknowledged.
    Exited {
        /// Which.
        instance: InstanceId,
        /// How.
        #[serde(flatten)]
        end: End,
    },
    /// The instance said something on its notify socket.
    Notified {
        /// Which.
        instance: InstanceId,
        /// What, in its order.
        notices: Vec<Notice>,
    },
    /// A session with a higher epoch took over. This one ends.
    Superseded {
        /// The epoch that took over.
        epoch: Epoch,
    },
}

/// The end of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct End {
    /// How its main process ended.
    pub exit: Exit,
    /// How many other processes of it were killed at once because of that.
    pub swept: u32,
    /// When the keeper saw it.
    pub at: Wall,
}

/// One thing said on a notify socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// `READY=1`.
    Ready,
    /// `STOPPING=1`.
    Stopping,
    /// `RELOADING=1`.
    Reloading,
    /// `STATUS=`.
    Status(String),
    /// `WATCHDOG=1`: it lives.
    Watchdog,
    /// `WATCHDOG=trigger`: treat it as if it had been silent for too long.
    WatchdogTrigger,
    /// `WATCHDOG_USEC=`: from now on silence may last so many microseconds.
    WatchdogInterval(u64),
    /// `EXTEND_TIMEOUT_USEC=`: starting or stopping may take so many microseconds more.
    ExtendTimeout(u64),
    /// `MAINPID=` of a process of the tree: it is watched from now on.
    MainProcess(ProcessIdentity),
    /// `ERRNO=`.
    Errno(i32),
    /// Anything of a later version.
    #[serde(other)]
    Other,
}

/// One instance as the keeper knows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct InstanceView {
    /// Which.
    pub instance: InstanceId,
    /// The agent's name.
    pub name: AgentName,
    /// Its namespace.
    pub namespace: Namespace,
    /// The epoch under which it was started.
    pub epoch: Epoch,
    /// What became of it.
    pub state: InstanceState,
}

/// Whether an instance lives.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// It has a process.
    Live {
        /// Its main process.
        identity: ProcessIdentity,
        /// What it said of itself so far.
        said: Said,
        /// Whether it is frozen.
        frozen: bool,
    },
    /// Its process ended and that was not acknowledged.
    Ended(End),
}

/// What an instance has said on its notify socket so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// `READY=1` came.
    pub ready: bool,
    /// `STOPPING=1` came.
    pub stopping: bool,
    /// The last `STATUS=`.
    pub status: Option<String>,
    /// When the last `WATCHDOG=1` came.
    pub watchdog_at: Option<Wall>,
    /// How many datagrams were no notification.
    pub malformed: u32,
}

#[cfg(test)]
mod tests;
