//! What is written down before anything is done about it.
//!
//! An [`Append`] is one transaction: state rows, history, events. Only the engine's batches make it, a store consumes it, and
//! the only way to a [`Receipt`] is [`Append::commit`]: acting before writing does not compile.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use crate::degradation::DegradationRow;
use crate::group::{RolloutState, UpdateSpec};
use crate::spec::{EnvValue, LifecycleSpec};

use crate::{
    AgentId, AgentName, AgentSpec, AuditRow, ConditionView, Epoch, Event, Evidence, Exit, Failure, Health, Incarnation,
    Intent, LevelChange, Namespace, Position, ProcessIdentity, RecoveryAttempt, Revision, Sequence, Slot, Span,
    StoredWait, Transition, Wall,
};

/// How safe a commit must be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Durability {
    /// In the log: survives `kill -9` at once and a power cut soon after. For facts about processes of this boot, which a power
    /// cut ends too.
    Written,
    /// Synced to the disk before the receipt. For everything that somebody asked for.
    Flushed,
}

/// One transaction of one slot. Not `Clone`: what was submitted is gone until the store gives it back.
#[derive(Debug, PartialEq)]
pub struct Append {
    /// The slot.
    pub slot: Slot,
    /// The ownership that it is written under; a store that knows a higher one refuses it.
    pub epoch: Epoch,
    /// The first position that it stands for: that of the slot's last append and 1.
    pub first: Position,
    /// The last position that it stands for: `first`, unless several were [merged](Shelved::absorb).
    pub position: Position,
    /// How safe it must be before its receipt.
    pub durability: Durability,
    /// State rows to put.
    pub changes: Vec<Change>,
    /// History.
    pub transitions: Vec<Transition>,
    /// Outbox.
    pub events: Vec<Event>,
}

impl Append {
    /// Turns the append into the receipt for it. For stores alone, after the commit, at the durability that was reached.
    pub fn commit(self, reached: Durability) -> Receipt {
        Receipt {
            slot: self.slot,
            epoch: self.epoch,
            position: self.position,
            durability: reached,
        }
    }
}

/// Appends of upkeep that wait in memory while the store is away, so that care goes on.
///
/// The one exception to writing first: facts about processes of this boot, under an intent that is durable, may be acted on
/// while they wait here. Whoever keeps these bounds them, and says so in an event when some are lost.
#[derive(Debug, PartialEq)]
pub struct Shelved(Append);

impl Append {
    /// Keeps an append in memory until the store is back, with the receipt that lets upkeep go on. Only for facts: what needs to be
    /// [`Durability::Flushed`] is not covered by it.
    pub fn shelve(self) -> (Receipt, Shelved) {
        let receipt = Receipt {
            slot: self.slot,
            epoch: self.epoch,
            position: self.position,
            durability: Durability::Written,
        };
        (receipt, Shelved(self))
    }
}

impl Shelved {
    /// The append, to be submitted now that the store is back.
    #[must_use = "what was shelved must be written in the end"]
    pub fn into_append(self) -> Append {
        self.0
    }

    /// The first position that it stands for.
    #[must_use]
    pub const fn first(&self) -> Position {
        self.0.first
    }

    /// The last position that it stands for.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.0.position
    }

    /// How many rows of history and events it holds.
    #[must_use]
    pub const fn history(&self) -> usize {
        self.0.transitions.len() + self.0.events.len()
    }

    /// Takes in the slot's next append, so that both are written as one: of each state row the newer one, and all history and events.
    ///
    /// # Errors
    /// Gives back one that does not follow directly on this one.
    pub fn absorb(&mut self, next: Self) -> Result<(), Self> {
        let (Self(old), Self(new)) = (self, next);
        if (old.slot, old.epoch, old.position.next()) != (new.slot, new.epoch, new.first) {
            return Err(Self(new));
        }
        old.position = new.position;
        old.durability = old.durability.max(new.durability);
        for change in new.changes {
            match old.changes.iter_mut().find(|known| known.replaces(&change)) {
                Some(known) => *known = change,
                None => old.changes.push(change),
            }
        }
        old.transitions.extend(new.transitions);
        old.events.extend(new.events);
        Ok(())
    }

    /// Gives up history and events, keeping state alone; `gap` stands for what is lost.
    pub fn strip(&mut self, gap: Option<Event>) {
        self.0.transitions.clear();
        self.0.events.clear();
        self.0.events.extend(gap);
    }
}

/// Proof that everything of a slot up to a position is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Receipt {
    slot: Slot,
    epoch: Epoch,
    position: Position,
    durability: Durability,
}

