//! Groups of a fleet file: made, scaled, rolled out; what becomes of an agent that is one from now on, and back.

use stead_model::group::{GroupCommand, GroupRequest, GroupSpec};
use stead_model::{AgentName, AgentRef, AgentSpec, Namespace, Problem, ProblemCode, Refusal, Request, Wanted};

use super::plan::{Step, check_change};
use super::{Config, Fate, Kind, Turn, fields, is_owned};
use crate::api::ApplyMode;
use crate::config::FleetAgent;
use crate::handle::of_agent;

impl Config {
    /// Makes one group what the file says of it.
    pub(super) async fn settle_group(
        &self,
        namespace: &Namespace,
        agent: &FleetAgent,
        spec: GroupSpec,
        turn: Turn<'_>,
    ) -> Result<Step, Problem> {
        let name = &agent.name;
        let reference = AgentRef::Name(name.clone());
        let known = self.handle.group_spec(namespace.clone(), reference.clone()).await;
        match known {
            Ok(known) => {
                let present = known.spec;
                check_change(agent, &present.template)?;
                // What failed is not tried again because a file was applied again. Its numbers are taken up all the same.
                let taken_back = known.taken_back.is_some_and(|tried| *tried == spec.template);
                let spec = if taken_back {
                    GroupSpec {
                        template: present.template.clone(),
                        ..spec
                    }
                } else {
                    spec
                };
                let step = |fate| Step {
                    taken_back,
                    ..Step::of(name.clone(), fate)
                };
                let fate = if present.template != spec.template {
                    Fate::RolledOut
                } else if present != spec {
                    Fate::Scaled
                } else if taken_back {
                    return Ok(step(Fate::TakenBack));
                } else {
                    return Ok(step(Fate::Unchanged));
                };
                let fields = fields::of_groups(&present, &spec);
                let request = GroupRequest::Respec { spec: Box::new(spec) };
                self.ask_group(namespace, name, request, "changed in the fleet file", turn)
                    .await?;
                return Ok(Step { fields, ..step(fate) });
            }
            Err(problem) if problem.code == ProblemCode::UnknownGroup => {}
            Err(problem) => return Err(problem),
        }
        let step = match self.handle.views().get(namespace, &reference) {
            Some(agent) => {
                let ours = is_owned(&agent.labels) && agent.group.is_none();
                self.remove_first(namespace, (name, agent.id, ours), Kind::Agent, turn)
                    .await?;
                Step::removing(name.clone(), Fate::Remade, Kind::Agent, SOMETHING_ELSE)
            }
            None => Step::of(name.clone(), Fate::Added),
        };
        let request = GroupRequest::Create {
            spec: Box::new(spec),
            wanted: Wanted::Running,
        };
        self.ask_group(namespace, name, request, "in the fleet file", turn)
            .await?;
        Ok(step)
    }

    /// Makes an agent of what is a group; nothing where there is no such group.
    pub(super) async fn replace_group(
        &self,
        namespace: &Namespace,
        name: &AgentName,
        spec: &AgentSpec,
        turn: Turn<'_>,
    ) -> Result<Option<Fate>, Problem> {
        let Some(group) = self.handle.views().group(namespace, &AgentRef::Name(name.clone())) else {
            return Ok(None);
        };
        let ours = is_owned(&group.labels);
        self.remove_first(namespace, (name, group.id, ours), Kind::Group, turn)
            .await?;
        if turn.mode == ApplyMode::Apply {
            let request = Request::Register {
                spec: Box::new(spec.clone()),
                wanted: Wanted::Running,
            };
            self.ask(namespace, name, request, "in the fleet file", turn).await?;
        }
        Ok(Some(Fate::Remade))
    }

    /// Has an agent or a group stopped and gone.
    pub(super) async fn remove(
        &self,
        namespace: &Namespace,
        name: &AgentName,
        kind: Kind,
        why: &str,
        turn: Turn<'_>,
    ) -> Result<(), Problem> {
        match kind {
            Kind::Agent => {
                let request = Request::Want(Wanted::Deleted);
                self.ask(namespace, name, request, why, turn).await.map(drop)
            }
            Kind::Group => {
                let request = GroupRequest::Want(Wanted::Deleted);
                self.ask_group(namespace, name, request, why, turn).await
            }
        }
    }

    /// Makes room for what the file has under a name; what is not of a fleet file is not touched.
    async fn remove_first(
        &self,
        namespace: &Namespace,
        (name, id, ours): (&AgentName, stead_model::AgentId, bool),
        kind: Kind,
        turn: Turn<'_>,
    ) -> Result<(), Problem> {
        if !ours {
            let name = name.clone();
            return Err(Refusal::Duplicate { name, id }.into());
        }
        if turn.mode == ApplyMode::DryRun {
            return Ok(());
        }
        self.remove(namespace, name, kind, SOMETHING_ELSE, turn).await?;
        self.until_gone(namespace, name).await
    }

    async fn ask_group(
        &self,
        namespace: &Namespace,
        name: &AgentName,
        request: GroupRequest,
        why: &str,
        turn: Turn<'_>,
    ) -> Result<(), Problem> {
        if turn.mode == ApplyMode::DryRun {
            return Ok(());
        }
        let command = GroupCommand {
            origin: turn.origin.clone(),
            namespace: namespace.clone(),
            group: AgentRef::Name(name.clone()),
            expected: None,
            idempotency: None,
            reason: Some(turn.why(why)),
            request,
        };
        match self.handle.group(command).await {
            Ok(_answer) => Ok(()),
            Err(problem) => Err(of_agent(name, problem)),
        }
    }
}

/// Why an agent or group makes room.
const SOMETHING_ELSE: &str = "something else in the fleet file from now on";
