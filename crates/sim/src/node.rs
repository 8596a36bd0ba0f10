//! The daemon's side of the world, in memory alone: engines, and batches on their way.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use stead_engine::{Batch, Engine, Input};
use stead_model::journal::{Append, Durability, Receipt};
use stead_model::{Action, BootClock, Moment, Slot};

/// A decided batch, and which request it answers.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) batch: Batch,
    pub(crate) request: Option<u64>,
}

/// Batches of one slot that wait for their receipts.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) held: VecDeque<Held>,
    receipts: [Option<Receipt>; 2],
    /// Submitted and not heard of.
    pub(crate) outstanding: usize,
    /// Of those, the ones that were submitted before the slot was loaded again.
    pub(crate) stale: usize,
}

impl Lane {
    pub(crate) fn cover(&mut self, receipt: Receipt) {
        if receipt.durability() == Durability::Flushed {
            self.receipts[0] = Some(receipt);
        }
        self.receipts[1] = Some(receipt);
    }

    pub(crate) fn covered(&self) -> Option<Receipt> {
        let first = self.held.front()?;
        let mut receipts = self.receipts.iter().flatten();
        receipts.find(|receipt| first.batch.is_covered_by(receipt)).copied()
    }
}

/// One life of the daemon. Dropping it is `kill -9`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) engines: Vec<Engine>,
    /// When it was started, by the world's clock.
    pub(crate) started: Duration,
    pub(crate) inputs: VecDeque<(Input, Option<u64>)>,
    /// Decided, not submitted.
    pub(crate) decided: VecDeque<(Option<Append>, Held)>,
    pub(crate) lanes: BTreeMap<Slot, Lane>,
    /// Released, not done.
    pub(crate) orders: VecDeque<Errand>,
}

/// What goes to the keeper, in order.
#[derive(Debug)]
pub(crate) enum Errand {
    Order(Action),
    /// The question what there is of a slot.
    Survey(Slot),
}

impl Node {
    pub(crate) fn new(engines: usize, boot: BootClock, started: Duration) -> Self {
        Self {
            engines: (0..engines.max(1)).map(|_| Engine::new(boot)).collect(),
            started,
            inputs: VecDeque::new(),
            decided: VecDeque::new(),
            lanes: BTreeMap::new(),
            orders: VecDeque::new(),
        }
    }

    /// The engine that has a slot: slots go round the engines.
    pub(crate) fn home(&mut self, slot: Slot) -> &mut Engine {
        let count = self.engines.len();
        &mut self.engines[usize::from(slot.number()) % count]
    }

    pub(crate) fn look(&self, slot: Slot) -> &Engine {
        &self.engines[usize::from(slot.number()) % self.engines.len()]
    }

    pub(crate) fn moment(&self, now: Duration) -> Moment {
        Moment::at(now.saturating_sub(self.started))
    }

    /// When the next wait of any engine is over, by the world's clock.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let next = self.engines.iter().filter_map(Engine::next_deadline).min()?;
        Some(self.started + next.since_start())
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.inputs.push_back((input, None));
    }
}
