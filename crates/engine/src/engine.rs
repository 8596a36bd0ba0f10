//! The door: every decision of a node comes out of [`Engine::step`].

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::journal::{AgentRow, AnswerRow, Change, Durability, SlotState};
use stead_model::{
    AgentId, AgentRef, AgentSpec, Answer, BootClock, Command, Explanation, Inventory, LifecycleView, Moment, Namespace,
    Now, Observation, Outcome, Profile, Refusal, Request, Slot,
};

use crate::answers::Answers;
use crate::batch::{Batch, Released};
use crate::command;
use crate::depend::{self, Body, Message};
use crate::explain;
use crate::observe;
use crate::plan::plan;
use crate::profiles::Profiles;
use crate::record::Record;
use crate::slot::Cell;
use crate::step::Step;
use crate::view;

/// Everything that decides about the agents of the slots that this node owns. Time is handed in; nothing is done here.
///
/// One step concerns one slot and yields one [`Batch`]: what to write, and, once that is durable, what to do.
#[derive(Debug)]
pub struct Engine {
    boot: BootClock,
    profiles: Profiles,
    /// Owned slots by number; the others are `None`.
    slots: Vec<Option<Box<Cell>>>,
    /// Every agent that waits for a moment, the earliest first.
    alarms: BTreeSet<(Moment, AgentId)>,
    answers: Answers,
}

/// What the door takes.
#[derive(Debug)]
pub enum Input {
    /// Somebody asks for something.
    Command(Box<Command>),
    /// Something was seen.
    Observed(Observation),
    /// All that the driver finds of one slot, once after the slot was thawed.
    Inventory(Slot, Inventory),
    /// A message that an earlier batch released.
    Message(Message),
    /// The moment of [`Engine::next_deadline`] has come. Handles one agent; ask again.
    Tick,
}

impl Engine {
    /// An engine that owns no slot yet.
    #[must_use]
    pub fn new(boot: BootClock) -> Self {
        Self::with_profiles(boot, Vec::new())
    }

