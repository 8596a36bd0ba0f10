//! Where orders to start wait for their receipts, in reach of the store's thread.
//!
//! What is down waits for nothing but the write of its history. So the thread that did the write gives out the orders that it covers,
//! before it wakes anybody. Each order has two holders, this gate and the batch that it came from, and whoever is first takes it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use stead_engine::{Foreseen, Starts};
use stead_model::journal::Receipt;
use stead_model::{Action, Slot};

/// Gives out an order to start, from any thread; it never waits.
pub(crate) type Starter = Box<dyn Fn(Action) + Send + Sync>;

/// The gate. Until there is somebody who starts, nothing is held here.
#[derive(Default)]
pub(crate) struct Gate {
    starter: OnceLock<Starter>,
    lanes: Mutex<HashMap<Slot, VecDeque<Held>>>,
}

/// Orders to start, until somebody with a receipt takes them.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Mutex<Option<Starts>>>);

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    /// Names who starts; the first name counts.
    pub(crate) fn open_to(&self, starter: Starter) {
        // Another would have to share what the first one knows.
        let _first = self.starter.set(starter);
    }

    /// Holds orders of a slot, behind those that it holds already. Call it before their append is submitted.
    pub(crate) fn hold(&self, slot: Slot, starts: Starts) -> Held {
        let held = Held(Arc::new(Mutex::new(Some(starts))));
        if self.starter.get().is_some() {
            lock(&self.lanes).entry(slot).or_default().push_back(held.clone());
        }
        held
    }

    /// Gives out what a receipt covers.
    pub(crate) fn pass(&self, receipt: &Receipt) {
        let Some(starter) = self.starter.get() else { return };
        loop {
            // One at a time: who holds the next ones meanwhile may be foreseeing them.
            let next = {
                let mut lanes = lock(&self.lanes);
                let Some(lane) = lanes.get_mut(&receipt.slot()) else {
                    return;
                };
                lane.pop_front_if(|held| held.is_free(receipt))
            };
            let Some(held) = next else { return };
            held.take(receipt).into_iter().for_each(starter);
        }
    }

    /// Holds nothing any more: what waits is given out with its batch, or never.
    pub(crate) fn clear(&self) {
        lock(&self.lanes).clear();
    }
}

impl Held {
    /// Gives the orders if they are still there and covered; to one caller only.
    pub(crate) fn take(&self, receipt: &Receipt) -> Vec<Action> {
        let mut starts = lock(&self.0);
        match starts.take().map(|starts| starts.release(receipt)) {
            Some(Ok(actions)) => actions,
            Some(Err(early)) => {
                *starts = Some(early);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Has what is not given out yet made ready. Nobody gives it out meanwhile.
    pub(crate) fn foresee(&self, mut make_ready: impl FnMut(Foreseen<'_>)) {
        if let Some(starts) = &*lock(&self.0) {
            starts.foreseen().for_each(&mut make_ready);
        }
    }

    /// Whether it was given out, or may be.
    fn is_free(&self, receipt: &Receipt) -> bool {
        lock(&self.0)
            .as_ref()
            .is_none_or(|starts| starts.is_covered_by(receipt))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
