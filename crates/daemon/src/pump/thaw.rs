//! What was stored, thawed on the threads that read it, agent by agent, then taken over as a whole.

use std::sync::Arc;

use stead_engine::{Batch, Engine, Opened, Thawed, Thawing, Unthawable};
use stead_model::journal::{AgentRow, Receipt, SlotState};
use stead_model::{AgentSpec, Position, Slot};
use stead_store::{Loader, Store, StoreError};

use crate::clock::Clock;
use crate::handle::Lifecycles;

/// A fleet that was thawed, with the engine that owns it. Nothing of it is done or shown yet.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(super) engine: Engine,
    pub(super) batches: Vec<(Receipt, Batch)>,
    pub(super) lifecycles: Option<Lifecycles>,
}

/// Loads slots and thaws them. Profiles and policies of one's own are known before the first slot, whose agents may have them. A slot
/// that has moved on since it was written, by what is told of a gap, stands where that says.
///
/// # Errors
/// The errors of an unwell store, or else an agent that was not understood.
pub(crate) fn thaw(
    store: &dyn Store,
    slots: &[Slot],
    clock: Clock,
    lifecycles: Option<Lifecycles>,
    gap: Option<(Slot, Position)>,
) -> Result<Result<Fleet, Unthawable>, StoreError> {
    let mut engine = Engine::new(clock.boot());
    if let Some((profiles, policies)) = lifecycles.clone() {
        // There is no agent yet whose state could be in the way.
        let _configured = engine.configure(profiles, policies);
    }
    let lane = || Lane {
        clock,
        thawing: engine.thawing(),
        opened: None,
        thawed: Vec::new(),
        refused: None,
        gap,
    };
    let (mut one, mut other) = (lane(), lane());
    store.load_into(slots, &mut [&mut one, &mut other])?;
    if let Some(refused) = one.refused.or(other.refused) {
        return Ok(Err(refused));
    }
    let now = clock.now();
    let own = |thawed: Thawed| (thawed.receipt(), engine.own(now, thawed));
    let batches = one.thawed.into_iter().chain(other.thawed).map(own).collect();
    Ok(Ok(Fleet {
        engine,
        batches,
        lifecycles,
    }))
}

/// One thread's part of it.
struct Lane {
    clock: Clock,
    thawing: Thawing,
    opened: Option<Opened>,
    thawed: Vec<Thawed>,
    /// After one that was not understood nothing is thawed any more.
    refused: Option<Unthawable>,
    gap: Option<(Slot, Position)>,
}

impl Loader for Lane {
    fn begin(&mut self, mut slot: SlotState) {
        if let Some((_, position)) = self.gap.filter(|(home, _)| *home == slot.slot) {
            slot.position = position;
        }
        self.opened = Some(self.thawing.begin(self.clock.now(), slot));
    }

    fn agent(&mut self, agent: AgentRow, spec: Option<Arc<AgentSpec>>) {
        if let (Some(opened), None) = (&mut self.opened, &self.refused) {
            self.refused = self.thawing.agent(opened, agent, spec).err();
        }
    }

    fn end(&mut self) {
        self.thawed.extend(self.opened.take().map(Thawing::close));
    }
}
