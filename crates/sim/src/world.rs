//! The world: time, the disk, the machine, and the daemon that may die.

mod groups;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stead_engine::{Input, Released, Reply};
use stead_model::group::{GroupAnswer, GroupView};
use stead_model::journal::SlotState;
use stead_model::{
    Action, AgentId, AgentName, AgentRef, AgentView, Answer, BeatOutcome, BootClock, Command, Exit, Explanation,
    IdempotencyKey, InstanceId, LifecycleView, Namespace, Notice, Now, Observation, Order, Origin, Refusal, Request,
    Revision, Slot, Wall,
};
use stead_store::{Completion, Fault, Lease, MemoryStore, Owner, Store};

use crate::ledger::{After, Ledger};
use crate::machine::Machine;
use crate::node::{Errand, Held, Node};

/// One small turn of the wheel; between any two of them the daemon may die.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// The engine takes in what came first and decides.
    Decide,
    /// The engine takes in that time has passed.
    Tick,
    /// What was decided first goes to the store.
    Submit,
    /// The store writes what it got first.
    Write,
    /// The daemon hears what became of it.
    Hear,
    /// What is durable is released: answers go out, orders stand ready.
    Release,
    /// The keeper gets the first order.
    Act,
}

impl Turn {
    /// Every turn, in the order of a calm world: what is under way is ended before anything new begins.
    pub const ALL: [Self; 7] = [
        Self::Release,
        Self::Act,
        Self::Hear,
        Self::Write,
        Self::Submit,
        Self::Decide,
        Self::Tick,
    ];
}

/// How the daemon's side ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// `kill -9` of the daemon.
    Daemon,
    /// `kill -9` of the keeper too: what ends until they are back ends unseen.
    DaemonAndKeeper,
    /// The machine loses power; of what was written and not flushed, so many appends stay.
    Power {
        /// How many.
        keep: usize,
    },
}

type Mailbox = Arc<Mutex<VecDeque<Completion>>>;

/// Everything that there is.
#[derive(Debug)]
pub struct World {
    now: Duration,
    booted: Duration,
    boot: u64,
    engines: usize,
    slots: BTreeSet<Slot>,
    store: MemoryStore,
    mailbox: Mailbox,
    /// The machine and its processes.
    pub machine: Machine,
    node: Option<Node>,
    ledger: Ledger,
    after: After,
    requests: u64,
    answers: BTreeMap<u64, Result<Answer, Refusal>>,
    group_answers: BTreeMap<u64, Result<GroupAnswer, Refusal>>,
    views: BTreeMap<AgentId, AgentView>,
    groups: BTreeMap<AgentId, GroupView>,
    told: Vec<String>,
}

/// When the world begins, in civil time.
const DAWN: i64 = 1_767_225_600_000;

impl World {
    /// A world whose daemon spreads the home slots of these names over so many engines. It is up.
    #[must_use]
    pub fn new(engines: usize, names: &[&str]) -> Self {
        let mailbox: Mailbox = Mailbox::default();
        let sink = Arc::clone(&mailbox);
        let store = MemoryStore::new(Box::new(move |completion| {
            sink.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(completion);
        }));
        let namespace = Namespace::default();
        let mut world = Self {
            now: Duration::from_secs(3600),
            booted: Duration::ZERO,
            boot: 1,
            engines,
            slots: names.iter().map(|name| Slot::home(&namespace, name)).collect(),
            store,
            mailbox,
            machine: Machine::new(1),
            node: None,
            ledger: Ledger::new(),
            after: After::Death,
            requests: 0,
            answers: BTreeMap::new(),
            group_answers: BTreeMap::new(),
            views: BTreeMap::new(),
            groups: BTreeMap::new(),
            told: Vec::new(),
        };
        world.start();
        world
    }

