//! What all handles of one runtime share: the book under its lock, and the hands that do what it says.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stead_model::DegradationTold;
use stead_resilience::{HealthChecker, TokioClock};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, warn};

use super::book::{Admitted, Ask, Book, End};
use super::call::{Call, WindDown};
use super::hands::Hands;
use super::keys::Ticket;
use super::live::Live;
use super::{EntryPoint, Execution, ExecutionId, Hooks, Refused, RuntimeConfig, RuntimeState, Submission};
use crate::clock;
use crate::store::{CheckpointStore, StoreError, whole};

pub(super) struct Shared {
    pub(super) config: RuntimeConfig,
    pub(super) entries: Vec<EntryPoint>,
    pub(super) names: Arc<[Arc<str>]>,
    pub(super) store: Arc<dyn CheckpointStore>,
    pub(super) hooks: Hooks,
    pub(super) checks: HealthChecker<TokioClock>,
    /// Where the functions run, whoever asks for it.
    pub(super) handle: Handle,
    /// Where the store is used.
    hands: Hands,
    pub(super) wind: watch::Sender<WindDown>,
    pub(super) changes: watch::Sender<RuntimeState>,
    /// Until when the drain that is under way waits. Changed under the book's lock.
    pub(super) deadline: watch::Sender<Instant>,
    /// Set once what earlier processes left behind was read.
    pub(super) inherited: tokio::sync::OnceCell<()>,
    /// Held while a pause is written down or taken back, so that the last word is what the store has.
    pub(super) gate: tokio::sync::Mutex<()>,
    /// Held by the start hook while it runs, so that there is one at a time.
    pub(super) hooked: Arc<tokio::sync::Mutex<()>>,
    book: Mutex<Book>,
    /// Woken when the last execution in flight ends.
    idle: Notify,
    progress: Mutex<u64>,
    fatal: Mutex<Option<String>>,
    /// What its namespace has given up.
    pub(super) degradation: watch::Sender<DegradationTold>,
}

