//! The runtime: entry points, executions and streams, from start to drain.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use stead_model::{DegradationTold, PauseMode, Wall};
use stead_resilience::{CheckConfig, CheckRefused, Finding, Health, HealthChecker, TokioClock};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::activity::Activity;
use crate::clock;
use crate::store::{CheckpointStore, Memory, whole};

mod book;
mod call;
mod control;
mod drain;
mod entry;
mod hands;
mod history;
mod id;
mod keys;
mod live;
mod record;
mod refused;
mod shared;
mod start;
mod state;
mod view;

pub(crate) use book::{BOUNDS, Tally};
pub use call::{Call, Suspended, Unreadable, WindDown};
pub use entry::{EntryPoint, WorkResult};
pub use id::{ExecutionId, InvalidId, StreamId};
pub use keys::{InvalidKey, RequestKey};
pub use refused::Refused;
pub use state::RuntimeState;
pub use view::{Change, CheckpointView, DependencyHealth, Execution, ExecutionStatus, PauseView, Status, StreamView};

use hands::Hands;
use shared::Shared;

/// Limits and times of a runtime.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `graceful_timeout` | 30 s | work is interrupted that would have ended | a stop takes long where something hangs |
/// | `start_timeout` | 60 s | a slow start is given up | one that hangs is noticed late |
/// | `cancel_grace` | 5 s | cancelled work has no time to tidy up | it keeps its stream for longer |
/// | `history` | 1,000 | results are gone before they are fetched | memory |
/// | `history_bytes` | 16 MiB | the same | memory |
/// | `max_input` | 1 MiB | large inputs are refused | memory |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuntimeConfig {
    /// How long a drain waits for the work in flight, where the request names no other time.
    pub graceful_timeout: Duration,
    /// How long a start may take.
    pub start_timeout: Duration,
    /// How long after it was cancelled a function is dropped at its next wait.
    pub cancel_grace: Duration,
    /// How many ended executions are kept.
    pub history: usize,
    /// How large the results and errors of those may be together, in bytes.
    pub history_bytes: usize,
    /// How large an input may be, in bytes of JSON.
    pub max_input: usize,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            graceful_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_secs(60),
            cancel_grace: Duration::from_secs(5),
            history: 1_000,
            history_bytes: 16 * 1024 * 1024,
            max_input: 1024 * 1024,
        }
    }
}

/// Runs entry points, and can be started, paused, drained and asked about itself. Clones share it.
///
/// # Examples
///
/// ```
/// use stead_agent::{Call, EntryPoint, Runtime, Submission, WorkResult};
///
/// async fn greet(call: Call) -> WorkResult<String> {
///     Ok(format!("hello, {}", call.input::<String>()?))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let runtime = Runtime::builder().entry_point(EntryPoint::new("greet", greet)).build()?;
/// runtime.start().await?;
/// let begun = runtime.submit(Submission::new("greet", &"world")?).await?;
/// let ended = runtime.wait(begun.id, std::time::Duration::from_secs(5)).await?;
/// assert_eq!(ended.result.as_ref().map(|json| json.get()), Some("\"hello, world\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Runtime(Arc<Shared>);

/// What a runtime is made of.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct RuntimeBuilder {
    config: RuntimeConfig,
    entries: Vec<EntryPoint>,
    store: Option<Arc<dyn CheckpointStore>>,
    hooks: Hooks,
    checks: HealthChecker<TokioClock>,
    refused: Option<CheckRefused>,
}

type Hook = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Box<dyn Error + Send + Sync>>> + Send + Sync>;

/// What runs before the first work and after the last.
#[derive(Clone, Default)]
struct Hooks {
    start: Option<Hook>,
    stop: Option<Hook>,
}

/// What somebody wants to have executed.
#[derive(Debug)]
pub struct Submission {
    /// Which entry point.
    pub entry_point: String,
    /// What it is asked with.
    pub input: Box<RawValue>,
    /// The stream that it shall run in; one of its own where absent.
    pub stream: Option<StreamId>,
    /// Sent again with the same key, it is the same execution, as long as that is known here.
    pub key: Option<RequestKey>,
}