impl Receipt {
    /// The slot.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// The ownership that it was written under.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Up to where.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// How safe.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        self.durability
    }
}

/// A state row to put; it replaces the row of the same key.
#[derive(Debug, PartialEq)]
pub enum Change {
    /// State of an agent; key: its id. One that is removed stays as a tombstone.
    Agent(Box<AgentRow>),
    /// What an agent, or each replica of a group, is told to be; key: its id and the spec's number.
    Spec(Box<SpecRow>),
    /// State of a group; key: its id. One that is removed stays as a tombstone.
    Group(Box<GroupRow>),
    /// The answer to a request with an idempotency key; key: namespace and that key.
    Answer(AnswerRow),
    /// Who asked for it; replaces nothing.
    Audit(Box<AuditRow>),
    /// An attempt to bring an agent back; key: the agent's id and the attempt's number.
    Recovery(Box<RecoveryAttempt>),
    /// What a namespace has given up; key: its namespace.
    Degradation(Box<DegradationRow>),
    /// A change of what a namespace has given up; key: its namespace and number.
    Level(Box<LevelChange>),
}

impl Change {
    /// Whether both are of the same row.
    fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Agent(one), Self::Agent(other)) => one.id == other.id,
            (Self::Spec(one), Self::Spec(other)) => (one.agent, one.revision) == (other.agent, other.revision),
            (Self::Group(one), Self::Group(other)) => one.id == other.id,
            (Self::Answer(one), Self::Answer(other)) => (&one.namespace, &one.key) == (&other.namespace, &other.key),
            (Self::Recovery(one), Self::Recovery(other)) => (one.agent, one.number) == (other.agent, other.number),
            (Self::Degradation(one), Self::Degradation(other)) => one.namespace == other.namespace,
            (Self::Level(one), Self::Level(other)) => {
                (&one.namespace, one.sequence) == (&other.namespace, other.sequence)
            }
            (
                Self::Agent(_)
                | Self::Spec(_)
                | Self::Group(_)
                | Self::Answer(_)
                | Self::Audit(_)
                | Self::Recovery(_)
                | Self::Degradation(_)
                | Self::Level(_),
                _,
            ) => false,
        }
    }
}

/// What one slot holds, as a store loads it.
#[derive(Debug, PartialEq)]
pub struct SlotState {
    /// The slot.
    pub slot: Slot,
    /// The ownership that it was taken under.
    pub epoch: Epoch,
    /// Position of its last append.
    pub position: Position,
    /// Agents, tombstones left out.
    pub agents: Vec<AgentRow>,
    /// The current spec of each agent, and every kept one of each group.
    pub specs: Vec<SpecRow>,
    /// Groups, tombstones left out.
    pub groups: Vec<GroupRow>,
    /// Answers that a repeated request must get again.
    pub answers: Vec<AnswerRow>,
    /// What namespaces that are at home here have given up.
    pub degradations: Vec<DegradationRow>,
}

impl SlotState {
    /// A slot in which nothing ever happened.
    #[must_use]
    pub const fn empty(slot: Slot, epoch: Epoch) -> Self {
        Self {
            slot,
            epoch,
            position: Position(0),
            agents: Vec::new(),
            specs: Vec::new(),
            groups: Vec::new(),
            answers: Vec::new(),
            degradations: Vec::new(),
        }
    }

    /// Proof that what was loaded is durable: it came from the store.
    pub const fn receipt(&self) -> Receipt {
        Receipt {
            slot: self.slot,
            epoch: self.epoch,
            position: self.position,
            durability: Durability::Flushed,
        }
    }
}

