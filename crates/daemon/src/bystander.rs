//! In the pump's place where the stored state is damaged: shows what there is, changes nothing.
//!
//! What could be read is shown as it was written, put right by what the keeper finds; what could not be read is shown by the keeper's
//! word alone. Nothing is started, ended, acknowledged or written: whatever the state really says, the next daemon that can read
//! it finds everything as it was left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stead_engine::Engine;
use stead_model::journal::SlotState;
use stead_model::{
    AgentId, AgentName, AgentRef, AgentView, Evidence, Exit, Explanation, Health, Incarnation, InstanceId,
    LiveInstance, Namespace, NextStep, Observation, Problem, ProblemCode, Revision, Wall, Wanted,
};
use tokio::sync::mpsc;
use tracing::{error, info};

use crate::clock::Clock;
use crate::driver::{Driven, Driver};
use crate::handle::{Ask, Lifecycles};
use crate::pump::{Incoming, Parts};
use crate::status::{Part, Status};
use crate::views::Views;

/// Looks on until the daemon is ended.
pub(crate) struct Bystander {
    engine: Engine,
    clock: Clock,
    driver: Box<dyn Driver>,
    views: Arc<Views>,
    status: Arc<Status>,
    incoming: mpsc::UnboundedReceiver<Incoming>,
    asks: mpsc::Receiver<Ask>,
    /// What is wrong and what to do.
    trouble: String,
}

impl Bystander {
    /// Puts a bystander together; `trouble` is what everybody is told who wants a change.
    pub(crate) fn new(parts: Parts, trouble: String) -> Self {
        let Parts {
            clock,
            database: _,
            note_away: _,
            gate: _,
            store: _,
            driver,
            views,
            status,
            committed: _,
            incoming: (_, incoming),
            asks,
        } = parts;
        Self {
            engine: Engine::new(clock.boot()),
            clock,
            driver,
            views,
            status,
            incoming,
            asks,
            trouble,
        }
    }

    /// Knows profiles of one's own, for what is shown after it.
    pub(crate) fn configure(&mut self, (profiles, policies): Lifecycles) {
        // There is no agent yet whose state could be in the way.
        let _configured = self.engine.configure(profiles, policies);
    }

    /// Shows a slot that could be read. One that this version does not understand is left out.
    pub(crate) fn show(&mut self, state: SlotState) {
        let receipt = state.receipt();
        if let Ok(batch) = self.engine.thaw(self.clock.now(), state)
            && let Ok(released) = batch.release(&receipt)
        {
            for agent in released.views {
                self.views.publish(AgentView {
                    next: Some(waits()),
                    ..agent.view()
                });
            }
            for view in released.degradations {
                self.views.publish_degradation(view);
            }
        }
    }