/// How to pause.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// `Soft` lets the work in flight end; `Checkpoint` asks it to write down where it is and end.
    pub mode: PauseMode,
    /// Why, in words.
    pub note: Option<String>,
    /// How long to wait for the work in flight. It is paused either way.
    pub wait: Duration,
}

/// A runtime that makes no sense. Nothing was made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidRuntime {
    /// It could execute nothing.
    #[error("there is no entry point; give at least one")]
    NoEntryPoint,
    /// Two entry points of one name.
    #[error("the entry point `{0}` is there twice")]
    Twice(String),
    /// Not a name.
    #[error("`{0}` is no name of an entry point: use 1 to 64 of A-Z a-z 0-9 . _ -")]
    Name(String),
    /// It could never run.
    #[error("`max_concurrent` of `{0}` is 0: it could never run; use at least 1")]
    NeverRuns(String),
    /// A health check that makes no sense.
    #[error(transparent)]
    Check(CheckRefused),
    /// Not on a tokio runtime.
    #[error("build it on a tokio runtime, in which the entry points shall run")]
    NoTokio,
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self {
            config: RuntimeConfig::default(),
            entries: Vec::new(),
            store: None,
            hooks: Hooks::default(),
            checks: HealthChecker::with_clock(TokioClock::new()),
            refused: None,
        }
    }
}

impl RuntimeBuilder {
    /// Adds something that can be executed.
    pub fn entry_point(mut self, entry: EntryPoint) -> Self {
        self.entries.push(entry);
        self
    }

    /// Sets limits and times.
    pub fn config(self, config: RuntimeConfig) -> Self {
        Self { config, ..self }
    }

    /// Sets where checkpoints, unfinished work and pauses are kept. Without, they end with the process.
    pub fn store(self, store: impl CheckpointStore) -> Self {
        Self {
            store: Some(Arc::new(store)),
            ..self
        }
    }

    /// Looks now and then whether something that the agent depends on works; the status tells what was found. `storage`, the
    /// store of checkpoints, is looked at unless it has a check of that name.
    pub fn check<F, Fut>(mut self, name: impl Into<Arc<str>>, config: CheckConfig, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Into<Finding>,
    {
        if let Err(refused) = self.checks.add(name, config, check) {
            self.refused.get_or_insert(refused);
        }
        self
    }

    /// Runs `hook` at each start, before any work. Where it fails, the start does.
    pub fn on_start<F, Fut, E>(mut self, hook: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.hooks.start = Some(boxed(hook));
        self
    }

    /// Runs `hook` at each stop, after the last work. It has what is left of the budget, and a second at least.
    pub fn on_stop<F, Fut, E>(mut self, hook: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.hooks.stop = Some(boxed(hook));
        self
    }

    /// Makes the runtime, stopped. Its functions will run on the tokio runtime that this is called on.
    ///
    /// # Errors
    /// It makes no sense; see [`InvalidRuntime`].
    pub fn build(self) -> Result<Runtime, InvalidRuntime> {
        if self.entries.is_empty() {
            return Err(InvalidRuntime::NoEntryPoint);
        }
        for (place, entry) in self.entries.iter().enumerate() {
            let name = entry.name.to_string();
            if name.parse::<StreamId>().is_err() {
                return Err(InvalidRuntime::Name(name.chars().take(80).collect()));
            }
            if self
                .entries
                .iter()
                .take(place)
                .any(|earlier| earlier.name == entry.name)
            {
                return Err(InvalidRuntime::Twice(name));
            }
            if entry.max_concurrent == 0 {
                return Err(InvalidRuntime::NeverRuns(name));
            }
        }
        if let Some(refused) = self.refused {
            return Err(InvalidRuntime::Check(refused));
        }
        let handle = Handle::try_current().map_err(|_outside| InvalidRuntime::NoTokio)?;
        let store = self.store.unwrap_or_else(|| Arc::new(Memory::new()));
        let hands = Hands::new(handle.clone());
        let kept = (Arc::clone(&store), hands.clone());
        let storage = self.checks.add("storage", CheckConfig::default(), move || {
            let (store, hands) = kept.clone();
            looks(store, hands)
        });
        match storage {
            // One of its own is there.
            Ok(()) | Err(CheckRefused::NameTaken { .. }) => {}
            Err(refused) => return Err(InvalidRuntime::Check(refused)),
        }
        let shared = Shared::new(self.config, self.entries, store, self.hooks, self.checks, hands, handle);
        Ok(Runtime(Arc::new(shared)))
    }
}

impl Runtime {
    /// What a runtime is made of, to be filled in.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Starts it: what was left unfinished is read once, the start hook runs, then work is taken; or it is paused, where it was
    /// paused before. Started already, nothing happens; ten who ask at once start it once. Cancelled, it starts all the same.
    ///
    /// # Errors
    /// It is stopping; or it was stopped before it was up, or the start failed: it is stopped, and a start hook that took too long
    /// was dropped at its next wait. Or the process is ending.
    pub async fn start(&self) -> Result<Change, Refused> {
        start::start(&self.0).await
    }

