//! What one step decided: to be written down first, acted on after.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use stead_model::group::{GroupAnswer, GroupView};
use stead_model::journal::{Append, Durability, Receipt};
use stead_model::spec::ProcessSpec;
use stead_model::{
    Action, AgentId, AgentName, Answer, DegradationAnswer, DegradationView, Epoch, InstanceId, Namespace, Order,
    Position, Refusal, Slot,
};

use crate::degrade;
use crate::depend::Message;
use crate::shown::Shown;

/// The outcome of one step. Its append goes to the store; only a receipt for it gives the rest.
#[must_use = "what was decided must be written down, and released once it is"]
#[derive(Debug)]
pub struct Batch {
    pub(crate) slot: Slot,
    pub(crate) epoch: Epoch,
    pub(crate) position: Position,
    pub(crate) needs: Durability,
    pub(crate) append: Option<Append>,
    pub(crate) content: Released,
}

/// What a batch holds back until it is durable.
#[derive(Debug, Default)]
#[must_use]
pub struct Released {
    /// Orders to the world, in order.
    pub actions: Vec<Action>,
    /// Agents as they are now.
    pub views: Vec<Shown>,
    /// Agents that are no longer there.
    pub removed: Vec<AgentId>,
    /// Groups as they are now.
    pub groups: Vec<GroupView>,
    /// Groups that are no longer there.
    pub groups_removed: Vec<AgentId>,
    /// What namespaces have given up, as it is now.
    pub degradations: Vec<DegradationView>,
    /// For other slots; hand each to [`Engine::step`](crate::Engine::step).
    pub messages: Vec<Message>,
    /// The answer to the request, if it was one.
    pub reply: Option<Reply>,
}

/// The answer to a request.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// About an agent.
    Agent(Result<Box<Answer>, Refusal>),
    /// About a group.
    Group(Result<Box<GroupAnswer>, Refusal>),
    /// About the degradation of a namespace.
    Degradation(Box<DegradationAnswer>),
}

/// The orders to start of one batch, apart from it: whoever learns first that they are durable gives them out, without waking anybody.
#[must_use = "what was decided must be done once it is written down"]
#[derive(Debug)]
pub struct Starts {
    slot: Slot,
    epoch: Epoch,
    position: Position,
    needs: Durability,
    actions: Vec<Action>,
}

/// A run that is likely to be ordered: enough to make it ready, and no order to begin it.
#[derive(Clone, Copy, Debug)]
pub struct Foreseen<'a> {
    /// Which run.
    pub instance: InstanceId,
    /// Namespace of the agent.
    pub namespace: &'a Namespace,
    /// Name of the agent.
    pub name: &'a AgentName,
    /// What would run.
    pub process: &'a ProcessSpec,
}

impl Starts {
    /// What may be made ready before a receipt comes. Whoever does so can begin nothing with it.
    pub fn foreseen(&self) -> impl Iterator<Item = Foreseen<'_>> {
        self.actions.iter().filter_map(|action| match &action.order {
            Order::Spawn {
                instance,
                namespace,
                name,
                process,
            } => Some(Foreseen {
                instance: *instance,
                namespace,
                name,
                process,
            }),
            Order::Prepare { .. }
            | Order::Signal { .. }
            | Order::Freeze { .. }
            | Order::Kill { .. }
            | Order::Acknowledge { .. }
            | Order::Tell { .. }
            | Order::Probe { .. } => None,
        })
    }

    /// Whether a receipt proves that everything they were decided on is durable.
    #[must_use]
    pub fn is_covered_by(&self, receipt: &Receipt) -> bool {
        covers(receipt, self.slot, self.epoch, self.position, self.needs)
    }

    /// Gives the orders, for a receipt that covers them.
    ///
    /// # Errors
    /// Gives them back when it does not, as [`Batch::release`] does.
    pub fn release(self, receipt: &Receipt) -> Result<Vec<Action>, Self> {
        if self.is_covered_by(receipt) {
            Ok(self.actions)
        } else {
            Err(self)
        }
    }
}

