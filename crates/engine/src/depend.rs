//! Start order by dependencies, between slots by messages alone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use stead_model::journal::BlockKind;
use stead_model::spec::Condition;
use stead_model::{AgentId, AgentName, Class, Health, Namespace, Role, Slot, Wanted};

use crate::plan;
use crate::record::Record;

/// What one slot tells another. It passes the same door as everything else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub(crate) to: Slot,
    pub(crate) body: Body,
}

impl Message {
    /// The slot that it is for.
    #[must_use]
    pub const fn to(&self) -> Slot {
        self.to
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    /// `watcher` depends on `name` and wants to hear how it stands.
    Watch {
        namespace: Namespace,
        name: AgentName,
        watcher: AgentId,
    },
    /// How `name` stands, for `watcher`.
    Standing {
        watcher: AgentId,
        name: AgentName,
        /// Nothing where there is no such agent.
        standing: Option<Standing>,
    },
    /// A group wants a name for a replica, or has given it to one.
    Claim {
        namespace: Namespace,
        name: AgentName,
        group: AgentId,
        ordinal: u32,
        member: Option<AgentId>,
    },
    /// The group may use the name of that replica.
    Granted { group: AgentId, ordinal: u32 },
    /// A group needs a name no longer.
    Release {
        namespace: Namespace,
        name: AgentName,
        group: AgentId,
    },
}

/// How an agent stands, as far as those that depend on it care.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) started: bool,
    pub(crate) healthy: bool,
    pub(crate) completed: bool,
    pub(crate) serving: Serving,
}

/// Whether an agent does what features need it for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Serving {
    /// It does, perhaps badly.
    Yes,
    /// It does not.
    No,
    /// It is on its way, or down with its whole fleet: what was so before still counts.
    #[default]
    Open,
}

impl Serving {
    fn of(record: &Record) -> Self {
        let ill = matches!(record.health(), Health::Critical | Health::Failed);
        let starts = matches!(
            record.role(),
            Role::Initial | Role::Preparing | Role::Prepared | Role::Starting | Role::Offline
        );
        // One that is started again after a failure is down until it serves.
        let comes = starts && record.streak.attempts() == 0 && plan::wanted(record) == Wanted::Running;
        if record.row.halted || comes {
            Self::Open
        } else if record.profile.is(record.phase, Class::Operational) && record.row.ready && !ill {
            Self::Yes
        } else {
            Self::No
        }
    }

    /// Of a group by that of its replicas: one that serves is enough.
    pub(crate) fn of_group(mut replicas: impl Iterator<Item = Self> + Clone) -> Self {
        if replicas.clone().any(|one| one == Self::Yes) {
            Self::Yes
        } else if replicas.clone().next().is_none() || replicas.any(|one| one == Self::Open) {
            Self::Open
        } else {
            Self::No
        }
    }
}

impl Standing {
    pub(crate) fn of(record: &Record) -> Self {
        let serves = record.role().serves();
        Self {
            started: serves
                || record
                    .row
                    .instance
                    .as_ref()
                    .is_some_and(|instance| instance.process.is_some()),
            healthy: serves && record.row.ready && record.health() == Health::Healthy,
            completed: record.block_kind() == Some(BlockKind::Completed),
            serving: Serving::of(record),
        }
    }

    const fn meets(self, condition: Condition) -> bool {
        match condition {
            Condition::Started => self.started || self.completed,
            Condition::Healthy => self.healthy,
            Condition::Completed => self.completed,
        }
    }
}

/// Who wants to hear of whom, within one slot.
#[derive(Debug, Default)]
pub(crate) struct Watchers(BTreeMap<(Namespace, AgentName), Vec<AgentId>>);

impl Watchers {
    pub(crate) fn add(&mut self, namespace: Namespace, name: AgentName, watcher: AgentId) {
        let watchers = self.0.entry((namespace, name)).or_default();
        if !watchers.contains(&watcher) {
            watchers.push(watcher);
        }
    }

    /// Those who want to hear of an agent.
    pub(crate) fn of(&self, namespace: &Namespace, name: &AgentName) -> &[AgentId] {
        self.0
            .get(&(namespace.clone(), name.clone()))
            .map_or(&[], Vec::as_slice)
    }

    /// Tells everybody who wants to hear of an agent how it stands.
    pub(crate) fn tell(
        &self,
        namespace: &Namespace,
        name: &AgentName,
        standing: Option<Standing>,
    ) -> impl Iterator<Item = Message> {
        let watchers = self.of(namespace, name).to_vec();
        let name = name.clone();
        watchers.into_iter().map(move |watcher| Message {
            to: watcher.slot(),
            body: Body::Standing {
                watcher,
                name: name.clone(),
                standing,
            },
        })
    }
}

/// What an agent must say to hear of those it depends on.
pub(crate) fn subscriptions(record: &Record) -> impl Iterator<Item = Message> {
    record.spec.depends_on.keys().map(|name| Message {
        to: Slot::home(&record.row.namespace, name.as_str()),
        body: Body::Watch {
            namespace: record.row.namespace.clone(),
            name: name.clone(),
            watcher: record.row.id,
        },
    })
}

/// Whether it was found that there is no agent of a name that this one depends on.
pub(crate) fn is_missing(record: &Record, name: &AgentName) -> bool {
    record.standings.get(name).is_some_and(Option::is_none)
}

/// The dependencies that an agent still waits for.
pub(crate) fn unmet(record: &Record) -> impl Iterator<Item = (&AgentName, Condition)> {
    record
        .spec
        .depends_on
        .iter()
        .filter(|(name, condition)| {
            !record
                .standings
                .get(*name)
                .copied()
                .flatten()
                .unwrap_or_default()
                .meets(**condition)
        })
        .map(|(name, condition)| (name, *condition))
}