/// State of an agent as it is stored. Everything that must survive; what is observed anew is left out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that hold apart from each other, side by side"
)]
pub struct AgentRow {
    /// The agent.
    pub id: AgentId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: AgentName,
    /// The boot that its instance is of, as in [`BootClock`](crate::BootClock); what an earlier one left ended with it.
    pub boot: u64,
    /// Its lifecycle profile.
    pub profile: String,
    /// Version of this row, contiguous from 1.
    pub revision: Revision,
    /// Where it is in its life.
    pub phase: String,
    /// Since when.
    pub phase_since: Wall,
    /// Number of its last transition.
    pub sequence: Sequence,
    /// What is wanted.
    pub intent: Intent,
    /// How well it does, as seen from outside.
    pub health: Health,
    /// How it says that it does, while that is bad: it may worsen what is seen, never better it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Health>,
    /// How bad its beats are found to be, by their absence or by what they say; what is seen otherwise may be worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vital: Option<Health>,
    /// Since when it does as it does.
    pub health_since: Wall,
    /// Whether it takes work.
    pub ready: bool,
    /// What holds beside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionView>,
    /// What all of it is known from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Number of its current spec.
    pub spec_revision: u32,
    /// Its last run.
    pub incarnation: Incarnation,
    /// Runs up to this number may have been given out since the last sync; after a power cut the next one is beyond it.
    pub incarnations_reserved: Incarnation,
    /// Its live instance, or the one being started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceRow>,
    /// How the last instance ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<ExitRow>,
    /// Starts after a failure, over its whole life.
    #[serde(default)]
    pub restarts: u64,
    /// A restart was asked for and has not begun.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub restart_wanted: bool,
    /// It is down because its whole fleet is; what is wanted of it holds again once that is lifted.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub halted: bool,
    /// Why its fleet is down, if whoever had it so gave a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt_reason: Option<Box<str>>,
    /// What its own metrics warn of, while it is started again for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Box<str>>,
    /// Where restarts stand.
    #[serde(default)]
    pub recovery: RecoveryRow,
    /// When its phase must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<StoredWait>,
    /// Tasks in flight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
    /// The request or cause that its present way began with.
    pub correlation_id: String,
    /// When its pause ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<StoredWait>,
    /// The order to freeze its process is in force.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub frozen: bool,
    /// What the agent itself was told of pauses last, until it goes on again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Box<WordRow>>,
    /// When each transition that a request caused stops to count for a rate limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<StoredWait>,
    /// The group that it is a replica of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberRow>,
    /// Its process is to be replaced once its tasks are done; until then it takes no new ones.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub draining: bool,
    /// It is to stop once its tasks are done, and at the latest then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<StoredWait>,
    /// It is gone; the row is a tombstone.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub removed: bool,
}

/// What an agent was told of pauses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WordRow {
    /// What.
    pub word: crate::Word,
    /// Which run of it; the next one has not heard what this one was told.
    #[serde(default)]
    pub to: Incarnation,
    /// When it had done so, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Wall>,
}

/// A replica's place in its group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberRow {
    /// The group's id.
    pub group: AgentId,
    /// The group's name.
    pub group_name: AgentName,
    /// Which replica, from 1.
    pub ordinal: u32,
    /// The revision of the group's spec that it was told last.
    pub revision: u32,
    /// Its restarts when it was told so; one more before it passed means that the revision fails.
    pub restarts: u64,
    /// It was available with that revision for as long as it must be.
    pub passed: bool,
}

/// State of a group as it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupRow {
    /// The group.
    pub id: AgentId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: AgentName,
    /// Version of this row, contiguous from 1.
    pub revision: Revision,
    /// What is wanted of its replicas.
    pub intent: Intent,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How a new spec reaches them.
    pub update: UpdateSpec,
    /// The revision of the spec that replicas are brought to.
    pub target: u32,
    /// The last revision that every replica passed with.
    pub good: u32,
    /// Kept revisions, the oldest first.
    pub revisions: Vec<RevisionRow>,
    /// The update under way, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutRow>,
    /// The request or cause that its present way began with.
    pub correlation_id: String,
    /// It is gone; the row is a tombstone.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub removed: bool,
}

impl GroupRow {
    /// The first kept revision of its spec.
    #[must_use]
    pub fn oldest(&self) -> u32 {
        self.revisions.first().map_or(0, |row| row.number)
    }
}

/// One kept revision of a group's spec.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevisionRow {
    /// Its number.
    pub number: u32,
    /// Who gave it.
    pub actor: String,
    /// When.
    pub at: Wall,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// An update to it failed.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub failed: bool,
}

/// An update of a group as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolloutRow {
    /// Where it stands.
    pub state: RolloutState,
    /// The revision that it came from.
    pub from: u32,
    /// The revision that it was asked to go to.
    pub to: u32,
    /// Since when.
    pub began: Wall,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Wall>,
    /// When it is given up unless it gets on before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<StoredWait>,
    /// How many replicas had passed when it last got on.
    pub passed: u32,
    /// Who asked for it.
    pub actor: String,
    /// Why it was asked for, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An instance as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Its run.
    pub incarnation: Incarnation,
    /// Number of the spec that it was started with.
    pub spec_revision: u32,
    /// The process, once it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessIdentity>,
    /// Since when.
    pub since: Wall,
    /// Its end was ordered, so it is no failure.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub ending: bool,
    /// How long it may be silent, as it said itself; nothing: for as long as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Span>,
    /// Where it takes word of pauses, if it does: as it was started, whatever its spec says since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listens: Option<Box<Listener>>,
    /// It has beaten, so that it is expected to go on.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub beats: bool,
}

