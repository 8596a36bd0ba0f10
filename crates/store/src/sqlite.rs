//! A store in one SQLite file: write-ahead log, one writer thread with group commit, several readers.
//!
//! Every round of the writer takes all that waits and commits it as one transaction. If any append of it is `Flushed`, the commit syncs
//! the log before any of them is told; if all are `Written`, it does not, and the log is synced at most one second later. After a failed
//! sync nothing that the kernel cached can be trusted: the file is reopened and the whole log copied into the database and synced
//! anew before anything else is written.

mod audit;
mod configs;
mod damaged;
mod degradations;
mod fault;
mod late;
mod meter;
mod migrate;
mod outbox;
mod queue;
mod read;
mod readers;
mod recoveries;
mod rows;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use stead_model::journal::{AgentRow, AnswerRow, Append, Durability, SlotState, SpecRow};
use stead_model::{AgentId, AgentName, AuditRow, Epoch, Namespace, ReaderName, Slot, Wall};

pub use self::damaged::DamagedStore;
pub use self::late::LateStore;
use self::meter::Meter;
use self::queue::{Job, Queue};
use self::readers::Readers;
use self::writer::Writer;
use crate::retention::ROWS_PER_AGENT;
use crate::{
    AuditPage, AuditQuery, Completion, ConfigRow, EventCursor, EventFilter, EventPage, Figures, Lease, LevelPage,
    LevelQuery, Loader, OpenError, Owner, Page, Pruned, ReadError, ReaderRow, RecoveryPage, RecoveryQuery, Retention,
    Sink, StateDir, Store, StoreError, Taken, TakenError, TransitionQuery,
};

/// How a [`SqliteStore`] is opened.
///
/// | field | default |
/// |---|---|
/// | `opened_at` | 1970 |
/// | `queue` | 16,384 appends |
/// | `rows_per_agent` | 1,000 |
/// | `least` | `Written` |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The time at opening; stamps migrations.
    pub opened_at: Wall,
    /// How many appends may wait to be written; more are refused as `Busy`. Too few, and bursts are refused; too many, and they wait long.
    pub queue: usize,
    /// How many rows of history each agent keeps, and up to 63 more; too few, and `why` cannot look back.
    pub rows_per_agent: u32,
    /// How durable every append is at least, whatever it asks for. `Flushed` has each wait for the disk: a machine that loses its power
    /// then loses nothing that was told, and every restart takes as long as a sync.
    pub least: Durability,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            opened_at: Wall::default(),
            queue: 16_384,
            rows_per_agent: ROWS_PER_AGENT,
            least: Durability::Written,
        }
    }
}

/// A durable store on one machine. Dropping it writes and flushes what waits, and ends its thread.
pub struct SqliteStore {
    queue: Arc<Queue>,
    sink: Arc<Sink>,
    meter: Arc<Meter>,
    readers: Readers,
    writer: Option<JoinHandle<()>>,
    /// Holds the directory for as long as anything may be written there.
    _dir: Arc<StateDir>,
}

impl SqliteStore {
    /// Opens the store of a state directory, makes or migrates its file, and starts its writer.
    ///
    /// Whatever an earlier process only wrote is flushed before this returns, so that all that is loaded is durable.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: impl Into<Arc<StateDir>>, options: Options, sink: Sink) -> Result<Self, OpenError> {
        let dir = dir.into();
        let path = dir.database();
        let connection = migrate::open(&path, migrate::MIGRATIONS, options.opened_at)?;
        let opened = |source| OpenError::Store {
            path: path.clone(),
            source,
        };
        let sink = Arc::new(sink);
        let queue = Arc::new(Queue::new(options.queue));
        let meter = Arc::new(Meter::default());
        let writer = Writer::start(
            path.clone(),
            connection,
            Arc::clone(&sink),
            Arc::clone(&meter),
            &options,
        )
        .map_err(opened)?;
        let readers = Readers::new(path.clone());
        readers.with(read::look).map_err(opened)?;
        let jobs = Arc::clone(&queue);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&jobs))
            .map_err(|source| OpenError::Io {
                path: path.clone(),
                source,
            })?;
        Ok(Self {
            queue,
            sink,
            meter,
            readers,
            writer: Some(writer),
            _dir: dir,
        })
    }

    /// The file that holds the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.readers.path()
    }

    /// Reads, and tells of damage that it meets.
    fn read<A>(&self, read: impl FnOnce(&Connection) -> Result<A, StoreError>) -> Result<A, StoreError> {
        self.readers.with(read).inspect_err(|error| {
            if error.is_damage() {
                (self.sink)(Completion::Damaged { error: error.clone() });
            }
        })
    }

    /// Waits for all that was submitted to slots, and mends those that were broken.
    fn settle(&self, slots: &[Slot]) -> Result<(), StoreError> {
        self.ask(|reply| Job::Settle {
            slots: slots.to_vec(),
            reply,
        })
    }

    /// Lets the writer do a job after all that was submitted before, and waits for its answer.
    fn ask<A>(&self, job: impl FnOnce(Reply<A>) -> Job) -> Result<A, StoreError> {
        let (reply, answer): (_, Receiver<_>) = sync_channel(1);
        self.queue.push(job(reply));
        answer.recv().unwrap_or_else(|_gone| Err(ended()))
    }
}

impl Store for SqliteStore {
    fn take(&self, slots: &[Slot], owner: &Owner, lease: Lease) -> Result<Vec<(Slot, Epoch)>, StoreError> {
        self.ask(|reply| Job::Take {
            slots: slots.to_vec(),
            owner: owner.clone(),
            lease,
            reply,
        })
    }