    /// Time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_sub(Duration::from_secs(3600))
    }

    /// Whether the daemon is up.
    #[must_use]
    pub const fn up(&self) -> bool {
        self.node.is_some()
    }

    fn clock(&self) -> Now {
        let millis = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        Now {
            moment: self
                .node
                .as_ref()
                .map_or_else(Default::default, |node| node.moment(self.now)),
            wall: Wall::from_unix_millis(DAWN.saturating_add(millis)),
        }
    }

    /// Starts the daemon: slots are taken, loaded and thawed, and the keeper is asked what runs.
    pub fn start(&mut self) {
        let boot = BootClock {
            boot: self.boot,
            at_start: self.now.saturating_sub(self.booted),
        };
        self.node = Some(Node::new(self.engines, boot, self.now));
        self.machine.blind = false;
        let slots: Vec<Slot> = self.slots.iter().copied().collect();
        let lease = Lease::unending(self.clock().wall);
        self.store
            .take(&slots, &Owner::new("node-1"), lease)
            .expect("the store is well at a start");
        for slot in slots {
            self.load(slot);
        }
        self.after = After::Death;
    }

    /// Loads a slot, checks that nothing was lost or invented, thaws it, and asks for its inventory.
    fn load(&mut self, slot: Slot) {
        let state: SlotState = self.store.load(slot).expect("the store is well when a slot is loaded");
        let tombstones = self
            .ledger
            .ever(slot)
            .filter_map(|id| self.store.agent_tombstone(id).ok().flatten());
        let found = state.agents.iter().cloned().chain(tombstones).collect();
        let checked = self.ledger.reload_groups(slot, &state.groups, self.after);
        self.hold(checked);
        let checked = self.ledger.reload(slot, found, self.after);
        self.hold(checked);
        let now = self.clock();
        let receipt = state.receipt();
        let node = self.node.as_mut().expect("only a daemon that is up loads slots");
        let batch = node
            .home(slot)
            .thaw(now, state)
            .expect("what an engine stored, an engine thaws");
        let lane = node.lanes.entry(slot).or_default();
        lane.held.clear();
        lane.stale = lane.outstanding;
        lane.cover(receipt);
        lane.held.push_back(Held { batch, request: None });
        node.decided.retain(|(_, held)| held.batch.slot() != slot);
        // What was asked before the slot was loaded says nothing of what is on its way since.
        node.inputs
            .retain(|(input, _)| !matches!(input, Input::Inventory(of, _) if *of == slot));
        node.orders
            .retain(|errand| !matches!(errand, Errand::Survey(of) if *of == slot));
        node.orders.push_back(Errand::Survey(slot));
        self.check(slot);
    }

    /// Ends the daemon's side, in the midst of whatever it does.
    pub fn crash(&mut self, crash: Crash) {
        self.tell(format!("crash: {crash:?}"));
        self.node = None;
        self.machine.hush();
        self.mail().clear();
        match crash {
            Crash::Daemon => self.store.kill(),
            Crash::DaemonAndKeeper => {
                self.store.kill();
                self.machine.blind = true;
            }
            Crash::Power { keep } => {
                self.store.power_cut(keep);
                self.machine.power_cut();
                self.boot += 1;
                self.booted = self.now;
                self.after = After::PowerCut;
            }
        }
    }

    /// Lets the daemon lose sight of the keeper for a moment: orders on their way are lost, then everything is surveyed anew.
    pub fn lose_keeper(&mut self) {
        let slots: Vec<Slot> = self.slots.iter().copied().collect();
        if let Some(node) = &mut self.node {
            node.orders.clear();
            let driven = |input: &Input| matches!(input, Input::Observed(_) | Input::Inventory(..));
            node.inputs.retain(|(input, _)| !driven(input));
            node.orders.extend(slots.into_iter().map(Errand::Survey));
        }
    }

    /// Lets what the store writes next go wrong.
    pub fn fault(&self, fault: Fault) {
        self.store.inject(fault);
    }

    /// Lets the disk catch up with what was written.
    pub fn sync(&mut self) {
        self.store.flush();
    }

    /// Hands in a request; its answer, if one comes, is kept under the number returned.
    pub fn request(&mut self, name: &str, request: Request) -> u64 {
        self.request_with(name, request, None, None)
    }

    /// Hands in a request with a condition or a key.
    pub fn request_with(
        &mut self,
        name: &str,
        request: Request,
        expected: Option<Revision>,
        idempotency: Option<IdempotencyKey>,
    ) -> u64 {
        self.requests += 1;
        let id = self.requests;
        let command = Command {
            origin: Origin {
                actor: "ann".into(),
                role: stead_model::AccessRole::Admin,
                correlation_id: format!("r-{id}"),
                trace_id: None,
            },
            namespace: Namespace::default(),
            agent: self.refer(name),
            expected,
            idempotency,
            reason: None,
            request,
        };
        if let Some(node) = &mut self.node {
            node.inputs.push_back((Input::Command(Box::new(command)), Some(id)));
        }
        id
    }

    /// A replica by its id, since its name may be at home elsewhere; others by name.
    fn refer(&self, name: &str) -> AgentRef {
        let replica = self
            .ledger
            .agents()
            .find(|row| row.name.as_str() == name && row.member.is_some());
        replica.map_or_else(|| agent_ref(name), |row| AgentRef::Id(row.id))
    }

    /// The answer to a request, if it has left the daemon.
    #[must_use]
    pub fn answer(&self, request: u64) -> Option<&Result<Answer, Refusal>> {
        self.answers.get(&request)
    }

    /// Tells the daemon something that was seen, if it is up.
    pub fn observe(&mut self, observation: Observation) {
        if let Some(node) = &mut self.node {
            node.input(Input::Observed(observation));
        }
    }

    /// Ends a process, and has the keeper tell of it.
    pub fn end(&mut self, instance: InstanceId, exit: Exit) {
        if let Some(seen) = self.machine.end(instance, exit) {
            self.observe(seen);
        }
    }

    /// Lets a process speak on its notify socket.
    pub fn notify(&mut self, instance: InstanceId, notice: Notice) {
        if let Some(heard) = self.machine.notify(instance, notice) {
            self.observe(heard);
        }
    }

    /// Has the keeper tell of an end that was not acknowledged once more.
    pub fn tell_again(&mut self, instance: InstanceId) {
        if let Some(seen) = self.machine.ended(instance) {
            self.observe(seen);
        }
    }

    /// Puts a live process there that the daemon does not know.
    pub fn plant(&mut self, instance: InstanceId) {
        self.machine.plant(instance);
    }

    /// Whether this turn has something to do.
    #[must_use]
    pub fn can(&self, turn: Turn) -> bool {
        let Some(node) = &self.node else { return false };
        match turn {
            Turn::Decide => !node.inputs.is_empty(),
            Turn::Tick => node.next_deadline().is_some_and(|due| due <= self.now),
            Turn::Submit => !node.decided.is_empty(),
            Turn::Write => self.store.pending() > 0,
            Turn::Hear => !self.mail().is_empty(),
            Turn::Release => node.lanes.values().any(|lane| lane.covered().is_some()),
            Turn::Act => !node.orders.is_empty(),
        }
    }

    /// Does one turn, if it has something to do.
    pub fn turn(&mut self, turn: Turn) {
        if !self.can(turn) {
            return;
        }
        match turn {
            Turn::Decide => self.decide(),
            Turn::Tick => self.tick(),
            Turn::Submit => self.submit(),
            Turn::Write => drop(self.store.pump_one()),
            Turn::Hear => self.hear(),
            Turn::Release => self.release(),
            Turn::Act => self.act(),
        }
    }

    fn decide(&mut self) {
        let node = self.node.as_mut().expect("asked before");
        if let Some((input, request)) = node.inputs.pop_front() {
            let slot = match &input {
                Input::Command(command) => match &command.agent {
                    AgentRef::Name(name) => Slot::home(&command.namespace, name.as_str()),
                    AgentRef::Id(id) => id.slot(),
                },
                Input::Group(command) => match &command.group {
                    AgentRef::Name(name) => Slot::home(&command.namespace, name.as_str()),
                    AgentRef::Id(id) => id.slot(),
                },
                Input::Degradation(command) => stead_engine::home_of(&command.namespace),
                Input::Features(namespace, _) | Input::Load(namespace, _) => stead_engine::home_of(namespace),
                Input::Observed(seen) => subject(seen).slot(),
                Input::Inventory(slot, _) => *slot,
                Input::Message(message) => message.to(),
                Input::Tick => return,
            };
            self.step(slot, input, request);
        }
    }

    fn tick(&mut self) {
        let node = self.node.as_ref().expect("asked before");
        let moment = node.moment(self.now);
        let due = node
            .engines
            .iter()
            .position(|engine| engine.next_deadline().is_some_and(|due| due <= moment));
        if let Some(place) = due {
            let slot = u16::try_from(place).ok().and_then(|number| Slot::try_from(number).ok());
            self.step(slot.expect("engines are no more than slots"), Input::Tick, None);
        }
    }

    fn step(&mut self, slot: Slot, input: Input, request: Option<u64>) {
        let now = self.clock();
        let node = self.node.as_mut().expect("asked before");
        match node.home(slot).step(now, input) {
            Ok(mut batch) => {
                let append = batch.take_append();
                if let Some(append) = &append {
                    let checked = self.ledger.decide(append, request.is_some());
                    self.hold(checked);
                }
                let node = self.node.as_mut().expect("asked before");
                if append.is_some() || !batch.is_empty() {
                    node.decided.push_back((append, Held { batch, request }));
                }
            }
            Err(away) => self.tell(away.to_string()),
        }
        self.check(slot);
    }

    fn submit(&mut self) {
        let node = self.node.as_mut().expect("asked before");
        if let Some((append, held)) = node.decided.pop_front() {
            let lane = node.lanes.entry(held.batch.slot()).or_default();
            lane.held.push_back(held);
            if let Some(append) = append {
                lane.outstanding += 1;
                self.store.submit(append);
            }
        }
    }

    fn hear(&mut self) {
        let Some(completion) = self.mail().pop_front() else {
            return;
        };
        let slot = match &completion {
            Completion::Committed(receipt) => receipt.slot(),
            Completion::Failed { append, .. } => append.slot,
            Completion::Damaged { error } => panic!("memory is never damaged: {error}"),
        };
        let node = self.node.as_mut().expect("asked before");
        let lane = node.lanes.entry(slot).or_default();
        lane.outstanding -= 1;
        if lane.stale > 0 {
            lane.stale -= 1;
            return;
        }
        match completion {
            Completion::Committed(receipt) => {
                lane.cover(receipt);
                let flushed = receipt.durability() == stead_model::journal::Durability::Flushed;
                for event in self.ledger.commit(slot, receipt.position(), flushed) {
                    self.tell(format!("{} {}", event.name, crate::told::happening(&event.what)));
                }
            }
            Completion::Failed { error, .. } => {
                self.tell(format!("store: {error}"));
                self.load(slot);
            }
            Completion::Damaged { .. } => {}
        }
    }

    fn release(&mut self) {
        let node = self.node.as_mut().expect("asked before");
        let covered = node
            .lanes
            .values_mut()
            .find_map(|lane| lane.covered().map(|receipt| (lane, receipt)));
        let Some((lane, receipt)) = covered else { return };
        let Some(Held { batch, request }) = lane.held.pop_front() else {
            return;
        };
        let Released {
            actions,
            views,
            removed,
            groups,
            groups_removed,
            degradations: _,
            messages,
            reply,
        } = batch
            .release(&receipt)
            .expect("a receipt that covers a batch releases it");
        node.orders.extend(actions.into_iter().map(Errand::Order));
        node.inputs
            .extend(messages.into_iter().map(|message| (Input::Message(message), None)));
        for shown in views {
            self.views.insert(shown.id(), shown.view());
        }
        for id in removed {
            self.views.remove(&id);
        }
        for view in groups {
            if self.groups.get(&view.id).map(|known| &known.summary) != Some(&view.summary) {
                self.tell(view.summary.clone());
            }
            self.groups.insert(view.id, view);
        }
        for id in groups_removed {
            self.groups.remove(&id);
        }
        match (reply, request) {
            (Some(Reply::Agent(reply)), Some(request)) => {
                match &reply {
                    Ok(answer) => {
                        self.ledger.acknowledge(answer.outcome, &answer.agent);
                        self.tell(format!("{} <- {:?}", answer.agent.name, answer.outcome));
                    }
                    Err(refusal) => self.tell(format!("refused: {refusal}")),
                }
                self.answers.insert(request, reply.map(|answer| *answer));
            }
            (Some(Reply::Group(reply)), Some(request)) => {
                match &reply {
                    Ok(answer) => {
                        self.ledger.acknowledge_group(answer);
                        self.tell(format!("{} <- {:?}", answer.group.name, answer.outcome));
                    }
                    Err(refusal) => self.tell(format!("refused: {refusal}")),
                }
                self.group_answers.insert(request, reply.map(|answer| *answer));
            }
            (Some(Reply::Agent(_) | Reply::Group(_)), None) | (Some(Reply::Degradation(_)) | None, _) => {}
        }
    }

    fn act(&mut self) {
        let node = self.node.as_mut().expect("asked before");
        let action = match node.orders.pop_front() {
            Some(Errand::Order(action)) => action,
            Some(Errand::Survey(slot)) => {
                let inventory = self.machine.inventory(slot);
                node.input(Input::Inventory(slot, inventory));
                return;
            }
            None => return,
        };
        let permitted = match &action.order {
            Order::Acknowledge { instance } => self.ledger.may_forget(*instance),
            Order::Spawn { instance, .. } => self.ledger.may_begin(*instance),
            Order::Prepare { .. }
            | Order::Signal { .. }
            | Order::Freeze { .. }
            | Order::Kill { .. }
            | Order::Tell { .. }
            | Order::Probe { .. } => Ok(()),
        };
        self.hold(permitted);
        self.tell_order(&action);
        match self.machine.execute(self.now, action) {
            Ok(seen) => seen.into_iter().for_each(|seen| self.observe(seen)),
            Err(wrong) => self.hold(Err(wrong)),
        }
    }

    /// Turns the wheel, in the calm order, until nothing is left to do at this moment.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            match Turn::ALL.into_iter().find(|turn| self.can(*turn)) {
                Some(turn) => self.turn(turn),
                None => return,
            }
        }
        panic!("the world does not come to rest\n{}", self.transcript());
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let deadline = self.node.as_ref().and_then(Node::next_deadline);
        [deadline, self.machine.next()]
            .into_iter()
            .flatten()
            .min()
            .map(|next| next.max(self.now))
    }

    /// Lets time pass up to a moment, with all that happens on the way.
    pub fn run_until(&mut self, until: Duration) {
        let until = Duration::from_secs(3600) + until;
        self.settle();
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.jump(next);
            self.settle();
        }
        self.jump(until);
    }

    /// Lets time pass without turning the wheel: the daemon was stopped meanwhile, and knows it.
    pub fn pass(&mut self, span: Duration) {
        self.jump(self.now + span);
        let now = self.clock();
        if let Some(node) = &mut self.node {
            node.engines.iter_mut().for_each(|engine| engine.stalled(now, span));
        }
    }

    fn jump(&mut self, to: Duration) {
        self.now = self.now.max(to);
        for seen in self.machine.pass(self.now) {
            self.observe(seen);
        }
        for (instance, beat) in self.machine.beats(self.now) {
            let now = self.clock();
            let Some(node) = &mut self.node else { continue };
            let mut answers = Vec::new();
            node.home(instance.agent.slot()).beats(now, &[beat], &mut answers);
            let outcome = answers.first().map(|answer| answer.outcome);
            // One of a run that was given up may be fenced, one of an agent that was deleted unknown.
            if !matches!(
                outcome,
                Some(BeatOutcome::Accepted | BeatOutcome::Fenced | BeatOutcome::Unknown)
            ) {
                self.hold(Err(format!("a beat of {instance} is {outcome:?}")));
            }
        }
    }

    /// The agent as the daemon shows it now.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<AgentView> {
        self.explain(name).ok().map(|explained| explained.agent)
    }

    /// The agent as readers last saw it.
    #[must_use]
    pub fn published(&self, id: AgentId) -> Option<&AgentView> {
        self.views.get(&id)
    }

    /// Why an agent is as it is.
    ///
    /// # Errors
    /// The engine's refusal; also when the daemon is down.
    pub fn explain(&self, name: &str) -> Result<Explanation, Refusal> {
        let node = self.node.as_ref().ok_or_else(|| Refusal::Unknown(name.into()))?;
        let namespace = Namespace::default();
        let agent = self.refer(name);
        node.look(home(&agent)).explain(self.clock(), &namespace, &agent)
    }

    /// Where an agent may go.
    ///
    /// # Errors
    /// The engine's refusal; also when the daemon is down.
    pub fn lifecycle(&self, name: &str) -> Result<LifecycleView, Refusal> {
        let node = self.node.as_ref().ok_or_else(|| Refusal::Unknown(name.into()))?;
        let agent = self.refer(name);
        node.look(home(&agent)).lifecycle(&Namespace::default(), &agent)
    }

    /// The run that an agent is in, as last decided.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<InstanceId> {
        let row = self.ledger.agents().find(|row| row.name.as_str() == name)?;
        Some(InstanceId {
            agent: row.id,
            incarnation: row.incarnation,
        })
    }

    /// Every agent that is known, as last decided.
    pub fn agents(&self) -> impl Iterator<Item = &stead_model::journal::AgentRow> {
        self.ledger.agents()
    }

    /// All of an agent's history that was not lost.
    #[must_use]
    pub fn history_of(&self, agent: AgentId) -> Vec<stead_model::Transition> {
        self.ledger.history().get(&agent).cloned().unwrap_or_default()
    }

    /// Compares all of history in the store with what was decided and not lost.
    ///
    /// # Errors
    /// Says whose history differs.
    pub fn check_history(&self) -> Result<(), String> {
        for (id, history) in self.ledger.history() {
            let query = stead_store::TransitionQuery {
                agent: Some(*id),
                limit: 1000,
                ..Default::default()
            };
            let page = self.store.transitions(&query).map_err(|error| error.to_string())?;
            let stored: Vec<_> = page.items.into_iter().rev().collect();
            let kept = history.len().saturating_sub(stored.len());
            if stored.is_empty() != history.is_empty() || stored[..] != history[kept..] {
                let told = self.transcript();
                return Err(format!("{id}: history {stored:#?} is not {history:#?}\n{told}"));
            }
        }
        Ok(())
    }

    /// What happened so far, line by line.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.told.join("\n")
    }

    /// Writes a line into the transcript.
    pub fn tell(&mut self, what: String) {
        self.told.push(format!("{:>9.3} {what}", self.elapsed().as_secs_f64()));
    }

    fn tell_order(&mut self, action: &Action) {
        if let Some(order) = crate::told::order(&action.order) {
            let name = self.name_of(&action.order);
            self.tell(format!("{name} => {order}"));
        }
    }

    fn name_of(&self, order: &Order) -> String {
        let id = match order {
            Order::Prepare { agent, .. } => *agent,
            Order::Spawn { instance, .. }
            | Order::Signal { instance, .. }
            | Order::Kill { instance }
            | Order::Freeze { instance, .. }
            | Order::Acknowledge { instance }
            | Order::Tell { instance, .. }
            | Order::Probe { instance, .. } => instance.agent,
        };
        let known = self.ledger.agents().find(|row| row.id == id);
        known.map_or_else(|| "nobody".to_owned(), |row| row.name.to_string())
    }

    fn check(&mut self, slot: Slot) {
        if let Some(node) = &self.node {
            let holds = node.look(slot).check_invariants();
            self.hold(holds);
        }
    }

    /// Ends the test if something does not hold, with all that led to it.
    fn hold(&mut self, holds: Result<(), String>) {
        if let Err(broken) = holds {
            panic!("{broken}\nwhat led to it:\n{}", self.transcript());
        }
    }

    fn mail(&self) -> std::sync::MutexGuard<'_, VecDeque<Completion>> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn agent_ref(name: &str) -> AgentRef {
    name.parse().expect("names in tests are names")
}

fn home(agent: &AgentRef) -> Slot {
    match agent {
        AgentRef::Name(name) => Slot::home(&Namespace::default(), AgentName::as_str(name)),
        AgentRef::Id(id) => id.slot(),
    }
}

const fn subject(seen: &Observation) -> AgentId {
    match seen {
        Observation::Prepared { agent, .. } | Observation::Reported { agent, .. } => *agent,
        Observation::Spawned { instance, .. }
        | Observation::Outnumbered { instance, .. }
        | Observation::Exited { instance, .. }
        | Observation::Notified { instance, .. }
        | Observation::Heard { instance, .. }
        | Observation::Probed { instance, .. } => instance.agent,
    }
}
