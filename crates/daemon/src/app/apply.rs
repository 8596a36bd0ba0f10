//! A fleet file against what is registered: new agents are registered, changed ones told, missing ones removed.

mod groups;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use stead_model::{
    AgentName, AgentRef, AgentSpec, Command, Namespace, Origin, Outcome, Problem, ProblemCode, Request, Wanted,
};

use super::check_limits;
use crate::api::{ApplyMode, ConfigApplied, ConfigCheck, ConfigDoor, ConfigFault, ConfigView, FleetText};
use crate::clock::Clock;
use crate::config::{Fleet, FleetAgent, Replicas};
use crate::handle::Handle;

/// The label of agents that a fleet file owns; one that is no longer in the file is removed.
const OWNED: (&str, &str) = ("stead/managed-by", "fleet-file");

/// How many changes are asked for at once; they share commits.
const AT_ONCE: usize = 64;

/// How long the removal of an agent is waited for that the file names again.
const LONGEST_REMOVAL: Duration = Duration::from_secs(60);

/// The configuration in force and the way to change it.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) handle: Handle,
    clock: Clock,
    view: ArcSwap<ConfigView>,
    /// One change of the configuration at a time.
    turn: tokio::sync::Mutex<()>,
}

/// What becomes of one agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Added,
    Changed,
    /// Another template is brought to the replicas of a group, one after the other.
    RolledOut,
    /// A group has another number of replicas, or other rules for its updates.
    Scaled,
    /// An agent becomes a group or a group an agent: it is removed and made anew.
    Remade,
    Unchanged,
    Removed,
}

/// What a name is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Agent,
    Group,
}

impl Fate {
    /// Whether what was there goes on as something else.
    const fn changes(self) -> bool {
        match self {
            Self::Changed | Self::RolledOut | Self::Scaled | Self::Remade => true,
            Self::Added | Self::Unchanged | Self::Removed => false,
        }
    }
}

/// How many processes an agent or group of the file may have at once.
fn processes(agent: &FleetAgent) -> usize {
    let count = |replicas: &Replicas| {
        let most = replicas
            .count
            .saturating_add(replicas.update.max_surge.ceil_of(replicas.count));
        usize::try_from(most).unwrap_or(usize::MAX)
    };
    agent.replicas.as_ref().map_or(1, count)
}

fn is_owned(labels: &BTreeMap<String, String>) -> bool {
    labels.get(OWNED.0).is_some_and(|owner| owner == OWNED.1)
}

