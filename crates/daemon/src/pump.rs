//! The heart: takes every input through the engine's one door, writes what it decides, and acts once it is written.
//!
//! One task on a thread of its own owns the engine. It never waits for the store or a process: batches wait here, in order, for their
//! receipts, while it steps on.

mod beats;
pub(crate) mod gate;
mod outage;
mod thaw;
mod waiting;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stead_engine::{Batch, Engine, Input, Message, NotOwned, Released, Reply, StateInUse};
use stead_model::journal::{Append, Receipt};
use stead_model::{
    Answer, Command, Condition, Event, Happening, Inventory, Moment, Observation, Order, Problem, ProblemCode, Slot,
    Transition, Wall,
};
use stead_store::{Completion, Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::driver::{Driven, Driver, Seat};
use crate::handle::{Ask, Lifecycles, of_agent};
use crate::status::{Part, Status};
use crate::views::Views;
use gate::Gate;
use outage::Outage;
pub(crate) use thaw::{Fleet, thaw};
use waiting::{Waiter, Waiting};

/// Everything that reaches the pump beside requests.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// The store finished an append.
    Completed(Completion),
    /// The driver has something to tell, and its seat until that is done.
    Driven(Driven, Seat),
    /// A probe was made.
    Probed(Observation),
    /// Whether the store works again.
    StoreProbed(Result<Vec<stead_model::journal::SlotState>, StoreError>),
    /// All that was submitted to the store so far is durable.
    StoreSettled,
    /// Stop: what waits is given up, agents live on.
    Stop {
        /// No agent is left, so that the keeper may go too.
        dismiss: bool,
    },
}

/// How many appends may be under way before requests are refused as busy. Observations go on.
const MOST_UNDER_WAY: usize = 8192;

/// What woke the pump.
enum Turn {
    Incoming(Option<Incoming>),
    Ask(Option<Ask>),
    Tick,
}

/// How often a store that is away is tried.
const TRY_STORE: Duration = Duration::from_secs(1);

/// The pump, ready to run.
pub(crate) struct Pump {
    engine: Engine,
    clock: Clock,
    database: PathBuf,
    note_away: Box<dyn Fn(Option<Wall>) + Send>,
    store: Arc<dyn Store>,
    driver: Box<dyn Driver>,
    views: Arc<Views>,
    status: Arc<Status>,
    /// Counts commits, for readers who wait for new events.
    committed: watch::Sender<u64>,
    incoming: mpsc::UnboundedReceiver<Incoming>,
    /// The way back to itself, for helpers that wait elsewhere.
    back: mpsc::UnboundedSender<Incoming>,
    asks: mpsc::Receiver<Ask>,
    waiting: Waiting,
    gate: Arc<Gate>,
    outage: Option<Outage>,
    messages: VecDeque<Message>,
    /// What is to be logged once the store has answered, so that neither its thread nor a start waits for the log.
    unlogged: Vec<Transition>,
    /// What the surveys decided and is not published yet.
    adopting: usize,
    /// When the engine was last seen to.
    seen: Moment,
    /// What is submitted at the start makes the store complete.
    settle_first: bool,
}

/// What a pump is made of.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    /// The store's file, for what people are told of it.
    pub(crate) database: PathBuf,
    /// Remembers, for the next daemon, since when the store is away, or that nothing is missing in it.
    pub(crate) note_away: Box<dyn Fn(Option<Wall>) + Send>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) views: Arc<Views>,
    pub(crate) status: Arc<Status>,
    /// What the store passes its receipts through.
    pub(crate) gate: Arc<Gate>,
    pub(crate) committed: watch::Sender<u64>,
    pub(crate) incoming: (mpsc::UnboundedSender<Incoming>, mpsc::UnboundedReceiver<Incoming>),
    pub(crate) asks: mpsc::Receiver<Ask>,
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}

