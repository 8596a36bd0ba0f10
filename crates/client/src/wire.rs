//! Bodies of the API that are no nouns of the model. Unknown fields are ignored: a newer daemon may say more.

use crate::Pausing;
use serde::{Deserialize, Serialize};
use stead_model::group::UpdateSpec;
use stead_model::spec::SpecForm;
use stead_model::{AgentId, AgentName, Health, Incarnation, Outcome, Problem, Span, Wall};

/// One page of a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one starts; absent on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// Body of `POST /agents`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NewAgent {
    /// Its name, free in its namespace.
    pub name: AgentName,
    /// What it is told to be; absent: it only reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<SpecForm>,
    /// `running` or `stopped`; the daemon's default is `stopped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<stead_model::Wanted>,
    /// Why, in the asker's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Body of `POST /groups`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NewGroup {
    /// Its name, free in its namespace; replicas are called `NAME-1`, `NAME-2`, …
    pub name: AgentName,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How a new spec reaches the replicas; absent: one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateSpec>,
    /// What each replica is told to be.
    pub template: SpecForm,
    /// `running` or `stopped`; the daemon's default is `stopped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<stead_model::Wanted>,
    /// Why, in the asker's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a group is told to be, secrets hidden.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupSpecView {
    /// Number of the template's revision.
    pub revision: u32,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How a new spec reaches the replicas.
    pub update: UpdateSpec,
    /// What each replica is told to be.
    pub template: SpecForm,
}

/// Body of `POST /agents:batch`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Batch {
    /// `stop`, `start`, `drain`, `delete`, …
    pub verb: String,
    /// Whose labels fit; not empty.
    pub selector: String,
    /// How long tasks in flight may take: for `drain` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Of which kind a pause is: for `pause` alone.
    #[serde(flatten)]
    pub pausing: Pausing,
    /// Why, in the asker's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a request to many.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// How many were taken by the selector.
    pub selected: usize,
    /// How many did not refuse.
    pub done: usize,
    /// How many refused.
    pub refused: usize,
    /// Each, by name.
    pub items: Vec<BatchItem>,
}

/// What became of it with one of many.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BatchItem {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// Whether it was changed; absent where it refused.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// Why it refused.
    #[serde(default)]
    pub problem: Option<Problem>,
}

/// What an agent is told to be, secrets hidden.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SpecView {
    /// Number of the spec.
    pub revision: u32,
    /// The spec.
    pub spec: SpecForm,
}

/// What an agent says of itself: `POST {agent}/heartbeats`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Beat {
    /// The run that it believes to be; older ones are ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// How it says that it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What it says beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What configuration is in force: `GET /config`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigView {
    /// The file that it came from, if from one.
    #[serde(default)]
    pub fleet_file: Option<String>,
    /// The namespace of its agents.
    pub namespace: String,
    /// How many agents it names.
    pub agents: u64,
    /// What tells it from another.
    #[serde(default)]
    pub hash: Option<String>,
    /// Since when it is in force.
    #[serde(default)]
    pub applied_at: Option<Wall>,
    /// Number of the revision.
    #[serde(default)]
    pub revision: Option<u64>,
    /// Who applied it.
    #[serde(default)]
    pub applied_by: Option<String>,
    /// Why, where that was said.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether the file is looked at and applied when it changes.
    #[serde(default)]
    pub watched: bool,
    /// Whether the file that was put in force is no longer where it was.
    #[serde(default)]
    pub missing: bool,
    /// Whether the file says something else than what is in force.
    #[serde(default)]
    pub differs: bool,
    /// Agents and groups that had been changed beside the file, and that its last application made again what it says.
    #[serde(default)]
    pub overruled: Vec<String>,
    /// The change of the file that was refused last, if none was applied since.
    #[serde(default)]
    pub refused: Option<ConfigRefused>,
}

/// A change of the fleet file that was not taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigRefused {
    /// When.
    pub at: Wall,
    /// What had it read: `file` or `SIGHUP`.
    pub cause: String,
    /// What was wrong.
    pub detail: String,
    /// Each fault, in the file's order.
    #[serde(default)]
    pub problems: Vec<ConfigFault>,
}

