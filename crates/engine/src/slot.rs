//! One slot: its agents, their names, who watches whom, and where its journal stands.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use stead_model::journal::Receipt;
use stead_model::{AgentId, AgentName, AgentRef, Epoch, Namespace, Position, Refusal, Slot};

use crate::depend::Watchers;
use crate::record::Record;

#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) slot: Slot,
    pub(crate) epoch: Epoch,
    /// Position of the last batch that changed something.
    pub(crate) position: Position,
    /// The driver's inventory has come; before that nothing is started.
    pub(crate) surveyed: bool,
    pub(crate) agents: BTreeMap<AgentId, Box<Record>>,
    pub(crate) names: BTreeMap<(Namespace, AgentName), AgentId>,
    pub(crate) watchers: Watchers,
}

impl Cell {
    pub(crate) fn new(receipt: &Receipt) -> Self {
        Self {
            slot: receipt.slot(),
            epoch: receipt.epoch(),
            position: receipt.position(),
            surveyed: false,
            agents: BTreeMap::new(),
            names: BTreeMap::new(),
            watchers: Watchers::default(),
        }
    }

    /// Finds an agent. An id of this slot that was given once and is no longer there is gone.
    pub(crate) fn find(&self, namespace: &Namespace, agent: &AgentRef) -> Result<AgentId, Refusal> {
        match agent {
            AgentRef::Name(name) => self
                .names
                .get(&(namespace.clone(), name.clone()))
                .copied()
                .ok_or_else(|| Refusal::Unknown(alloc::format!("{name}"))),
            AgentRef::Id(id) if self.agents.contains_key(id) => Ok(*id),
            AgentRef::Id(id) if (1..=self.position.0).contains(&id.position()) => Err(Refusal::Gone(*id)),
            AgentRef::Id(id) => Err(Refusal::Unknown(alloc::format!("{id}"))),
        }
    }
}
