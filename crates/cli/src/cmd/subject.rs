//! Whom a verb is about: an agent or a group; names are shared, so each is one of both at most.

use std::collections::BTreeSet;

use stead_client::{AgentFilter, ClientError, GroupFilter, Target};
use stead_model::group::GroupView;
use stead_model::{AgentName, AgentRef, ProblemCode, Selector};

use crate::app::App;
use crate::args::Scope;
use crate::failure::{Exit, Failure};

/// One whom a verb is about.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// Someone by name or id; what it is, the daemon knows.
    Named(Target),
    /// An agent.
    Agent(Target),
    /// A group.
    Group(Target),
}

impl Subject {
    pub(super) const fn target(&self) -> &Target {
        match self {
            Self::Named(target) | Self::Agent(target) | Self::Group(target) => target,
        }
    }
}

/// What answered.
pub(super) enum Found<A, G> {
    /// It is an agent.
    Agent(A),
    /// It is a group.
    Group(G),
}

/// Asks whom a verb is about: the agent, or the group where there is no such agent.
pub(super) async fn ask<A, G>(
    subject: &Subject,
    agent: impl AsyncFnOnce(&Target) -> Result<A, ClientError>,
    group: impl AsyncFnOnce(&Target) -> Result<G, ClientError>,
) -> Result<Found<A, G>, ClientError> {
    let unknown = match subject {
        Subject::Group(target) => return group(target).await.map(Found::Group),
        Subject::Agent(target) | Subject::Named(target) => match agent(target).await {
            Err(error) if is(&error, ProblemCode::UnknownAgent) && matches!(subject, Subject::Named(_)) => error,
            answer => return answer.map(Found::Agent),
        },
    };
    match group(subject.target()).await {
        // Neither is known, or the daemon is of a version without groups: what was said of the agent stands.
        Err(error) if is(&error, ProblemCode::UnknownGroup) || error.problem().is_none() => Err(unknown),
        answer => answer.map(Found::Group),
    }
}

fn is(error: &ClientError, code: ProblemCode) -> bool {
    error.problem().is_some_and(|problem| problem.code == code)
}

impl App<'_> {
    /// Those who are named, or all whom a selector takes; at least one. A group that is taken goes for its replicas.
    pub(super) async fn subjects(
        &self,
        names: &[AgentRef],
        selector: Option<&Selector>,
    ) -> Result<Vec<Subject>, Failure> {
        let Some(selector) = selector else {
            return Ok(names.iter().map(|name| Subject::Named(self.target(name))).collect());
        };
        let groups = self.groups(&Scope::default(), Some(selector)).await?;
        let taken: BTreeSet<&AgentName> = groups.iter().map(|group| &group.name).collect();
        let filter = AgentFilter {
            selector: Some(selector.to_string()),
            ..AgentFilter::default()
        };
        let agents = self.list(&Scope::default(), filter).await?;
        let single = |group: &Option<AgentName>| group.as_ref().is_none_or(|group| !taken.contains(group));
        let name = |name: &AgentName| self.target(&AgentRef::Name(name.clone()));
        let agents = agents.iter().filter(|agent| single(&agent.group));
        let chosen: Vec<_> = groups
            .iter()
            .map(|group| Subject::Group(name(&group.name)))
            .chain(agents.map(|agent| Subject::Agent(name(&agent.name))))
            .collect();
        if chosen.is_empty() {
            let message = format!("no agent in namespace {} has labels like `{selector}`", self.namespace);
            return Err(Failure::with(Exit::NotFound, message).help("`stead ps -o wide` shows labels"));
        }
        Ok(chosen)
    }

    /// The groups of a scope, by namespace and name.
    pub(super) async fn groups(&self, scope: &Scope, selector: Option<&Selector>) -> Result<Vec<GroupView>, Failure> {
        let filter = GroupFilter {
            namespace: (!scope.all_namespaces).then(|| self.namespace.clone()),
            selector: selector.map(ToString::to_string),
            ..GroupFilter::default()
        };
        Ok(self.client.all_groups(&filter).await?)
    }
}
