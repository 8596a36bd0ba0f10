//! An execution that has not ended.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use serde_json::value::RawValue;
use stead_model::Wall;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keys::Ticket;
use super::record::{self, Record};
use super::{EntryPoint, Execution, ExecutionId, ExecutionStatus, StreamId};
use crate::activity::Activity;
use crate::clock;
use crate::store::{CheckpointStore, StoreError};

/// One try of an execution.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: ExecutionId,
    pub(super) stream: StreamId,
    pub(super) entry: EntryPoint,
    /// Its place among the entry points.
    pub(super) place: usize,
    pub(super) input: Arc<RawValue>,
    pub(super) ticket: Option<Ticket>,
    pub(super) attempt: u32,
    pub(super) started_at: Wall,
    /// When this try began, once it has.
    begun: OnceLock<Instant>,
    /// How long the try waits, and until when, because the one before gave up its turn while nobody asked it to.
    held: Option<(Duration, Instant)>,
    /// Asked to end.
    pub(super) cancel: CancellationToken,
    /// Ended by force at its next wait.
    pub(super) kill: CancellationToken,
    /// Woken when nothing more becomes of the execution; the same for all of its tries.
    pub(super) done: Arc<Notify>,
    /// The same for all of its tries, so that a late word of an earlier one does no harm.
    notes: Arc<Mutex<Notes>>,
    recorded: Arc<Mutex<Recorded>>,
}

/// What the function said about itself.
#[derive(Debug, Default)]
struct Notes {
    checkpoint: Option<Arc<RawValue>>,
    /// The checkpoint that the store has.
    kept: Option<Arc<RawValue>>,
    /// Tries that were begun since its checkpoint last changed there, without those that were interrupted on purpose.
    tries: u32,
    /// Whether the present try is interrupted on purpose, and so not counted.
    spared: bool,
    /// Counts the changes, and which of them the store has.
    revision: u64,
    written: u64,
    /// What it says that it does, since when for people, and since when by a clock that nobody sets.
    activity: Option<(Activity, Wall, Instant)>,
}

/// What the store has of it. The lock is held across writing, so that no late write brings back what has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Recorded {
    Nothing,
    Written,
    Ended,
}

impl Notes {
    /// Whether there is something that the store does not have.
    const fn is_fresh(&self) -> bool {
        self.revision != self.written
    }

    /// Whether the checkpoint says something else than the one that the store has.
    fn got_further(&self) -> bool {
        let now = self.checkpoint.as_deref().map(RawValue::get);
        now != self.kept.as_deref().map(RawValue::get)
    }
}

/// What an execution begins with.
#[derive(Debug)]
pub(super) struct Birth {
    pub(super) id: ExecutionId,
    pub(super) stream: StreamId,
    pub(super) entry: EntryPoint,
    pub(super) place: usize,
    pub(super) input: Arc<RawValue>,
    pub(super) ticket: Option<Ticket>,
}

impl Live {
    pub(super) fn new(birth: Birth) -> Self {
        Self {
            id: birth.id,
            stream: birth.stream,
            entry: birth.entry,
            place: birth.place,
            input: birth.input,
            ticket: birth.ticket,
            attempt: 1,
            started_at: clock::wall(),
            begun: OnceLock::new(),
            held: None,
            cancel: CancellationToken::new(),
            kill: CancellationToken::new(),
            done: Arc::default(),
            notes: Arc::new(Mutex::new(Notes {
                tries: 1,
                ..Notes::default()
            })),
            recorded: Arc::new(Mutex::new(Recorded::Nothing)),
        }
    }

    /// What an earlier process left behind.
    pub(super) fn thaw(record: Record, entry: EntryPoint, place: usize) -> Self {
        let live = Self::new(Birth {
            id: record.execution,
            stream: record.stream,
            entry,
            place,
            input: record.input.into(),
            ticket: record.ticket,
        });
        let checkpoint: Option<Arc<RawValue>> = record.checkpoint.map(Arc::from);
        let notes = Notes {
            kept: checkpoint.clone(),
            checkpoint,
            tries: record.tries,
            ..Notes::default()
        };
        Self {
            attempt: record.attempt.saturating_add(1),
            started_at: record.started_at,
            notes: Arc::new(Mutex::new(notes)),
            recorded: Arc::new(Mutex::new(Recorded::Written)),
            ..live
        }
    }

    /// The next try, after this one was interrupted.
    pub(super) fn again(&self) -> Self {
        let live = Self::new(Birth {
            id: self.id,
            stream: self.stream.clone(),
            entry: self.entry.clone(),
            place: self.place,
            input: Arc::clone(&self.input),
            ticket: self.ticket.clone(),
        });
        Self {
            attempt: self.attempt.saturating_add(1),
            started_at: self.started_at,
            done: Arc::clone(&self.done),
            notes: Arc::clone(&self.notes),
            recorded: Arc::clone(&self.recorded),
            ..live
        }
    }

    /// The next try, after this one gave up its turn though nobody asked it to: it waits, the longer the oftener that happens, so
    /// that a function which always does cannot spin. After a try that took longer than the longest wait that begins anew.
    pub(super) fn again_later(&self, now: Instant) -> Self {
        let before = self.held.map_or(Duration::ZERO, |(span, _)| span);
        let span = if self.took(now) >= LONGEST {
            SHORTEST
        } else {
            before.saturating_mul(2).clamp(SHORTEST, LONGEST)
        };
        Self {
            held: Some((span, now + span)),
            ..self.again()
        }
    }