    /// An engine that knows profiles beside the built-in ones. It owns no slot yet.
    #[must_use]
    pub fn with_profiles(boot: BootClock, profiles: Vec<Profile>) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(usize::from(stead_model::SLOTS), || None);
        Self {
            boot,
            profiles: Profiles::with(profiles),
            slots,
            alarms: BTreeSet::new(),
            answers: Answers::default(),
        }
    }

    /// Takes in one input and decides. The batch must be written before anything of it is done.
    ///
    /// # Errors
    /// [`NotOwned`] when the slot that it concerns is not this node's; nothing was changed.
    pub fn step(&mut self, now: Now, input: Input) -> Result<Batch, NotOwned> {
        match input {
            Input::Command(command) => self.on_command(now, *command),
            Input::Observed(observation) => self.on_observation(now, observation),
            Input::Inventory(slot, inventory) => self.on_inventory(now, slot, &inventory),
            Input::Message(message) => self.on_message(now, message),
            Input::Tick => self.on_tick(now),
        }
    }

    /// The earliest moment at which a [`Input::Tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.alarms.first().map(|(due, _)| *due)
    }

    /// Explains why an agent is as it is and what happens next. Its history is left for the caller to add.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] or [`Refusal::Gone`].
    pub fn explain(&self, now: Now, namespace: &Namespace, agent: &AgentRef) -> Result<Explanation, Refusal> {
        self.look(namespace, agent, |cell, record| {
            explain::explain(cell.surveyed, record, now)
        })
    }

    /// Tells where an agent may go from its state.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] or [`Refusal::Gone`].
    pub fn lifecycle(&self, namespace: &Namespace, agent: &AgentRef) -> Result<LifecycleView, Refusal> {
        self.look(namespace, agent, |_, record| view::lifecycle(record))
    }

    /// Reads what an agent is told to be: its id, the number of the spec, and the spec with its secrets.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] or [`Refusal::Gone`].
    pub fn spec(&self, namespace: &Namespace, agent: &AgentRef) -> Result<(AgentId, u32, Arc<AgentSpec>), Refusal> {
        self.look(namespace, agent, |_, record| {
            (record.row.id, record.row.spec_revision, Arc::clone(&record.spec))
        })
    }

    /// Takes ownership of a slot as it was loaded. What ran is not started again: an [`Input::Inventory`] must come first.
    ///
    /// # Errors
    /// Says which agent has a profile, phase or spec that is not known. The slot is not owned then.
    pub fn thaw(&mut self, now: Now, state: SlotState) -> Result<Batch, Unthawable> {
        let receipt = state.receipt();
        let mut cell = Box::new(Cell::new(&receipt));
        let mut specs: alloc::collections::BTreeMap<AgentId, Arc<AgentSpec>> = state
            .specs
            .into_iter()
            .map(|row| (row.agent, Arc::new(row.spec)))
            .collect();
        let mut content = Released::default();
        for row in state.agents {
            let id = row.id;
            let unthawable = |row: &AgentRow| Unthawable {
                name: alloc::format!("{}/{}", row.namespace, row.name),
                phase: row.phase.clone(),
                profile: row.profile.clone(),
            };
            let Some(spec) = specs.remove(&id) else {
                return Err(unthawable(&row));
            };
            let record =
                Record::thaw(row, spec, &self.profiles, &self.boot, now.moment).map_err(|row| unthawable(&row))?;
            content.views.push(view::agent(&record, now));
            content.messages.extend(depend::subscriptions(&record));
            cell.names
                .insert((record.row.namespace.clone(), record.row.name.clone()), id);
            cell.agents.insert(id, Box::new(record));
        }
        let place = usize::from(receipt.slot().number());
        if let Some(old) = &mut self.slots[place] {
            // Those who watch agents of this slot asked once and do not ask again.
            cell.watchers = core::mem::take(&mut old.watchers);
            for record in cell.agents.values() {
                let (namespace, name) = (&record.row.namespace, &record.row.name);
                content
                    .messages
                    .extend(cell.watchers.tell(namespace, name, record.told));
            }
        }
        self.discard(receipt.slot());
        for row in state.answers {
            self.answers.keep(row, now.wall);
        }
        for (id, record) in &cell.agents {
            self.alarms.extend(record.next_timer().map(|due| (due, *id)));
        }
        self.slots[place] = Some(cell);
        Ok(Batch {
            slot: receipt.slot(),
            epoch: receipt.epoch(),
            position: receipt.position(),
            needs: Durability::Written,
            append: None,
            content,
        })
    }

    /// The state rows of a slot as they would be stored now; `None` if it is not owned.
    #[must_use]
    pub fn freeze(&self, now: Now, slot: Slot) -> Option<Vec<AgentRow>> {
        let cell = self.cell(slot)?;
        Some(
            cell.agents
                .values()
                .map(|record| record.freeze(&self.boot, now.moment))
                .collect(),
        )
    }

    /// Gives up a slot: nothing is decided about its agents any more.
    pub fn discard(&mut self, slot: Slot) {
        if let Some(cell) = self.slots[usize::from(slot.number())].take() {
            self.answers.forget(slot);
            for (id, record) in &cell.agents {
                if let Some(due) = record.next_timer() {
                    self.alarms.remove(&(due, *id));
                }
            }
        }
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.slots.iter().flatten().map(|cell| &**cell)
    }

    pub(crate) fn check_alarms(&self) -> Result<(), String> {
        let due: BTreeSet<(Moment, AgentId)> = self
            .cells()
            .flat_map(|cell| {
                cell.agents
                    .iter()
                    .filter_map(|(id, record)| record.next_timer().map(|due| (due, *id)))
            })
            .collect();
        if due == self.alarms {
            Ok(())
        } else {
            Err("the alarms are not those of the agents".into())
        }
    }

    fn cell(&self, slot: Slot) -> Option<&Cell> {
        self.slots[usize::from(slot.number())].as_deref()
    }

    fn look<T>(
        &self,
        namespace: &Namespace,
        agent: &AgentRef,
        see: impl FnOnce(&Cell, &Record) -> T,
    ) -> Result<T, Refusal> {
        let unknown = || Refusal::Unknown(alloc::format!("{agent}"));
        let cell = self.cell(home(namespace, agent)).ok_or_else(unknown)?;
        let id = cell.find(namespace, agent)?;
        let record = cell.agents.get(&id).ok_or_else(unknown)?;
        Ok(see(cell, record))
    }

    /// Opens a step of a slot.
    fn open(&mut self, now: Now, slot: Slot) -> Result<Open<'_>, NotOwned> {
        let cell = self.slots[usize::from(slot.number())]
            .as_deref_mut()
            .ok_or(NotOwned(slot))?;
        let step = Step::new(
            now,
            self.boot,
            self.profiles.clone(),
            slot,
            cell.epoch,
            cell.position,
            cell.surveyed,
        );
        Ok(Open {
            step,
            cell,
            alarms: &mut self.alarms,
            answers: &mut self.answers,
        })
    }

    fn on_command(&mut self, now: Now, command: Command) -> Result<Batch, NotOwned> {
        let key = command.idempotency.as_ref();
        if let Some(repeated) = key.and_then(|key| self.answers.repeat(&command.namespace, key, now.wall)) {
            // In the slot of the answer, so that it is given again only once it is durable.
            return Ok(self.open(now, repeated.slot)?.close(Some(repeated.reply)));
        }
        let mut open = self.open(now, home(&command.namespace, &command.agent))?;
        open.step.origin = command.origin.clone();
        open.step.needs(Durability::Flushed);
        let (namespace, idempotency) = (command.namespace.clone(), command.idempotency.clone());
        match open.carry_out(command) {
            Ok((outcome, id)) => {
                let reply = open.answer(outcome, id);
                if let (Some(key), Ok(answer)) = (idempotency, &reply) {
                    open.keep(namespace, key, id, answer);
                }
                Ok(open.close(Some(reply)))
            }
            Err(refusal) => Ok(open.close(Some(Err(refusal)))),
        }
    }

    fn on_observation(&mut self, now: Now, observation: Observation) -> Result<Batch, NotOwned> {
        let id = observe::subject(&observation);
        let mut open = self.open(now, id.slot())?;
        match open.cell.agents.remove(&id) {
            Some(mut record) => {
                open.work(&mut record, |step, record| observe::observe(step, record, observation));
                open.put_back(record);
            }
            None => observe::observe_unknown(&mut open.step, &observation),
        }
        Ok(open.close(None))
    }

    fn on_inventory(&mut self, now: Now, slot: Slot, inventory: &Inventory) -> Result<Batch, NotOwned> {
        let mut open = self.open(now, slot)?;
        open.cell.surveyed = true;
        open.step.surveyed = true;
        let known: BTreeSet<_> = open
            .cell
            .agents
            .values()
            .filter_map(|record| record.instance_id())
            .collect();
        for order in observe::strangers(inventory, |instance| known.contains(&instance)) {
            open.step.order(order);
        }
        let ids: Vec<AgentId> = open.cell.agents.keys().copied().collect();
        for id in ids {
            if let Some(mut record) = open.cell.agents.remove(&id) {
                open.work(&mut record, |step, record| {
                    observe::take_inventory(step, record, inventory);
                });
                open.put_back(record);
            }
        }
        Ok(open.close(None))
    }

    fn on_message(&mut self, now: Now, message: Message) -> Result<Batch, NotOwned> {
        let slot = message.to();
        let mut open = self.open(now, slot)?;
        match message.body {
            Body::Watch {
                namespace,
                name,
                watcher,
            } => {
                let known = open
                    .cell
                    .names
                    .get(&(namespace.clone(), name.clone()))
                    .and_then(|id| open.cell.agents.get(id));
                // That there is none is an answer, too.
                let standing = known.and_then(|record| record.told);
                open.step.send([Message {
                    to: watcher.slot(),
                    body: Body::Standing {
                        watcher,
                        name: name.clone(),
                        standing,
                    },
                }]);
                open.cell.watchers.add(namespace, name, watcher);
            }
            Body::Standing {
                watcher,
                name,
                standing,
            } => {
                if let Some(mut record) = open.cell.agents.remove(&watcher) {
                    open.work(&mut record, |step, record| {
                        if record.spec.depends_on.contains_key(&name) {
                            record.standings.insert(name, standing);
                            plan(step, record);
                        }
                    });
                    open.put_back(record);
                }
            }
        }
        Ok(open.close(None))
    }

    fn on_tick(&mut self, now: Now) -> Result<Batch, NotOwned> {
        let alarm = self.alarms.first().copied().filter(|(due, _)| *due <= now.moment);
        let slot = alarm
            .map(|(_, id)| id.slot())
            .or_else(|| self.cells().next().map(|cell| cell.slot));
        let mut open = self.open(now, slot.unwrap_or_else(|| AgentId::from_bits(0).slot()))?;
        if let Some((_, id)) = alarm
            && let Some(mut record) = open.cell.agents.remove(&id)
        {
            open.work(&mut record, observe::due);
            open.put_back(record);
        }
        Ok(open.close(None))
    }
}

