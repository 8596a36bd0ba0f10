//! A store in memory, without threads: what is submitted waits until it is pumped, and every fault can be ordered.

mod state;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stead_model::journal::{AgentRow, AnswerRow, Append, Durability, SlotState, SpecRow};
use stead_model::{AgentId, AgentName, AuditRow, Epoch, Namespace, ReaderName, Revision, Slot, Wall};

use self::state::State;
use crate::config::MOST_CONFIGS;
use crate::lease::Head;
use crate::query::clamp;
use crate::{
    AuditPage, AuditQuery, Completion, ConfigRow, EventCursor, EventFilter, EventPage, Lease, LevelPage, LevelQuery,
    Owner, Page, Pruned, ReadError, ReaderRow, RecoveryPage, RecoveryQuery, Retention, Sink, Store, StoreError, Taken,
    TakenError, TransitionQuery,
};

/// A deterministic store for simulation and tests. Nothing happens until [`MemoryStore::pump`] is called.
///
/// It outlives the node that uses it: [`MemoryStore::kill`] and [`MemoryStore::power_cut`] leave what such an end leaves on a disk.
pub struct MemoryStore {
    inner: Mutex<Inner>,
    sink: Sink,
}

/// What shall become of an append instead of being written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It fails with this error and is not written.
    Fail(StoreError),
    /// It is written, and fails as `Unknown`.
    WrittenButUnknown,
}

struct Inner {
    state: State,
    /// Submitted, not looked at yet.
    waiting: VecDeque<Append>,
    /// Looked at, not told yet.
    done: VecDeque<Completion>,
    broken: BTreeSet<Slot>,
    faults: VecDeque<Fault>,
    trouble: Option<StoreError>,
    /// Flushed when they are written.
    configs: VecDeque<ConfigRow>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(sink: Sink) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state: State::default(),
                waiting: VecDeque::new(),
                done: VecDeque::new(),
                broken: BTreeSet::new(),
                faults: VecDeque::new(),
                trouble: None,
                configs: VecDeque::new(),
            }),
            sink,
        }
    }

    /// Writes what waits and tells the sink, on this thread. What the sink submits meanwhile waits for the next call. Returns how many
    /// completions there were.
    pub fn pump(&self) -> usize {
        let due = self.pending();
        (0..due).take_while(|_| self.pump_one()).count()
    }

    /// Completes the oldest append that waits; the rest is held back. Returns whether there was one.
    pub fn pump_one(&self) -> bool {
        let completion = {
            let mut inner = self.lock();
            if inner.done.is_empty() {
                inner.settle_one();
            }
            inner.done.pop_front()
        };
        match completion {
            Some(completion) => {
                (self.sink)(completion);
                true
            }
            None => false,
        }
    }

    /// How many appends were submitted and not completed.
    #[must_use]
    pub fn pending(&self) -> usize {
        let inner = self.lock();
        inner.waiting.len() + inner.done.len()
    }

    /// Orders a fault for the next append that would have been written; several stand in line.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push_back(fault);
    }

    /// Makes every write fail with this error (`Full`, `Down`, …) until it is taken back with `None`; while it is another than `Full`, what
    /// loads slots or reads events fails with it as well.
    pub fn set_trouble(&self, trouble: Option<StoreError>) {
        self.lock().trouble = trouble;
    }

    /// Lets somebody else take the slot, whatever lease there is.
    pub fn fence(&self, slot: Slot, by: &Owner) {
        let mut inner = self.lock();
        let head = inner.state.head(slot);
        let taken = Head {
            epoch: head.epoch.next(),
            owner: Some(by.clone()),
            until: Wall::from_unix_millis(i64::MAX),
            position: head.position,
        };
        inner.state.put_head(slot, taken);
        inner.state.flush();
    }

    /// Flushes what is only written, as happens soon after each write.
    pub fn flush(&self) {
        self.lock().state.flush();
    }

    /// How many appends are written and not flushed.
    #[must_use]
    pub fn unflushed(&self) -> usize {
        self.lock().state.unflushed()
    }

    /// Ends the node as `kill -9` does: what was not written yet is lost, and nobody is told.
    pub fn kill(&self) {
        let mut inner = self.lock();
        inner.waiting.clear();
        inner.done.clear();
        inner.broken.clear();
        inner.faults.clear();
    }

    /// Ends the machine: as [`MemoryStore::kill`], and of the appends that were written and not flushed only the first `keep` stay.
    pub fn power_cut(&self, keep: usize) {
        self.kill();
        self.lock().state.lose_unflushed(keep);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One flushed change of heads, after everything that was submitted.
    fn change_heads<K: Copy>(
        &self,
        keys: &[K],
        slot_of: impl Fn(K) -> Slot,
        change: impl Fn(&Head, K) -> Result<Head, StoreError>,
    ) -> Result<Vec<(Slot, Epoch)>, StoreError> {
        let mut inner = self.lock();
        inner.settle();
        inner.well()?;
        let mut changed: BTreeMap<Slot, Head> = BTreeMap::new();
        let mut epochs = Vec::with_capacity(keys.len());
        for key in keys {
            let slot = slot_of(*key);
            let head = changed.remove(&slot).unwrap_or_else(|| inner.state.head(slot));
            let head = change(&head, *key)?;
            epochs.push((slot, head.epoch));
            changed.insert(slot, head);
        }
        inner.state.flush();
        for (slot, head) in changed {
            inner.state.put_head(slot, head);
        }
        Ok(epochs)
    }
}