    /// Drains within the configured time and stops; see [`Runtime::stop_within`].
    ///
    /// # Errors
    /// The runtime failed.
    pub async fn stop(&self) -> Result<Change, Refused> {
        self.stop_within(self.0.config.graceful_timeout).await
    }

    /// Drains and stops. From this moment no work is taken. What is in flight is first written down as to be resumed, then has
    /// `budget` to end, all of it and no more; the rest is written down where it is, and interrupted. Of several who stop it at once
    /// the shortest budget holds. Cancelled, it stops all the same.
    ///
    /// # Errors
    /// The runtime failed.
    pub async fn stop_within(&self, budget: Duration) -> Result<Change, Refused> {
        drain::stop(&self.0, budget).await
    }

    /// Takes no work from this moment on, and waits for what is in flight. Holds until it is resumed, also in the next process.
    /// Cancelled, it is paused all the same. While it starts, the pause holds from the end of the start on, which is waited for.
    ///
    /// # Errors
    /// It is neither running nor starting; or the pause could not be written down, and it runs; or the start did not come to its
    /// end: the next one ends in this pause.
    pub async fn pause(&self, pause: Pause) -> Result<Change, Refused> {
        control::pause(&self.0, pause).await
    }

    /// Takes work again, and goes on with what was interrupted. While it starts, a pause that would hold after it is taken back.
    ///
    /// # Errors
    /// It is not paused; or that could not be written down, and it stays paused.
    pub async fn resume(&self) -> Result<Change, Refused> {
        control::resume(&self.0).await
    }

    /// Drains, stops and starts; what was paused is paused again.
    ///
    /// # Errors
    /// It is starting or stopping, or the start failed and it is stopped.
    pub async fn restart(&self) -> Result<Change, Refused> {
        self.restart_within(self.0.config.graceful_timeout).await
    }

    /// Drains within `budget`, stops and starts; what was paused is paused again.
    ///
    /// # Errors
    /// It is starting or stopping, or the start failed and it is stopped.
    pub async fn restart_within(&self, budget: Duration) -> Result<Change, Refused> {
        start::restart(&self.0, budget).await
    }

    /// Takes work in and begins it. Cancelled, it may have been taken in.
    ///
    /// # Errors
    /// See [`Refused`]; nothing was begun.
    pub async fn submit(&self, submission: Submission) -> Result<Arc<Execution>, Refused> {
        self.0.submit(submission).await
    }

    /// Waits until an execution has ended. Cancel safe.
    ///
    /// # Errors
    /// It is not known, or has not ended in time and goes on.
    pub async fn wait(&self, id: ExecutionId, within: Duration) -> Result<Arc<Execution>, Refused> {
        let until = clock::now() + within;
        self.0.wait(id, until).await.unwrap_or(Err(Refused::NotInTime {
            execution: id,
            waited: within,
        }))
    }