/// A step under way, with the slot that it works on.
struct Open<'e> {
    step: Step,
    cell: &'e mut Cell,
    alarms: &'e mut BTreeSet<(Moment, AgentId)>,
    answers: &'e mut Answers,
}

impl Open<'_> {
    /// Works on one agent that was taken out of the slot, and notes what came of it.
    fn work<T>(&mut self, record: &mut Record, work: impl FnOnce(&mut Step, &mut Record) -> T) -> T {
        let before = record.next_timer();
        let result = work(&mut self.step, record);
        self.settle(record, before);
        result
    }

    fn settle(&mut self, record: &mut Record, before: Option<Moment>) {
        let id = record.row.id;
        if let Some(due) = before {
            self.alarms.remove(&(due, id));
        }
        self.step.finish(record, &self.cell.watchers);
        if !record.row.removed {
            self.alarms.extend(record.next_timer().map(|due| (due, id)));
        }
    }

    fn put_back(&mut self, record: Box<Record>) {
        let key = (record.row.namespace.clone(), record.row.name.clone());
        if record.row.removed {
            self.cell.names.remove(&key);
        } else {
            self.cell.names.insert(key, record.row.id);
            self.cell.agents.insert(record.row.id, record);
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<(Outcome, AgentId), Refusal> {
        match (self.cell.find(&command.namespace, &command.agent), command) {
            (
                Err(Refusal::Unknown(_)),
                Command {
                    agent: AgentRef::Name(name),
                    namespace,
                    reason,
                    request: Request::Register { spec, wanted },
                    ..
                },
            ) => {
                let mut record = command::register(&mut self.step, self.cell, namespace, name, spec, wanted, reason)?;
                let id = record.row.id;
                self.settle(&mut record, None);
                self.put_back(record);
                Ok((Outcome::Created, id))
            }
            (Err(refusal), _) => Err(refusal),
            (Ok(id), command) => {
                let Some(mut record) = self.cell.agents.remove(&id) else {
                    return Err(Refusal::Gone(id));
                };
                let outcome = self.work(&mut record, |step, record| command::command(step, record, command));
                self.put_back(record);
                outcome.map(|outcome| (outcome, id))
            }
        }
    }

    fn answer(&self, outcome: Outcome, id: AgentId) -> Result<Answer, Refusal> {
        let view = self.step.view_of(id).or_else(|| {
            self.cell
                .agents
                .get(&id)
                .map(|record| view::agent(record, self.step.now))
        });
        match view {
            Some(agent) => Ok(Answer {
                outcome,
                agent,
                correlation_id: self.step.origin.correlation_id.clone(),
            }),
            None => Err(Refusal::Gone(id)),
        }
    }

    fn keep(&mut self, namespace: Namespace, key: stead_model::IdempotencyKey, agent: AgentId, answer: &Answer) {
        let Ok(text) = serde_json::to_string(answer) else {
            return;
        };
        let row = AnswerRow {
            namespace,
            key: key.key,
            fingerprint: key.fingerprint,
            at: self.step.now.wall,
            agent,
            answer: text,
        };
        self.step.put(Change::Answer(row.clone()));
        self.answers.keep(row, self.step.now.wall);
    }

    fn close(self, reply: Option<Result<Answer, Refusal>>) -> Batch {
        let batch = self.step.into_batch(reply);
        self.cell.position = batch.position();
        batch
    }
}

/// The slot in which an agent would be found.
fn home(namespace: &Namespace, agent: &AgentRef) -> Slot {
    match agent {
        AgentRef::Name(name) => Slot::home(namespace, name.as_str()),
        AgentRef::Id(id) => id.slot(),
    }
}

/// The slot is not this node's: ask its owner. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("slot {0} is not owned here")]
pub struct NotOwned(pub Slot);

/// A stored agent that this version does not understand. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "agent {name} is stored in phase `{phase}` of profile `{profile}`, which this version does not know, or without its spec"
)]
pub struct Unthawable {
    /// Namespace and name of the agent.
    pub name: String,
    /// Its stored phase.
    pub phase: String,
    /// Its stored profile.
    pub profile: String,
}