impl Inner {
    fn settle(&mut self) {
        while self.settle_one() {}
    }

    fn settle_one(&mut self) -> bool {
        let Some(append) = self.waiting.pop_front() else {
            return false;
        };
        let completion = match self.write(&append) {
            Ok(()) => {
                let durability = append.durability;
                Completion::Committed(append.commit(durability))
            }
            Err(error) => {
                self.broken.insert(append.slot);
                Completion::Failed { append, error }
            }
        };
        self.done.push_back(completion);
        true
    }

    fn readable(&self) -> Result<(), StoreError> {
        match &self.trouble {
            None | Some(StoreError::Full) => Ok(()),
            Some(trouble) => Err(trouble.clone()),
        }
    }

    fn write(&mut self, append: &Append) -> Result<(), StoreError> {
        if self.broken.contains(&append.slot) {
            return Err(StoreError::Broken { slot: append.slot });
        }
        self.well()?;
        self.state.head(append.slot).admit(append)?;
        match self.faults.pop_front() {
            None => self.apply(append),
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::WrittenButUnknown) => {
                self.apply(append)?;
                Err(StoreError::Unknown {
                    detail: "as ordered".to_owned(),
                })
            }
        }
    }

    fn apply(&mut self, append: &Append) -> Result<(), StoreError> {
        self.state.apply(append)?;
        match append.durability {
            Durability::Flushed => self.state.flush(),
            Durability::Written => {}
        }
        Ok(())
    }

    fn well(&self) -> Result<(), StoreError> {
        self.trouble.clone().map_or(Ok(()), Err)
    }
}

impl Store for MemoryStore {
    fn take(&self, slots: &[Slot], owner: &Owner, lease: Lease) -> Result<Vec<(Slot, Epoch)>, StoreError> {
        self.change_heads(slots, |slot| slot, |head, slot| head.taken(slot, owner, lease))
    }

    fn renew(&self, held: &[(Slot, Epoch)], lease: Lease) -> Result<(), StoreError> {
        self.change_heads(
            held,
            |(slot, _)| slot,
            |head, (slot, epoch)| head.renewed(slot, epoch, lease),
        )
        .map(drop)
    }

    fn release(&self, held: &[(Slot, Epoch)]) -> Result<(), StoreError> {
        self.change_heads(held, |(slot, _)| slot, |head, (slot, epoch)| head.released(slot, epoch))
            .map(drop)
    }