    fn renew(&self, held: &[(Slot, Epoch)], lease: Lease) -> Result<(), StoreError> {
        self.ask(|reply| Job::Renew {
            held: held.to_vec(),
            lease,
            reply,
        })
    }

    fn release(&self, held: &[(Slot, Epoch)]) -> Result<(), StoreError> {
        self.ask(|reply| Job::Release {
            held: held.to_vec(),
            reply,
        })
    }

    fn load_all(&self, slots: &[Slot], each: &mut dyn FnMut(SlotState)) -> Result<(), StoreError> {
        self.settle(slots)?;
        self.read(|connection| read::slots(connection, slots, each))
    }

    fn load_into(&self, slots: &[Slot], loaders: &mut [&mut (dyn Loader + Send)]) -> Result<(), StoreError> {
        self.settle(slots)?;
        let share = slots.len().div_ceil(loaders.len().max(1)).max(1);
        let mut shares = slots.chunks(share).zip(loaders);
        let Some((own, loader)) = shares.next() else {
            return Ok(());
        };
        std::thread::scope(|scope| {
            let mut others = Vec::new();
            for (slots, loader) in shares {
                let thread = std::thread::Builder::new()
                    .name("store-loader".to_owned())
                    .spawn_scoped(scope, || {
                        self.read(|connection| read::into(connection, slots, &mut **loader))
                    })
                    .map_err(|error| StoreError::Down {
                        detail: format!("no thread can be had to load it: {error}"),
                    })?;
                others.push(thread);
            }
            self.read(|connection| read::into(connection, own, &mut **loader))?;
            others
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_panicked| Err(ended())))
        })
    }

    fn submit(&self, append: Append) {
        if let Err(append) = self.queue.submit(append) {
            (self.sink)(Completion::Failed { append, error: ended() });
        }
    }

    fn expect(&self) {
        self.queue.expect();
    }

    fn transitions(&self, query: &TransitionQuery) -> Result<Page, ReadError> {
        let below = query.below()?;
        Ok(self.read(|connection| read::transitions(connection, query, below))?)
    }

    fn events(&self, after: Option<EventCursor>, filter: &EventFilter, limit: usize) -> Result<EventPage, ReadError> {
        self.read(|connection| read::events(connection, after, filter, limit))?
    }

    fn last_event(&self) -> Result<Option<EventCursor>, StoreError> {
        self.read(read::last_event)
    }

    fn readers(&self) -> Result<Vec<ReaderRow>, StoreError> {
        self.read(outbox::readers)
    }

    fn acknowledge(&self, taken: Taken, asked: AuditRow) -> Result<ReaderRow, TakenError> {
        self.ask(|reply| Job::Acknowledge {
            taken: Box::new((taken, asked)),
            reply,
        })?
    }

    fn remove_reader(&self, name: &ReaderName, asked: AuditRow) -> Result<bool, StoreError> {
        self.ask(|reply| Job::RemoveReader {
            reader: Box::new((name.clone(), asked)),
            reply,
        })
    }

    fn agent_tombstone(&self, agent: AgentId) -> Result<Option<AgentRow>, StoreError> {
        self.read(|connection| read::tombstone(connection, agent))
    }

    fn is_removed_group(&self, group: AgentId) -> Result<bool, StoreError> {
        self.read(|connection| read::is_removed_group(connection, group))
    }

    fn removed(&self, namespace: &Namespace, name: &AgentName) -> Result<Vec<AgentRow>, StoreError> {
        self.read(|connection| read::removed(connection, namespace, name))
    }

    fn specs(&self, agent: AgentId, limit: usize) -> Result<Vec<SpecRow>, StoreError> {
        self.read(|connection| read::specs(connection, agent, limit))
    }

    fn answer(&self, namespace: &Namespace, key: &str) -> Result<Option<AnswerRow>, StoreError> {
        self.read(|connection| read::answer(connection, namespace, key))
    }

    fn recoveries(&self, query: &RecoveryQuery) -> Result<RecoveryPage, StoreError> {
        self.read(|connection| recoveries::list(connection, query))
    }

    fn levels(&self, query: &LevelQuery) -> Result<LevelPage, StoreError> {
        self.read(|connection| degradations::list(connection, query))
    }

    fn audit(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        self.read(|connection| audit::list(connection, query))
    }

    fn put_config(&self, row: ConfigRow, audit: AuditRow) -> Result<u64, StoreError> {
        self.ask(|reply| Job::Configure {
            row: Box::new((row, audit)),
            reply,
        })
    }

    fn put_audit(&self, audit: AuditRow) -> Result<(), StoreError> {
        self.ask(|reply| Job::Audit {
            asked: Box::new(audit),
            reply,
        })
    }

    fn configs(&self, limit: usize) -> Result<Vec<ConfigRow>, StoreError> {
        self.read(|connection| configs::list(connection, limit))
    }

    fn config(&self, revision: Option<u64>) -> Result<Option<ConfigRow>, StoreError> {
        self.read(|connection| configs::one(connection, revision))
    }

    fn prune(&self, retention: &Retention, now: Wall) -> Result<Pruned, StoreError> {
        self.ask(|reply| Job::Prune {
            retention: retention.clone(),
            now,
            reply,
        })
    }

    fn figures(&self) -> Figures {
        self.meter.read()
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.ask(|reply| Job::Probe { reply })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue.close();
        self.readers.close();
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != std::thread::current().id()
        {
            // It ended; whether well or not, nothing can be told any more.
            drop(writer.join());
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// Where the writer answers a call that waits.
type Reply<A> = SyncSender<Result<A, StoreError>>;

fn ended() -> StoreError {
    StoreError::Down {
        detail: "its writer has ended".to_owned(),
    }
}

/// The log beside a database file.
fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
