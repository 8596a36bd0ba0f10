//! The one thread that writes.

mod upkeep;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use stead_model::journal::{Append, Durability};
use stead_model::{Epoch, Slot};

use super::fault::{Fault, commit_error, store_error};
use super::meter::Meter;
use super::migrate;
use super::queue::{Job, Queue, Round};
use super::rows::{self, Numbers};
use crate::lease::Head;
use crate::{Completion, Options, Sink, StoreError};

pub(super) struct Writer {
    path: PathBuf,
    connection: Connection,
    sink: Arc<Sink>,
    meter: Arc<Meter>,
    numbers: Numbers,
    /// Heads of slots as they are stored, so that appends need not read them.
    heads: Heads,
    /// Rows of history that each agent keeps.
    history: u32,
    /// How durable every append is at least.
    least: Durability,
    /// How the connection commits at present.
    mode: Durability,
    /// Slots with a failed append, until they are loaded.
    broken: BTreeSet<Slot>,
    /// Since when there are commits that no sync has covered.
    unsynced: Option<Instant>,
    /// Rows that went to the log since it was last copied into the database.
    logged: usize,
    /// A sync or a commit failed, or the connection did: nothing is written before the file was reopened and synced anew.
    suspect: bool,
}

impl Writer {
    pub(super) fn start(
        path: PathBuf,
        connection: Connection,
        sink: Arc<Sink>,
        meter: Arc<Meter>,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let numbers = Numbers::of(&connection).map_err(|error| store_error(&error))?;
        Ok(Self {
            path,
            connection,
            sink,
            meter,
            numbers,
            heads: Heads::default(),
            history: options.rows_per_agent,
            least: options.least,
            mode: Durability::Written,
            broken: BTreeSet::new(),
            unsynced: None,
            logged: 0,
            suspect: false,
        })
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self, queue: &Queue) {
        // Should the sink panic, callers must not wait for ever.
        let _end = CloseOnDrop(queue);
        loop {
            let patience = self.unsynced.map(|since| SYNC_AFTER.saturating_sub(since.elapsed()));
            match queue.next(patience) {
                Round::Jobs(jobs) => self.work(jobs),
                Round::Expecting => {
                    self.rehearse();
                    stay_awake(queue);
                }
                Round::Quiet => {}
                Round::Closed => break,
            }
            if self.unsynced.is_some_and(|since| since.elapsed() >= SYNC_AFTER) {
                self.note(Self::sync);
            }
            if self.logged >= LOG_ROWS_IDLE && !queue.is_waiting() {
                self.note(Self::rest);
            } else if self.logged >= LOG_ROWS {
                self.note(Self::checkpoint);
            }
        }
        self.note(|writer| {
            writer.recover()?;
            migrate::checkpoint_whole(&writer.connection)
        });
    }

    fn work(&mut self, jobs: VecDeque<Job>) {
        let mut group = Vec::new();
        let mut synced = false;
        for job in jobs {
            if let Job::Append(append) = job {
                synced |= append.durability.max(self.least) == Durability::Flushed;
                group.push(append);
                let bound = if synced { GROUP } else { GROUP_WRITTEN };
                if group.len() >= bound {
                    self.write_group(std::mem::take(&mut group));
                    synced = false;
                }
            } else {
                self.write_group(std::mem::take(&mut group));
                synced = false;
                self.other(job);
            }
        }
        self.write_group(group);
    }

