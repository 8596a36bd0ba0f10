//! Batches that wait for their receipts, in order, per slot.

use std::collections::{BTreeSet, HashMap, VecDeque};

use stead_engine::{Batch, Released, Reply};
use stead_model::group::GroupAnswer;
use stead_model::journal::{Durability, Receipt};
use stead_model::{AgentId, Answer, DegradationAnswer, Problem, Slot};
use tokio::sync::oneshot;

use super::gate;

/// Who waits for a batch's answer.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// Nobody: it came from an observation.
    Nobody,
    /// The daemon itself, which has adopted what lives once this is published.
    Adoption,
    /// A client who asked about an agent.
    Asker(oneshot::Sender<Result<Answer, Problem>>),
    /// A client who asked about a group.
    GroupAsker(oneshot::Sender<Result<GroupAnswer, Problem>>),
    /// A client who asked about what a namespace gives up.
    DegradationAsker(oneshot::Sender<Result<DegradationAnswer, Problem>>),
}

impl Waiter {
    /// Gives the answer. One who left needs none.
    pub(crate) fn answer(self, reply: Reply) {
        match (self, reply) {
            (Self::Asker(back), Reply::Agent(result)) => {
                let _ = back.send(result.map(|answer| *answer).map_err(Problem::from));
            }
            (Self::GroupAsker(back), Reply::Group(result)) => {
                let _ = back.send(result.map(|answer| *answer).map_err(Problem::from));
            }
            (Self::DegradationAsker(back), Reply::Degradation(answer)) => {
                let _ = back.send(Ok(*answer));
            }
            (Self::Nobody | Self::Adoption | Self::Asker(_) | Self::GroupAsker(_) | Self::DegradationAsker(_), _) => {}
        }
    }

    /// Gives a problem in place of an answer.
    pub(crate) fn refuse(self, problem: Problem) {
        match self {
            Self::Nobody | Self::Adoption => {}
            Self::Asker(back) => {
                let _ = back.send(Err(problem));
            }
            Self::GroupAsker(back) => {
                let _ = back.send(Err(problem));
            }
            Self::DegradationAsker(back) => {
                let _ = back.send(Err(problem));
            }
        }
    }

    /// Whether somebody waits.
    const fn is_asker(&self) -> bool {
        matches!(self, Self::Asker(_) | Self::GroupAsker(_) | Self::DegradationAsker(_))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    lanes: HashMap<Slot, Lane>,
    under_way: usize,
}

#[derive(Debug, Default)]
struct Lane {
    batches: VecDeque<Held>,
    written: Option<Receipt>,
    flushed: Option<Receipt>,
}

#[derive(Debug)]
struct Held {
    batch: Batch,
    /// Its orders to start, which somebody else may have given out already.
    starts: Option<gate::Held>,
    waiter: Waiter,
    writes: bool,
}

impl Waiting {
    pub(crate) fn push(&mut self, (batch, starts): (Batch, Option<gate::Held>), waiter: Waiter, writes: bool) {
        self.under_way += usize::from(writes);
        let lane = self.lanes.entry(batch.slot()).or_default();
        lane.batches.push_back(Held {
            batch,
            starts,
            waiter,
            writes,
        });
    }

    /// Notes that a slot is durable up to a position.
    pub(crate) fn cover(&mut self, receipt: &Receipt) {
        let lane = self.lanes.entry(receipt.slot()).or_default();
        further(&mut lane.written, receipt);
        if receipt.durability() == Durability::Flushed {
            further(&mut lane.flushed, receipt);
        }
    }

    /// Gives what the next batch of a slot held back that is covered: the first one, or one that overtakes it.
    ///
    /// Facts are covered while the store is away, and what somebody asked for is not. Facts about other agents than those of the
    /// batches before them go on; those about the same agents were decided on what may never be, and wait.
    pub(crate) fn pop(&mut self, slot: Slot) -> Option<(Released, Waiter)> {
        let lane = self.lanes.get_mut(&slot)?;
        let (place, receipt) = lane.next()?;
        let Held {
            batch,
            starts,
            waiter,
            writes,
        } = lane.batches.remove(place)?;
        self.under_way -= usize::from(writes);
        match batch.release(&receipt) {
            Ok(mut released) => {
                released
                    .actions
                    .extend(starts.into_iter().flat_map(|starts| starts.take(&receipt)));
                Some((released, waiter))
            }
            // Covered was just asked, and the append was taken before the batch came here.
            Err(_wrong) => None,
        }
    }

    /// How many batches wait for a write.
    pub(crate) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Answers everybody who waits for a slot with a problem; what their batches decided still waits for its write.
    pub(crate) fn give_up(&mut self, slot: Slot, problem: &Problem) {
        if let Some(lane) = self.lanes.get_mut(&slot) {
            lane.give_up(problem);
        }
    }

    /// Answers everybody who waits with a problem.
    pub(crate) fn give_up_all(&mut self, problem: &Problem) {
        #[expect(
            clippy::iter_over_hash_type,
            reason = "each gets the same answer, in no order that anybody could see"
        )]
        for lane in self.lanes.values_mut() {
            lane.give_up(problem);
        }
    }
}

impl Lane {
    /// The place of the next batch that may go, and the receipt that covers it.
    fn next(&self) -> Option<(usize, Receipt)> {
        let covers = |batch: &Batch| {
            let mut receipts = [self.written, self.flushed].into_iter().flatten();
            receipts.find(|receipt| batch.is_covered_by(receipt))
        };
        let first = self.batches.front()?;
        if let Some(receipt) = covers(&first.batch) {
            return Some((0, receipt));
        }
        if self.written?.position() <= first.batch.position() {
            return None;
        }
        let mut waiting: BTreeSet<AgentId> = BTreeSet::new();
        for (place, held) in self.batches.iter().enumerate() {
            let agents = held.batch.agents();
            if let (false, true, Some(receipt)) = (agents.is_empty(), agents.is_disjoint(&waiting), covers(&held.batch))
            {
                return Some((place, receipt));
            }
            if agents.is_empty() && held.batch.has_messages() {
                return None;
            }
            waiting.extend(agents);
        }
        None
    }

    fn give_up(&mut self, problem: &Problem) {
        for held in &mut self.batches {
            if held.waiter.is_asker() {
                std::mem::replace(&mut held.waiter, Waiter::Nobody).refuse(problem.clone());
            }
        }
    }
}

/// Takes the receipt that reaches further: one of a late failure must not take back what a later one covers.
fn further(known: &mut Option<Receipt>, receipt: &Receipt) {
    let before = known.is_some_and(|known| known.epoch() == receipt.epoch() && known.position() > receipt.position());
    if !before {
        *known = Some(*receipt);
    }
}
