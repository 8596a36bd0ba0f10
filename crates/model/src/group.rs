//! Groups: one spec with N replicas, each an agent of its own.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AgentName, AgentRef, AgentSpec, IdempotencyKey, Namespace, Origin, Outcome, Revision, Span, Wall, Wanted,
};

mod amount;

pub use amount::{Amount, InvalidAmount};

/// How many replicas one group may have.
pub const MOST_REPLICAS: u32 = 10_000;

/// How many revisions of its spec a group keeps to go back to.
pub const KEPT_REVISIONS: usize = 10;

/// What a group is told to be. Valid once it exists.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "GroupForm")]
pub struct GroupSpec {
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How a new spec reaches the replicas.
    pub update: UpdateSpec,
    /// What each replica is told to be.
    pub template: AgentSpec,
}

/// A group as JSON has it, not checked yet.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GroupSpec")]
struct GroupForm {
    replicas: u32,
    #[serde(default)]
    update: UpdateSpec,
    template: AgentSpec,
}

impl TryFrom<GroupForm> for GroupSpec {
    type Error = InvalidGroup;

    fn try_from(form: GroupForm) -> Result<Self, InvalidGroup> {
        Self::new(form.replicas, form.update, form.template)
    }
}

impl GroupSpec {
    /// Puts a group's spec together.
    ///
    /// # Errors
    /// Says what does not fit; see [`InvalidGroup`].
    pub fn new(replicas: u32, update: UpdateSpec, template: AgentSpec) -> Result<Self, InvalidGroup> {
        if replicas > MOST_REPLICAS {
            return Err(InvalidGroup::TooMany(replicas));
        }
        if update.max_unavailable.is_zero() && update.max_surge.is_zero() {
            return Err(InvalidGroup::NoWay);
        }
        if update.progress_deadline.0 <= update.min_ready.0 {
            return Err(InvalidGroup::NoTime);
        }
        if template.lifecycle.is_some() {
            return Err(InvalidGroup::OnePort);
        }
        Ok(Self {
            replicas,
            update,
            template,
        })
    }
}

/// A group's spec whose parts do not fit together. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidGroup {
    /// More replicas than one group may have.
    #[error("a group has at most 10000 replicas, not {0}")]
    TooMany(u32),
    /// An update could never take a step.
    #[error(
        "`update.max_unavailable` and `update.max_surge` are both 0, so no update could take a step; raise one of them"
    )]
    NoWay,
    /// No replica could ever pass in time.
    #[error("`update.progress_deadline` must be longer than `update.min_ready`, or no replica could pass in time")]
    NoTime,
    /// Whichever replica has the port would answer for all of them.
    #[error(
        "`lifecycle` names one port, which only one of the replicas could have; leave it out, or have agents of their own"
    )]
    OnePort,
}

/// How a new spec reaches the replicas, one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateSpec {
    /// How many of the wanted replicas may be unavailable at once on account of an update; a number or a share (`"25%"`, rounded
    /// down). Default 1.
    pub max_unavailable: Amount,
    /// How many replicas may be started beyond the wanted ones; a number or a share (rounded up). Default 0.
    pub max_surge: Amount,
    /// How long a replica must be ready to count as available. Default 10 s.
    pub min_ready: Span,
    /// How long an update may go without progress before it is rolled back. Default 5 min.
    pub progress_deadline: Span,
}

impl Default for UpdateSpec {
    fn default() -> Self {
        Self {
            max_unavailable: Amount::Count(1),
            max_surge: Amount::Count(0),
            min_ready: Span(Duration::from_secs(10)),
            progress_deadline: Span(Duration::from_secs(300)),
        }
    }
}

/// One request about a group.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupCommand {
    /// Who asks, and which request it is.
    pub origin: Origin,
    /// The namespace of the group.
    pub namespace: Namespace,
    /// The group, by name or id.
    pub group: AgentRef,
    /// Refused unless the group is at this revision (`If-Match`).
    pub expected: Option<Revision>,
    /// Given the same answer as before when it was seen before (`Idempotency-Key`).
    pub idempotency: Option<IdempotencyKey>,
    /// Why, in the asker's words.
    pub reason: Option<String>,
    /// What.
    pub request: GroupRequest,
}

/// What is asked of a group.
#[derive(Clone, PartialEq, Debug)]
pub enum GroupRequest {
    /// Make it known, with its replicas.
    Create {
        /// What it is told to be.
        spec: Box<GroupSpec>,
        /// What is wanted of its replicas: `Running` or `Stopped`.
        wanted: Wanted,
    },
    /// Tell it to be something else. Another template is rolled out; other numbers are taken up at once.
    Respec {
        /// What it is told to be.
        spec: Box<GroupSpec>,
    },
    /// Have so many replicas.
    Scale {
        /// How many.
        replicas: u32,
    },
    /// Go back to an earlier revision of the template; the last good one unless told otherwise.
    Undo {
        /// The number of that revision.
        to: Option<u32>,
    },
    /// Start every replica anew, one by one, as an update would.
    Restart,
    /// Want something else of every replica.
    Want(Wanted),
    /// Want every replica paused, in a mode and until when; `Want` of a pause is a soft one without an end.
    Pause {
        /// What it does to the replicas.
        mode: crate::PauseMode,
        /// After how long it ends by itself.
        lasts: Option<Span>,
    },
    /// Have every replica down once its tasks are done.
    Drain {
        /// How long their tasks may take.
        within: Span,
    },
    /// Let every replica go on from a pause or maintenance.
    Resume,
    /// Forget the failures of every replica.
    Reset,
}

