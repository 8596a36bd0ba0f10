//! A fleet file against what is registered: new agents are registered, changed ones told, missing ones removed.
//!
//! Everything that can be found wrong is found before the first change. Then profiles and policies are put in force, the text is
//! kept as the next revision, and only then agents are touched: a daemon that starts again knows every profile that an agent has.

mod fields;
mod groups;
mod plan;
mod revisions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use stead_model::spec::Deadlines;
use stead_model::{AgentName, AgentRef, Command, Namespace, Origin, Outcome, Problem, ProblemCode, Request};
use tracing::warn;

use self::plan::{NOT_NAMED, Plan};
use self::revisions::Facts;
use super::check_limits;
use crate::api::{
    ApplyMode, ApplyOrder, ConfigApplied, ConfigCheck, ConfigDoor, ConfigFault, ConfigRefused, ConfigRevision,
    ConfigText, ConfigView, FleetText, Restarts,
};
use crate::clock::Clock;
use crate::config::{Diagnostic, Fleet};
use crate::handle::{Handle, Lifecycles, of_agent};

pub(crate) use self::revisions::InForce;

/// The label of agents that a fleet file owns; one that is no longer in the file is removed.
const OWNED: (&str, &str) = ("stead/managed-by", "fleet-file");

/// How many changes are asked for at once; they share commits.
const AT_ONCE: usize = 64;

/// How long the removal of an agent is waited for that the file names again.
const LONGEST_REMOVAL: Duration = Duration::from_secs(60);

/// What becomes of one agent or group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Added,
    Changed,
    /// Another template is brought to the replicas of a group, one after the other.
    RolledOut,
    /// A group has another number of replicas, or other rules for its updates.
    Scaled,
    /// An agent becomes a group or a group an agent: it is removed and made anew.
    Remade,
    Unchanged,
    /// Its template failed when it was tried, and is not tried again.
    TakenBack,
    Removed,
}

impl Fate {
    /// Whether what was there goes on as something else.
    const fn changes(self) -> bool {
        match self {
            Self::Changed | Self::RolledOut | Self::Scaled | Self::Remade => true,
            Self::Added | Self::Unchanged | Self::TakenBack | Self::Removed => false,
        }
    }

    /// Whether what was there is told something else than it was.
    const fn is_told_otherwise(self) -> bool {
        match self {
            Self::Changed | Self::RolledOut | Self::Scaled => true,
            Self::Added | Self::Remade | Self::Unchanged | Self::TakenBack | Self::Removed => false,
        }
    }
}

/// What a name is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Agent,
    Group,
}

/// One pass over a fleet: who asks for it and why, and whether anything is changed by it.
#[derive(Clone, Copy, Debug)]
struct Turn<'o> {
    mode: ApplyMode,
    order: &'o ApplyOrder,
    origin: &'o Origin,
}

impl Turn<'_> {
    /// The reason for the history.
    fn why(&self, why: &str) -> String {
        match &self.order.reason {
            Some(reason) => format!("{why}: {reason}"),
            None => why.to_owned(),
        }
    }
}

fn is_owned(labels: &BTreeMap<String, String>) -> bool {
    labels.get(OWNED.0).is_some_and(|owner| owner == OWNED.1)
}

/// The configuration in force and the way to change it.
#[derive(Debug)]
pub(crate) struct Config {
    handle: Handle,
    clock: Clock,
    in_force: ArcSwapOption<InForce>,
    /// The change of the file that was not taken last.
    refused: ArcSwapOption<ConfigRefused>,
    /// Those whom the last application made again what the file says.
    overruled: ArcSwapOption<Vec<AgentName>>,
    /// One change of the configuration at a time.
    turn: tokio::sync::Mutex<()>,
}

/// The configuration of a daemon that has none yet, over its handle alone: for programs that put an API together themselves.
#[must_use]
pub fn config_door(handle: Handle) -> Arc<dyn ConfigDoor> {
    Arc::new(Config::new(handle, Clock::start(), None))
}

