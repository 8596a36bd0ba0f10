//! What is left of a store whose file is damaged: it can be looked at, and nothing of it is changed.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use stead_model::journal::{AgentRow, AnswerRow, Append, SlotState, SpecRow};
use stead_model::{AgentId, AgentName, AuditRow, Epoch, Namespace, ReaderName, Slot, Wall};

use super::readers::Readers;
use super::{audit, configs, degradations, outbox, read, recoveries};
use crate::{
    AuditPage, AuditQuery, Completion, ConfigRow, EventCursor, EventFilter, EventPage, Lease, LevelPage, LevelQuery,
    Owner, Page, Pruned, ReadError, ReaderRow, RecoveryPage, RecoveryQuery, Retention, Sink, StateDir, Store,
    StoreError, Taken, TakenError, TransitionQuery,
};

/// A [`Store`] that reads what can be read and refuses everything else with the damage that was found. Its file is left as it is.
pub struct DamagedStore {
    readers: Readers,
    damage: StoreError,
    sink: Sink,
    _dir: Arc<StateDir>,
}

impl DamagedStore {
    /// Looks at the store of a directory that could not be opened, loaded or taken because of `damage`.
    #[must_use]
    pub fn new(dir: impl Into<Arc<StateDir>>, damage: StoreError, sink: Sink) -> Self {
        let dir = dir.into();
        Self {
            readers: Readers::of_untouched(dir.database()),
            damage,
            sink,
            _dir: dir,
        }
    }

    /// The damaged file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.readers.path()
    }

    /// Reads every slot that can be read; says how many could not.
    ///
    /// What is read need not be durable, and may lack what was lost: it is for showing, not for acting on.
    pub fn salvage(&self, each: &mut dyn FnMut(SlotState)) -> usize {
        let mut lost = 0;
        for slot in Slot::all() {
            let mut found = None;
            let read = self
                .readers
                .with(|connection| read::slots(connection, &[slot], &mut |state| found = Some(state)));
            match (read, found) {
                (Ok(()), Some(state)) => each(state),
                (Ok(()) | Err(_), _) => lost += 1,
            }
        }
        lost
    }

    /// Reads slots as they lie there, whoever has them; ends at the first that cannot be read.
    pub(super) fn read_slots(&self, slots: &[Slot], each: &mut dyn FnMut(SlotState)) -> Result<(), StoreError> {
        self.readers.with(|connection| read::slots(connection, slots, each))
    }

    /// Closes the file until it is read again.
    pub(super) fn close(&self) {
        self.readers.close();
    }

    fn refused<A>(&self) -> Result<A, StoreError> {
        Err(self.damage.clone())
    }
}

impl Store for DamagedStore {
    fn take(&self, _: &[Slot], _: &Owner, _: Lease) -> Result<Vec<(Slot, Epoch)>, StoreError> {
        self.refused()
    }

    fn renew(&self, _: &[(Slot, Epoch)], _: Lease) -> Result<(), StoreError> {
        self.refused()
    }

    fn release(&self, _: &[(Slot, Epoch)]) -> Result<(), StoreError> {
        self.refused()
    }

    fn load_all(&self, _: &[Slot], _: &mut dyn FnMut(SlotState)) -> Result<(), StoreError> {
        self.refused()
    }

    fn submit(&self, append: Append) {
        let error = self.damage.clone();
        (self.sink)(Completion::Failed { append, error });
    }

    fn transitions(&self, query: &TransitionQuery) -> Result<Page, ReadError> {
        let below = query.below()?;
        Ok(self
            .readers
            .with(|connection| read::transitions(connection, query, below))?)
    }

    fn events(&self, after: Option<EventCursor>, filter: &EventFilter, limit: usize) -> Result<EventPage, ReadError> {
        self.readers
            .with(|connection| read::events(connection, after, filter, limit))?
    }

    fn last_event(&self) -> Result<Option<EventCursor>, StoreError> {
        self.readers.with(read::last_event)
    }

    fn readers(&self) -> Result<Vec<ReaderRow>, StoreError> {
        self.readers.with(outbox::readers)
    }

    fn acknowledge(&self, _: Taken, _: AuditRow) -> Result<ReaderRow, TakenError> {
        Ok(self.refused()?)
    }

    fn remove_reader(&self, _: &ReaderName, _: AuditRow) -> Result<bool, StoreError> {
        self.refused()
    }

    fn agent_tombstone(&self, agent: AgentId) -> Result<Option<AgentRow>, StoreError> {
        self.readers.with(|connection| read::tombstone(connection, agent))
    }

    fn is_removed_group(&self, group: AgentId) -> Result<bool, StoreError> {
        self.readers
            .with(|connection| read::is_removed_group(connection, group))
    }

    fn removed(&self, namespace: &Namespace, name: &AgentName) -> Result<Vec<AgentRow>, StoreError> {
        self.readers
            .with(|connection| read::removed(connection, namespace, name))
    }

    fn specs(&self, agent: AgentId, limit: usize) -> Result<Vec<SpecRow>, StoreError> {
        self.readers.with(|connection| read::specs(connection, agent, limit))
    }

    fn answer(&self, namespace: &Namespace, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        self.readers.with(|connection| read::answer(connection, namespace, key))
    }

    fn recoveries(&self, query: &RecoveryQuery) -> Result<RecoveryPage, StoreError> {
        self.readers.with(|connection| recoveries::list(connection, query))
    }

    fn levels(&self, query: &LevelQuery) -> Result<LevelPage, StoreError> {
        self.readers.with(|connection| degradations::list(connection, query))
    }

    fn audit(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        self.readers.with(|connection| audit::list(connection, query))
    }

    fn put_config(&self, _: ConfigRow, _: AuditRow) -> Result<u64, StoreError> {
        self.refused()
    }

    fn put_audit(&self, _: AuditRow) -> Result<(), StoreError> {
        self.refused()
    }

    fn configs(&self, limit: usize) -> Result<Vec<ConfigRow>, StoreError> {
        self.readers.with(|connection| configs::list(connection, limit))
    }

    fn config(&self, revision: Option<u64>) -> Result<Option<ConfigRow>, StoreError> {
        self.readers.with(|connection| configs::one(connection, revision))
    }

    fn prune(&self, _: &Retention, _: Wall) -> Result<Pruned, StoreError> {
        self.refused()
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.refused()
    }
}

impl fmt::Debug for DamagedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DamagedStore")
            .field("path", &self.path())
            .field("damage", &self.damage)
            .finish_non_exhaustive()
    }
}
