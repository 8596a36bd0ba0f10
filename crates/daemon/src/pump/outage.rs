//! While the store is away: changes are refused, care goes on.
//!
//! Appends that failed and appends of upkeep wait on a bounded [`Shelf`]; batches of facts are covered by it, so that a dead agent is
//! started again although its history cannot be written yet. When the store is back, each slot is loaded, what turned out to be
//! written is dropped, and the rest is submitted. Requests whose write failed are answered `outcome-unknown`: they may take effect
//! then. A store that is damaged is not tried again: what is on the shelf stays there.

mod shelf;

use stead_model::journal::{Append, Receipt, SlotState};
use stead_model::{Problem, ProblemCode, Slot, Wall};
use stead_store::StoreError;
use tracing::{error, info, warn};

use self::shelf::{Fate, Shelf};
use super::{Incoming, Pump, TRY_STORE};
use crate::damage;
use crate::status::Part;

/// A store that is away.
#[derive(Debug)]
pub(crate) struct Outage {
    since: Wall,
    detail: String,
    hope: Hope,
    shelf: Shelf,
}

/// Whether it may come back by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hope {
    /// It is tried again and again.
    Passing,
    /// Somebody has to put it right and start the daemon anew.
    Lasting,
}

impl Outage {
    pub(crate) fn refusal(&self) -> Problem {
        let Self { since, detail, .. } = self;
        let detail = match self.hope {
            Hope::Passing => format!(
                "the store has been away since {since}: {detail}; agents are cared for, changes are taken again when it is back"
            ),
            Hope::Lasting => detail.clone(),
        };
        Problem::new(ProblemCode::StoreUnavailable, detail)
    }

    /// Keeps an append that was never submitted; gives the receipt that lets upkeep go on, if it is one.
    pub(crate) fn shelve(&mut self, append: Append) -> Option<Receipt> {
        self.shelf.put(append, Fate::Unwritten, &self.detail)
    }
}

impl Pump {
    /// An append was not written, or may not have been.
    pub(super) fn on_failed(&mut self, append: Append, error: &StoreError) {
        let slot = append.slot;
        if matches!(error, StoreError::Fenced { .. }) {
            error!(%error, "another daemon owns this fleet now: this one stops acting for it");
            let _gone = self.back.send(Incoming::Stop { dismiss: false });
            return;
        }
        self.store_away(error);
        let Some(outage) = &mut self.outage else { return };
        let receipt = outage.shelf.put(append, Fate::after(error), &outage.detail);
        let problem = match (outage.hope, error) {
            // What is on the shelf is never written, and this was not.
            (Hope::Lasting, StoreError::Corrupt { .. }) => outage.refusal(),
            (Hope::Lasting | Hope::Passing, _) => Problem::new(
                ProblemCode::OutcomeUnknown,
                format!(
                    "writing failed ({error}); the change may still take effect when the store is back: look before you ask again, or repeat the request with its Idempotency-Key"
                ),
            ),
        };
        self.waiting.give_up(slot, &problem);
        if let Some(receipt) = receipt {
            self.waiting.cover(&receipt);
        }
        self.release(slot);
    }

    /// The store turned out to be unwell. Where it is damaged, that is for good.
    pub(super) fn store_away(&mut self, error: &StoreError) {
        let hope = if error.is_damage() {
            Hope::Lasting
        } else {
            Hope::Passing
        };
        if self
            .outage
            .as_ref()
            .is_some_and(|outage| outage.hope == Hope::Lasting || hope == Hope::Passing)
        {
            return;
        }
        let now = self.clock.now().wall;
        let detail = match hope {
            Hope::Passing => error.to_string(),
            Hope::Lasting => damage::at_work(&self.database, error),
        };
        error!(%error, "the store is away: changes are refused, care goes on");
        let before = self.outage.take();
        if before.is_none() {
            self.gate.clear();
            (self.note_away)(Some(now));
            if hope == Hope::Passing {
                self.try_store_later();
            }
        }
        let (since, shelf) = before.map_or_else(|| (now, Shelf::default()), |before| (before.since, before.shelf));
        self.status.update(|report| {
            report.store = Part::Away {
                since,
                detail: detail.clone(),
            };
        });
        self.outage = Some(Outage {
            since,
            detail,
            hope,
            shelf,
        });
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
                        groups: Vec::new(),
                        answers: Vec::new(),
                        ..state
                    });
                })?;
                Ok::<_, StoreError>(states)
            });
            let outcome = outcome.await.unwrap_or_else(|stopped| {
                Err(StoreError::Down {
                    detail: stopped.to_string(),
                })
            });
            let _ = back.send(Incoming::StoreProbed(outcome));
        });
    }

    /// The store was tried: if it is back, everything on the shelf that it does not have yet is submitted.
    pub(super) fn on_store_probed(&mut self, outcome: Result<Vec<SlotState>, StoreError>) {
        let states = match outcome {
            Ok(states) => states,
            Err(error) => {
                warn!(%error, "the store is still away");
                if error.is_damage() {
                    self.store_away(&error);
                } else {
                    self.try_store_later();
                }
                return;
            }
        };
        // Damage that was met meanwhile stays, whatever can be written beside it.
        let Some(mut outage) = self.outage.take_if(|outage| outage.hope == Hope::Passing) else {
            return;
        };
        let mut submitted = 0_u64;
        for state in states {
            // What was taken for lost may have been written after all.
            self.waiting.cover(&state.receipt());
            for append in outage.shelf.take(&state) {
                submitted += 1;
                self.store.submit(append);
            }
            self.release(state.slot);
        }
        info!(submitted, "the store is back");
        self.status.update(|report| report.store = Part::Up);
        self.settle_store();
    }

    /// Waits elsewhere until all that was submitted so far is durable.
    pub(super) fn settle_store(&self) {
        let (store, back) = (std::sync::Arc::clone(&self.store), self.back.clone());
        tokio::task::spawn_blocking(move || {
            // Where it fails, what was submitted fails, too, and is heard of by itself.
            if store.probe().is_ok() {
                let _ = back.send(Incoming::StoreSettled);
            }
        });
    }

    /// Nothing that happened is missing in the store any more.
    pub(super) fn on_store_settled(&self) {
        if self.outage.is_none() {
            (self.note_away)(None);
        }
    }
}