/// Where a run takes word of pauses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listener {
    /// Where it listens.
    pub endpoint: LifecycleSpec,
    /// What is shown to it to be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<EnvValue>,
}

/// The end of an instance as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExitRow {
    /// Its run.
    pub incarnation: Incarnation,
    /// How.
    pub exit: Exit,
    /// When.
    pub at: Wall,
}

/// Where restarts stand, as it is stored.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RecoveryRow {
    /// Restarts since the last stable period.
    #[serde(default)]
    pub attempt: u32,
    /// When each restart within the intensity's period stops to count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<StoredWait>,
    /// When the next start is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<StoredWait>,
    /// When it will have been stable for long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<StoredWait>,
    /// Why it is not started although it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// It is held because something that it depends on is down.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub sheltered: bool,
    /// The failure that it is in, or is being brought back from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<Failure>>,
    /// How many attempts were made to bring it back, over its whole life.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u64,
    /// The number of the first attempt since one helped; 0 after one did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub incident: u64,
    /// The attempt under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Box<RecoveryAttempt>>,
    /// When that must have shown that it helped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<StoredWait>,
    /// It failed and is ended when its turn comes.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub waits: bool,
    /// Its turn has come, and it is not up again yet.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub acts: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Why an agent is not started although it is wanted; a person's start or reset, or a new spec, clears it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Block {
    /// What kind of reason.
    pub kind: BlockKind,
    /// The reason in words.
    pub detail: String,
}

/// Kinds of [`Block`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// It ended with success and its policy asks for no more.
    Completed,
    /// It failed and its policy asks for no more.
    Policy,
    /// No start can help until something is changed.
    Held,
    /// Too many starts failed.
    Quarantined,
}

/// What an agent is told to be, as it is stored. Immutable: a change is a new number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SpecRow {
    /// The agent.
    pub agent: AgentId,
    /// Number of the spec, contiguous from 1.
    pub revision: u32,
    /// Who gave it.
    pub actor: String,
    /// When.
    pub at: Wall,
    /// The spec.
    pub spec: AgentSpec,
}

/// The answer to a request with an idempotency key, in the same transaction as what it changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AnswerRow {
    /// Namespace of the key.
    pub namespace: Namespace,
    /// The key that the client chose.
    pub key: String,
    /// Hash of the request that it was chosen for; another request with the same key is refused.
    pub fingerprint: u64,
    /// When; it is forgotten after a day.
    pub at: Wall,
    /// The agent that was answered about.
    pub agent: AgentId,
    /// What was answered, as JSON.
    pub answer: String,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn append() -> Append {
        Append {
            slot: Slot::home(&Namespace::default(), "web"),
            epoch: Epoch(2),
            first: Position(3),
            position: Position(3),
            durability: Durability::Written,
            changes: vec![],
            transitions: vec![],
            events: vec![],
        }
    }

    #[test]
    fn a_receipt_proves_what_was_reached_and_no_more() {
        let slot = append().slot;
        let receipt = append().commit(Durability::Flushed);
        assert_eq!((receipt.slot(), receipt.epoch()), (slot, Epoch(2)));
        assert_eq!(
            (receipt.position(), receipt.durability()),
            (Position(3), Durability::Flushed)
        );
    }

    #[test]
    fn only_what_follows_directly_is_merged_and_the_newer_row_stays() {
        let answer = |at, first, position| Append {
            first: Position(first),
            position: Position(position),
            changes: vec![Change::Answer(AnswerRow {
                namespace: Namespace::default(),
                key: "k".into(),
                fingerprint: 1,
                at: Wall::from_unix_millis(at),
                agent: AgentId::from_bits(1),
                answer: String::new(),
            })],
            ..append()
        };
        let (_, mut first) = answer(1, 3, 3).shelve();
        let (_, last) = answer(3, 6, 6).shelve();
        let last = first.absorb(last).unwrap_err();
        first.absorb(answer(2, 4, 5).shelve().1).unwrap();
        first.absorb(last).unwrap();
        assert_eq!((first.first(), first.position()), (Position(3), Position(6)));
        assert_eq!(first.into_append(), answer(3, 3, 6));
    }

    #[test]
    fn what_is_shelved_is_never_taken_for_flushed_and_comes_back_whole() {
        let (receipt, mut shelved) = append().shelve();
        assert_eq!(
            (receipt.durability(), shelved.position()),
            (Durability::Written, Position(3))
        );
        shelved.strip(None);
        assert_eq!(shelved.into_append(), append());
    }
}
