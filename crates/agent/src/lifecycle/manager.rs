//! One agent's life: moved along its profile's edges, with guards before, handlers around and history after.

use std::collections::{BTreeSet, VecDeque};
use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use stead_model::profile::{self, Profile};
use stead_model::{Class, MAX_METADATA, Reason};
use tracing::{debug, error, info, warn};

use super::{AgentState, Cause, NotMoved, StateChange};
use crate::clock;
use crate::store::whole;

/// When a handler is told of a transition. It is awaited either way, for ten seconds at most, and cannot stand against it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Before the state changes.
    Pre,
    /// After the state has changed.
    Post,
}

/// One agent's life in this process. Clones share it.
///
/// Transitions of one agent happen one after the other: of two that exclude each other exactly one wins, and the other is refused
/// with what is possible then. A state that may not last moves on by the profile's table when its deadline has passed; that needs a
/// tokio runtime, without which it stays.
///
/// # Examples
///
/// ```
/// use stead_agent::lifecycle::{AgentState, Cause, LifecycleManager, When};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = LifecycleManager::new("indexer");
/// agent.on(When::Post, async |change| Ok::<_, String>(println!("{} -> {}", change.from, change.to)));
/// agent.transition_to(AgentState::Deploying, Cause::request("ada", "first deployment")).await?;
/// assert!(!agent.can_transition_to(AgentState::Online));
/// # Ok::<(), stead_agent::lifecycle::NotMoved>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct LifecycleManager(Arc<Inner>);

struct Inner {
    agent: Arc<str>,
    /// One transition at a time.
    gate: tokio::sync::Mutex<()>,
    life: Mutex<Life>,
    guards: Mutex<Vec<Guard>>,
    handlers: Mutex<Vec<(When, Handler)>>,
    history: usize,
}

struct Life {
    state: AgentState,
    sequence: u64,
    rows: VecDeque<Arc<StateChange>>,
    tasks: BTreeSet<String>,
}

/// What becomes of the tasks at a transition.
#[derive(Clone, Copy)]
enum Work<'a> {
    Stays,
    Comes(&'a str),
    Goes(&'a str),
}

type Handler =
    Arc<dyn Fn(Arc<StateChange>) -> BoxFuture<'static, Result<(), Box<dyn Error + Send + Sync>>> + Send + Sync>;
type Judge = Arc<dyn Fn(&StateChange) -> Result<(), String> + Send + Sync>;

#[derive(Clone)]
struct Guard {
    name: Arc<str>,
    judge: Judge,
}

/// An agent as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the predicates are what the interface is made of"
)]
pub struct StateInfo {
    /// Where it is.
    pub current_state: AgentState,
    /// Where it may go.
    pub valid_transitions: Vec<AgentState>,
    /// Whether it works.
    pub is_operational: bool,
    /// Whether it can take a task.
    pub is_available_for_tasks: bool,
    /// Whether something is wrong.
    pub is_in_error_state: bool,
    /// Whether it was taken out of work on purpose.
    pub is_in_maintenance: bool,
    /// Tasks that it has.
    pub tasks: Vec<String>,
}

tokio::task_local! {
    /// The agent whose transition the handlers of this task belong to.
    static MOVING: usize;
}

impl LifecycleManager {
    /// A new agent, registered, of which the last 1,000 transitions are kept.
    #[must_use]
    pub fn new(agent: impl Into<Arc<str>>) -> Self {
        Self::with_history(agent, 1_000)
    }

    /// A new agent, registered, of which the last `history` transitions are kept.
    #[must_use]
    pub fn with_history(agent: impl Into<Arc<str>>, history: usize) -> Self {
        Self(Arc::new(Inner {
            agent: agent.into(),
            gate: tokio::sync::Mutex::new(()),
            life: Mutex::new(Life {
                state: AgentState::Registered,
                sequence: 0,
                rows: VecDeque::new(),
                tasks: BTreeSet::new(),
            }),
            guards: Mutex::default(),
            handlers: Mutex::default(),
            history,
        }))
    }