    fn load_all(&self, slots: &[Slot], each: &mut dyn FnMut(SlotState)) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.settle();
        inner.readable()?;
        inner.state.flush();
        let mut found = Vec::with_capacity(slots.len());
        for slot in slots {
            inner.broken.remove(slot);
            found.push(inner.state.slot(*slot));
        }
        drop(inner);
        found.into_iter().for_each(each);
        Ok(())
    }

    fn submit(&self, append: Append) {
        self.lock().waiting.push_back(append);
    }

    fn transitions(&self, query: &TransitionQuery) -> Result<Page, ReadError> {
        self.lock().state.transitions(query)
    }

    fn events(&self, after: Option<EventCursor>, filter: &EventFilter, limit: usize) -> Result<EventPage, ReadError> {
        let inner = self.lock();
        inner.readable()?;
        inner.state.events(after, filter, clamp(limit))
    }

    fn last_event(&self) -> Result<Option<EventCursor>, StoreError> {
        Ok(self.lock().state.last_event())
    }

    fn readers(&self) -> Result<Vec<ReaderRow>, StoreError> {
        Ok(self.lock().state.readers())
    }

    fn acknowledge(&self, taken: Taken, asked: AuditRow) -> Result<ReaderRow, TakenError> {
        let mut inner = self.lock();
        inner.settle();
        inner.well()?;
        inner.state.acknowledge(&taken, asked)
    }

    fn remove_reader(&self, name: &ReaderName, asked: AuditRow) -> Result<bool, StoreError> {
        let mut inner = self.lock();
        inner.settle();
        inner.well()?;
        Ok(inner.state.remove_reader(name, asked))
    }

    fn agent_tombstone(&self, agent: AgentId) -> Result<Option<AgentRow>, StoreError> {
        Ok(self.lock().state.tombstone(agent))
    }

    fn is_removed_group(&self, group: AgentId) -> Result<bool, StoreError> {
        Ok(self.lock().state.is_removed_group(group))
    }

    fn removed(&self, namespace: &Namespace, name: &AgentName) -> Result<Vec<AgentRow>, StoreError> {
        Ok(self.lock().state.removed(namespace, name))
    }

    fn specs(&self, agent: AgentId, limit: usize) -> Result<Vec<SpecRow>, StoreError> {
        Ok(self.lock().state.specs(agent, clamp(limit)))
    }

    fn answer(&self, namespace: &Namespace, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        Ok(self.lock().state.answer(namespace, key))
    }

    fn recoveries(&self, query: &RecoveryQuery) -> Result<RecoveryPage, StoreError> {
        Ok(self.lock().state.recoveries(query))
    }

    fn levels(&self, query: &LevelQuery) -> Result<LevelPage, StoreError> {
        Ok(self.lock().state.levels(query))
    }

    fn audit(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        Ok(self.lock().state.audit(query))
    }

    fn put_config(&self, row: ConfigRow, audit: AuditRow) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        inner.settle();
        inner.well()?;
        let revision = inner.configs.front().map_or(0, |last| last.revision) + 1;
        inner.state.put_audit(AuditRow {
            revision: Revision(revision),
            ..audit
        });
        inner.configs.push_front(ConfigRow { revision, ..row });
        inner.configs.retain(|kept| kept.revision + MOST_CONFIGS > revision);
        Ok(revision)
    }

    fn put_audit(&self, audit: AuditRow) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.settle();
        inner.well()?;
        inner.state.put_audit(audit);
        Ok(())
    }

    fn configs(&self, limit: usize) -> Result<Vec<ConfigRow>, StoreError> {
        let inner = self.lock();
        let untold = |row: &ConfigRow| ConfigRow {
            text: String::new(),
            ..row.clone()
        };
        Ok(inner.configs.iter().take(clamp(limit)).map(untold).collect())
    }

    fn config(&self, revision: Option<u64>) -> Result<Option<ConfigRow>, StoreError> {
        let inner = self.lock();
        let wanted = |row: &&ConfigRow| revision.is_none_or(|revision| row.revision == revision);
        Ok(inner.configs.iter().find(wanted).cloned())
    }

    fn prune(&self, retention: &Retention, now: Wall) -> Result<Pruned, StoreError> {
        let mut inner = self.lock();
        inner.settle();
        inner.well()?;
        Ok(inner.state.prune(retention, now))
    }

    fn probe(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.settle();
        inner.well()?;
        inner.state.flush();
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
