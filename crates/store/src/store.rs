//! The contract that every store keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use stead_model::journal::{AgentRow, AnswerRow, Append, Receipt, SlotState, SpecRow};
use stead_model::{AgentId, AgentName, AgentSpec, AuditRow, Epoch, Namespace, ReaderName, Slot, Wall};

use crate::{
    AuditPage, AuditQuery, ConfigRow, EventCursor, EventFilter, EventPage, Lease, LevelPage, LevelQuery, Owner, Page,
    Pruned, ReadError, ReaderRow, RecoveryPage, RecoveryQuery, Retention, StoreError, Taken, TakenError,
    TransitionQuery,
};

/// What became of a submitted append.
#[derive(Debug)]
pub enum Completion {
    /// It is as durable as it asked. Its transitions and events can be read from now on: this is how a reader learns of new events.
    Committed(Receipt),
    /// It was not written, or (`Unknown`) may not have been.
    Failed {
        /// What was submitted.
        append: Append,
        /// Why.
        error: StoreError,
    },
    /// A read met bytes that make no sense. No append is meant by it; it may be told more than once, and from the reader's thread.
    Damaged {
        /// What was found.
        error: StoreError,
    },
}

/// What a store wrote since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Appends, each with all that belongs to one decision.
    pub appends: u64,
    /// Commits; one may hold many appends.
    pub commits: u64,
    /// Commits that were synced to the disk before their receipts.
    pub flushed: u64,
}

/// Takes completions, on the store's own thread (damage also on a reader's): it must not block, and must not call the store except to submit.
pub type Sink = Box<dyn Fn(Completion) + Send + Sync>;

/// Takes what a slot holds, while it is read.
pub trait Loader {
    /// A slot begins: everything that it holds but its agents and their specs.
    fn begin(&mut self, slot: SlotState);

    /// One agent of it, in the order of ids, with its current spec, which only a damaged store does not have. Agents that are told the
    /// same may share it.
    fn agent(&mut self, agent: AgentRow, spec: Option<Arc<AgentSpec>>);

    /// All agents of the slot were handed over.
    fn end(&mut self);
}

/// Hands a slot that was loaded to a loader.
fn hand_over(mut state: SlotState, loader: &mut dyn Loader) {
    let agents = std::mem::take(&mut state.agents);
    let groups: BTreeSet<AgentId> = state.groups.iter().map(|group| group.id).collect();
    let (of_groups, of_agents): (Vec<_>, Vec<_>) = std::mem::take(&mut state.specs)
        .into_iter()
        .partition(|spec| groups.contains(&spec.agent));
    let specs = of_agents.into_iter().map(|row| (row.agent, Arc::new(row.spec)));
    let mut specs: BTreeMap<AgentId, Arc<AgentSpec>> = specs.collect();
    state.specs = of_groups;
    loader.begin(state);
    for agent in agents {
        let spec = specs.remove(&agent.id);
        loader.agent(agent, spec);
    }
    loader.end();
}

/// A durable journal of slots. Object-safe; every method may be called from any thread.
///
/// Each submitted append is completed exactly once, in the order of submission within its slot. After one failed append of a slot all
/// later ones fail, until the slot is loaded: order is never broken. Calls other than `submit` block; they see everything that was
/// submitted before by the same thread.
pub trait Store: Send + Sync + Debug {
    /// Takes slots: each under its next epoch, all in one flushed transaction or none.
    ///
    /// # Errors
    /// `Held` if another owner's lease of one of them has not ended, and the errors of an unwell store.
    fn take(&self, slots: &[Slot], owner: &Owner, lease: Lease) -> Result<Vec<(Slot, Epoch)>, StoreError>;

    /// Holds slots for longer; all or none, flushed.
    ///
    /// # Errors
    /// `Fenced` if one of them is no longer held under that epoch, and the errors of an unwell store.
    fn renew(&self, held: &[(Slot, Epoch)], lease: Lease) -> Result<(), StoreError>;

    /// Lets slots go; all or none, flushed. Appends under those epochs are fenced from then on.
    ///
    /// # Errors
    /// `Fenced` if one of them is no longer held under that epoch, and the errors of an unwell store.
    fn release(&self, held: &[(Slot, Epoch)]) -> Result<(), StoreError>;

    /// Loads a slot after everything that was submitted to it, and mends it if it was broken. What is loaded is flushed first.
    ///
    /// # Errors
    /// The errors of an unwell store; the slot stays broken then.
    fn load(&self, slot: Slot) -> Result<SlotState, StoreError> {
        let mut found = None;
        self.load_all(&[slot], &mut |state| found = Some(state))?;
        Ok(found.unwrap_or_else(|| SlotState::empty(slot, Epoch(0))))
    }

    /// Loads many slots in one pass, as [`Store::load`]; hands each to `each`, in the order given, on the caller's thread.
    ///
    /// # Errors
    /// The errors of an unwell store; slots handed over before the error are good.
    fn load_all(&self, slots: &[Slot], each: &mut dyn FnMut(SlotState)) -> Result<(), StoreError>;