    /// Who it is.
    #[must_use]
    pub fn agent(&self) -> &Arc<str> {
        &self.0.agent
    }

    /// Has every transition judged before anybody is told of it. `judge` is asked under no lock of ours, on the caller's thread;
    /// it must be quick and change nothing. Its error is told to whoever wanted the transition.
    pub fn guard<F>(&self, name: impl Into<Arc<str>>, judge: F)
    where
        F: Fn(&StateChange) -> Result<(), String> + Send + Sync + 'static,
    {
        let (name, judge) = (name.into(), Arc::new(judge));
        lock(&self.0.guards).push(Guard { name, judge });
    }

    /// Tells an async handler of every transition. One that fails, panics or takes longer than ten seconds is logged and passed
    /// over. It must not move this agent itself: that is refused, as it would wait for itself.
    pub fn on<F, Fut, E>(&self, when: When, handler: F)
    where
        F: Fn(Arc<StateChange>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let handler: Handler = Arc::new(move |change| {
            let begun = std::panic::catch_unwind(AssertUnwindSafe(|| handler(change)));
            async move {
                match begun {
                    Ok(telling) => telling.await.map_err(Into::into),
                    Err(_panic) => Err("it panicked".into()),
                }
            }
            .boxed()
        });
        lock(&self.0.handlers).push((when, handler));
    }

