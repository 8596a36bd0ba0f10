//! What readers see of an agent.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AgentName, Condition, ConditionView, Evidence, Exit, Failure, FeatureView, Health, Incarnation, Intent,
    LogLine, Namespace, PauseMode, RecoveryAttempt, Revision, Transition, Wall, Wanted,
};

/// An agent as the API shows it: every state with its evidence, and what happens next.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentView {
    /// Its id; never given twice.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its lifecycle profile.
    pub profile: Cow<'static, str>,
    /// The sort of work it does.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is in its life.
    pub phase: Cow<'static, str>,
    /// Since when it is in that phase.
    pub since: Wall,
    /// How well it does, from observation.
    pub health: Health,
    /// Whether it takes work.
    pub ready: bool,
    /// What is wanted of it.
    pub intent: Wanted,
    /// More of a pause, where `intent` is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Box<PauseView>>,
    /// Its run; 0 before the first.
    pub incarnation: Incarnation,
    /// Its process, where there is one.
    pub pid: Option<i32>,
    /// How often it was started again after a failure.
    pub restarts: u64,
    /// Tasks in flight.
    pub tasks: u32,
    /// Version of its state; the ETag.
    pub revision: Revision,
    /// Number of its current spec.
    pub spec_revision: u32,
    /// Its live instance was started with an older spec; a restart puts the current one in force.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub restart_pending: bool,
    /// The group that it is a replica of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<AgentName>,
    /// Free words to select by.
    pub labels: BTreeMap<String, String>,
    /// What holds beside its health.
    #[serde(default)]
    pub conditions: Vec<ConditionView>,
    /// What all of it is known from.
    pub evidence: Vec<Evidence>,
    /// What happens next by itself; absent when nothing will.
    pub next: Option<NextStep>,
}

/// A pause as it is shown: of which kind, by whom, why, until when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PauseView {
    /// What it does to the agent.
    pub mode: PauseMode,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub at: Wall,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it ends by itself; absent: when somebody ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Wall>,
    /// When the agent itself had paused, and written down where it is where that is wanted; absent: it was not asked, or has not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Wall>,
}

impl Intent {
    /// The pause that is wanted, if one is.
    #[must_use]
    pub fn shown_pause(&self) -> Option<Box<PauseView>> {
        let pause = (self.wanted == Wanted::Paused)
            .then_some(self.pause.as_ref())
            .flatten()?;
        Some(Box::new(PauseView {
            mode: pause.mode,
            by: self.actor.clone(),
            at: self.at,
            note: self.reason.clone(),
            until: pause.until,
            acknowledged: None,
        }))
    }
}

/// Something that will happen by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NextStep {
    /// What.
    pub what: String,
    /// When; absent when it waits for something other than time.
    pub at: Option<Wall>,
}

/// The state of an agent's life: `GET {agent}/lifecycle`.
#[expect(clippy::struct_excessive_bools, reason = "the contract's predicates, side by side")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LifecycleView {
    /// Where it is.
    pub current_state: Cow<'static, str>,
    /// Where it may go from there.
    pub valid_transitions: Vec<Cow<'static, str>>,
    /// It works.
    pub is_operational: bool,
    /// It can take a task.
    pub is_available_for_tasks: bool,
    /// Something is wrong.
    pub is_in_error_state: bool,
    /// It was taken out of work on purpose.
    pub is_in_maintenance: bool,
    /// All states of its profile.
    pub states: Vec<Cow<'static, str>>,
}

/// Why an agent is as it is, and what happens next: `stead why`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The agent.
    pub agent: AgentView,
    /// All of it in one sentence.
    pub summary: String,
    /// What is wanted: by whom, when, why.
    pub intent: Intent,
    /// How its life is judged against what is wanted.
    pub verdict: String,
    /// Whom it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// What happens next, in order.
    pub next: Vec<NextStep>,
    /// The failure that it is in, or is being brought back from: of which kind, and whether a restart can help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<Failure>>,
    /// The latest attempts to bring it back, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<RecoveryAttempt>,
    /// How many restarts are left before quarantine, and in which period.
    pub restart_budget: RestartBudget,
    /// Features that need it, or its group, and are off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features_off: Vec<FeatureView>,
    /// What would clear what is wrong, where something is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clears: Vec<String>,
    /// How its last instance ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
    /// What its latest run that printed anything printed last, oldest line first, where it failed or does badly: a few lines of each stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_output: Vec<LogLine>,
    /// The latest transitions, newest first.
    pub history: Vec<Transition>,
}

impl Explanation {
    /// Whether what it printed last is likely to tell what is wrong.
    #[must_use]
    pub fn is_of_a_failure(&self) -> bool {
        let ended_badly = self.last_exit.as_ref().is_some_and(|last| !last.exit.success());
        let held = |held: &ConditionView| matches!(held.condition, Condition::Held | Condition::Quarantined);
        let ill = matches!(
            self.agent.health,
            Health::Failed | Health::Critical | Health::Recovering
        );
        // One that nobody wants up was ended on purpose.
        self.agent.intent == Wanted::Running
            && (ended_badly && !self.agent.ready || ill || self.agent.conditions.iter().any(held))
    }
}

/// How an instance ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LastExit {
    /// Which run.
    pub incarnation: Incarnation,
    /// How.
    pub exit: Exit,
    /// When.
    pub at: Wall,
}

/// Restarts left before quarantine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RestartBudget {
    /// Restarts within the period.
    pub used: u32,
    /// How many are permitted.
    pub max: u32,
    /// The period.
    pub period: crate::Span,
    /// The policy that decides which exits are answered.
    pub policy: crate::spec::RestartPolicy,
}