    /// Loads many slots as [`Store::load_all`] does, agent by agent, so that hardly more than one is in memory at once. Each loader may
    /// be called on a thread of its own, with slots that no other gets; together they get all of them, in no order.
    ///
    /// # Errors
    /// The errors of an unwell store; agents handed over before the error are good, a slot that was not ended is not whole.
    fn load_into(&self, slots: &[Slot], loaders: &mut [&mut (dyn Loader + Send)]) -> Result<(), StoreError> {
        let Some(loader) = loaders.first_mut() else {
            return Ok(());
        };
        self.load_all(slots, &mut |state| hand_over(state, &mut **loader))
    }

    /// Takes an append to be written. Never waits; what becomes of it goes to the sink.
    ///
    /// When too many wait, it stands in line for its refusal as `Busy`, so that order holds: the caller bounds how many are under way.
    fn submit(&self, append: Append);

    /// Finds history, newest first. Rows of one agent come in the order of their numbers, others in that of their commit.
    ///
    /// # Errors
    /// `Cursor` if the cursor belongs to another query, and the errors of an unwell store.
    fn transitions(&self, query: &TransitionQuery) -> Result<Page, ReadError>;

    /// Reads events in the order of their commit: those after `after`, or from the oldest kept.
    ///
    /// # Errors
    /// `Gone` if `after` is older than what is kept, or what it points at was lost; and the errors of an unwell store.
    fn events(&self, after: Option<EventCursor>, filter: &EventFilter, limit: usize) -> Result<EventPage, ReadError>;

    /// The newest event's cursor; nothing if there never was one. Where a reader starts who wants only what is new.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn last_event(&self) -> Result<Option<EventCursor>, StoreError>;

    /// The named readers of the events, by name.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn readers(&self) -> Result<Vec<ReaderRow>, StoreError>;

    /// Writes down how far a named reader has taken the events, flushed. A place only moves forward: an earlier one changes nothing but
    /// when it spoke. A reader that is not known is from then on, and who asked is kept with it; what it has not taken, pruning holds.
    ///
    /// # Errors
    /// See [`TakenError`]; nothing was changed.
    fn acknowledge(&self, taken: Taken, asked: AuditRow) -> Result<ReaderRow, TakenError>;

    /// Forgets a named reader, flushed, and keeps who asked. Says whether there was one.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn remove_reader(&self, name: &ReaderName, asked: AuditRow) -> Result<bool, StoreError>;

    /// The row of a removed agent, if it is one.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn agent_tombstone(&self, agent: AgentId) -> Result<Option<AgentRow>, StoreError>;

    /// Whether an id is that of a group that was removed.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn is_removed_group(&self, group: AgentId) -> Result<bool, StoreError>;

    /// The removed agents that had this name, at most 100, the last registered first.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn removed(&self, namespace: &Namespace, name: &AgentName) -> Result<Vec<AgentRow>, StoreError>;

    /// What an agent was told to be, at most `limit` specs, newest first. Removed agents keep theirs.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn specs(&self, agent: AgentId, limit: usize) -> Result<Vec<SpecRow>, StoreError>;

    /// The answer to a request with an idempotency key, if one was given and is still kept.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn answer(&self, namespace: &Namespace, key: &str) -> Result<Option<AnswerRow>, StoreError>;

    /// Finds changes that somebody asked for, newest first.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn audit(&self, query: &AuditQuery) -> Result<AuditPage, StoreError>;

    /// Reads attempts to bring agents back, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn recoveries(&self, query: &RecoveryQuery) -> Result<RecoveryPage, StoreError>;

    /// Reads how what a namespace has given up changed, newest first. The newest 1,000 changes of each namespace are kept.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn levels(&self, query: &LevelQuery) -> Result<LevelPage, StoreError>;

    /// Keeps a revision of the configuration behind the last one, flushed, and forgets the oldest beyond [`MOST_CONFIGS`](crate::MOST_CONFIGS).
    /// Gives its number, whatever the rows say of it. Who asked for it is kept with it.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn put_config(&self, row: ConfigRow, audit: AuditRow) -> Result<u64, StoreError>;

    /// Keeps who asked for a change of what the store itself does not hold, flushed.
    ///
    /// # Errors
    /// The errors of an unwell store; nothing is kept then.
    fn put_audit(&self, audit: AuditRow) -> Result<(), StoreError>;

    /// The newest revisions of the configuration, without their texts.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn configs(&self, limit: usize) -> Result<Vec<ConfigRow>, StoreError>;

    /// One revision of the configuration, whole, if it is kept; the newest where no number is given.
    ///
    /// # Errors
    /// The errors of an unwell store.
    fn config(&self, revision: Option<u64>) -> Result<Option<ConfigRow>, StoreError>;

    /// Forgets a bounded number of rows beyond what is retained; call it again while `more` is set.
    ///
    /// # Errors
    /// The errors of an unwell store; nothing of this call was forgotten.
    fn prune(&self, retention: &Retention, now: Wall) -> Result<Pruned, StoreError>;

    /// What was written since the store was opened.
    fn figures(&self) -> Figures {
        Figures::default()
    }

    /// Says that an append will be submitted any moment, so that whoever writes is awake by then. It promises nothing, and never waits.
    fn expect(&self) {}

    /// Tells whether the store can write and flush, by doing it; tries to recover it if not.
    ///
    /// # Errors
    /// What is wrong with it still.
    fn probe(&self) -> Result<(), StoreError>;
}