impl Config {
    /// Takes up what is in force since an earlier daemon, if anything is.
    pub(crate) fn new(handle: Handle, clock: Clock, in_force: Option<InForce>) -> Self {
        if let Some(known) = &in_force {
            handle.retention().store(Arc::new(known.facts.retention.bounds()));
            let Facts {
                namespace,
                capabilities,
                ..
            } = &known.facts;
            if let Err(why) = handle.capabilities().configure(namespace, capabilities) {
                warn!("the capabilities in force cannot be made: {why}");
            }
        }
        let facts = in_force.as_ref().map(|known| &known.facts);
        handle.take_up_features(facts.map(|facts| (&facts.namespace, &facts.degrading)));
        Self {
            handle,
            clock,
            in_force: ArcSwapOption::from_pointee(in_force),
            refused: ArcSwapOption::empty(),
            overruled: ArcSwapOption::empty(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// What is in force, if its file is to be looked at.
    pub(super) fn watched(&self) -> Option<Arc<InForce>> {
        let watched = |known: &Arc<InForce>| known.facts.daemon.watch != Some(false);
        self.in_force.load_full().filter(watched)
    }

    /// Notes a change of the file that was not taken.
    pub(super) fn refuse(&self, refused: ConfigRefused) {
        self.refused.store(Some(Arc::new(refused)));
    }

    /// Whether a file's text and content are in force already.
    pub(super) fn is_in_force(&self, fleet: &Fleet) -> bool {
        let known = self.in_force.load();
        known
            .as_ref()
            .is_some_and(|known| known.row.text == fleet.text.as_str() && known.row.hash == fleet.hash.to_string())
    }

    /// Forgets what was refused: the file is as it is in force again.
    pub(super) fn mended(&self) {
        self.refused.store(None);
    }

    pub(super) async fn apply(
        &self,
        fleet: Fleet,
        order: ApplyOrder,
        origin: Origin,
    ) -> Result<ConfigApplied, Problem> {
        check_limits(fleet.processes().saturating_add(self.beside(&fleet)))
            .map_err(|error| Problem::new(ProblemCode::LimitReached, error.to_string()))?;
        let lifecycles = fleet
            .shape
            .build()
            .map_err(|detail| Problem::new(ProblemCode::InvalidConfig, detail))?;
        let _turn = self.turn.lock().await;
        let turn = |mode| Turn {
            mode,
            order: &order,
            origin: &origin,
        };
        let plan = self.settle_all(&fleet, turn(ApplyMode::DryRun)).await?;
        let leaving = self.leaving(&fleet);
        self.handle.could_configure(lifecycles.clone(), leaving.clone()).await?;
        self.could(&fleet, &plan, &lifecycles, turn(ApplyMode::DryRun)).await?;
        let overruled = self.overruled(&fleet, &plan).await;
        if order.mode == ApplyMode::DryRun {
            let report = self.report(&fleet, &plan, None);
            return Ok(ConfigApplied { overruled, ..report });
        }
        if self.handle.configure(lifecycles.clone()).await.is_err() {
            // Those who stand in the way are on their way out themselves: they go first.
            self.dismiss(&fleet, turn(ApplyMode::Apply)).await?;
            self.handle.configure(lifecycles).await?;
        }
        let settings = self.settings(&fleet);
        let in_force = match self.keep(fleet.clone(), &order, &origin).await {
            Ok(in_force) => in_force,
            Err(problem) => {
                self.as_before().await;
                return Err(problem);
            }
        };
        let revision = in_force.row.revision;
        let retention = in_force.facts.retention.bounds();
        self.handle.retention().store(Arc::new(retention));
        self.in_force.store(Some(Arc::new(in_force)));
        self.refused.store(None);
        self.overruled.store(Some(Arc::new(overruled.clone())));
        let capabilities = self
            .handle
            .capabilities()
            .configure(&fleet.namespace, &fleet.capabilities);
        capabilities.map_err(|detail| Problem::new(ProblemCode::InvalidConfig, detail))?;
        self.handle.take_up_features(Some((&fleet.namespace, &fleet.degrading)));
        if let Err(problem) = self.settle_all(&fleet, turn(ApplyMode::Apply)).await {
            let left = self.settle_all(&fleet, turn(ApplyMode::DryRun)).await.ok();
            return Err(halfway(problem, &plan, left.as_ref()));
        }
        if order.restarts == Restarts::Now {
            for name in self.pending(&fleet) {
                self.ask(
                    &fleet.namespace,
                    &name,
                    Request::Restart,
                    NEW_SPEC,
                    turn(ApplyMode::Apply),
                )
                .await?;
            }
        }
        Ok(ConfigApplied {
            settings,
            overruled,
            ..self.report(&fleet, &plan, Some(revision))
        })
    }

    /// How many processes go on beside those of a fleet: they are not of its file and do not leave with it.
    fn beside(&self, fleet: &Fleet) -> usize {
        let named: BTreeSet<&str> = fleet.agents.iter().map(|agent| agent.name.as_str()).collect();
        let leaving = self.leaving(fleet);
        let mut count = 0;
        self.handle.views().each(|shown| {
            let agent = shown.glance();
            let name = agent.group.map_or(agent.name, AgentName::as_str);
            let of_file = agent.namespace == fleet.namespace.as_str() && named.contains(name);
            if agent.pid.is_some() && !of_file && !leaving.contains(&agent.id) {
                count += 1;
            }
        });
        count
    }

    /// Whether all that a plan asks of agents would be taken under the policies that come in force with it, each as it is now.
    async fn could(&self, fleet: &Fleet, plan: &Plan, lifecycles: &Lifecycles, turn: Turn<'_>) -> Result<(), Problem> {
        let command = |name: &AgentName, request: &Request, why: &str| {
            Self::command(&fleet.namespace, name, request.clone(), why, turn)
        };
        let mut commands: Vec<_> = plan
            .asks()
            .map(|(name, request, why)| command(name, request, why))
            .collect();
        if turn.order.restarts == Restarts::Now {
            let restarts: BTreeSet<AgentName> = self.pending(fleet).into_iter().chain(plan.restarts()).collect();
            commands.extend(restarts.iter().map(|name| command(name, &Request::Restart, NEW_SPEC)));
        }
        self.handle.could(commands, lifecycles.clone()).await
    }

    /// Has everybody gone whom the file no longer names, and waits for it.
    async fn dismiss(&self, fleet: &Fleet, turn: Turn<'_>) -> Result<(), Problem> {
        let namespace = &fleet.namespace;
        let gone = self.gone(fleet);
        for (name, kind) in &gone {
            self.remove(namespace, name, *kind, NOT_NAMED, turn).await?;
        }
        for (name, _) in &gone {
            self.until_gone(namespace, name).await?;
        }
        Ok(())
    }

    /// Keeps a fleet as the next revision.
    async fn keep(&self, fleet: Fleet, order: &ApplyOrder, origin: &Origin) -> Result<InForce, Problem> {
        let (store, origin, reason) = (self.handle.store(), origin.clone(), order.reason.clone());
        let at = self.clock.now().wall;
        let kept = tokio::task::spawn_blocking(move || revisions::keep(&store, &fleet, (&origin, reason), at));
        kept.await
            .unwrap_or_else(|stopped| Err(Problem::new(ProblemCode::Internal, stopped.to_string())))
    }

    /// Puts the profiles and policies in force again that were so before.
    async fn as_before(&self) {
        let shape = self.in_force.load_full().map(|known| known.facts.shape.clone());
        if let Ok(lifecycles) = shape.unwrap_or_default().build() {
            // No agent has taken up what goes again.
            let _back = self.handle.configure(lifecycles).await;
        }
    }

    async fn ask(
        &self,
        namespace: &Namespace,
        name: &AgentName,
        request: Request,
        why: &str,
        turn: Turn<'_>,
    ) -> Result<Outcome, Problem> {
        let command = Self::command(namespace, name, request, why, turn);
        let answered = self.handle.command(command).await.map(|answer| answer.outcome);
        answered.map_err(|problem| of_agent(name, problem))
    }

    fn command(namespace: &Namespace, name: &AgentName, request: Request, why: &str, turn: Turn<'_>) -> Command {
        Command {
            origin: turn.origin.clone(),
            namespace: namespace.clone(),
            agent: AgentRef::Name(name.clone()),
            expected: None,
            idempotency: None,
            reason: Some(turn.why(why)),
            request,
        }
    }

    /// The agents of a file that go on with an older spec.
    fn pending(&self, fleet: &Fleet) -> Vec<AgentName> {
        let pending = |name: &&AgentName| {
            let view = self
                .handle
                .views()
                .get(&fleet.namespace, &AgentRef::Name((*name).clone()));
            view.is_some_and(|view| view.restart_pending)
        };
        let names = fleet.agents.iter().map(|agent| &agent.name);
        names.filter(pending).cloned().collect()
    }

    /// Says what a plan changes; what was changed by it if it has a revision.
    fn report(&self, fleet: &Fleet, plan: &Plan, revision: Option<u64>) -> ConfigApplied {
        let mut pending = self.pending(fleet);
        if revision.is_none() {
            pending.extend(plan.restarts().filter(|name| !self.pending(fleet).contains(name)));
        }
        let of = |wanted: Fate| plan.names(|fate| fate == wanted);
        ConfigApplied {
            added: of(Fate::Added),
            changed: plan.names(Fate::changes),
            rolled_out: of(Fate::RolledOut),
            scaled: of(Fate::Scaled),
            remade: of(Fate::Remade),
            removed: of(Fate::Removed),
            unchanged: of(Fate::Unchanged),
            rolled_back: plan.taken_back(),
            overruled: Vec::new(),
            pending_restart: pending,
            changes: plan.changes(),
            settings: self.settings(fleet),
            daemon_restart: self.daemon_restart(fleet),
            revision,
        }
    }

    /// Those that a plan changes although the file says of them what the one in force said: they were changed beside it.
    async fn overruled(&self, fleet: &Fleet, plan: &Plan) -> Vec<AgentName> {
        let changed = plan.names(Fate::is_told_otherwise);
        let Some(known) = self.in_force.load_full().filter(|_| !changed.is_empty()) else {
            return Vec::new();
        };
        if known.row.hash == fleet.hash.to_string() {
            return changed;
        }
        let read = tokio::task::spawn_blocking(move || known.as_it_was()).await;
        let Some(before) = read.ok().flatten() else {
            return Vec::new();
        };
        let said = |fleet: &Fleet, name: &AgentName| {
            let agent = fleet.agents.iter().find(|agent| agent.name == *name);
            agent.map(|agent| (agent.spec.clone(), agent.replicas.clone()))
        };
        let is_old = |name: &AgentName| said(&before, name).is_some_and(|old| said(fleet, name) == Some(old));
        changed.into_iter().filter(is_old).collect()
    }

    /// Reads a fleet file's text as if it lay where it is said to lie, else where the one in force does.
    fn read(&self, document: &FleetText) -> Result<Fleet, Vec<Diagnostic>> {
        let in_force = || self.view().fleet_file.map(PathBuf::from);
        let file = document.file.clone().or_else(in_force);
        read_text(&document.toml, &file.unwrap_or_else(|| "fleet.toml".into()))
    }
}

/// Why those are restarted that go on with an older spec.
const NEW_SPEC: &str = "its new spec";

/// What broke off in the middle, with what was done before: applying the file again does the rest.
fn halfway(problem: Problem, plan: &Plan, left: Option<&Plan>) -> Problem {
    let news = |fate: Fate| !matches!(fate, Fate::Unchanged | Fate::TakenBack);
    let all = plan.names(news);
    let open = left.map_or_else(|| all.clone(), |left| left.names(news));
    let done: Vec<_> = all.iter().filter(|name| !open.contains(name)).collect();
    let names = done.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let said = match done.len() {
        0 => "nothing of it was done".to_owned(),
        count => format!("{count} of {} changes were done ({names})", all.len()),
    };
    Problem {
        detail: format!(
            "{}; {said}, the configuration is kept; apply the file again, and the rest is done",
            problem.detail
        ),
        ..problem
    }
}

fn read_text(toml: &str, file: &Path) -> Result<Fleet, Vec<Diagnostic>> {
    Fleet::parse(toml, file, &|name| std::env::var(name).ok())
}

pub(super) fn faults(problems: Vec<Diagnostic>) -> Vec<ConfigFault> {
    let fault = |problem: Diagnostic| ConfigFault {
        line: problem.line,
        column: problem.column,
        message: problem.message,
        help: problem.help,
    };
    problems.into_iter().map(fault).collect()
}

/// A file that does not hold together, as a problem.
pub(super) fn invalid(faults: &[ConfigFault]) -> Problem {
    Problem {
        errors: faults
            .iter()
            .map(|fault| format!("{}:{}: {}", fault.line, fault.column, fault.message))
            .collect(),
        ..Problem::new(
            ProblemCode::InvalidConfig,
            "nothing was applied; mend what is listed and apply it again",
        )
    }
}

impl ConfigDoor for Config {
    fn view(&self) -> ConfigView {
        let known = self.in_force.load();
        let row = known.as_ref().map(|known| &known.row);
        let facts = known.as_ref().map(|known| &known.facts);
        ConfigView {
            fleet_file: row.map(|row| row.file.clone()),
            namespace: facts.map(|facts| facts.namespace.clone()).unwrap_or_default(),
            agents: facts.map_or(0, |facts| facts.agents),
            hash: row.map(|row| row.hash.clone()).unwrap_or_default(),
            applied_at: row.map(|row| row.at),
            revision: row.map(|row| row.revision),
            applied_by: row.map(|row| row.actor.clone()),
            reason: row.and_then(|row| row.reason.clone()),
            watched: self.watched().is_some(),
            missing: known.as_ref().is_some_and(|known| known.is_missing()),
            differs: known.as_ref().is_some_and(|known| known.differs()),
            overruled: self
                .overruled
                .load_full()
                .map(|names| Vec::clone(&names))
                .unwrap_or_default(),
            refused: self.refused.load_full().map(|refused| ConfigRefused::clone(&refused)),
        }
    }

    fn deadlines_of(&self, kind: &str) -> Deadlines {
        let known = self.in_force.load();
        let shape = known.as_ref().map(|known| &known.facts.shape);
        shape
            .and_then(|shape| shape.types.get(kind))
            .cloned()
            .unwrap_or_default()
    }

    fn check(&self, document: &FleetText) -> ConfigCheck {
        let problems = self.read(document).err().map(faults).unwrap_or_default();
        ConfigCheck {
            valid: problems.is_empty(),
            problems,
        }
    }

    fn apply(
        &self,
        document: FleetText,
        order: ApplyOrder,
        origin: Origin,
    ) -> BoxFuture<'_, Result<ConfigApplied, Problem>> {
        Box::pin(async move {
            let fleet = self.read(&document).map_err(|problems| invalid(&faults(problems)))?;
            self.apply(fleet, order, origin).await
        })
    }

    fn revisions(&self) -> Result<Vec<ConfigRevision>, Problem> {
        revisions::list(&self.handle.store())
    }

    fn revision(&self, revision: u64) -> Result<ConfigText, Problem> {
        revisions::show(&self.handle.store(), revision)
    }

    fn roll_back(
        &self,
        revision: u64,
        order: ApplyOrder,
        origin: Origin,
    ) -> BoxFuture<'_, Result<ConfigApplied, Problem>> {
        Box::pin(async move {
            let store = self.handle.store();
            let found = tokio::task::spawn_blocking(move || revisions::find(&store, revision)).await;
            let row = found.map_err(|stopped| Problem::new(ProblemCode::Internal, stopped.to_string()))??;
            let fleet = read_text(&row.text, Path::new(&row.file)).map_err(|problems| invalid(&faults(problems)))?;
            let back = format!("back to revision {revision}");
            let reason = order
                .reason
                .map_or_else(|| back.clone(), |reason| format!("{back}: {reason}"));
            let order = ApplyOrder {
                reason: Some(reason),
                ..order
            };
            self.apply(fleet, order, origin).await
        })
    }

    fn reload(&self, order: ApplyOrder, origin: Origin) -> BoxFuture<'_, Result<ConfigApplied, Problem>> {
        Box::pin(async move {
            let file = self.view().fleet_file.map(PathBuf::from).ok_or_else(|| {
                let detail =
                    "no fleet file is in force, so there is none to read again; `stead apply FILE` puts one in force";
                Problem::new(ProblemCode::NotPossible, detail)
            })?;
            let read = tokio::task::spawn_blocking(move || Fleet::read(&file, &|name| std::env::var(name).ok())).await;
            let fleet = read
                .map_err(|stopped| Problem::new(ProblemCode::Internal, stopped.to_string()))?
                .map_err(|problems| invalid(&faults(problems)))?;
            self.apply(fleet, order, origin).await
        })
    }
}