impl GroupRequest {
    /// The verb that people know it by.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Respec { .. } => "update",
            Self::Scale { .. } => "scale",
            Self::Undo { .. } => "rollout undo",
            Self::Restart => "restart",
            Self::Want(wanted) => crate::Request::Want(*wanted).verb(),
            Self::Pause { .. } => "pause",
            Self::Drain { .. } => "drain",
            Self::Resume => "resume",
            Self::Reset => "reset",
        }
    }
}

/// What a request about a group led to, once it is durable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GroupAnswer {
    /// Whether anything was changed, or it already was so.
    pub outcome: Outcome,
    /// The group right after.
    pub group: GroupView,
    /// Binds together all that the request led to.
    pub correlation_id: String,
}

/// A group as the API shows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GroupView {
    /// Its id; never given twice.
    pub id: AgentId,
    /// Its name; replicas are called `NAME-1`, `NAME-2`, …
    pub name: AgentName,
    /// Its namespace.
    pub namespace: Namespace,
    /// How it stands.
    pub phase: GroupPhase,
    /// All of it in one sentence.
    pub summary: String,
    /// What is wanted of its replicas.
    pub intent: Wanted,
    /// More of a pause, where `intent` is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Box<crate::PauseView>>,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How many there are, those beyond the wanted ones and those on their way out included.
    pub present: u32,
    /// How many are ready.
    pub ready: u32,
    /// How many are ready for long enough to count.
    pub available: u32,
    /// How many are at the present revision of the template.
    pub updated: u32,
    /// Version of its state; the ETag.
    pub revision: Revision,
    /// The revision of the template that replicas are brought to.
    pub spec_revision: u32,
    /// The last revision that every replica passed with; a failed update goes back to it.
    pub good_revision: u32,
    /// How a new spec reaches the replicas.
    pub update: UpdateSpec,
    /// Labels of the template.
    pub labels: BTreeMap<String, String>,
    /// The update under way, or how the last one ended.
    pub rollout: Option<RolloutView>,
    /// Names of its replicas.
    pub members: Vec<AgentName>,
}

/// How updates of a group stand: the group, and the revisions of its template that it can go back to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolloutStatus {
    /// The group as it is, with the update under way or how the last one ended.
    pub group: GroupView,
    /// Kept revisions of the template, the oldest first.
    pub revisions: Vec<RevisionView>,
}

/// One kept revision of a group's template.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RevisionView {
    /// Its number.
    pub number: u32,
    /// Who gave it.
    pub actor: String,
    /// When.
    pub at: Wall,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// An update to it failed.
    pub failed: bool,
}

/// How a group stands, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupPhase {
    /// As many replicas are available as are wanted.
    Online,
    /// Replicas are added or removed.
    Scaling,
    /// A new revision reaches the replicas.
    Updating,
    /// A failed update is taken back.
    RollingBack,
    /// Fewer replicas are available than are wanted, and nothing that it does by itself is under way.
    Degraded,
    /// Its replicas are to be down, paused or in maintenance, and are.
    Resting,
    /// It is being removed.
    Deleting,
}

impl core::fmt::Display for GroupPhase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Online => "online",
            Self::Scaling => "scaling",
            Self::Updating => "updating",
            Self::RollingBack => "rolling_back",
            Self::Degraded => "degraded",
            Self::Resting => "resting",
            Self::Deleting => "deleting",
        })
    }
}

/// An update of a group, under way or ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolloutView {
    /// Where it stands.
    pub state: RolloutState,
    /// The revision that it came from.
    pub from: u32,
    /// The revision that it goes to.
    pub to: u32,
    /// Since when it is under way.
    pub began: Wall,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Wall>,
    /// When it is given up unless it gets on before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Wall>,
    /// Who asked for it.
    pub actor: String,
    /// Why it was asked for, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Where an update stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// It is under way.
    Rolling,
    /// It failed and is being taken back.
    RollingBack,
    /// Every replica passed with the new revision.
    Completed,
    /// It failed and was taken back.
    RolledBack,
    /// It failed, and so did going back, or there was nothing to go back to.
    Failed,
    /// A newer update took its place.
    Superseded,
}

impl RolloutState {
    /// The word that it is written as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::RollingBack => "rolling_back",
            Self::Completed => "completed",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }
}
