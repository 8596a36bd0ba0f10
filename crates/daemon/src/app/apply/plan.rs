//! One pass over a fleet: finds what becomes of each agent and group, and does it unless it is only asked.

use std::collections::BTreeSet;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use stead_model::{AgentId, AgentName, AgentRef, AgentSpec, Driver, Namespace, Problem, ProblemCode, Request, Wanted};

use super::{AT_ONCE, Config, Fate, Kind, LONGEST_REMOVAL, OWNED, Turn, fields, is_owned};
use crate::api::{ApplyMode, ConfigChange, FieldChange};
use crate::capability::{CapabilitySpec, Specs};
use crate::config::{DaemonSettings, Fleet, FleetAgent};

/// What becomes of each: those of the file in its order, then those that are no longer in it.
#[derive(Debug)]
pub(super) struct Plan {
    steps: Vec<Step>,
}

/// What becomes of one agent or group.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: AgentName,
    pub(super) fate: Fate,
    /// What of it changes.
    pub(super) fields: Vec<FieldChange>,
    /// It runs, and goes on with the old spec until it is restarted.
    pub(super) waits: bool,
    /// What the file says was tried, failed and was taken back.
    pub(super) taken_back: bool,
    /// What is asked of the agent that is there, which policies may stand against.
    pub(super) asks: Option<(Request, &'static str)>,
}

impl Step {
    pub(super) const fn of(name: AgentName, fate: Fate) -> Self {
        Self {
            name,
            fate,
            fields: Vec::new(),
            waits: false,
            taken_back: false,
            asks: None,
        }
    }

    /// One whose agent goes.
    pub(super) fn removing(name: AgentName, fate: Fate, kind: Kind, why: &'static str) -> Self {
        Self {
            asks: (kind == Kind::Agent).then_some((Request::Want(Wanted::Deleted), why)),
            ..Self::of(name, fate)
        }
    }
}

impl Plan {
    pub(super) fn names(&self, of: impl Fn(Fate) -> bool) -> Vec<AgentName> {
        let wanted = self.steps.iter().filter(|step| of(step.fate));
        wanted.map(|step| step.name.clone()).collect()
    }

    /// Groups for which the file says what was tried and taken back.
    pub(super) fn taken_back(&self) -> Vec<AgentName> {
        let taken_back = self.steps.iter().filter(|step| step.taken_back);
        taken_back.map(|step| step.name.clone()).collect()
    }

    pub(super) fn changes(&self) -> Vec<ConfigChange> {
        let change = |step: &Step| ConfigChange {
            agent: step.name.clone(),
            fields: step.fields.clone(),
        };
        let changed = self.steps.iter().filter(|step| !step.fields.is_empty());
        changed.map(change).collect()
    }

    /// What is asked of agents that are there, in the order of the plan.
    pub(super) fn asks(&self) -> impl Iterator<Item = (&AgentName, &Request, &'static str)> {
        self.steps.iter().filter_map(|step| {
            let (request, why) = step.asks.as_ref()?;
            Some((&step.name, request, *why))
        })
    }

    /// Those that would have to be restarted.
    pub(super) fn restarts(&self) -> impl Iterator<Item = AgentName> {
        self.steps
            .iter()
            .filter(|step| step.waits)
            .map(|step| step.name.clone())
    }
}

impl Config {
    /// Makes everything what the file says, or finds what that would be.
    pub(super) async fn settle_all(&self, fleet: &Fleet, turn: Turn<'_>) -> Result<Plan, Problem> {
        let namespace = &fleet.namespace;
        let gone = self.gone(fleet);
        if fleet.agents.is_empty() && !gone.is_empty() {
            let detail = format!(
                "the file names no agent, so all {} that it named before would be removed; if that is meant, `stead delete` them",
                gone.len()
            );
            return Err(Problem::new(ProblemCode::InvalidConfig, detail));
        }
        let settle = |agent| self.settle(namespace, agent, turn).boxed();
        let kept: Vec<_> = fleet.agents.iter().map(settle).collect();
        let mut steps: Vec<Step> = stream::iter(kept).buffered(AT_ONCE).try_collect().await?;
        for (name, kind) in gone {
            if turn.mode == ApplyMode::Apply {
                self.remove(namespace, &name, kind, NOT_NAMED, turn).await?;
            }
            steps.push(Step::removing(name, Fate::Removed, kind, NOT_NAMED));
        }
        Ok(Plan { steps })
    }

