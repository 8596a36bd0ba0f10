//! One slot: its agents, their names, who watches whom, and where its journal stands.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use stead_model::journal::Receipt;
use stead_model::{AgentId, AgentName, AgentRef, Epoch, Namespace, Position, Refusal, Slot};

use crate::agents::Agents;
use crate::degrade::Degradations;
use crate::depend::Watchers;
use crate::group::{Claims, Group};

#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) slot: Slot,
    pub(crate) epoch: Epoch,
    /// Position of the last batch that changed something.
    pub(crate) position: Position,
    /// The driver's inventory has come; before that nothing is started.
    pub(crate) surveyed: bool,
    pub(crate) agents: Agents,
    pub(crate) groups: BTreeMap<AgentId, Box<Group>>,
    /// Names at home here that groups want for their replicas, which may live in other slots.
    pub(crate) claims: Claims,
    pub(crate) watchers: Watchers,
    /// What namespaces that are at home here give up.
    pub(crate) degradations: Degradations,
}

impl Cell {
    pub(crate) fn new(receipt: &Receipt) -> Self {
        Self {
            slot: receipt.slot(),
            epoch: receipt.epoch(),
            position: receipt.position(),
            surveyed: false,
            agents: Agents::default(),
            groups: BTreeMap::new(),
            claims: Claims::default(),
            watchers: Watchers::default(),
            degradations: Degradations::new(),
        }
    }

    /// Finds an agent. An id of this slot that was given once and is no longer there is gone.
    pub(crate) fn find(&self, namespace: &Namespace, agent: &AgentRef) -> Result<AgentId, Refusal> {
        match agent {
            AgentRef::Name(name) => self
                .agents
                .named(namespace, name)
                .ok_or_else(|| Refusal::Unknown(alloc::format!("{name}"))),
            AgentRef::Id(id) if self.agents.contains(*id) => Ok(*id),
            AgentRef::Id(id) if (1..=self.position.0).contains(&id.position()) => Err(Refusal::Gone(*id)),
            AgentRef::Id(id) => Err(Refusal::Unknown(alloc::format!("{id}"))),
        }
    }

    /// Finds a group.
    pub(crate) fn find_group(&self, namespace: &Namespace, group: &AgentRef) -> Result<AgentId, Refusal> {
        match group {
            AgentRef::Name(name) => self
                .group_named(namespace, name)
                .map(|group| group.row.id)
                .ok_or_else(|| Refusal::UnknownGroup(alloc::format!("{name}"))),
            AgentRef::Id(id) if self.groups.contains_key(id) => Ok(*id),
            AgentRef::Id(id) => Err(Refusal::UnknownGroup(alloc::format!("{id}"))),
        }
    }

    /// The group of a name that is at home here.
    pub(crate) fn group_named(&self, namespace: &Namespace, name: &AgentName) -> Option<&Group> {
        let mut groups = self.groups.values().map(|group| &**group);
        groups.find(|group| group.row.name == *name && group.row.namespace == *namespace)
    }

    /// Who has a name that is at home here, be it an agent, a group, or a group for one of its replicas.
    pub(crate) fn taken(&self, namespace: &Namespace, name: &AgentName) -> Option<AgentId> {
        let agent = self.agents.named(namespace, name);
        let group = || self.group_named(namespace, name).map(|group| group.row.id);
        let claim = || {
            self.claims
                .get(namespace, name)
                .map(|claim| claim.member.unwrap_or(claim.group))
        };
        agent.or_else(group).or_else(claim)
    }
}