    /// Before when the try must not begin.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held.map(|(_, until)| until)
    }

    pub(super) fn begins(&self, now: Instant) {
        self.begun.get_or_init(|| now);
    }

    /// How long this try has taken.
    pub(super) fn took(&self, now: Instant) -> Duration {
        let begun = self.begun.get();
        begun.map_or(Duration::ZERO, |begun| now.saturating_duration_since(*begun))
    }

    /// Tries that ended with their process since it last got further.
    pub(super) fn tries(&self) -> u32 {
        self.notes().tries
    }

    /// Counts this try, which is not the first, and says whether the store has to know before it begins.
    pub(super) fn count_try(&self) -> bool {
        {
            let mut notes = self.notes();
            notes.tries = notes.tries.saturating_add(1);
            notes.spared = false;
            notes.revision += 1;
        }
        // Where nothing is written down no next process goes on with it; where somebody writes just now something will be.
        match self.recorded.try_lock() {
            Ok(recorded) => *recorded == Recorded::Written,
            Err(TryLockError::Poisoned(poisoned)) => *poisoned.into_inner() == Recorded::Written,
            Err(TryLockError::WouldBlock) => true,
        }
    }

    /// Says that this try is interrupted on purpose: it is not counted.
    pub(super) fn spare(&self) {
        let mut notes = self.notes();
        if !notes.spared {
            notes.spared = true;
            notes.tries = notes.tries.saturating_sub(1);
            notes.revision += 1;
        }
    }

    pub(super) fn status(&self) -> ExecutionStatus {
        if self.cancel.is_cancelled() {
            ExecutionStatus::Cancelling
        } else {
            ExecutionStatus::Running
        }
    }

    pub(super) fn show(&self, status: ExecutionStatus) -> Execution {
        Execution {
            id: self.id,
            stream: self.stream.clone(),
            entry_point: Arc::clone(&self.entry.name),
            status,
            attempt: self.attempt,
            started_at: self.started_at,
            ended_at: None,
            result: None,
            error: None,
        }
    }

    pub(super) fn note(&self, checkpoint: Arc<RawValue>) {
        let mut notes = self.notes();
        notes.checkpoint = Some(checkpoint);
        notes.revision += 1;
    }

    pub(super) fn checkpoint(&self) -> Option<Arc<RawValue>> {
        self.notes().checkpoint.clone()
    }

    pub(super) fn says(&self, activity: Activity) {
        self.notes().activity = Some((activity, clock::wall(), clock::now()));
    }

    pub(super) fn activity(&self) -> Option<(Activity, Wall, Instant)> {
        self.notes().activity.clone()
    }

    /// Waits until this try must be ended by force: told so, or cancelled and still there after a while.
    pub(super) async fn forced(&self, grace: Duration) {
        let overdue = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            () = self.kill.cancelled() => {}
            () = overdue => {}
        }
    }

    /// Writes down where it is, unless it has ended. One that was cancelled is forgotten instead: nobody shall resume it. Blocks.
    pub(super) fn write(&self, store: &dyn CheckpointStore) -> Result<(), StoreError> {
        if self.cancel.is_cancelled() {
            return self.erase(store);
        }
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let (checkpoint, tries, revision) = {
            let mut notes = self.notes();
            match *recorded {
                Recorded::Ended => return Ok(()),
                Recorded::Written if !notes.is_fresh() => return Ok(()),
                Recorded::Written | Recorded::Nothing => {}
            }
            if notes.got_further() {
                notes.tries = u32::from(!notes.spared);
            }
            (notes.checkpoint.clone(), notes.tries, notes.revision)
        };
        let record = Record {
            version: record::VERSION,
            execution: self.id,
            stream: self.stream.clone(),
            entry_point: self.entry.name.to_string(),
            input: (*self.input).to_owned(),
            checkpoint: checkpoint.as_deref().map(ToOwned::to_owned),
            started_at: self.started_at,
            attempt: self.attempt,
            tries,
            ticket: self.ticket.clone(),
        };
        let bytes = serde_json::to_vec(&record).map_err(|error| StoreError::Other(error.to_string()))?;
        store.put(&record::key(&self.stream), &bytes)?;
        *recorded = Recorded::Written;
        let mut notes = self.notes();
        notes.kept = checkpoint;
        notes.written = revision;
        Ok(())
    }

    /// Forgets what is written down, and lets nothing be written any more. Blocks.
    pub(super) fn erase(&self, store: &dyn CheckpointStore) -> Result<(), StoreError> {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let written = std::mem::replace(&mut *recorded, Recorded::Ended);
        match written {
            Recorded::Written => store.remove(&record::key(&self.stream)),
            Recorded::Nothing | Recorded::Ended => Ok(()),
        }
    }

    /// Ends the record where the store has nothing of it. Never blocks; false where [`Live::erase`] is needed.
    pub(super) fn was_never_written(&self) -> bool {
        let mut recorded = match self.recorded.try_lock() {
            Ok(recorded) => recorded,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        match *recorded {
            Recorded::Nothing => {
                *recorded = Recorded::Ended;
                true
            }
            Recorded::Ended => true,
            Recorded::Written => false,
        }
    }

    /// Whether the store has its latest checkpoint. Never blocks; false where somebody is writing just now.
    pub(super) fn is_written(&self) -> bool {
        let written = self
            .recorded
            .try_lock()
            .is_ok_and(|recorded| *recorded == Recorded::Written);
        written && !self.notes().is_fresh()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the next try waits after one that gave up its turn for no reason, at first and at most.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