    fn other(&mut self, job: Job) {
        // Who no longer waits for an answer gets none.
        match job {
            Job::Append(append) => self.write_group(vec![append]),
            Job::Refuse(append, error) => self.fail(append, error),
            Job::Take {
                slots,
                owner,
                lease,
                reply,
            } => drop(reply.send(self.change_heads(&slots, |slot| slot, |head, slot| head.taken(slot, &owner, lease)))),
            Job::Renew { held, lease, reply } => {
                let renewed = self.change_heads(
                    &held,
                    |(slot, _)| slot,
                    |head, (slot, epoch)| head.renewed(slot, epoch, lease),
                );
                drop(reply.send(renewed.map(drop)));
            }
            Job::Release { held, reply } => {
                let released = self.change_heads(
                    &held,
                    |(slot, _)| slot,
                    |head, (slot, epoch)| head.released(slot, epoch),
                );
                drop(reply.send(released.map(drop)));
            }
            Job::Settle { slots, reply } => drop(reply.send(self.settle(&slots))),
            Job::Prune { retention, now, reply } => drop(reply.send(self.prune(&retention, now))),
            Job::Probe { reply } => drop(reply.send(self.probe())),
            Job::Configure { row, reply } => drop(reply.send(self.configure(&row))),
            Job::Acknowledge { taken, reply } => drop(reply.send(self.acknowledge(&taken))),
            Job::RemoveReader { reader, reply } => drop(reply.send(self.remove_reader(&reader))),
            Job::Audit { asked, reply } => drop(reply.send(self.keep_audit(&asked))),
        }
    }

    /// Commits appends as one transaction and tells of each, in order.
    fn write_group(&mut self, group: Vec<Append>) {
        if group.is_empty() {
            return;
        }
        match self.try_group(&group) {
            Ok(outcomes) => {
                let reached = self.mode;
                self.meter
                    .commit(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), reached);
                for (append, outcome) in group.into_iter().zip(outcomes) {
                    match outcome {
                        Ok(()) => (self.sink)(Completion::Committed(append.commit(reached))),
                        Err(error) => self.fail(append, error),
                    }
                }
            }
            // One of them broke a rule, and the transaction was rolled back: each on its own, so that the others are not taken down.
            Err(Fault::Rule(_)) if group.len() > 1 => {
                for append in group {
                    self.write_group(vec![append]);
                }
            }
            Err(Fault::Rule(detail)) => {
                for append in group {
                    let slot = append.slot;
                    let detail = detail.clone();
                    self.fail(append, StoreError::Refused { slot, detail });
                }
            }
            Err(Fault::Store(error)) => {
                for append in group {
                    self.fail(append, error.clone());
                }
            }
        }
    }

    fn try_group(&mut self, group: &[Append]) -> Result<Vec<Result<(), StoreError>>, Fault> {
        let needs = group
            .iter()
            .map(|append| append.durability)
            .fold(self.least, Durability::max);
        let mut outcomes = Vec::with_capacity(group.len());
        let mut newly_broken = BTreeSet::new();
        let history = self.history;
        self.transact(needs, |connection, broken, numbers, heads| {
            let mut rows = 0;
            for append in group {
                let head = heads.of(connection, append.slot)?;
                let outcome = if broken.contains(&append.slot) || newly_broken.contains(&append.slot) {
                    Err(StoreError::Broken { slot: append.slot })
                } else {
                    head.admit(append)
                };
                if outcome.is_ok() {
                    rows::put_append(connection, append, numbers, history)?;
                    head.position = append.position;
                    rows += 1 + append.changes.len() + append.transitions.len() + append.events.len();
                } else {
                    newly_broken.insert(append.slot);
                }
                outcomes.push(outcome);
            }
            Ok(((), rows))
        })?;
        Ok(outcomes)
    }

    fn fail(&mut self, append: Append, error: StoreError) {
        self.broken.insert(append.slot);
        (self.sink)(Completion::Failed { append, error });
    }

    fn change_heads<K: Copy>(
        &mut self,
        keys: &[K],
        slot_of: impl Fn(K) -> Slot,
        change: impl Fn(&Head, K) -> Result<Head, StoreError>,
    ) -> Result<Vec<(Slot, Epoch)>, StoreError> {
        let changed = self.transact(Durability::Flushed, |connection, _, _, heads| {
            let mut epochs = Vec::with_capacity(keys.len());
            for key in keys {
                let slot = slot_of(*key);
                let head = heads.of(connection, slot)?;
                *head = change(head, *key)?;
                rows::put_head(connection, slot, head)?;
                epochs.push((slot, head.epoch));
            }
            Ok((epochs, keys.len()))
        });
        changed.map_err(plain)
    }

    /// Runs one transaction at a durability; `body` says how many rows it wrote. Rolls back whatever fails.
    fn transact<A>(
        &mut self,
        needs: Durability,
        body: impl FnOnce(&Connection, &BTreeSet<Slot>, &mut Numbers, &mut Heads) -> Result<(A, usize), Fault>,
    ) -> Result<A, Fault> {
        self.recover()?;
        self.set_mode(needs)?;
        let mut numbers = self.numbers;
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let (answer, rows) = match body(&self.connection, &self.broken, &mut numbers, &mut self.heads) {
            Ok(done) => done,
            Err(fault) => {
                self.roll_back(&fault);
                return Err(fault);
            }
        };
        let committed = self
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]));
        if let Err(error) = committed {
            let fault = Fault::Store(commit_error(&error));
            self.roll_back(&fault);
            return Err(fault);
        }
        self.numbers = numbers;
        self.logged += rows;
        if rows > 0 {
            match needs {
                Durability::Flushed => self.unsynced = None,
                Durability::Written => self.unsynced = self.unsynced.or_else(|| Some(Instant::now())),
            }
        }
        Ok(answer)
    }

    /// Ends a failed transaction; where that fails too, or the fault may lie deeper, the file is reopened before the next one.
    fn roll_back(&mut self, fault: &Fault) {
        self.heads.clear();
        let ended = self.connection.is_autocommit() || self.connection.execute_batch("ROLLBACK").is_ok();
        let trusted = match fault {
            Fault::Rule(_) => true,
            Fault::Store(StoreError::Unknown { .. } | StoreError::Down { .. } | StoreError::Corrupt { .. }) => false,
            Fault::Store(_) => true,
        };
        self.suspect |= !(ended && trusted);
    }

    fn set_mode(&mut self, needs: Durability) -> Result<(), Fault> {
        if self.mode != needs {
            let synchronous = match needs {
                Durability::Written => "NORMAL",
                Durability::Flushed => "FULL",
            };
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            self.mode = needs;
        }
        Ok(())
    }
}