    /// Tells a handler that does not wait of every transition; the rest is as with [`LifecycleManager::on`].
    pub fn on_sync<F, E>(&self, when: When, handler: F)
    where
        F: Fn(&StateChange) -> Result<(), E> + Send + Sync + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        self.on(when, move |change| std::future::ready(handler(&change)));
    }

    /// Moves the agent. Cancelled before the state has changed, nothing changed; after that, handlers that were not told are not.
    ///
    /// # Errors
    /// The profile, a guard or the size of the metadata stands against it: nothing changed.
    pub async fn transition_to(&self, to: AgentState, cause: Cause) -> Result<Arc<StateChange>, NotMoved> {
        self.transition(to, cause, None).await
    }

    /// Moves the agent on from a transition of it, unless another came after.
    pub(super) async fn follow(
        &self,
        sequence: u64,
        to: AgentState,
        cause: Cause,
    ) -> Result<Arc<StateChange>, NotMoved> {
        self.transition(to, cause, Some(sequence)).await
    }

    /// Moves the agent, where `expected` is still its last transition.
    async fn transition(
        &self,
        to: AgentState,
        cause: Cause,
        expected: Option<u64>,
    ) -> Result<Arc<StateChange>, NotMoved> {
        small(&cause)?;
        let _gate = self.alone().await?;
        self.moved(to, cause, expected, Work::Stays).await
    }

    /// Waits until nothing else moves it. Cancel safe.
    async fn alone(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, NotMoved> {
        let me = self.me();
        if MOVING.try_with(|moving| *moving == me).unwrap_or(false) {
            return Err(NotMoved::FromHandler(Arc::clone(&self.0.agent)));
        }
        Ok(self.0.gate.lock().await)
    }

    fn me(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Moves the agent, while nothing else does; `work` changes with its state, or not at all.
    async fn moved(
        &self,
        to: AgentState,
        cause: Cause,
        expected: Option<u64>,
        work: Work<'_>,
    ) -> Result<Arc<StateChange>, NotMoved> {
        let me = self.me();
        let change = Arc::new(self.proposed(to, cause));
        if let Some(expected) = expected
            && change.sequence != expected + 1
        {
            return Err(self.no_edge(change.from, to));
        }
        self.judge(&change)?;
        MOVING.scope(me, self.tell(When::Pre, &change)).await;
        self.commit(&change, work);
        info!(agent = %change.agent, from = %change.from, to = %change.to, reason = %change.reason, "StateChanged");
        self.watch(&change);
        MOVING.scope(me, self.tell(When::Post, &change)).await;
        Ok(change)
    }

    fn proposed(&self, to: AgentState, cause: Cause) -> StateChange {
        let life = self.life();
        StateChange {
            sequence: life.sequence + 1,
            agent: Arc::clone(&self.0.agent),
            from: life.state,
            to,
            at: clock::wall(),
            reason: cause.reason,
            description: cause.description,
            triggered_by: cause.triggered_by,
            metadata: cause.metadata,
        }
    }

    fn judge(&self, change: &StateChange) -> Result<(), NotMoved> {
        if !may(change.from, change.to) {
            let refused = self.no_edge(change.from, change.to);
            warn!(agent = %change.agent, %refused, "TransitionRefused");
            return Err(refused);
        }
        let guards = lock(&self.0.guards).clone();
        for Guard { name, judge } in guards {
            if let Err(why) = judge(change) {
                warn!(agent = %change.agent, guard = %name, why, "TransitionRefused");
                return Err(NotMoved::Guarded {
                    guard: name,
                    from: change.from,
                    to: change.to,
                    why,
                });
            }
        }
        Ok(())
    }

    fn no_edge(&self, from: AgentState, to: AgentState) -> NotMoved {
        NotMoved::NoEdge {
            agent: Arc::clone(&self.0.agent),
            from,
            to,
            possible: possible(from),
        }
    }

    async fn tell(&self, when: When, change: &Arc<StateChange>) {
        let handlers: Vec<_> = lock(&self.0.handlers)
            .iter()
            .filter(|(at, _)| *at == when)
            .map(|(_, handler)| Arc::clone(handler))
            .collect();
        for handler in handlers {
            debug!(agent = %change.agent, ?when, to = %change.to, "HandlerTold");
            let telling = AssertUnwindSafe(handler(Arc::clone(change))).catch_unwind();
            let agent = &change.agent;
            match tokio::time::timeout(PATIENCE, telling).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => error!(%agent, ?when, error = whole(&*error), "HandlerFailed"),
                Ok(Err(_panic)) => error!(%agent, ?when, "HandlerFailed: it panicked"),
                Err(_) => error!(%agent, ?when, "HandlerFailed: it took longer than {PATIENCE:?}"),
            }
        }
    }

    fn commit(&self, change: &Arc<StateChange>, work: Work<'_>) {
        let mut life = self.life();
        life.state = change.to;
        life.sequence = change.sequence;
        life.rows.push_back(Arc::clone(change));
        while life.rows.len() > self.0.history {
            life.rows.pop_front();
        }
        match work {
            Work::Stays => {}
            Work::Comes(task) => {
                life.tasks.insert(task.to_owned());
            }
            Work::Goes(task) => {
                life.tasks.remove(task);
            }
        }
        if !change.to.is(table(), Class::Operational) {
            life.tasks.clear();
        }
    }

    /// Moves the agent on by the table once its new state has lasted too long.
    fn watch(&self, change: &StateChange) {
        let profile = table();
        let Some(deadline) = profile.deadline(change.to.phase(profile)) else {
            return;
        };
        let Some(next) = AgentState::of(profile, deadline.to) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (inner, sequence, state) = (Arc::downgrade(&self.0), change.sequence, change.to);
        runtime.spawn(async move {
            tokio::time::sleep(deadline.after).await;
            if let Some(inner) = Weak::upgrade(&inner) {
                let said = format!("{state} lasted longer than {:?}", deadline.after);
                let cause = Cause::new(Reason::DeadlineExceeded, said);
                // Refused where it has moved on meanwhile, which is what is hoped for.
                let _moved_on = Self(inner).follow(sequence, next, cause).await;
            }
        });
    }

    /// Gives it a task: it is busy. A task that it has already changes nothing. Waits for a transition that is under way.
    ///
    /// # Errors
    /// It cannot take tasks now, or the metadata is too large, or a handler of this agent asks: it does not have the task.
    pub async fn assign(&self, task: impl Into<String>) -> Result<(), NotMoved> {
        let task = task.into();
        let _gate = self.alone().await?;
        {
            let mut life = self.life();
            if life.tasks.contains(&task) {
                return Ok(());
            }
            if life.state == AgentState::Busy {
                life.tasks.insert(task);
                return Ok(());
            }
        }
        let cause = Cause::new(Reason::Progress, format!("task {task}")).with("task", task.as_str());
        small(&cause)?;
        self.moved(AgentState::Busy, cause, None, Work::Comes(&task)).await?;
        Ok(())
    }

    /// Takes back a task that is done: with the last, it is idle. A task that it does not have changes nothing where it is idle.
    /// Waits for a transition that is under way.
    ///
    /// # Errors
    /// It has other tasks but not this one; or something stands against its being idle, or a handler of this agent asks: it still
    /// has the task.
    pub async fn complete(&self, task: &str) -> Result<(), NotMoved> {
        let _gate = self.alone().await?;
        {
            let mut life = self.life();
            if life.state != AgentState::Busy {
                life.tasks.remove(task);
                return Ok(());
            }
            let others = life.tasks.iter().any(|other| other != task);
            if others && !life.tasks.remove(task) {
                let (agent, task) = (Arc::clone(&self.0.agent), task.to_owned());
                return Err(NotMoved::NoTask { agent, task });
            }
            if others {
                return Ok(());
            }
        }
        let cause = Cause::new(Reason::Progress, "its tasks are done").with("task", task);
        small(&cause)?;
        self.moved(AgentState::Idle, cause, None, Work::Goes(task)).await?;
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> AgentState {
        self.life().state
    }

    /// Whether an edge leads from where it is to `to`.
    #[must_use]
    pub fn can_transition_to(&self, to: AgentState) -> bool {
        may(self.state(), to)
    }

    /// Where it may go.
    #[must_use]
    pub fn valid_transitions(&self) -> Vec<AgentState> {
        possible(self.state())
    }

    /// Whether it works.
    #[must_use]
    pub fn is_operational(&self) -> bool {
        self.is(Class::Operational)
    }

    /// Whether it can take a task.
    #[must_use]
    pub fn is_available_for_tasks(&self) -> bool {
        self.is(Class::Available)
    }

    /// Whether something is wrong.
    #[must_use]
    pub fn is_in_error_state(&self) -> bool {
        self.is(Class::Error)
    }

    /// Whether it was taken out of work on purpose.
    #[must_use]
    pub fn is_in_maintenance(&self) -> bool {
        self.is(Class::Maintenance)
    }

    /// All of that, of one moment.
    #[must_use]
    pub fn current_state_info(&self) -> StateInfo {
        let (state, tasks) = {
            let life = self.life();
            (life.state, life.tasks.iter().cloned().collect())
        };
        let profile = table();
        StateInfo {
            current_state: state,
            valid_transitions: possible(state),
            is_operational: state.is(profile, Class::Operational),
            is_available_for_tasks: state.is(profile, Class::Available),
            is_in_error_state: state.is(profile, Class::Error),
            is_in_maintenance: state.is(profile, Class::Maintenance),
            tasks,
        }
    }

    /// Its transitions as far back as they are kept, the oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Arc<StateChange>> {
        self.life().rows.iter().cloned().collect()
    }

    fn is(&self, class: Class) -> bool {
        self.state().is(table(), class)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        lock(&self.0.life)
    }
}

impl fmt::Debug for LifecycleManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifecycleManager")
            .field("agent", &self.0.agent)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn table() -> &'static Profile {
    static TABLE: OnceLock<Profile> = OnceLock::new();
    TABLE.get_or_init(profile::agent)
}

/// Refuses metadata that is too large to be kept.
fn small(cause: &Cause) -> Result<(), NotMoved> {
    let size = serde_json::to_string(&cause.metadata).map_or(usize::MAX, |json| json.len());
    if size > MAX_METADATA {
        return Err(NotMoved::TooMuch(size));
    }
    Ok(())
}

fn may(from: AgentState, to: AgentState) -> bool {
    let profile = table();
    profile.has_edge(from.phase(profile), to.phase(profile))
}

fn possible(from: AgentState) -> Vec<AgentState> {
    AgentState::ALL.iter().copied().filter(|to| may(from, *to)).collect()
}

/// How long a handler is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