impl Pump {
    /// Puts a pump together; it owns no slot yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            clock,
            database,
            note_away,
            store,
            driver,
            views,
            status,
            gate,
            committed,
            incoming: (back, incoming),
            asks,
        } = parts;
        Self {
            engine: Engine::new(clock.boot()),
            clock,
            database,
            note_away,
            store,
            driver,
            views,
            status,
            committed,
            incoming,
            back,
            asks,
            waiting: Waiting::default(),
            gate,
            outage: None,
            messages: VecDeque::new(),
            unlogged: Vec::new(),
            adopting: 0,
            seen: clock.now().moment,
            settle_first: false,
        }
    }

    /// Begins with a store that cannot be written yet: agents are cared for, changes are refused until it can.
    pub(crate) fn begin_away(&mut self, error: &StoreError) {
        self.store_away(error);
    }

    /// Writes what is to stand before anything else of its slot.
    pub(crate) fn write_first(&mut self, append: Append) {
        match &mut self.outage {
            None => self.store.submit(append),
            // Nothing waits for its receipt.
            Some(outage) => drop(outage.shelve(append)),
        }
    }

    /// Notes for what an earlier daemon could not write that a gap is told, once it is durable.
    pub(crate) const fn settle_first(&mut self) {
        self.settle_first = true;
    }

    /// Runs until [`Incoming::Stop`] or until nobody can ask any more.
    pub(crate) async fn run(mut self) {
        if self.settle_first {
            self.settle_store();
        }
        loop {
            self.deliver_messages();
            let wake = self.wake_in();
            let planned = wake.map(|wake| self.clock.now().moment.after(wake));
            let turn = tokio::select! {
                incoming = self.incoming.recv() => Turn::Incoming(incoming),
                ask = self.asks.recv() => Turn::Ask(ask),
                () = tokio::time::sleep(wake.unwrap_or(Duration::MAX)), if wake.is_some() => Turn::Tick,
            };
            self.notice_absence(planned);
            match turn {
                Turn::Incoming(Some(Incoming::Stop { dismiss })) => {
                    if dismiss {
                        self.driver.dismiss();
                    }
                    break;
                }
                Turn::Incoming(None) | Turn::Ask(None) => break,
                Turn::Incoming(Some(incoming)) => self.on_incoming(incoming),
                Turn::Ask(Some(ask)) => self.on_ask(ask),
                Turn::Tick => self.tick(),
            }
        }
        self.log();
        self.gate.clear();
        self.waiting.give_up_all(&Problem::new(
            ProblemCode::OutcomeUnknown,
            "the daemon went down while this was being written; look before you ask again",
        ));
        debug!("the pump stopped");
    }

    /// Puts profiles and policies in force.
    fn configure(&mut self, (profiles, policies): Lifecycles) -> Result<(), StateInUse> {
        self.engine.configure(profiles.clone(), policies)?;
        self.views.show_profiles(profiles);
        Ok(())
    }

    /// Takes over what was thawed, in place of nothing.
    pub(crate) fn adopt(&mut self, fleet: Fleet) {
        let Fleet {
            engine,
            batches,
            lifecycles,
        } = fleet;
        self.engine = engine;
        if let Some((profiles, _)) = lifecycles {
            self.views.show_profiles(profiles);
        }
        let mut shown = Vec::new();
        for (receipt, batch) in batches {
            self.waiting.cover(&receipt);
            // It came from the store: what was loaded covers it.
            if let Ok(mut released) = batch.release(&receipt) {
                shown.append(&mut released.views);
                self.perform(released, Waiter::Nobody);
            }
        }
        self.views.publish_all(shown);
    }

    fn on_incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Completed(Completion::Committed(receipt)) => self.on_receipt(&receipt),
            Incoming::Completed(Completion::Failed { append, error }) => {
                self.on_failed(append, &error);
                self.log();
            }
            Incoming::Completed(Completion::Damaged { error }) => self.store_away(&error),
            Incoming::Driven(driven, _until_then) => self.on_driven(driven),
            Incoming::Probed(observation) => self.step(Input::Observed(observation), Waiter::Nobody),
            Incoming::StoreProbed(outcome) => self.on_store_probed(outcome),
            Incoming::StoreSettled => self.on_store_settled(),
            Incoming::Stop { .. } => {}
        }
    }

    fn on_driven(&mut self, driven: Driven) {
        match driven {
            Driven::Observed(observation) => self.step(Input::Observed(observation), Waiter::Nobody),
            Driven::Surveyed { live, exited, .. } => {
                let mut found: std::collections::BTreeMap<Slot, Inventory> = std::collections::BTreeMap::new();
                for live in live {
                    found.entry(live.instance.agent.slot()).or_default().live.push(live);
                }
                for (instance, exit) in exited {
                    found
                        .entry(instance.agent.slot())
                        .or_default()
                        .exited
                        .push((instance, exit));
                }
                self.status.update(|report| {
                    report.keeper = Part::Up;
                    report.adopted = Part::Starting;
                });
                self.adopting += 1;
                for slot in Slot::all() {
                    self.step(
                        Input::Inventory(slot, found.remove(&slot).unwrap_or_default()),
                        Waiter::Adoption,
                    );
                }
                self.adopted();
            }
            Driven::Lost { detail } => {
                if matches!(self.status.report().keeper, Part::Away { .. }) {
                    return;
                }
                error!(
                    detail,
                    "the keeper is away; agents live on, none is started until it is back"
                );
                let since = self.clock.now().wall;
                self.status
                    .update(|report| report.keeper = Part::Away { since, detail });
            }
            Driven::Back => self.driver.survey(),
            Driven::Stirring => {}
        }
    }

    /// One part of a survey is published; with the last of them, what is shown is what lives.
    fn adopted(&mut self) {
        self.adopting = self.adopting.saturating_sub(1);
        if self.adopting == 0 {
            self.status.update(|report| report.adopted = Part::Up);
        }
    }

    fn on_ask(&mut self, ask: Ask) {
        let now = self.clock.now();
        match ask {
            Ask::Command(command, back) => match self.refuses_changes() {
                Some(problem) => answer(back, Err(problem)),
                None => self.command(*command, back),
            },
            Ask::Group(command, back) => match self.refuses_changes() {
                Some(problem) => answer(back, Err(problem)),
                None => {
                    debug!(group = %command.group, verb = command.request.verb(), actor = command.origin.actor, "command");
                    self.step(Input::Group(command), Waiter::GroupAsker(back));
                }
            },
            Ask::Degradation(command, back) => match self.refuses_changes() {
                Some(problem) => answer(back, Err(problem)),
                None => self.step(Input::Degradation(command), Waiter::DegradationAsker(back)),
            },
            Ask::Features(namespace, plan) => self.step(Input::Features(namespace, plan), Waiter::Nobody),
            Ask::Load(namespace, load) => self.step(Input::Load(namespace, load), Waiter::Nobody),
            Ask::GroupSpec(namespace, group, back) => {
                answer(back, self.engine.group_spec(&namespace, &group).map_err(Problem::from));
            }
            Ask::Rollout(namespace, group, back) => {
                answer(back, self.engine.rollout(&namespace, &group).map_err(Problem::from));
            }
            Ask::Beat(beat, back) => answer(back, self.beat(*beat)),
            Ask::Beats(beats, malformed, back) => answer(back, Ok(self.beats(&beats, malformed))),
            Ask::Vitals(back) => answer(back, Ok(self.engine.vitals())),
            Ask::Explain(namespace, agent, back) => answer(
                back,
                self.engine.explain(now, &namespace, &agent).map_err(Problem::from),
            ),
            Ask::Foresee(namespace, agent, failure, back) => answer(
                back,
                self.engine
                    .foresee(now, &namespace, &agent, failure)
                    .map_err(Problem::from),
            ),
            Ask::Lifecycle(namespace, agent, back) => {
                answer(back, self.engine.lifecycle(&namespace, &agent).map_err(Problem::from));
            }
            Ask::Configure(lifecycles, back) => {
                let refused = |in_use: StateInUse| Problem::new(ProblemCode::NotPossible, in_use.to_string());
                answer(back, self.configure(lifecycles).map_err(refused));
            }
            Ask::CouldConfigure((profiles, _), leaving, back) => {
                let refused = |in_use: StateInUse| Problem::new(ProblemCode::NotPossible, in_use.to_string());
                answer(back, self.engine.could_configure(profiles, &leaving).map_err(refused));
            }
            Ask::Could(commands, (profiles, policies), back) => {
                let could = self.engine.could(now, commands, profiles, policies);
                answer(back, could.map_err(|(agent, refusal)| of_agent(&agent, refusal.into())));
            }
            Ask::Halted(back) => answer(back, Ok(self.engine.halted())),
            Ask::Spec(namespace, agent, back) => {
                answer(back, self.engine.spec(&namespace, &agent).map_err(Problem::from));
            }
        }
    }

    fn command(&mut self, command: Command, back: oneshot::Sender<Result<Answer, Problem>>) {
        debug!(agent = %command.agent, verb = command.request.verb(), actor = command.origin.actor, "command");
        self.step(Input::Command(Box::new(command)), Waiter::Asker(back));
    }

    fn refuses_changes(&self) -> Option<Problem> {
        if let Some(outage) = &self.outage {
            return Some(outage.refusal());
        }
        (self.waiting.under_way() >= MOST_UNDER_WAY).then(|| {
            Problem::new(
                ProblemCode::Busy,
                format!("{MOST_UNDER_WAY} changes are being written; try again in a moment"),
            )
        })
    }

    fn deliver_messages(&mut self) {
        while let Some(message) = self.messages.pop_front() {
            self.step(Input::Message(message), Waiter::Nobody);
        }
    }

    fn step(&mut self, input: Input, waiter: Waiter) {
        match self.engine.step(self.clock.now(), input) {
            Ok(batch) => self.accept(batch, waiter),
            Err(NotOwned(slot)) => waiter.refuse(Problem::new(
                ProblemCode::Internal,
                format!("slot {slot} is not owned by this daemon"),
            )),
        }
    }

    /// Sends what a batch decided to the store, and has the rest wait for its receipt.
    fn accept(&mut self, mut batch: Batch, waiter: Waiter) {
        if batch.is_empty() {
            return;
        }
        if matches!(waiter, Waiter::Adoption) {
            self.adopting += 1;
        }
        let slot = batch.slot();
        let append = batch.take_append();
        // Where the store is away, what may go is decided here, batch by batch.
        let starts = match self.outage {
            None => batch.take_starts().map(|starts| self.gate.hold(slot, starts)),
            Some(_) => None,
        };
        self.waiting.push((batch, starts.clone()), waiter, append.is_some());
        if let Some(append) = append {
            append.events.iter().for_each(log_condition);
            self.status.tally().append(&append);
            self.unlogged.extend_from_slice(&append.transitions);
            match &mut self.outage {
                None => self.store.submit(append),
                Some(outage) => {
                    if let Some(receipt) = outage.shelve(append) {
                        self.waiting.cover(&receipt);
                    }
                    self.log();
                }
            }
        }
        if let Some(starts) = starts {
            // While the store writes.
            starts.foresee(|start| self.driver.foresee(start));
        }
        self.release(slot);
    }

    fn on_receipt(&mut self, receipt: &Receipt) {
        self.waiting.cover(receipt);
        self.release(receipt.slot());
        self.log();
        self.committed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Logs the changes of phase that the store was given.
    fn log(&mut self) {
        self.unlogged.drain(..).for_each(|row| log(&row));
    }

    /// Does what the batches of a slot held back, as far as they are covered.
    fn release(&mut self, slot: Slot) {
        while let Some((released, waiter)) = self.waiting.pop(slot) {
            self.perform(released, waiter);
        }
    }

    fn perform(&mut self, released: Released, waiter: Waiter) {
        // What is down waits for its next start; everything else can wait for that. Outcomes come back here, so they are shown later.
        let (starts, others): (Vec<_>, Vec<_>) = released
            .actions
            .into_iter()
            .partition(|action| matches!(action.order, Order::Spawn { .. }));
        starts.into_iter().for_each(|action| self.driver.execute(action));
        for view in released.views {
            self.views.publish(view);
        }
        for id in released.removed {
            self.views.withdraw(id);
        }
        for view in released.groups {
            self.views.publish_group(view);
        }
        for id in released.groups_removed {
            self.views.withdraw_group(id);
        }
        for view in released.degradations {
            self.views.publish_degradation(view);
        }
        others.into_iter().for_each(|action| self.driver.execute(action));
        self.messages.extend(released.messages);
        if matches!(waiter, Waiter::Adoption) {
            self.adopted();
        }
        if let Some(reply) = released.reply {
            if let Reply::Agent(Err(refusal)) | Reply::Group(Err(refusal)) = &reply {
                warn!(%refusal, "refused");
                self.status.count_refused();
            }
            waiter.answer(reply);
        }
    }
}

