//! While the store is away: changes are refused, care goes on.
//!
//! Appends that failed and appends of upkeep wait on a bounded shelf, in order; batches of facts are covered by it, so that a dead agent
//! is started again although its history cannot be written yet. When the store is back, each slot is loaded, what turned out to be
//! written is dropped, and the rest is submitted. Requests whose write failed are answered `outcome-unknown`: they may take effect then.

use std::collections::{BTreeMap, VecDeque};

use stead_model::journal::{Append, Durability, Receipt, Shelved, SlotState};
use stead_model::{Event, Happening, Problem, ProblemCode, Slot, Wall};
use stead_store::StoreError;
use tracing::{error, info, warn};

use super::{Incoming, Pump, TRY_STORE};
use crate::status::Part;

/// How many appends keep their history and events on the shelf; later ones keep state alone.
const MOST_WITH_HISTORY: usize = 10_000;

/// What waits for a store that is away.
#[derive(Debug)]
pub(crate) struct Outage {
    since: Wall,
    detail: String,
    shelf: BTreeMap<Slot, VecDeque<Shelved>>,
    with_history: usize,
    gap_told: bool,
}

impl Outage {
    pub(crate) fn refusal(&self) -> Problem {
        let detail = format!(
            "the store has been away since {}: {}; agents are cared for, changes are taken again when it is back",
            self.since, self.detail
        );
        Problem::new(ProblemCode::StoreUnavailable, detail)
    }

    /// Keeps an append; gives the receipt that lets upkeep go on, if it is one.
    pub(crate) fn shelve(&mut self, append: Append) -> Option<Receipt> {
        let facts = append.durability == Durability::Written;
        let slot = append.slot;
        let gap = append.events.first().map(|event| gap_after(event, &self.detail));
        let (receipt, mut shelved) = append.shelve();
        if self.with_history < MOST_WITH_HISTORY {
            self.with_history += 1;
        } else {
            let told = std::mem::replace(&mut self.gap_told, true);
            shelved.strip(gap.filter(|_| !told));
        }
        // One that was under way may fail after a later one was shelved.
        let lane = self.shelf.entry(slot).or_default();
        let place = lane.partition_point(|other| other.position() < shelved.position());
        lane.insert(place, shelved);
        facts.then_some(receipt)
    }
}

/// An event that says that others could not be kept.
fn gap_after(event: &Event, detail: &str) -> Event {
    let what = Happening::Gap {
        detail: format!("the store was away ({detail}) for longer than history could be kept in memory"),
    };
    Event {
        actor: "stead".into(),
        what,
        ..event.clone()
    }
}

impl Pump {
    /// An append was not written, or may not have been.
    pub(super) fn on_failed(&mut self, append: Append, error: &StoreError) {
        let slot = append.slot;
        let now = self.clock.now().wall;
        if matches!(error, StoreError::Fenced { .. }) {
            error!(%error, "another daemon owns this fleet now: this one stops acting for it");
            let _gone = self.back.send(Incoming::Stop { dismiss: false });
            return;
        }
        if self.outage.is_none() {
            error!(%error, %slot, "the store is away: changes are refused, care goes on");
            let detail = error.to_string();
            self.status.update(|report| {
                report.store = Part::Away {
                    since: now,
                    detail: detail.clone(),
                }
            });
            self.outage = Some(Outage {
                since: now,
                detail,
                shelf: BTreeMap::new(),
                with_history: 0,
                gap_told: false,
            });
            let problem = Problem::new(
                ProblemCode::OutcomeUnknown,
                format!(
                    "writing failed ({error}); the change may still take effect when the store is back: look before you ask again, or repeat the request with its Idempotency-Key"
                ),
            );
            self.waiting.give_up_all(&problem);
            self.try_store_later();
        }
        if let Some(receipt) = self.outage.as_mut().and_then(|outage| outage.shelve(append)) {
            self.waiting.cover(&receipt);
            self.release(slot);
        }
    }

    /// Asks a helper thread, after a while, whether the store works again.
    fn try_store_later(&self) {
        let slots: Vec<Slot> = Slot::all().collect();
        let (store, back) = (std::sync::Arc::clone(&self.store), self.back.clone());
        tokio::spawn(async move {
            tokio::time::sleep(TRY_STORE).await;
            let outcome = tokio::task::spawn_blocking(move || {
                store.probe()?;
                let mut states = Vec::new();
                store.load_all(&slots, &mut |state| {
                    states.push(SlotState {
                        agents: Vec::new(),
                        specs: Vec::new(),
                        answers: Vec::new(),
                        ..state
                    });
                })?;
                Ok::<_, StoreError>(states)
            });
            let outcome = match outcome.await {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(stopped) => Err(stopped.to_string()),
            };
            let _ = back.send(Incoming::StoreProbed(outcome));
        });
    }

    /// The store was tried: if it is back, everything on the shelf that it does not have yet is submitted.
    pub(super) fn on_store_probed(&mut self, outcome: Result<Vec<SlotState>, String>) {
        let states = match outcome {
            Ok(states) => states,
            Err(detail) => {
                warn!(detail, "the store is still away");
                self.try_store_later();
                return;
            }
        };
        let Some(mut outage) = self.outage.take() else { return };
        let mut submitted = 0_u64;
        for state in states {
            // What was taken for lost may have been written after all.
            self.waiting.cover(&state.receipt());
            let shelved = outage.shelf.remove(&state.slot).unwrap_or_default();
            for shelved in shelved
                .into_iter()
                .filter(|shelved| shelved.position() > state.position)
            {
                submitted += 1;
                self.store.submit(shelved.into_append());
            }
            self.release(state.slot);
        }
        info!(submitted, "the store is back");
        self.status.update(|report| report.store = Part::Up);
    }
}
