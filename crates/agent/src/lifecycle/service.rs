//! Many agents' lives: verbs that walk them, and questions about all of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use stead_model::Reason;

use super::{AgentState, Cause, LifecycleManager, NotMoved, StateInfo};
use crate::store::whole;

/// The lives of all agents in this process. Clones share them.
///
/// Reading an agent that is not known never makes it known.
#[derive(Clone, Debug, Default)]
pub struct LifecycleService(Arc<Mutex<BTreeMap<Arc<str>, LifecycleManager>>>);

/// How many agents are where.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct LifecycleSummary {
    /// All.
    pub total_agents: usize,
    /// Those that work.
    pub operational_agents: usize,
    /// Those that can take a task.
    pub available_agents: usize,
    /// Those with which something is wrong.
    pub error_agents: usize,
    /// Those taken out of work on purpose.
    pub maintenance_agents: usize,
    /// By state; states that nobody is in are left out.
    pub state_distribution: BTreeMap<AgentState, usize>,
}

impl LifecycleService {
    /// A service without agents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an agent known.
    ///
    /// # Errors
    /// Somebody is called so already.
    pub fn register(&self, agent: &str) -> Result<LifecycleManager, NotMoved> {
        let mut agents = self.agents();
        if agents.contains_key(agent) {
            return Err(NotMoved::Twice(agent.to_owned()));
        }
        let manager = LifecycleManager::new(agent);
        agents.insert(Arc::clone(manager.agent()), manager.clone());
        Ok(manager)
    }

    /// One agent's life.
    ///
    /// # Errors
    /// Nobody is called so.
    pub fn manager(&self, agent: &str) -> Result<LifecycleManager, NotMoved> {
        let found = self.agents().get(agent).cloned();
        found.ok_or_else(|| NotMoved::Unknown(agent.chars().take(80).collect()))
    }

    /// Has `work` make sure that it can run: deploying, then deployed; failed where the work fails.
    ///
    /// # Errors
    /// It cannot be deployed from where it is, or was moved elsewhere meanwhile.
    pub async fn deploy<E>(
        &self,
        agent: &str,
        cause: Cause,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<AgentState, NotMoved>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let way = [AgentState::Deploying, AgentState::Deployed, AgentState::Failed];
        self.walk(agent, way, Reason::InitializationError, cause, work).await
    }

    /// Has `work` bring it up: starting, then online; failed where the work fails, timeout where it takes too long.
    ///
    /// # Errors
    /// It cannot be started from where it is, or was moved elsewhere meanwhile.
    pub async fn start<E>(
        &self,
        agent: &str,
        cause: Cause,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<AgentState, NotMoved>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let way = [AgentState::Starting, AgentState::Online, AgentState::Failed];
        self.walk(agent, way, Reason::InitializationError, cause, work).await
    }

    /// Has `work` take it down: stopping, then offline; error where the work fails.
    ///
    /// # Errors
    /// It cannot be stopped from where it is, or was moved elsewhere meanwhile.
    pub async fn stop<E>(
        &self,
        agent: &str,
        cause: Cause,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<AgentState, NotMoved>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let way = [AgentState::Stopping, AgentState::Offline, AgentState::Error];
        self.walk(agent, way, Reason::InternalError, cause, work).await
    }

    /// Has `work` give it a new version: updating, then online; error where the work fails.
    ///
    /// # Errors
    /// It cannot be updated from where it is, or was moved elsewhere meanwhile.
    pub async fn update<E>(
        &self,
        agent: &str,
        cause: Cause,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<AgentState, NotMoved>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let way = [AgentState::Updating, AgentState::Online, AgentState::Error];
        self.walk(agent, way, Reason::InternalError, cause, work).await
    }

    /// Gives it a task.
    ///
    /// # Errors
    /// It cannot take tasks now.
    pub async fn assign_task(&self, agent: &str, task: &str) -> Result<(), NotMoved> {
        self.manager(agent)?.assign(task).await
    }

    /// Takes back a task that is done.
    ///
    /// # Errors
    /// It has other tasks but not this one.
    pub async fn complete_task(&self, agent: &str, task: &str) -> Result<(), NotMoved> {
        self.manager(agent)?.complete(task).await
    }

    /// Moves it to `error`.
    ///
    /// # Errors
    /// No edge leads there from where it is.
    pub async fn handle_error(&self, agent: &str, what: &str) -> Result<(), NotMoved> {
        self.go(agent, AgentState::Error, Cause::new(Reason::InternalError, what))
            .await
    }

    /// Takes it out of work, for people.
    ///
    /// # Errors
    /// No edge leads there from where it is.
    pub async fn put_in_maintenance(&self, agent: &str, cause: Cause) -> Result<(), NotMoved> {
        self.go(agent, AgentState::Maintenance, cause).await
    }