/// Waits for a job that is expected any moment, and lets others work meanwhile: to be woken takes longer than the wait.
fn stay_awake(queue: &Queue) {
    let begun = Instant::now();
    while !queue.is_waiting() && begun.elapsed() < EXPECTING {
        std::thread::yield_now();
    }
}

/// Heads of slots that were read or written by the writer, which alone writes them.
#[derive(Default)]
struct Heads(HashMap<Slot, Head>);

impl Heads {
    /// The head of a slot, read if it is not known.
    fn of(&mut self, connection: &Connection, slot: Slot) -> rusqlite::Result<&mut Head> {
        match self.0.entry(slot) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(rows::head(connection, slot)?)),
        }
    }

    /// Forgets what a transaction that failed may have changed.
    fn clear(&mut self) {
        self.0.clear();
    }
}

struct CloseOnDrop<'a>(&'a Queue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A fault of a transaction of our own rows: a broken rule there means that the file is not what we wrote.
fn plain(fault: Fault) -> StoreError {
    match fault {
        Fault::Store(error) => error,
        Fault::Rule(detail) => StoreError::Corrupt { detail },
    }
}

/// How long an expected job is waited for awake.
const EXPECTING: Duration = Duration::from_micros(300);
/// When what was only written is synced; the promise is one second, and a sync takes time.
const SYNC_AFTER: Duration = Duration::from_millis(500);
/// Most appends in one transaction that is synced.
const GROUP: usize = 1_024;
/// Most in one that is not: without a sync to share, all that more of them would share is the wait for the last one.
const GROUP_WRITTEN: usize = 32;
/// Rows in the log at which it is copied into the database when nothing else is to do, and at which it is in any case.
const LOG_ROWS_IDLE: usize = 1_000;
const LOG_ROWS: usize = 8_000;