/// What a configuration would be worth: `POST /config/validate`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Validation {
    /// Whether it could be applied.
    pub valid: bool,
    /// What is wrong with it.
    #[serde(default)]
    pub problems: Vec<ConfigFault>,
}

/// One fault of a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigFault {
    /// Line, from 1.
    #[serde(default)]
    pub line: Option<u32>,
    /// Column, from 1.
    #[serde(default)]
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub help: Option<String>,
}

/// What applying a configuration changed, or would change: `POST /config/apply`. Names of agents.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Applied {
    /// New ones.
    #[serde(default)]
    pub added: Vec<String>,
    /// Those with another spec.
    #[serde(default)]
    pub changed: Vec<String>,
    /// Changed groups whose new template reaches their replicas one after the other.
    #[serde(default)]
    pub rolled_out: Vec<String>,
    /// Changed groups with another number of replicas, or other rules for updates.
    #[serde(default)]
    pub scaled: Vec<String>,
    /// Changed ones that are removed and made anew, as a group instead of an agent or the other way round.
    #[serde(default)]
    pub remade: Vec<String>,
    /// Those no longer named.
    #[serde(default)]
    pub removed: Vec<String>,
    /// Those left as they are.
    #[serde(default)]
    pub unchanged: Vec<String>,
    /// Groups for which the file says what was tried and rolled back; it is not tried again.
    #[serde(default)]
    pub rolled_back: Vec<String>,
    /// Those of the changed ones that had been changed beside the file, which wins.
    #[serde(default)]
    pub overruled: Vec<String>,
    /// Those whose new spec comes in force at their next start.
    #[serde(default)]
    pub pending_restart: Vec<String>,
    /// What changes of each changed agent.
    #[serde(default)]
    pub changes: Vec<ConfigChange>,
    /// What changes beside agents.
    #[serde(default)]
    pub settings: Vec<FieldChange>,
    /// Keys that are in force with the next start of the daemon.
    #[serde(default)]
    pub daemon_restart: Vec<String>,
    /// Number of the revision that is in force with it; absent if nothing was applied.
    #[serde(default)]
    pub revision: Option<u64>,
}

/// What changes of one agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigChange {
    /// Which one.
    pub agent: String,
    /// Key by key.
    pub fields: Vec<FieldChange>,
}

/// One key that changes. Values of secrets are `***`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldChange {
    /// The key, such as `stop.grace`.
    pub field: String,
    /// Its value as JSON before, where it had one.
    #[serde(default)]
    pub before: Option<String>,
    /// Its value as JSON after, where it has one.
    #[serde(default)]
    pub after: Option<String>,
}

/// The daemon itself: `GET /daemon`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DaemonView {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub started_at: Wall,
    /// Where its state is.
    pub state_dir: String,
    /// Where it listens.
    pub listen: String,
    /// The parent of its agents' processes.
    #[serde(default)]
    pub keeper_pid: Option<u32>,
    /// How many agents it keeps.
    pub agents: u64,
    /// How its parts do.
    pub status: StatusView,
}

/// How the parts of the daemon do: `GET /health/ready`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatusView {
    /// Whether changes can be written down.
    pub store: PartState,
    /// Whether processes can be started and watched.
    pub keeper: PartState,
    /// Whether everything that ran before is adopted.
    pub adopted: PartState,
}

impl StatusView {
    /// Whether everything works.
    #[must_use]
    pub fn ready(&self) -> bool {
        [&self.store, &self.keeper, &self.adopted]
            .into_iter()
            .all(|part| *part == PartState::Up)
    }
}

/// How one part does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PartState {
    /// It works.
    Up,
    /// It is not there yet.
    Starting,
    /// It is away.
    Away {
        /// Since when.
        since: Wall,
        /// What is wrong, and what to do.
        detail: String,
    },
}

/// What becomes of the agents when their daemon goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentsOnShutdown {
    /// They are stopped with it.
    Stop,
    /// They live on and are adopted by the next one.
    Leave,
}