    /// Tells an execution to end. It keeps its stream until it has; no other process resumes it. One that has ended already is
    /// shown as it is. Cancelled, it is told all the same.
    ///
    /// # Errors
    /// It is not known.
    pub async fn cancel(&self, id: ExecutionId) -> Result<Arc<Execution>, Refused> {
        let (running, dropped) = {
            let mut book = self.0.book();
            let running = book.find(id);
            if let Some(live) = &running {
                live.cancel.cancel();
            }
            (running, book.drop_waiting(id, clock::wall()))
        };
        if let Some(live) = &dropped {
            live.done.notify_waiters();
        }
        if let Some(live) = running.or(dropped)
            && !live.was_never_written()
        {
            let erased = self.0.with_store(move |store| live.erase(store)).await;
            if let Err(error) = erased {
                tracing::error!(execution = %id, error = whole(&error), "ExecutionNotRecorded: its end is not written down");
            }
        }
        self.execution(id)
    }

    /// An execution as it is.
    ///
    /// # Errors
    /// It is not known, or ended so long ago that it is no longer kept.
    pub fn execution(&self, id: ExecutionId) -> Result<Arc<Execution>, Refused> {
        self.0.book().show(id).ok_or(Refused::UnknownExecution(id))
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> RuntimeState {
        self.0.book().state()
    }

    /// Follows where it is in its life.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<RuntimeState> {
        self.0.changes.subscribe()
    }

    /// The runtime as it is, with what was found last of what it depends on: nothing is asked and nothing is waited for. Costs
    /// the same however much has run.
    #[must_use]
    pub fn status(&self) -> Status {
        let checks = self.0.checks.report().checks;
        let health = checks
            .iter()
            .map(|check| (check.name.to_string(), word(check.health)))
            .collect();
        let book = self.0.book();
        let (total_executions, failed_executions) = book.totals();
        Status {
            state: book.state(),
            uptime_seconds: book.uptime(clock::now()).as_secs(),
            active_streams: book.in_flight(),
            total_executions,
            failed_executions,
            entry_points: Arc::clone(&self.0.names),
            health,
        }
    }

    /// Streams with an execution that has not ended, the oldest first.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamView> {
        self.0.book().streams()
    }

    /// How and since when it is paused, where it is.
    #[must_use]
    pub fn paused(&self) -> Option<PauseView> {
        self.0.book().pause.clone()
    }