    /// Brings it back to work.
    ///
    /// # Errors
    /// No edge leads there from where it is.
    pub async fn resume_from_maintenance(&self, agent: &str, cause: Cause) -> Result<(), NotMoved> {
        self.go(agent, AgentState::Online, cause).await
    }

    /// Has it take no work; [`LifecycleService::resume`] ends that.
    ///
    /// # Errors
    /// No edge leads there from where it is.
    pub async fn suspend(&self, agent: &str, cause: Cause) -> Result<(), NotMoved> {
        self.go(agent, AgentState::Suspended, cause).await
    }

    /// Has it take work again.
    ///
    /// # Errors
    /// No edge leads there from where it is.
    pub async fn resume(&self, agent: &str, cause: Cause) -> Result<(), NotMoved> {
        self.go(agent, AgentState::Online, cause).await
    }

    /// Puts it down for good; its life can still be read.
    ///
    /// # Errors
    /// No edge leads there from where it is.
    pub async fn terminate(&self, agent: &str, cause: Cause) -> Result<(), NotMoved> {
        self.go(agent, AgentState::Terminated, cause).await
    }

    /// Moves it to `deleted`, and forgets it.
    ///
    /// # Errors
    /// No edge leads there from where it is.
    pub async fn delete(&self, agent: &str, cause: Cause) -> Result<(), NotMoved> {
        self.go(agent, AgentState::Deleted, cause).await?;
        self.agents().remove(agent);
        Ok(())
    }

    /// Every agent as it is.
    #[must_use]
    pub fn all_statuses(&self) -> BTreeMap<Arc<str>, StateInfo> {
        let managers = self.managers();
        let shown = managers
            .iter()
            .map(|one| (Arc::clone(one.agent()), one.current_state_info()));
        shown.collect()
    }

    /// Those that work.
    #[must_use]
    pub fn operational_agents(&self) -> Vec<Arc<str>> {
        self.those(LifecycleManager::is_operational)
    }

    /// Those that can take a task.
    #[must_use]
    pub fn available_agents(&self) -> Vec<Arc<str>> {
        self.those(LifecycleManager::is_available_for_tasks)
    }

    /// Those with which something is wrong.
    #[must_use]
    pub fn agents_in_error(&self) -> Vec<Arc<str>> {
        self.those(LifecycleManager::is_in_error_state)
    }

    /// Those taken out of work on purpose.
    #[must_use]
    pub fn agents_in_maintenance(&self) -> Vec<Arc<str>> {
        self.those(LifecycleManager::is_in_maintenance)
    }

    /// How many agents are where.
    #[must_use]
    pub fn summary(&self) -> LifecycleSummary {
        let statuses = self.all_statuses();
        let count = |holds: fn(&StateInfo) -> bool| statuses.values().filter(|info| holds(info)).count();
        let mut summary = LifecycleSummary {
            total_agents: statuses.len(),
            operational_agents: count(|info| info.is_operational),
            available_agents: count(|info| info.is_available_for_tasks),
            error_agents: count(|info| info.is_in_error_state),
            maintenance_agents: count(|info| info.is_in_maintenance),
            state_distribution: BTreeMap::new(),
        };
        for info in statuses.values() {
            *summary.state_distribution.entry(info.current_state).or_default() += 1;
        }
        summary
    }

    async fn go(&self, agent: &str, to: AgentState, cause: Cause) -> Result<(), NotMoved> {
        self.manager(agent)?.transition_to(to, cause).await?;
        Ok(())
    }

    /// Walks `[during, done, failed]`: the work is done in the first, and its end decides between the others.
    async fn walk<E>(
        &self,
        agent: &str,
        [during, done, failed]: [AgentState; 3],
        reason: Reason,
        cause: Cause,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<AgentState, NotMoved>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let manager = self.manager(agent)?;
        let begun = manager.transition_to(during, cause.clone()).await?;
        let (to, cause) = match work.await {
            Ok(()) => (done, cause),
            Err(error) => {
                let said = whole(&*error.into());
                let cause = Cause {
                    reason,
                    description: said,
                    ..cause
                };
                (failed, cause)
            }
        };
        // Only where it still is where the work began: a deadline or somebody else may have moved it on.
        let ended = manager.follow(begun.sequence, to, cause).await?;
        Ok(ended.to)
    }

    fn those(&self, holds: impl Fn(&LifecycleManager) -> bool) -> Vec<Arc<str>> {
        let managers = self.managers();
        let those = managers.iter().filter(|one| holds(one));
        those.map(|one| Arc::clone(one.agent())).collect()
    }

    fn managers(&self) -> Vec<LifecycleManager> {
        self.agents().values().cloned().collect()
    }

    fn agents(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, LifecycleManager>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