    /// The agents and groups that go with what the file no longer names.
    pub(super) fn leaving(&self, fleet: &Fleet) -> BTreeSet<AgentId> {
        let gone = self.gone(fleet);
        let names = |kind| gone.iter().filter(move |(_, of)| *of == kind).map(|(name, _)| name);
        let agents: BTreeSet<&str> = names(Kind::Agent).map(AgentName::as_str).collect();
        let groups: BTreeSet<_> = names(Kind::Group).collect();
        let mut leaving = BTreeSet::new();
        self.handle.views().each(|shown| {
            let agent = shown.glance();
            let with_group = agent.group.is_some_and(|group| groups.contains(group));
            if agent.namespace == fleet.namespace.as_str() && (agents.contains(agent.name) || with_group) {
                leaving.insert(agent.id);
            }
        });
        let views = self.handle.views().groups();
        let of_fleet = views.iter().filter(|view| view.namespace == fleet.namespace);
        leaving.extend(of_fleet.filter(|view| groups.contains(&view.name)).map(|view| view.id));
        leaving
    }

    /// What a fleet file named before and names no longer, by name.
    pub(super) fn gone(&self, fleet: &Fleet) -> Vec<(AgentName, Kind)> {
        let named: BTreeSet<&AgentName> = fleet.agents.iter().map(|agent| &agent.name).collect();
        let left = |namespace: &str, intent: Wanted, name: &AgentName| {
            namespace == fleet.namespace.as_str() && intent != Wanted::Deleted && !named.contains(name)
        };
        let mut gone = Vec::new();
        self.handle.views().each(|shown| {
            let agent = shown.glance();
            if agent.group.is_none()
                && agent.label(OWNED.0) == Some(OWNED.1)
                && let Ok(name) = agent.name.parse()
                && left(agent.namespace, agent.intent, &name)
            {
                gone.push((name, Kind::Agent));
            }
        });
        for view in self.handle.views().groups() {
            if is_owned(&view.labels) && left(view.namespace.as_str(), view.intent, &view.name) {
                gone.push((view.name.clone(), Kind::Group));
            }
        }
        gone.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        gone
    }

