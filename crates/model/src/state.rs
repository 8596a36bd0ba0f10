//! The three axes of an agent that never share a field (phase, health, intent), and the evidence for them.

use alloc::borrow::Cow;
use alloc::string::String;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Wall;
use crate::profile::policy::AccessRole;

/// Declares an enum whose variants are written in snake case.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $type { $($(#[$variant_doc])* $variant,)* }

        impl $type {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that it is written as.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// How well an agent is doing, from observation.
    Health {
        /// Nothing was observed that would tell. Never healthy, never acted on alone.
        Unknown = "unknown",
        /// Its probes, beats or long life say that it does well.
        Healthy = "healthy",
        /// It works, but not as it should.
        Degraded = "degraded",
        /// It hardly works.
        Critical = "critical",
        /// It does not work.
        Failed = "failed",
        /// It was down and is being brought back.
        Recovering = "recovering",
    }
}

words! {
    /// What is wanted of an agent.
    Wanted {
        /// It shall work.
        Running = "running",
        /// It shall stay up and take no work.
        Paused = "paused",
        /// It shall be left alone while people work on it.
        Maintenance = "maintenance",
        /// It shall be down, and may be started again.
        Stopped = "stopped",
        /// It shall be down for good, its record kept.
        Terminated = "terminated",
        /// It shall be gone.
        Deleted = "deleted",
    }
}

words! {
    /// Something that holds beside an agent's health.
    Condition {
        /// It may be failing.
        Suspect = "suspect",
        /// It beats but its work does not advance.
        Stuck = "stuck",
        /// It does the same thing again and again.
        Looping = "looping",
        /// It goes up and down too often.
        Flapping = "flapping",
        /// It is not started because no start can help.
        Held = "held",
        /// It is not started because too many starts failed.
        Quarantined = "quarantined",
        /// It is alive and at work, however long it takes.
        HealthyBusy = "healthy_busy",
        /// A metric heads for its threshold.
        Warning = "warning",
        /// It waits for a person's word.
        WaitingApproval = "waiting_approval",
        /// That it works is inferred from its being alive; nothing else tells.
        Unverified = "unverified",
    }
}

impl Condition {
    /// Whether it asks for a person's eye.
    #[must_use]
    pub const fn is_alarming(self) -> bool {
        match self {
            Self::Suspect
            | Self::Stuck
            | Self::Looping
            | Self::Flapping
            | Self::Held
            | Self::Quarantined
            | Self::Warning
            | Self::WaitingApproval => true,
            Self::HealthyBusy | Self::Unverified => false,
        }
    }
}

/// A condition that holds: since when and by what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConditionView {
    /// Which.
    pub condition: Condition,
    /// Since when.
    pub since: Wall,
    /// What says so, and what would clear it.
    pub detail: String,
}

words! {
    /// What a pause does to an agent.
    PauseMode {
        /// It gets no new work; it lives on.
        Soft = "soft",
        /// It is asked to write down where it is, then paused. For agents that offer it.
        Checkpoint = "checkpoint",
        /// Its whole tree of processes stands still: the cgroup freezer, or SIGSTOP where there is none.
        Freeze = "freeze",
        /// It is asked to write down where it is, then stopped until it is woken. For agents that offer it.
        Hibernate = "hibernate",
    }
}

/// A pause: of which kind, and until when. Who asked for it and why is in the intent around it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// What it does to the agent.
    pub mode: PauseMode,
    /// When it ends by itself; absent: when somebody ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Wall>,
}

/// What is wanted, by whom, when and why. Persisted; survives every restart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Intent {
    /// What.
    pub wanted: Wanted,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub at: Wall,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The request that it came with.
    pub correlation_id: String,
    /// More of a pause, where `wanted` is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// One observation: which, how old, by whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What sort of observation: `process`, `exit`, `probe.readiness`, `notify`, `report`, …
    pub kind: Cow<'static, str>,
    /// When it was made.
    pub observed_at: Wall,
    /// Who made it: `keeper`, `prober`, `agent` (its own claim), `engine`.
    pub source: Cow<'static, str>,
    /// What was seen.
    pub detail: String,
}

/// Where a request came from; in every command, row and event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// Who asked.
    pub actor: String,
    /// What they may do.
    #[serde(default = "everything")]
    pub role: AccessRole,
    /// Binds together all that one request led to.
    pub correlation_id: String,
    /// W3C trace id of the request, where it had one.
    pub trace_id: Option<String>,
}

impl Origin {
    /// What the engine does by itself, as a consequence of `correlation_id`.
    #[must_use]
    pub fn engine(correlation_id: String) -> Self {
        Self {
            actor: "stead".into(),
            role: AccessRole::Admin,
            correlation_id,
            trace_id: None,
        }
    }
}

const fn everything() -> AccessRole {
    AccessRole::Admin
}
