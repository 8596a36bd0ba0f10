//! Finding what a request is about.

use std::sync::Arc;

use stead_engine::Glance;
use stead_model::{AgentId, AgentName, AgentRef, AgentView, Class, Namespace, Problem, Profile, Refusal};
use stead_store::{Store, TransitionQuery};

use super::extract::suggest;
use super::problem::Failure;
use super::{Api, Shared};

impl Shared {
    /// The namespace that a request means: the one given, else that of the agent if it is named by its id, else the default.
    pub(super) fn namespace(&self, given: Option<Namespace>, agent: &AgentRef) -> Namespace {
        let of_id = || match agent {
            AgentRef::Id(_) => self.state.handle.views().find(&Namespace::default(), agent),
            AgentRef::Name(_) => None,
        };
        given.or_else(|| of_id()?.place().0.parse().ok()).unwrap_or_default()
    }

    /// Finds an agent's view.
    pub(super) async fn view(&self, given: Option<Namespace>, agent: &AgentRef) -> Result<Arc<AgentView>, Failure> {
        let namespace = self.namespace(given, agent);
        match (self.live(&namespace, agent), agent) {
            (Some(view), _) => Ok(view),
            (None, AgentRef::Id(id)) if self.was_removed(&namespace, *id).await? => Err(refused(Refusal::Gone(*id))),
            (None, _) => Err(refused(Refusal::Unknown(agent.to_string()))),
        }
    }

    /// Finds whose history is meant: that of a live agent, else of the one removed last.
    pub(super) async fn id(&self, given: Option<Namespace>, agent: &AgentRef) -> Result<AgentId, Failure> {
        let namespace = self.namespace(given, agent);
        let removed = match (self.live(&namespace, agent), agent.clone()) {
            (Some(view), _) => return Ok(view.id),
            (None, AgentRef::Id(id)) => self.was_removed(&namespace, id).await?.then_some(id),
            (None, AgentRef::Name(name)) => self
                .read(move |store| store.removed(&namespace, &name))
                .await?
                .first()
                .map(|row| row.id),
        };
        removed.ok_or_else(|| refused(Refusal::Unknown(agent.to_string())))
    }

    /// The namespace whose history is meant: the one given; where a group is named, else the default. The group is known, or its history is.
    pub(super) async fn namespace_of_history(
        &self,
        given: Option<Namespace>,
        group: Option<&AgentName>,
    ) -> Result<Option<Namespace>, Failure> {
        let Some(group) = group else { return Ok(given) };
        let namespace = given.unwrap_or_default();
        let named = AgentRef::Name(group.clone());
        if self.state.handle.views().group(&namespace, &named).is_some() {
            return Ok(Some(namespace));
        }
        let of_replicas = TransitionQuery {
            namespace: Some(namespace.clone()),
            group: Some(group.clone()),
            limit: 1,
            ..TransitionQuery::default()
        };
        let kept = self.read(move |store| store.transitions(&of_replicas)).await?;
        if kept.items.is_empty() {
            return Err(refused(Refusal::UnknownGroup(named.to_string())));
        }
        Ok(Some(namespace))
    }

    /// Reads from the store, where waiting hurts nobody.
    pub(super) async fn read<T, E>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        E: Into<Failure> + Send + 'static,
    {
        let store = self.state.handle.store();
        blocking(move || read(&*store).map_err(Into::into)).await?
    }

    /// Whether an agent's phase is in a class.
    pub(super) fn is(&self, agent: &Glance<'_>, class: Class) -> bool {
        let profiles = self.state.handle.views().profiles();
        let profile = profiles.iter().find(|profile| profile.name() == agent.profile);
        profile.is_some_and(|profile| profile.phase(agent.phase).is_some_and(|phase| profile.is(phase, class)))
    }

    /// Refuses a filter that nothing can ever fit.
    pub(super) fn check_phase(&self, phase: Option<&str>) -> Result<(), Failure> {
        let profiles = self.state.handle.views().profiles();
        let known = || {
            profiles
                .iter()
                .flat_map(|profile| profile.phases().map(|phase| profile.name_of(phase)))
        };
        check("phase", phase, known)
    }

    /// Refuses a filter that nothing can ever fit.
    pub(super) fn check_profile(&self, name: Option<&str>) -> Result<(), Failure> {
        let profiles = self.state.handle.views().profiles();
        check("profile", name, || profiles.iter().map(Profile::name))
    }

    fn live(&self, namespace: &Namespace, agent: &AgentRef) -> Option<Arc<AgentView>> {
        self.state
            .handle
            .views()
            .get(namespace, agent)
            .filter(|view| view.namespace == *namespace)
    }

    async fn was_removed(&self, namespace: &Namespace, id: AgentId) -> Result<bool, Failure> {
        let found = self.read(move |store| store.agent_tombstone(id)).await?;
        // Without a view, an id alone leads to the default namespace: it must not hide that the agent was somewhere else.
        Ok(found.is_some_and(|row| row.namespace == *namespace || *namespace == Namespace::default()))
    }
}

/// Does what may wait for the disk on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_panicked_or_over| {
        Failure::new(
            stead_model::ProblemCode::Internal,
            "reading broke off; the daemon's log says why",
        )
    })
}

fn check<'k, K: Iterator<Item = &'k str>>(
    what: &str,
    given: Option<&str>,
    known: impl Fn() -> K,
) -> Result<(), Failure> {
    match given {
        Some(given) if !known().any(|known| known == given) => {
            let mut list: Vec<_> = known().map(|known| format!("`{known}`")).collect();
            list.sort_unstable();
            list.dedup();
            let said = format!("unknown variant `{given}`, expected one of {}", list.join(", "));
            Err(Failure::invalid(format!("in the query: {what}: {}", suggest(&said))))
        }
        Some(_) | None => Ok(()),
    }
}

fn refused(refusal: Refusal) -> Failure {
    Problem::from(refusal).into()
}

/// Every handler's way to what they share.
pub(super) fn views(api: &Api) -> &crate::Views {
    api.state.handle.views()
}
