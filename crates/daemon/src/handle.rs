//! How everything around the engine talks to it: requests in, durable answers out.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use serde::de::DeserializeOwned;
use stead_engine::KnownGroup;
use stead_model::group::{GroupAnswer, GroupCommand, GroupRequest, RolloutStatus};
use stead_model::profile::policy::TransitionPolicy;
use stead_model::{
    AgentId, AgentRef, AgentSpec, Answer, Beat, BeatAnswer, Command, DegradationAnswer, DegradationCommand, Driver,
    Explanation, FailureKind, Foresight, IdempotencyKey, LifecycleView, Namespace, Problem, ProblemCode, Profile,
    Refusal, Request, Vitals,
};
use stead_policy::degrade::{Degrader, Load, Plan};
use stead_store::{Retention, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use crate::app::check_limits;
use crate::capability::Capabilities;
use crate::clock;
use crate::degradation::Degrading;
use crate::status::Status;
use crate::views::Views;

/// How many requests may wait for the engine before further ones are refused with `busy`.
pub const QUEUE: usize = 4096;

/// An agent's id, the number of its spec, and the spec with its secrets.
pub type KnownSpec = (AgentId, u32, Arc<AgentSpec>);

/// What shapes the lives of agents: profiles beside the built-in ones, and transition policies.
pub type Lifecycles = (Vec<Profile>, Vec<TransitionPolicy>);

/// One request to the pump, with the way back.
#[derive(Debug)]
pub enum Ask {
    /// A command; answered once it is durable.
    Command(Box<Command>, oneshot::Sender<Result<Answer, Problem>>),
    /// A request about a group; answered once it is durable.
    Group(Box<GroupCommand>, oneshot::Sender<Result<GroupAnswer, Problem>>),
    /// What a group is told to be.
    GroupSpec(Namespace, AgentRef, oneshot::Sender<Result<KnownGroup, Problem>>),
    /// How updates of a group stand.
    Rollout(Namespace, AgentRef, oneshot::Sender<Result<RolloutStatus, Problem>>),
    /// A sign of life; answered once it was taken, and what it changed is decided.
    Beat(Box<Beat>, oneshot::Sender<Result<BeatAnswer, Problem>>),
    /// Many signs of life, and how many beside them could not be understood; answered once they were taken.
    Beats(Vec<Beat>, usize, oneshot::Sender<Result<Vec<BeatAnswer>, Problem>>),
    /// What agents measured of themselves last.
    Vitals(oneshot::Sender<Result<Vec<(AgentId, Vitals)>, Problem>>),
    /// Why an agent is as it is.
    Explain(Namespace, AgentRef, oneshot::Sender<Result<Explanation, Problem>>),
    /// What would be done about a failure of an agent.
    Foresee(
        Namespace,
        AgentRef,
        FailureKind,
        oneshot::Sender<Result<Foresight, Problem>>,
    ),
    /// Where an agent may go from its state.
    Lifecycle(Namespace, AgentRef, oneshot::Sender<Result<LifecycleView, Problem>>),
    /// Other profiles and policies in force, all or none.
    Configure(Lifecycles, oneshot::Sender<Result<(), Problem>>),
    /// Whether other profiles could be put in force, once those agents and groups are gone.
    CouldConfigure(Lifecycles, BTreeSet<AgentId>, oneshot::Sender<Result<(), Problem>>),
    /// Whether requests about agents would be carried out if those profiles and policies were in force.
    Could(Vec<Command>, Lifecycles, oneshot::Sender<Result<(), Problem>>),
    /// Who is down with the whole fleet.
    Halted(oneshot::Sender<Result<Vec<(Namespace, AgentId)>, Problem>>),
    /// What an agent is told to be.
    Spec(Namespace, AgentRef, oneshot::Sender<Result<KnownSpec, Problem>>),
    /// A request about what a namespace gives up; answered once it is durable.
    Degradation(
        Box<DegradationCommand>,
        oneshot::Sender<Result<DegradationAnswer, Problem>>,
    ),
    /// What features a namespace has, and what they need.
    Features(Namespace, Box<Degrader>),
    /// How busy the machine is, for the features of a namespace.
    Load(Namespace, Load),
}

/// A handle on the running daemon; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    asks: mpsc::Sender<Ask>,
    views: Arc<Views>,
    store: Arc<dyn Store>,
    committed: watch::Receiver<u64>,
    status: Arc<Status>,
    retention: Arc<ArcSwap<Retention>>,
    capabilities: Arc<Capabilities>,
    features: Arc<ArcSwapOption<(Namespace, Plan)>>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// Ties a handle to its pump's ends.
    #[must_use]
    pub fn new(
        asks: mpsc::Sender<Ask>,
        views: Arc<Views>,
        store: Arc<dyn Store>,
        committed: watch::Receiver<u64>,
        status: Arc<Status>,
    ) -> Self {
        Self {
            asks,
            views,
            store,
            committed,
            status,
            retention: Arc::default(),
            capabilities: Arc::default(),
            features: Arc::default(),
        }
    }

    /// Asks the engine for a change; returns once the change, or the refusal, is durable.
    ///
    /// # Errors
    /// The refusal as a problem; `limit-reached` for one process more than the system permits; `busy` when the queue is full; `outcome-unknown` when the write failed.
    /// Cancel safe: a request that was sent is carried out even if nobody waits for its answer.
    pub async fn command(&self, command: Command) -> Result<Answer, Problem> {
        if let Some(repeated) = self.repeated(&command.namespace, command.idempotency.as_ref()).await {
            return repeated;
        }
        if let Request::Register { spec, .. } = &command.request
            && matches!(spec.driver, Driver::Process(_))
        {
            self.has_room(1)?;
        }
        self.ask(|back| Ask::Command(Box::new(command), back)).await
    }

    /// Asks for a change of a group; returns once the change, or the refusal, is durable.
    ///
    /// # Errors
    /// As [`Handle::command`]. Cancel safe in the same way.
    pub async fn group(&self, command: GroupCommand) -> Result<GroupAnswer, Problem> {
        if let Some(repeated) = self.repeated(&command.namespace, command.idempotency.as_ref()).await {
            return repeated;
        }
        self.has_room_for(&command).await?;
        self.ask(|back| Ask::Group(Box::new(command), back)).await
    }

    /// Whether the system permits the processes that a request about a group asks for beside those that there are.
    async fn has_room_for(&self, command: &GroupCommand) -> Result<(), Problem> {
        let runs = |template: &AgentSpec| matches!(template.driver, Driver::Process(_));
        let (replicas, runs) = match &command.request {
            GroupRequest::Create { spec, .. } | GroupRequest::Respec { spec } => (spec.replicas, runs(&spec.template)),
            GroupRequest::Scale { replicas } => {
                let known = self.group_spec(command.namespace.clone(), command.group.clone()).await;
                // One that is not known is refused with more to say.
                (*replicas, known.is_ok_and(|known| runs(&known.spec.template)))
            }
            GroupRequest::Undo { .. }
            | GroupRequest::Restart
            | GroupRequest::Want(_)
            | GroupRequest::Pause { .. }
            | GroupRequest::Drain { .. }
            | GroupRequest::Resume
            | GroupRequest::Reset => return Ok(()),
        };
        let present = self.views.group(&command.namespace, &command.group);
        let more = replicas.saturating_sub(present.map_or(0, |view| view.present));
        if runs && more > 0 {
            self.has_room(more)?;
        }
        Ok(())
    }

    /// Whether the system permits so many processes more. Agents without one are counted, too: where they are many, so is what runs
    /// beside them.
    fn has_room(&self, more: u32) -> Result<(), Problem> {
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        check_limits(self.views.count().saturating_add(more))
            .map_err(|error| Problem::new(ProblemCode::LimitReached, error.to_string()))
    }

    /// Tells how updates of a group stand, and what it can go back to.
    ///
    /// # Errors
    /// `unknown-group`; `busy` when the queue is full.
    pub async fn rollout(&self, namespace: Namespace, group: AgentRef) -> Result<RolloutStatus, Problem> {
        self.ask(|back| Ask::Rollout(namespace, group, back)).await
    }

    /// Reads what a group is told to be, secrets included; redact it before showing it.
    ///
    /// # Errors
    /// `unknown-group`; `busy` when the queue is full.
    pub async fn group_spec(&self, namespace: Namespace, group: AgentRef) -> Result<KnownGroup, Problem> {
        self.ask(|back| Ask::GroupSpec(namespace, group, back)).await
    }

    /// Hands in a sign of life of an agent, with what it says of itself.
    ///
    /// # Errors
    /// `unknown-agent` or `agent-gone`; `busy` when the queue is full.
    pub async fn beat(&self, beat: Beat) -> Result<BeatAnswer, Problem> {
        self.ask(|back| Ask::Beat(Box::new(beat), back)).await
    }

    /// Hands in many signs of life, and counts those that could not be understood. Each is answered by itself, in order.
    ///
    /// # Errors
    /// `busy` when the queue is full: nothing of it was taken.
    pub async fn beats(&self, beats: Vec<Beat>, malformed: usize) -> Result<Vec<BeatAnswer>, Problem> {
        self.ask(|back| Ask::Beats(beats, malformed, back)).await
    }

    /// What agents measured of themselves last, where they did.
    ///
    /// # Errors
    /// `busy` when the queue is full.
    pub async fn vitals(&self) -> Result<Vec<(AgentId, Vitals)>, Problem> {
        self.ask(Ask::Vitals).await
    }

    /// Explains why an agent is as it is and what happens next.
    ///
    /// # Errors
    /// `unknown-agent` or `agent-gone`; `busy` when the queue is full.
    pub async fn explain(&self, namespace: Namespace, agent: AgentRef) -> Result<Explanation, Problem> {
        self.ask(|back| Ask::Explain(namespace, agent, back)).await
    }

    /// Says what would be done about a failure of an agent, had it come now.
    ///
    /// # Errors
    /// `unknown-agent` or `agent-gone`; `busy` when the queue is full.
    pub async fn foresee(
        &self,
        namespace: Namespace,
        agent: AgentRef,
        failure: FailureKind,
    ) -> Result<Foresight, Problem> {
        self.ask(|back| Ask::Foresee(namespace, agent, failure, back)).await
    }

    /// Tells where an agent may go from its state.
    ///
    /// # Errors
    /// `unknown-agent` or `agent-gone`; `busy` when the queue is full.
    pub async fn lifecycle(&self, namespace: Namespace, agent: AgentRef) -> Result<LifecycleView, Problem> {
        self.ask(|back| Ask::Lifecycle(namespace, agent, back)).await
    }

    /// Reads what an agent is told to be, secrets included; redact it before showing it.
    ///
    /// # Errors
    /// `unknown-agent` or `agent-gone`; `busy` when the queue is full.
    pub async fn spec(&self, namespace: Namespace, agent: AgentRef) -> Result<KnownSpec, Problem> {
        self.ask(|back| Ask::Spec(namespace, agent, back)).await
    }

    /// The agents that are down with their whole fleet, with their namespaces.
    ///
    /// # Errors
    /// `busy` when the queue is full.
    pub(crate) async fn halted(&self) -> Result<Vec<(Namespace, AgentId)>, Problem> {
        self.ask(Ask::Halted).await
    }

    /// Puts other profiles and policies in force in place of those before them, all or none. It is not stored: see to that first.
    ///
    /// # Errors
    /// `not-possible` if an agent is in a state that would no longer be there; `busy` when the queue is full.
    pub async fn configure(&self, lifecycles: Lifecycles) -> Result<(), Problem> {
        self.ask(|back| Ask::Configure(lifecycles, back)).await
    }

    /// Whether other profiles could be put in force, were it not for `leaving`: agents and groups that go first.
    ///
    /// # Errors
    /// As [`Handle::configure`].
    pub async fn could_configure(&self, lifecycles: Lifecycles, leaving: BTreeSet<AgentId>) -> Result<(), Problem> {
        self.ask(|back| Ask::CouldConfigure(lifecycles, leaving, back)).await
    }

    /// Whether requests about agents would be carried out, each as the agent is now, if other profiles and policies were in force.
    ///
    /// # Errors
    /// The first refusal, with the name of its agent; `busy` when the queue is full.
    pub(crate) async fn could(&self, commands: Vec<Command>, lifecycles: Lifecycles) -> Result<(), Problem> {
        if commands.is_empty() {
            return Ok(());
        }
        self.ask(|back| Ask::Could(commands, lifecycles, back)).await
    }

    /// The published view of every agent; never ahead of what is durable.
    #[must_use]
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The store, for reading history and events. Its reads block: call them from `spawn_blocking`.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// What the store is to keep, as it is in force; whoever applies a configuration sets it.
    pub(crate) fn retention(&self) -> &ArcSwap<Retention> {
        &self.retention
    }

    /// What can be asked of the fleet, as it is in force; whoever applies a configuration sets it.
    pub(crate) fn capabilities(&self) -> &Arc<Capabilities> {
        &self.capabilities
    }

    /// Asks for a change of what a namespace gives up; returns once it is durable.
    ///
    /// # Errors
    /// `busy` when the queue is full; `outcome-unknown` when the write failed. Cancel safe as [`Handle::command`].
    pub(crate) async fn degradation(&self, command: DegradationCommand) -> Result<DegradationAnswer, Problem> {
        self.ask(|back| Ask::Degradation(Box::new(command), back)).await
    }

    /// Puts features in force: those of a namespace, or none. A namespace that had some before has none from now on.
    pub(crate) fn take_up_features(&self, in_force: Option<(&Namespace, &Degrading)>) {
        let earlier = self.views.degradations();
        let others = earlier.into_iter().map(|view| view.namespace.clone());
        let others = others.filter(|one| in_force.is_none_or(|(namespace, _)| one != namespace));
        let mut told: Vec<(Namespace, Degrader)> = others.map(|one| (one, Degrading::default().plan())).collect();
        let plan = in_force.map(|(namespace, degrading)| (namespace.clone(), degrading.plan()));
        let in_force = plan
            .as_ref()
            .map(|(namespace, plan)| (namespace.clone(), plan.plan().clone()));
        self.features.store(in_force.map(Arc::new));
        told.extend(plan);
        for (namespace, plan) in told {
            if self
                .asks
                .try_send(Ask::Features(namespace.clone(), Box::new(plan)))
                .is_err()
            {
                warn!(%namespace, "the engine is too busy to hear of features; apply the file again");
            }
        }
    }

    /// The features in force, with the namespace whose they are.
    pub(crate) fn features_in_force(&self) -> &ArcSwapOption<(Namespace, Plan)> {
        &self.features
    }

    /// Tells how busy the machine is. Where the engine is too busy to hear of it, the next measurement comes soon.
    pub(crate) fn tell_load(&self, namespace: Namespace, load: Load) {
        let _heard = self.asks.try_send(Ask::Load(namespace, load));
    }

    /// Changes whenever events may have been added to the store.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// How the daemon itself does.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// What the same request with the same idempotency key was answered before, if that is stored. What was asked just now may not
    /// be: the engine knows it.
    async fn repeated<T: DeserializeOwned>(
        &self,
        namespace: &Namespace,
        key: Option<&IdempotencyKey>,
    ) -> Option<Result<T, Problem>> {
        let IdempotencyKey { key, fingerprint } = key.cloned()?;
        let (store, namespace) = (self.store(), namespace.clone());
        let (asked, read) = (key.clone(), move || store.answer(&namespace, &key));
        let row = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(row)) => row?,
            Ok(Err(error)) => return Some(Err(unread(&error.to_string()))),
            Err(stopped) => return Some(Err(unread(&stopped.to_string()))),
        };
        if clock::wall().since(row.at) > self.retention.load().answers {
            return None;
        }
        if row.fingerprint != fingerprint {
            return Some(Err(Refusal::KeyReused(asked).into()));
        }
        let answer = serde_json::from_str(&row.answer);
        Some(answer.map_err(|error| unread(&error.to_string())))
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Ask) -> Result<T, Problem> {
        let (back, answer) = oneshot::channel();
        match self.asks.try_send(make(back)) {
            Ok(()) => answer.await.unwrap_or_else(|_dropped| Err(gone())),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Problem::new(
                ProblemCode::Busy,
                format!("{QUEUE} requests are waiting already; try again in a moment"),
            )),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
        }
    }
}

fn unread(why: &str) -> Problem {
    let detail = format!("it cannot be read whether the idempotency key was used before: {why}");
    Problem::new(ProblemCode::StoreUnavailable, detail)
}

/// A problem with an agent or group, with its name.
pub(crate) fn of_agent(agent: &impl std::fmt::Display, problem: Problem) -> Problem {
    Problem {
        detail: format!("{agent}: {}", problem.detail),
        ..problem
    }
}

fn gone() -> Problem {
    Problem::new(
        ProblemCode::ShuttingDown,
        "the daemon is going down; ask again when it is back",
    )
}