impl Shared {
    pub(super) fn new(
        config: RuntimeConfig,
        entries: Vec<EntryPoint>,
        store: Arc<dyn CheckpointStore>,
        hooks: Hooks,
        checks: HealthChecker<TokioClock>,
        hands: Hands,
        handle: Handle,
    ) -> Self {
        Self {
            book: Mutex::new(Book::new(&config, entries.len())),
            names: entries.iter().map(|entry| Arc::clone(&entry.name)).collect(),
            config,
            entries,
            store,
            hooks,
            checks,
            handle,
            hands,
            wind: watch::Sender::new(WindDown::No),
            changes: watch::Sender::new(RuntimeState::Stopped),
            deadline: watch::Sender::new(clock::now()),
            inherited: tokio::sync::OnceCell::new(),
            gate: tokio::sync::Mutex::new(()),
            hooked: Arc::default(),
            idle: Notify::new(),
            progress: Mutex::new(0),
            fatal: Mutex::new(None),
            degradation: watch::Sender::default(),
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn place_of(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| &*entry.name == name)
    }

    /// Takes work in and begins it.
    pub(super) async fn submit(self: &Arc<Self>, submission: Submission) -> Result<Arc<Execution>, Refused> {
        let Some(place) = self.place_of(&submission.entry_point) else {
            return Err(Refused::UnknownEntryPoint {
                name: submission.entry_point.chars().take(80).collect(),
                known: self.names.iter().map(ToString::to_string).collect(),
            });
        };
        let found = submission.input.get().len();
        if found > self.config.max_input {
            let limit = self.config.max_input;
            return Err(Refused::TooLarge { found, limit });
        }
        let entry = &self.entries[place];
        let input = submission.input;
        let ticket = submission
            .key
            .map(|key| Ticket::new(key, &entry.name, input.get(), submission.stream.as_ref()));
        let ask = Ask {
            place,
            stream: submission.stream,
            input: input.into(),
            ticket,
        };
        let admitted = self.book().admit(ask, entry, clock::now())?;
        let live = match admitted {
            Admitted::New(live) => live,
            Admitted::Known(execution) => return self.known(execution).await,
        };
        if entry.durable {
            // On a task of its own: whoever asked may go away, and the execution must not stay half taken in.
            let (shared, taken) = (Arc::clone(self), Arc::clone(&live));
            let begun = self.handle.spawn(async move { shared.begin_written(taken).await });
            begun.await.map_err(|error| Refused::Internal(error.to_string()))??;
        } else {
            self.spawn(Arc::clone(&live));
        }
        Ok(self.show(&live))
    }

    /// Answers for an execution that was asked for before: no sooner than the first answer may.
    async fn known(&self, execution: ExecutionId) -> Result<Arc<Execution>, Refused> {
        let live = self.book().find(execution);
        if let Some(live) = live.filter(|live| live.entry.durable) {
            self.write(&live).await?;
        }
        let shown = self.book().show(execution);
        shown.ok_or(Refused::UnknownExecution(execution))
    }

    async fn begin_written(self: Arc<Self>, live: Arc<Live>) -> Result<(), Refused> {
        if let Err(refused) = self.write(&live).await {
            let forgotten = Arc::clone(&live);
            let this = Arc::clone(&self);
            // Half a write may be there; nothing of it must be resumed.
            self.handle.spawn(async move {
                let _logged_before = this.with_store(move |store| forgotten.erase(store)).await;
            });
            self.book().forget(&live);
            self.idle.notify_waiters();
            return Err(refused.into());
        }
        self.spawn(live);
        Ok(())
    }

    fn show(&self, live: &Live) -> Arc<Execution> {
        let shown = self.book().show(live.id);
        shown.unwrap_or_else(|| Arc::new(live.show(live.status())))
    }

    /// Begins a try. Never under the lock: a runtime that is going down drops it at once, which closes it.
    pub(super) fn spawn(self: &Arc<Self>, live: Arc<Live>) {
        let call = Call::new(Arc::clone(&live), Arc::clone(self));
        let grace = self.config.cancel_grace;
        let this = Arc::clone(self);
        self.handle.spawn(async move {
            let working = async {
                // Counted before it runs: it may end the process.
                if live.attempt > 1
                    && live.count_try()
                    && let Err(error) = this.write(&live).await
                {
                    let (execution, error) = (live.id, whole(&error));
                    warn!(%execution, error, "TryNotCounted: it may be resumed once more than it should");
                }
                live.entry.begin(call.clone()).await
            };
            tokio::select! {
                biased;
                () = live.forced(grace) => {}
                outcome = working => call.set(outcome),
            }
        });
    }

    /// Closes a try whose last call is gone: what is written down of it first.
    pub(super) fn ended(shared: &Arc<Self>, live: Arc<Live>, end: End) {
        let settled = match &end {
            End::Interrupted => {
                live.spare();
                live.is_written()
            }
            End::Succeeded(_) | End::Failed(_) | End::Cancelled(_) => live.was_never_written(),
        };
        if settled {
            return shared.close(&live, end);
        }
        let this = Arc::clone(shared);
        shared.handle.spawn(async move {
            let of = Arc::clone(&live);
            let kept = match &end {
                End::Interrupted => this.with_store(move |store| of.write(store)).await,
                End::Succeeded(_) | End::Failed(_) | End::Cancelled(_) => {
                    this.with_store(move |store| of.erase(store)).await
                }
            };
            if let Err(error) = kept {
                let (execution, error) = (live.id, whole(&error));
                error!(%execution, error, "ExecutionNotRecorded: its end is not written down");
            }
            this.close(&live, end);
        });
    }

    fn close(self: &Arc<Self>, live: &Live, end: End) {
        let is_final = !matches!(end, End::Interrupted);
        let now = clock::now();
        let (next, held) = {
            let mut book = self.book();
            let held = book.close(live, end, now, clock::wall());
            if book.in_flight() == 0 {
                self.idle.notify_waiters();
            }
            (book.next_of_line(now), held)
        };
        if is_final {
            live.done.notify_waiters();
        }
        for live in next {
            self.spawn(live);
        }
        if let Some(until) = held {
            let this = Arc::downgrade(self);
            self.handle.spawn(async move {
                tokio::time::sleep_until(until).await;
                if let Some(this) = this.upgrade() {
                    this.dispatch();
                }
            });
        }
    }

    /// Begins what waits and may go on.
    pub(super) fn dispatch(self: &Arc<Self>) {
        let next = self.book().next_of_line(clock::now());
        for live in next {
            self.spawn(live);
        }
    }

    /// Waits until nothing is in flight. Cancel safe.
    pub(super) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.book().in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Waits until an execution ends, at most until `until`.
    pub(super) async fn wait(&self, id: ExecutionId, until: Instant) -> Option<Result<Arc<Execution>, Refused>> {
        loop {
            let (done, shown) = {
                let book = self.book();
                (book.end_of(id), book.show(id))
            };
            let Some(done) = done else {
                return Some(shown.ok_or(Refused::UnknownExecution(id)));
            };
            let ended = done.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.book().end_of(id).is_some() {
                tokio::time::timeout_at(until, ended).await.ok()?;
            }
        }
    }

    /// Writes down where one is. Cancelled, it is written all the same.
    pub(super) async fn write(&self, live: &Arc<Live>) -> Result<(), StoreError> {
        let live = Arc::clone(live);
        self.with_store(move |store| live.write(store)).await
    }

    /// Writes down where all of these are, side by side: one that is stuck holds up no other. Those that could not be are logged.
    pub(super) async fn write_all(self: &Arc<Self>, lives: &[Arc<Live>]) {
        let mut writing = JoinSet::new();
        for live in lives {
            let (this, live) = (Arc::clone(self), Arc::clone(live));
            writing.spawn_on(
                async move {
                    if let Err(error) = this.write(&live).await {
                        let (execution, error) = (live.id, whole(&error));
                        warn!(%execution, error, "CheckpointNotWritten: it cannot be resumed by another process");
                    }
                },
                &self.handle,
            );
        }
        // Dropped before its end, the writes that were begun go on by themselves.
        while writing.join_next().await.is_some() {}
    }

    /// Changes the store on a thread for that.
    pub(super) async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn CheckpointStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        self.hands.run(move || work(&*store)).await?
    }

    /// Tells everybody where the runtime is. Called under the lock, so that the order is the book's.
    pub(super) fn tell(&self, book: &Book) {
        self.changes.send_replace(book.state());
    }

    pub(super) fn add_progress(&self, steps: u64) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *progress = progress.saturating_add(steps);
    }

    pub(super) fn progress(&self) -> u64 {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_fatal(&self, why: String) {
        *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub(super) fn fatal(&self) -> Option<String> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("state", &self.book().state())
            .field("entry_points", &self.names)
            .finish_non_exhaustive()
    }
}

/// The shorter of what is left until `until` and `most`.
pub(super) fn left(until: Instant, most: Duration) -> Duration {
    until.saturating_duration_since(clock::now()).min(most)
}
