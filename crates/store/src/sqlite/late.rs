//! A store that could not be opened for want of space: looked at meanwhile, and opened once there is room.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use stead_model::journal::{AgentRow, AnswerRow, Append, SlotState, SpecRow};
use stead_model::{AgentId, AgentName, AuditRow, Epoch, Namespace, ReaderName, Slot, Wall};

use super::{DamagedStore, Options, SqliteStore};
use crate::{
    AuditPage, AuditQuery, ConfigRow, EventCursor, EventFilter, EventPage, Figures, Lease, LevelPage, LevelQuery,
    OpenError, Owner, Page, Pruned, ReadError, ReaderRow, RecoveryPage, RecoveryQuery, Retention, Sink, StateDir,
    Store, StoreError, Taken, TakenError, TransitionQuery,
};

/// A [`Store`] whose disk was full when it was to be opened. Until [`Store::probe`] finds room it reads, and refuses the rest as
/// [`StoreError::Full`]; from then on it is a [`SqliteStore`].
///
/// Slots are loaded as if they had been taken: nobody else can take them, because the directory is locked. They are taken in truth, under
/// the very epochs that were told, before anything is written.
pub struct LateStore {
    dir: Arc<StateDir>,
    options: Options,
    claim: (Vec<Slot>, Owner, Lease),
    sink: Arc<Sink>,
    before: DamagedStore,
    /// One try to open it at a time.
    opening: Mutex<()>,
    whole: OnceLock<SqliteStore>,
}

impl LateStore {
    /// Looks at the store of a directory that cannot be opened now; `claim` is which slots are to be taken, by whom and for how long.
    #[must_use]
    pub fn new(dir: Arc<StateDir>, options: Options, claim: (Vec<Slot>, Owner, Lease), sink: Sink) -> Self {
        let sink = Arc::new(sink);
        Self {
            before: DamagedStore::new(Arc::clone(&dir), StoreError::Full, shared(&sink)),
            dir,
            options,
            claim,
            sink,
            opening: Mutex::new(()),
            whole: OnceLock::new(),
        }
    }

    /// What answers now.
    fn now(&self) -> &dyn Store {
        match self.whole.get() {
            Some(whole) => whole,
            None => &self.before,
        }
    }

    /// Opens it and takes its slots, if there is room by now.
    fn open(&self) -> Result<(), StoreError> {
        let _turn = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.whole.get().is_some() {
            return Ok(());
        }
        // It may have read a file that nobody wrote to, which ends here.
        self.before.close();
        let opened = SqliteStore::open(Arc::clone(&self.dir), self.options, shared(&self.sink));
        let whole = opened.map_err(|error| match error.full() {
            true => StoreError::Full,
            false => StoreError::Down {
                detail: error.to_string(),
            },
        })?;
        let (slots, owner, lease) = &self.claim;
        whole.take(slots, owner, *lease)?;
        // Under the lock, so that there is none yet.
        let _first = self.whole.set(whole);
        Ok(())
    }
}

fn shared(sink: &Arc<Sink>) -> Sink {
    let sink = Arc::clone(sink);
    Box::new(move |completion| sink(completion))
}

impl OpenError {
    /// Whether there is no space to open it. What is there may still be [read](LateStore).
    #[must_use]
    pub fn full(&self) -> bool {
        match self {
            Self::Store { source, .. } => *source == StoreError::Full,
            Self::Newer { .. }
            | Self::Edited { .. }
            | Self::Foreign { .. }
            | Self::Migration { .. }
            | Self::Io { .. } => false,
        }
    }
}

impl Store for LateStore {
    fn take(&self, slots: &[Slot], owner: &Owner, lease: Lease) -> Result<Vec<(Slot, Epoch)>, StoreError> {
        self.now().take(slots, owner, lease)
    }

    fn renew(&self, held: &[(Slot, Epoch)], lease: Lease) -> Result<(), StoreError> {
        self.now().renew(held, lease)
    }

    fn release(&self, held: &[(Slot, Epoch)]) -> Result<(), StoreError> {
        self.now().release(held)
    }

    fn load_all(&self, slots: &[Slot], each: &mut dyn FnMut(SlotState)) -> Result<(), StoreError> {
        if let Some(whole) = self.whole.get() {
            return whole.load_all(slots, each);
        }
        self.before.read_slots(slots, &mut |mut state| {
            state.epoch = state.epoch.next();
            each(state);
        })
    }

    fn submit(&self, append: Append) {
        self.now().submit(append);
    }

    fn transitions(&self, query: &TransitionQuery) -> Result<Page, ReadError> {
        self.now().transitions(query)
    }

    fn events(&self, after: Option<EventCursor>, filter: &EventFilter, limit: usize) -> Result<EventPage, ReadError> {
        self.now().events(after, filter, limit)
    }

    fn last_event(&self) -> Result<Option<EventCursor>, StoreError> {
        self.now().last_event()
    }

    fn readers(&self) -> Result<Vec<ReaderRow>, StoreError> {
        self.now().readers()
    }

    fn acknowledge(&self, taken: Taken, asked: AuditRow) -> Result<ReaderRow, TakenError> {
        self.now().acknowledge(taken, asked)
    }

    fn remove_reader(&self, name: &ReaderName, asked: AuditRow) -> Result<bool, StoreError> {
        self.now().remove_reader(name, asked)
    }

    fn agent_tombstone(&self, agent: AgentId) -> Result<Option<AgentRow>, StoreError> {
        self.now().agent_tombstone(agent)
    }

    fn is_removed_group(&self, group: AgentId) -> Result<bool, StoreError> {
        self.now().is_removed_group(group)
    }

    fn removed(&self, namespace: &Namespace, name: &AgentName) -> Result<Vec<AgentRow>, StoreError> {
        self.now().removed(namespace, name)
    }

    fn specs(&self, agent: AgentId, limit: usize) -> Result<Vec<SpecRow>, StoreError> {
        self.now().specs(agent, limit)
    }

    fn answer(&self, namespace: &Namespace, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        self.now().answer(namespace, key)
    }

    fn recoveries(&self, query: &RecoveryQuery) -> Result<RecoveryPage, StoreError> {
        self.now().recoveries(query)
    }

    fn levels(&self, query: &LevelQuery) -> Result<LevelPage, StoreError> {
        self.now().levels(query)
    }

    fn audit(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        self.now().audit(query)
    }

    fn put_config(&self, row: ConfigRow, audit: AuditRow) -> Result<u64, StoreError> {
        self.now().put_config(row, audit)
    }

    fn put_audit(&self, audit: AuditRow) -> Result<(), StoreError> {
        self.now().put_audit(audit)
    }

    fn configs(&self, limit: usize) -> Result<Vec<ConfigRow>, StoreError> {
        self.now().configs(limit)
    }

    fn config(&self, revision: Option<u64>) -> Result<Option<ConfigRow>, StoreError> {
        self.now().config(revision)
    }

    fn prune(&self, retention: &Retention, now: Wall) -> Result<Pruned, StoreError> {
        self.now().prune(retention, now)
    }

    fn figures(&self) -> Figures {
        self.now().figures()
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.open()?;
        self.now().probe()
    }
}

impl fmt::Debug for LateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateStore")
            .field("path", &self.before.path())
            .field("whole", &self.whole.get().is_some())
            .finish_non_exhaustive()
    }
}