    /// Looks on until [`Incoming::Stop`] or until nobody can ask any more.
    pub(crate) async fn run(mut self) {
        let since = self.clock.now().wall;
        let away = |detail: &str| Part::Away {
            since,
            detail: detail.to_owned(),
        };
        self.status.update(|report| {
            report.store = away(&self.trouble);
            report.adopted = away("agents are shown as the keeper finds them, and are neither started nor ended");
        });
        loop {
            tokio::select! {
                incoming = self.incoming.recv() => match incoming {
                    None | Some(Incoming::Stop { .. }) => break,
                    Some(Incoming::Driven(driven, _until_then)) => self.on_driven(driven),
                    Some(
                        Incoming::Completed(_) | Incoming::Probed(_) | Incoming::StoreProbed(_) | Incoming::StoreSettled,
                    ) => {}
                },
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.on_ask(ask),
                    None => break,
                },
            }
        }
    }

    fn on_driven(&mut self, driven: Driven) {
        match driven {
            Driven::Back => self.driver.survey(),
            Driven::Surveyed { live, exited, names } => {
                self.status.update(|report| report.keeper = Part::Up);
                self.compare(&live, &exited, &names);
            }
            Driven::Observed(Observation::Exited { instance, exit, .. }) => self.ended(instance, exit),
            // What else is seen says nothing that could be acted on.
            Driven::Observed(_) | Driven::Stirring => {}
            Driven::Lost { detail } => {
                error!(detail, "the keeper is away; agents live on");
                let since = self.clock.now().wall;
                self.status
                    .update(|report| report.keeper = Part::Away { since, detail });
            }
        }
    }

    /// Shows what the keeper finds in place of what was stored.
    fn compare(
        &self,
        live: &[LiveInstance],
        exited: &[(InstanceId, Exit)],
        names: &BTreeMap<AgentId, (Namespace, AgentName)>,
    ) {
        info!(
            live = live.len(),
            ended = exited.len(),
            "the keeper was asked; nothing is started or ended"
        );
        let alive: BTreeSet<AgentId> = live.iter().map(|live| live.instance.agent).collect();
        let mut stored = Vec::new();
        self.views.each(|agent| stored.push(agent.id()));
        for id in stored.into_iter().filter(|id| !alive.contains(id)) {
            self.amend(id, "the keeper knows no process of it".into(), down);
        }
        for (instance, exit) in exited {
            self.ended(*instance, *exit);
        }
        for live in live {
            let InstanceId { agent, incarnation } = live.instance;
            if self.find(agent).is_none()
                && let Some((namespace, name)) = names.get(&agent)
            {
                self.views
                    .publish(unread(agent, namespace.clone(), name.clone(), self.clock.now().wall));
            }
            let detail = format!("its process {} lives, run {incarnation}", live.process.pid);
            self.amend(agent, detail, |view| {
                view.pid = Some(live.process.pid);
                view.incarnation = incarnation;
            });
        }
    }

    fn ended(&self, instance: InstanceId, exit: Exit) {
        let current = self.find(instance.agent).map(|view| view.incarnation);
        if current == Some(instance.incarnation) {
            let detail = format!("run {} ended: {exit}", instance.incarnation);
            self.amend(instance.agent, detail, down);
        }
    }

    fn find(&self, agent: AgentId) -> Option<Arc<AgentView>> {
        self.views.get(&Namespace::default(), &AgentRef::Id(agent))
    }

    /// Shows an agent anew, with what the keeper says of it.
    fn amend(&self, agent: AgentId, detail: String, change: impl FnOnce(&mut AgentView)) {
        if let Some(view) = self.find(agent) {
            let mut view = AgentView::clone(&view);
            change(&mut view);
            view.evidence.retain(|known| known.kind != KEEPER);
            view.evidence.push(Evidence {
                kind: KEEPER.into(),
                observed_at: self.clock.now().wall,
                source: "keeper".into(),
                detail,
            });
            self.views.publish(view);
        }
    }

    fn on_ask(&self, ask: Ask) {
        let now = self.clock.now();
        match ask {
            Ask::Command(_, back) => answer(back, Err(self.refusal())),
            Ask::Group(_, back) => answer(back, Err(self.refusal())),
            Ask::Degradation(_, back) => answer(back, Err(self.refusal())),
            Ask::Features(..) | Ask::Load(..) => {}
            Ask::GroupSpec(namespace, group, back) => {
                answer(
                    back,
                    self.engine
                        .group_spec(&namespace, &group)
                        .map_err(|_unread| self.refusal()),
                );
            }
            Ask::Rollout(namespace, group, back) => {
                let status = self.engine.rollout(&namespace, &group);
                answer(back, status.map_err(|_unread| self.refusal()));
            }
            Ask::Configure(_, back) | Ask::CouldConfigure(_, _, back) | Ask::Could(_, _, back) => {
                answer(back, Err(self.refusal()));
            }
            Ask::Beat(_, back) => answer(back, Err(self.refusal())),
            Ask::Beats(_, _, back) => answer(back, Err(self.refusal())),
            Ask::Vitals(back) => answer(back, Ok(Vec::new())),
            Ask::Explain(namespace, agent, back) => {
                let shown = self.views.get(&namespace, &agent);
                let explained = self.engine.explain(now, &namespace, &agent);
                answer(
                    back,
                    match (explained, shown) {
                        (Ok(explained), Some(view)) => Ok(self.explain(explained, &view)),
                        (Err(_), Some(_)) => Err(self.refusal()),
                        (explained, None) => explained.map_err(Problem::from),
                    },
                );
            }
            // Nothing would be done: it changes nothing.
            Ask::Foresee(_, _, _, back) => answer(back, Err(self.refusal())),
            Ask::Lifecycle(namespace, agent, back) => {
                answer(
                    back,
                    self.engine
                        .lifecycle(&namespace, &agent)
                        .map_err(|_unread| self.refusal()),
                );
            }
            Ask::Halted(back) => answer(back, Ok(self.engine.halted())),
            Ask::Spec(namespace, agent, back) => {
                answer(
                    back,
                    self.engine.spec(&namespace, &agent).map_err(|_unread| self.refusal()),
                );
            }
        }
    }

    fn explain(&self, stored: Explanation, view: &AgentView) -> Explanation {
        Explanation {
            agent: view.clone(),
            verdict: format!("it is left as it is: {}", self.trouble),
            next: vec![waits()],
            ..stored
        }
    }

    fn refusal(&self) -> Problem {
        Problem::new(ProblemCode::StoreUnavailable, self.trouble.clone())
    }
}

impl std::fmt::Debug for Bystander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bystander").finish_non_exhaustive()
    }
}

fn down(view: &mut AgentView) {
    view.pid = None;
    view.ready = false;
    view.health = Health::Unknown;
}

/// An agent of which only the keeper tells.
fn unread(id: AgentId, namespace: Namespace, name: AgentName, now: Wall) -> AgentView {
    AgentView {
        id,
        name,
        namespace,
        profile: "agent".into(),
        kind: "agent".into(),
        phase: "unknown".into(),
        since: now,
        health: Health::Unknown,
        ready: false,
        intent: Wanted::Running,
        pause: None,
        incarnation: Incarnation(0),
        pid: None,
        restarts: 0,
        tasks: 0,
        revision: Revision(0),
        spec_revision: 0,
        restart_pending: false,
        group: None,
        labels: BTreeMap::new(),
        conditions: Vec::new(),
        evidence: vec![Evidence {
            kind: "store".into(),
            observed_at: now,
            source: "store".into(),
            detail: "what is stored of it, what is wanted included, cannot be read".into(),
        }],
        next: Some(waits()),
    }
}

fn waits() -> NextStep {
    NextStep {
        what: "cared for again once the store is put right".into(),
        at: None,
    }
}

/// Sends an answer; an asker who left needs none.
fn answer<T>(back: tokio::sync::oneshot::Sender<Result<T, Problem>>, result: Result<T, Problem>) {
    let _ = back.send(result);
}

/// The kind of evidence that the keeper gives here.
const KEEPER: &str = "process";