impl Config {
    pub(super) fn new(handle: Handle, clock: Clock) -> Self {
        Self {
            handle,
            clock,
            view: ArcSwap::from_pointee(nothing()),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) async fn apply(&self, fleet: Fleet, mode: ApplyMode, origin: Origin) -> Result<ConfigApplied, Problem> {
        let processes = fleet
            .agents
            .iter()
            .filter(|agent| matches!(agent.spec.driver, stead_model::Driver::Process(_)))
            .map(processes)
            .sum();
        check_limits(processes).map_err(|error| Problem::new(ProblemCode::LimitReached, error.to_string()))?;
        let _turn = self.turn.lock().await;
        let named: BTreeSet<&AgentName> = fleet.agents.iter().map(|agent| &agent.name).collect();
        let mut gone = Vec::new();
        self.handle.views().each(|view| {
            if is_owned(&view.labels)
                && view.group.is_none()
                && view.namespace == fleet.namespace
                && view.intent != Wanted::Deleted
                && !named.contains(&view.name)
            {
                gone.push((view.name.clone(), Kind::Agent));
            }
        });
        for view in self.handle.views().groups() {
            if is_owned(&view.labels)
                && view.namespace == fleet.namespace
                && view.intent != Wanted::Deleted
                && !named.contains(&view.name)
            {
                gone.push((view.name.clone(), Kind::Group));
            }
        }
        if fleet.agents.is_empty() && !gone.is_empty() {
            let detail = format!(
                "the file names no agent, so all {} that it named before would be removed; if that is meant, `stead delete` them",
                gone.len()
            );
            return Err(Problem::new(ProblemCode::InvalidConfig, detail));
        }
        let namespace = &fleet.namespace;
        let settle = |agent| self.settle(namespace, agent, mode, &origin).boxed();
        let kept: Vec<_> = fleet.agents.iter().map(settle).collect();
        let mut fates: Vec<(AgentName, Fate)> = stream::iter(kept).buffered(AT_ONCE).try_collect().await?;
        for (name, kind) in gone {
            if mode == ApplyMode::Apply {
                self.remove(namespace, &name, kind, "no longer in the fleet file", &origin)
                    .await?;
            }
            fates.push((name, Fate::Removed));
        }
        if mode == ApplyMode::Apply {
            self.view.store(Arc::new(ConfigView {
                fleet_file: Some(fleet.file.display().to_string()),
                namespace: namespace.clone(),
                agents: fleet.agents.len(),
                hash: fleet.hash.to_string(),
                applied_at: Some(self.clock.now().wall),
            }));
        }
        Ok(self.report(namespace, &fates))
    }

    /// Makes one agent what the file says.
    async fn settle(
        &self,
        namespace: &Namespace,
        agent: &FleetAgent,
        mode: ApplyMode,
        origin: &Origin,
    ) -> Result<(AgentName, Fate), Problem> {
        let mut spec = agent.spec.clone();
        spec.labels.insert(OWNED.0.into(), OWNED.1.into());
        let name = &agent.name;
        self.until_gone(namespace, name).await?;
        if let Some(replicas) = &agent.replicas {
            let fate = self
                .settle_group(namespace, name, replicas.of(spec), mode, origin)
                .await?;
            return Ok((name.clone(), fate));
        }
        if let Some(fate) = self.replace_group(namespace, name, &spec, mode, origin).await? {
            return Ok((name.clone(), fate));
        }
        let known = self.handle.spec(namespace.clone(), AgentRef::Name(name.clone())).await;
        let fate = match known {
            Err(problem) if problem.code == ProblemCode::UnknownAgent => {
                if mode == ApplyMode::Apply {
                    let request = Request::Register {
                        spec: Box::new(spec),
                        wanted: Wanted::Running,
                    };
                    self.ask(namespace, name, request, "in the fleet file", origin).await?;
                }
                Fate::Added
            }
            Err(problem) => return Err(problem),
            Ok((_, _, present)) => self.change(namespace, name, &present, spec, mode, origin).await?,
        };
        Ok((name.clone(), fate))
    }

    /// Waits for the end of an agent of that name that is being removed: what the file names is a new one.
    pub(super) async fn until_gone(&self, namespace: &Namespace, name: &AgentName) -> Result<(), Problem> {
        let mut commits = self.handle.committed();
        let agent = AgentRef::Name(name.clone());
        let leaving = || {
            let views = self.handle.views();
            let view = views.get(namespace, &agent);
            view.is_some_and(|view| view.intent == Wanted::Deleted)
                || views
                    .group(namespace, &agent)
                    .is_some_and(|view| view.intent == Wanted::Deleted)
        };
        let gone = async { while leaving() && commits.changed().await.is_ok() {} };
        tokio::time::timeout(LONGEST_REMOVAL, gone).await.map_err(|_late| {
            let detail = format!("{name} is still being removed; apply the file again when it is gone");
            Problem::new(ProblemCode::NotPossible, detail)
        })
    }

    async fn change(
        &self,
        namespace: &Namespace,
        name: &AgentName,
        present: &AgentSpec,
        spec: AgentSpec,
        mode: ApplyMode,
        origin: &Origin,
    ) -> Result<Fate, Problem> {
        let fate = if *present == spec {
            Fate::Unchanged
        } else {
            Fate::Changed
        };
        if mode == ApplyMode::DryRun {
            return Ok(fate);
        }
        if fate == Fate::Changed {
            self.ask(
                namespace,
                name,
                Request::Respec { spec: Box::new(spec) },
                "changed in the fleet file",
                origin,
            )
            .await?;
        }
        Ok(fate)
    }

    pub(super) async fn ask(
        &self,
        namespace: &Namespace,
        name: &AgentName,
        request: Request,
        why: &str,
        origin: &Origin,
    ) -> Result<Outcome, Problem> {
        let command = Command {
            origin: origin.clone(),
            namespace: namespace.clone(),
            agent: AgentRef::Name(name.clone()),
            expected: None,
            idempotency: None,
            reason: Some(why.to_owned()),
            request,
        };
        let answered = self.handle.command(command).await.map(|answer| answer.outcome);
        answered.map_err(|problem| Problem {
            detail: format!("{name}: {}", problem.detail),
            ..problem
        })
    }

    fn report(&self, namespace: &Namespace, fates: &[(AgentName, Fate)]) -> ConfigApplied {
        let of = |wanted: Fate| {
            fates
                .iter()
                .filter(|(_, fate)| *fate == wanted)
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        let pending = |name: &AgentName| {
            let view = self.handle.views().get(namespace, &AgentRef::Name(name.clone()));
            view.is_some_and(|view| view.restart_pending)
        };
        ConfigApplied {
            added: of(Fate::Added),
            changed: fates
                .iter()
                .filter(|(_, fate)| fate.changes())
                .map(|(name, _)| name.clone())
                .collect(),
            rolled_out: of(Fate::RolledOut),
            scaled: of(Fate::Scaled),
            remade: of(Fate::Remade),
            removed: of(Fate::Removed),
            unchanged: of(Fate::Unchanged),
            pending_restart: fates
                .iter()
                .map(|(name, _)| name)
                .filter(|name| pending(name))
                .cloned()
                .collect(),
        }
    }

    /// Reads a fleet file's text as if it lay where it is said to lie, else where the one in force does.
    fn read(&self, document: &FleetText) -> Result<Fleet, Vec<ConfigFault>> {
        let in_force = || self.view.load().fleet_file.clone().map(PathBuf::from);
        let file = document.file.clone().or_else(in_force);
        let file = file.unwrap_or_else(|| "fleet.toml".into());
        Fleet::parse(&document.toml, &file, &|name| std::env::var(name).ok()).map_err(|problems| {
            problems
                .into_iter()
                .map(|problem| ConfigFault {
                    line: problem.line,
                    column: problem.column,
                    message: problem.message,
                    help: problem.help,
                })
                .collect()
        })
    }
}

/// Before any file was applied.
fn nothing() -> ConfigView {
    ConfigView {
        fleet_file: None,
        namespace: Namespace::default(),
        agents: 0,
        hash: String::new(),
        applied_at: None,
    }
}

impl ConfigDoor for Config {
    fn view(&self) -> ConfigView {
        ConfigView::clone(&self.view.load())
    }

    fn check(&self, document: &FleetText) -> ConfigCheck {
        let problems = self.read(document).err().unwrap_or_default();
        ConfigCheck {
            valid: problems.is_empty(),
            problems,
        }
    }

    fn apply(
        &self,
        document: FleetText,
        mode: ApplyMode,
        origin: Origin,
    ) -> BoxFuture<'_, Result<ConfigApplied, Problem>> {
        Box::pin(async move {
            let fleet = self.read(&document).map_err(|faults| Problem {
                errors: faults
                    .iter()
                    .map(|fault| format!("{}:{}: {}", fault.line, fault.column, fault.message))
                    .collect(),
                ..Problem::new(
                    ProblemCode::InvalidConfig,
                    "nothing was applied; mend what is listed and apply it again",
                )
            })?;
            self.apply(fleet, mode, origin).await
        })
    }
}