    /// Makes one agent or group what the file says.
    async fn settle(&self, namespace: &Namespace, agent: &FleetAgent, turn: Turn<'_>) -> Result<Step, Problem> {
        let mut spec = agent.spec.clone();
        spec.labels.insert(OWNED.0.into(), OWNED.1.into());
        let name = &agent.name;
        self.until_gone(namespace, name).await?;
        if let Some(replicas) = &agent.replicas {
            return self.settle_group(namespace, agent, replicas.of(spec), turn).await;
        }
        if let Some(fate) = self.replace_group(namespace, name, &spec, turn).await? {
            return Ok(Step::of(name.clone(), fate));
        }
        let known = self.handle.spec(namespace.clone(), AgentRef::Name(name.clone())).await;
        match known {
            Err(problem) if problem.code == ProblemCode::UnknownAgent => {
                if turn.mode == ApplyMode::Apply {
                    let request = Request::Register {
                        spec: Box::new(spec),
                        wanted: Wanted::Running,
                    };
                    self.ask(namespace, name, request, "in the fleet file", turn).await?;
                }
                Ok(Step::of(name.clone(), Fate::Added))
            }
            Err(problem) => Err(problem),
            Ok((_, _, present)) if *present == spec => Ok(Step::of(name.clone(), Fate::Unchanged)),
            Ok((_, _, present)) => {
                check_change(agent, &present)?;
                let view = self.handle.views().get(namespace, &AgentRef::Name(name.clone()));
                let fields = fields::of_specs(&present, &spec);
                let (request, why) = (Request::Respec { spec: Box::new(spec) }, "changed in the fleet file");
                if turn.mode == ApplyMode::Apply {
                    self.ask(namespace, name, request.clone(), why, turn).await?;
                }
                Ok(Step {
                    fields,
                    waits: view.is_some_and(|view| view.pid.is_some()),
                    asks: Some((request, why)),
                    ..Step::of(name.clone(), Fate::Changed)
                })
            }
        }
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

    /// What a fleet changes beside agents.
    pub(super) fn settings(&self, fleet: &Fleet) -> Vec<FieldChange> {
        let known = self.in_force.load_full();
        let facts = known.map(|known| known.facts.clone()).unwrap_or_default();
        let named = |head: &str, changes: Vec<FieldChange>| {
            let head = head.to_owned();
            changes.into_iter().map(move |change| FieldChange {
                field: format!("{head}{}", change.field),
                ..change
            })
        };
        named("", fields::of(&facts.shape, &fleet.shape))
            .chain(named(
                "capabilities.",
                of_capabilities(&facts.capabilities, &fleet.capabilities),
            ))
            .chain(named("", fields::of(&facts.degrading, &fleet.degrading)))
            .chain(named("retention.", fields::of(&facts.retention, &fleet.retention)))
            .chain(named("daemon.", fields::of(&facts.daemon, &fleet.daemon)))
            .collect()
    }

    /// Keys of the daemon that differ from those in force and are read at a start only.
    pub(super) fn daemon_restart(&self, fleet: &Fleet) -> Vec<String> {
        let Some(known) = self.in_force.load_full() else {
            return Vec::new();
        };
        let at_start = |daemon: &DaemonSettings| DaemonSettings {
            watch: None,
            ..daemon.clone()
        };
        let changed = fields::of(&at_start(&known.facts.daemon), &at_start(&fleet.daemon));
        changed
            .into_iter()
            .map(|change| format!("daemon.{}", change.field))
            .collect()
    }
}

/// Why an agent or group goes.
pub(super) const NOT_NAMED: &str = "no longer in the fleet file";

/// What changes of capabilities.
fn of_capabilities(before: &Specs, after: &Specs) -> Vec<FieldChange> {
    let all = |specs: &Specs| by_name(specs, CapabilitySpec::clone);
    let shown = |specs: &Specs| by_name(specs, CapabilitySpec::redacted);
    fields::of_shown((&all(before), &all(after)), (&shown(before), &shown(after)))
}

/// Capabilities as JSON, providers by their name: each setting has a key of its own.
fn by_name(specs: &Specs, shown: impl Fn(&CapabilitySpec) -> CapabilitySpec) -> serde_json::Value {
    let one = |spec: CapabilitySpec| {
        let providers = spec.providers.iter();
        let providers: serde_json::Value = providers
            .map(|provider| (provider.name.to_string(), serde_json::json!(provider)))
            .collect();
        let mut shown = serde_json::json!(spec);
        shown["providers"] = providers;
        shown
    };
    let all = specs.iter().map(|(name, spec)| (name.to_string(), one(shown(spec))));
    all.collect()
}

/// Refuses what an agent, or a group of such agents, cannot become while it is there.
pub(super) fn check_change(agent: &FleetAgent, present: &AgentSpec) -> Result<(), Problem> {
    let runs = |spec: &AgentSpec| match spec.driver {
        Driver::None => "driver = \"none\"",
        Driver::Process(_) => "a process",
    };
    let (what, was, is) = if present.profile != agent.spec.profile {
        ("profile", present.profile.as_str(), agent.spec.profile.as_str())
    } else if runs(present) != runs(&agent.spec) {
        ("driver", runs(present), runs(&agent.spec))
    } else {
        return Ok(());
    };
    let detail = format!(
        "line {}: {} has the {what} {was}, which cannot become {is}; delete it first, or give the new one another name",
        agent.line, agent.name
    );
    Err(Problem::new(ProblemCode::InvalidConfig, detail))
}