    /// Executions that have not ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.book().in_flight()
    }

    /// What its namespace has given up, as the daemon answered the last beat: the level, how work is to be done, and which features are
    /// off. Nothing is, until it is told.
    #[must_use]
    pub fn degradation(&self) -> DegradationTold {
        self.0.degradation.borrow().clone()
    }

    /// Follows what its namespace has given up.
    #[must_use]
    pub fn degradations(&self) -> watch::Receiver<DegradationTold> {
        self.0.degradation.subscribe()
    }

    /// Takes in what the daemon says of it.
    pub(crate) fn hear_degradation(&self, told: DegradationTold) {
        self.0.degradation.send_if_modified(|known| {
            let changed = *known != told;
            if changed {
                tracing::info!(level = %told.level, off = told.off.len(), "DegradationChanged");
                *known = told;
            }
            changed
        });
    }

    /// Executions that go on when the runtime runs again.
    #[must_use]
    pub fn to_be_resumed(&self) -> usize {
        self.0.book().to_be_resumed()
    }

    /// Steps of useful work that were counted; see [`Call::progress`].
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.0.progress()
    }

    /// What the work in flight says that it is doing, and since when.
    #[must_use]
    pub fn activities(&self) -> Vec<(ExecutionId, Activity, Wall)> {
        let live = self.0.book().live();
        let said = live.iter().filter_map(|live| {
            let (activity, since, _) = live.activity()?;
            Some((live.id, activity, since))
        });
        said.collect()
    }

    /// Of all that work in flight says that it does, what was said last, and since when.
    pub(crate) fn latest_activity(&self) -> Option<(Activity, Instant)> {
        let live = self.0.book().live();
        let said = live.iter().filter_map(|live| live.activity());
        let latest = said.max_by_key(|(_, _, since)| *since);
        latest.map(|(activity, _, since)| (activity, since))
    }

    /// Says that this process can never work again, and why: from now on it does not count as live, and whoever watches it
    /// replaces it.
    pub fn fail(&self, why: impl Into<String>) {
        let why = why.into();
        tracing::error!(why, "RuntimeFailed: this process cannot work again");
        self.0.set_fatal(why);
    }

    /// Why it can never work again, where it said so.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.0.fatal()
    }

    /// The limits and times that it keeps to.
    #[must_use]
    pub fn config(&self) -> &RuntimeConfig {
        &self.0.config
    }

    /// Writes down where everything in flight is, so that the next process goes on with it.
    pub(crate) async fn write_down(&self) {
        let in_flight = self.0.book().live();
        for live in &in_flight {
            live.spare();
        }
        self.0.write_all(&in_flight).await;
    }

    /// Starts nothing any more: the process is about to end.
    pub(crate) fn leave(&self) {
        self.0.book().leave();
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0.handle
    }

    /// The checks of what it depends on: for their findings, and to add and remove some later.
    #[must_use]
    pub fn checks(&self) -> &HealthChecker<TokioClock> {
        &self.0.checks
    }

    pub(crate) fn tallies(&self) -> Vec<(Arc<str>, usize, Tally)> {
        let tallies = self.0.book().tallies();
        let entries = self.0.entries.iter().zip(tallies);
        entries
            .map(|(entry, tally)| (Arc::clone(&entry.name), entry.max_concurrent, tally))
            .collect()
    }
}

impl Submission {
    /// Wants an entry point executed, in a stream of its own.
    ///
    /// # Errors
    /// The input cannot be written as JSON.
    pub fn new(entry_point: impl Into<String>, input: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self {
            entry_point: entry_point.into(),
            input: to_raw_value(input)?,
            stream: None,
            key: None,
        })
    }

    /// The same in a stream, in which one execution runs at a time.
    #[must_use]
    pub fn in_stream(self, stream: StreamId) -> Self {
        Self {
            stream: Some(stream),
            ..self
        }
    }
}

impl Submission {
    /// The same with a key, so that it can be sent again where its answer was lost.
    #[must_use]
    pub fn with_key(self, key: RequestKey) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl Pause {
    /// A soft pause that waits for as long as `wait`.
    #[must_use]
    pub const fn soft(wait: Duration) -> Self {
        Self {
            mode: PauseMode::Soft,
            note: None,
            wait,
        }
    }

    /// A pause that asks the work in flight to write down where it is, and waits for as long as `wait`.
    #[must_use]
    pub const fn checkpoint(wait: Duration) -> Self {
        Self {
            mode: PauseMode::Checkpoint,
            note: None,
            wait,
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("start", &self.start.is_some())
            .field("stop", &self.stop.is_some())
            .finish()
    }
}

async fn looks(store: Arc<dyn CheckpointStore>, hands: Hands) -> Result<(), String> {
    let looked = hands.run(move || store.check()).await;
    looked.flatten().map_err(|error| whole(&error))
}

const fn word(health: Health) -> DependencyHealth {
    match health {
        Health::Healthy => DependencyHealth::Healthy,
        Health::Degraded => DependencyHealth::Degraded,
        Health::Unhealthy => DependencyHealth::Unhealthy,
        Health::Unknown => DependencyHealth::Unknown,
    }
}

fn boxed<F, Fut, E>(hook: F) -> Hook
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    Arc::new(move || {
        let running = hook();
        async move { running.await.map_err(Into::into) }.boxed()
    })
}