fn covers(receipt: &Receipt, slot: Slot, epoch: Epoch, position: Position, needs: Durability) -> bool {
    receipt.slot() == slot
        && receipt.epoch() == epoch
        && receipt.position() >= position
        && receipt.durability() >= needs
}

/// A receipt that does not cover the batch; the batch comes back with it.
#[derive(Debug, thiserror::Error)]
#[error("the receipt does not cover this batch")]
pub struct WrongReceipt(pub Batch);

impl Batch {
    /// The slot that it was decided for.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// The position that must be durable before anything is done about it.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// How safe that position must be.
    #[must_use]
    pub const fn needs(&self) -> Durability {
        self.needs
    }

    /// Takes what is to be written, if anything is; once.
    #[must_use = "what was decided must be written down"]
    pub fn take_append(&mut self) -> Option<Append> {
        self.append.take()
    }

    /// Takes the orders to start, if there are any; the rest of the batch is released as ever.
    pub fn take_starts(&mut self) -> Option<Starts> {
        let is_start = |action: &mut Action| matches!(action.order, Order::Spawn { .. });
        let actions: Vec<Action> = self.content.actions.extract_if(.., is_start).collect();
        (!actions.is_empty()).then_some(Starts {
            slot: self.slot,
            epoch: self.epoch,
            position: self.position,
            needs: self.needs,
            actions,
        })
    }

    /// Whether it changed nothing and holds nothing back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Released {
            actions,
            views,
            removed,
            groups,
            groups_removed,
            degradations,
            messages,
            reply,
        } = &self.content;
        self.append.is_none()
            && actions.is_empty()
            && views.is_empty()
            && removed.is_empty()
            && groups.is_empty()
            && groups_removed.is_empty()
            && degradations.is_empty()
            && messages.is_empty()
            && reply.is_none()
    }

    /// Every agent, group and degradation that it changed or orders something about.
    #[must_use]
    pub fn agents(&self) -> BTreeSet<AgentId> {
        let ordered = self.content.actions.iter().map(|action| match &action.order {
            Order::Prepare { agent, .. } => *agent,
            Order::Spawn { instance, .. }
            | Order::Signal { instance, .. }
            | Order::Kill { instance }
            | Order::Freeze { instance, .. }
            | Order::Acknowledge { instance }
            | Order::Tell { instance, .. }
            | Order::Probe { instance, .. } => instance.agent,
        });
        let shown = self.content.views.iter().map(Shown::id);
        ordered
            .chain(shown)
            .chain(self.content.removed.iter().copied())
            .chain(self.content.groups.iter().map(|view| view.id))
            .chain(self.content.groups_removed.iter().copied())
            .chain(
                self.content
                    .degradations
                    .iter()
                    .map(|view| degrade::id_of(&view.namespace)),
            )
            .collect()
    }

    /// Whether it has word for other slots, which must not come after later word.
    #[must_use]
    pub const fn has_messages(&self) -> bool {
        !self.content.messages.is_empty()
    }

    /// Whether a receipt proves that everything it was decided on is durable.
    #[must_use]
    pub fn is_covered_by(&self, receipt: &Receipt) -> bool {
        covers(receipt, self.slot, self.epoch, self.position, self.needs)
    }

    /// Gives what was held back, for a receipt that covers it.
    ///
    /// # Errors
    /// Gives the batch back when the receipt is of another slot or epoch, of an earlier position, or not safe enough.
    pub fn release(self, receipt: &Receipt) -> Result<Released, Box<WrongReceipt>> {
        if self.append.is_none() && self.is_covered_by(receipt) {
            Ok(self.content)
        } else {
            Err(Box::new(WrongReceipt(self)))
        }
    }

    /// Gives up a batch whose append failed: nothing of it is done. Says whether somebody waits for an answer.
    #[must_use = "somebody may wait for an answer"]
    pub fn abandon(self) -> bool {
        self.content.reply.is_some()
    }
}