/// Logs a change of phase.
fn log(row: &Transition) {
    let Transition {
        name,
        from,
        to,
        reason,
        description,
        incarnation,
        triggered_by,
        ..
    } = row;
    let ill = |phase: &str| matches!(phase, "error" | "failed" | "timeout");
    if row.reason.as_str().starts_with("failure.") && ill(to) && !ill(from) {
        // What failed is told once, whether or not it is on the way to its next start.
        warn!(%incarnation, %reason, triggered_by, "{name}: {from} -> {to}, {description}");
    } else if row.via {
        debug!(%incarnation, %reason, triggered_by, "{name}: {from} -> {to}, {description}");
    } else {
        info!(%incarnation, %reason, triggered_by, "{name}: {from} -> {to}, {description}");
    }
}

/// Logs what keeps an agent from being started.
fn log_condition(event: &Event) {
    if let Happening::ConditionRaised { condition, detail } = &event.what
        && matches!(condition, Condition::Held | Condition::Quarantined)
    {
        warn!("{}: {condition}: {detail}", event.name);
    }
}

/// Sends an answer; an asker who left needs none.
fn answer<T>(back: oneshot::Sender<Result<T, Problem>>, result: Result<T, Problem>) {
    let _ = back.send(result);
}

#[cfg(test)]
mod tests;
