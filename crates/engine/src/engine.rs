//! The door: every decision of a node comes out of [`Engine::step`].

mod beats;
mod degrade;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::group::{GroupCommand, GroupSpec, RolloutStatus};
use stead_model::journal::{AgentRow, Durability, SlotState};
use stead_model::profile::policy::TransitionPolicy;
use stead_model::{
    AgentId, AgentName, AgentRef, AgentSpec, BootClock, Command, DegradationCommand, Explanation, FailureKind,
    Foresight, Inventory, LifecycleView, Moment, Namespace, Now, Observation, Profile, Refusal, Slot,
};
use stead_policy::degrade::{Degrader, Load};

use crate::answers::Answers;
use crate::batch::{Batch, Reply};
use crate::beats::Beats;
use crate::degrade::Heard;
use crate::depend::{Body, Message};
use crate::explain;
use crate::foresee;
use crate::group::{Claim, KnownGroup};
use crate::observe;
use crate::open::{Changed, Open, obey};
use crate::permit::Policies;
use crate::plan::plan;
use crate::profiles::{Profiles, StateInUse};
use crate::record::Record;
use crate::rollout;
use crate::shown::Specs;
use crate::slot::Cell;
use crate::step::Step;
use crate::storm;
use crate::thaw::{Thawed, Thawing, Unthawable};
use crate::turns::{self, Turns};
use crate::view;

/// Everything that decides about the agents of the slots that this node owns. Time is handed in; nothing is done here.
///
/// One step concerns one slot and yields one [`Batch`]: what to write, and, once that is durable, what to do.
#[derive(Debug)]
pub struct Engine {
    boot: BootClock,
    profiles: Profiles,
    policies: Policies,
    /// Owned slots by number; the others are `None`.
    slots: Vec<Option<Box<Cell>>>,
    /// Every agent that waits for a moment, the earliest first.
    alarms: BTreeSet<(Moment, AgentId)>,
    answers: Answers,
    specs: Specs,
    beats: Beats,
    turns: Turns,
}

/// What the door takes.
#[derive(Debug)]
pub enum Input {
    /// Somebody asks for something.
    Command(Box<Command>),
    /// Somebody asks for something of a group.
    Group(Box<GroupCommand>),
    /// Somebody asks for something of what a namespace gives up.
    Degradation(Box<DegradationCommand>),
    /// What features a namespace has and what they need, as it is configured. What is known of them now counts for nothing.
    Features(Namespace, Box<Degrader>),
    /// How busy the machine is, for the features of a namespace.
    Load(Namespace, Load),
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
            policies: Policies::new(Vec::new()),
            slots,
            alarms: BTreeSet::new(),
            answers: Answers::default(),
            specs: Specs::default(),
            turns: Turns::default(),
            beats: Beats::new(u64::try_from(boot.at_start.as_nanos()).unwrap_or(boot.boot)),
        }
    }

    /// Puts other profiles and policies in force, those before them out of it. What they name wholly anew holds from the next step on.
    ///
    /// # Errors
    /// [`StateInUse`] when an agent has a profile, or is in a state, that would no longer be there. Nothing was changed.
    pub fn configure(&mut self, profiles: Vec<Profile>, policies: Vec<TransitionPolicy>) -> Result<(), StateInUse> {
        let profiles = self.check_profiles(profiles, &BTreeSet::new())?;
        let others: Vec<_> = self
            .cells()
            .flat_map(|cell| cell.agents.phases())
            .filter(|(_, profile, _)| profiles.get(profile.name()).is_some_and(|next| *next != **profile))
            .map(|(id, _, _)| id)
            .collect();
        for id in others {
            let Some(cell) = &mut self.slots[usize::from(id.slot().number())] else {
                continue;
            };
            let Some(mut record) = cell.agents.take(id) else {
                continue;
            };
            record.follow(&profiles);
            // Another profile may have something be done about it.
            record.image = None;
            cell.agents.put(record);
        }
        self.profiles = profiles;
        self.policies = Policies::new(policies);
        Ok(())
    }

    /// Whether profiles could be put in force in place of those that are, were it not for `leaving`: agents and groups that go first.
    ///
    /// # Errors
    /// As [`Engine::configure`].
    pub fn could_configure(&self, profiles: Vec<Profile>, leaving: &BTreeSet<AgentId>) -> Result<(), StateInUse> {
        self.check_profiles(profiles, leaving).map(drop)
    }

    /// Whether requests about agents would be carried out, each as the agent is now, if these profiles and policies were in force; one that is not
    /// there is passed over. Nothing is changed, and nothing promised: agents move on meanwhile.
    ///
    /// # Errors
    /// The first that would be refused: whose it is, and why.
    pub fn could(
        &self,
        now: Now,
        commands: Vec<Command>,
        profiles: Vec<Profile>,
        policies: Vec<TransitionPolicy>,
    ) -> Result<(), (AgentRef, Refusal)> {
        let (profiles, policies) = (Profiles::with(profiles), Policies::new(policies));
        for command in commands {
            let (namespace, agent) = (command.namespace.clone(), command.agent.clone());
            let tried = self.look(&namespace, &agent, |cell, record| {
                let mut record = record.clone();
                record.follow(&profiles);
                let mut step = Step::new(
                    now,
                    self.boot,
                    (profiles.clone(), policies.clone()),
                    cell.slot,
                    cell.epoch,
                    cell.position,
                    cell.surveyed,
                );
                step.origin = command.origin.clone();
                obey(&mut step, &mut record, command).map(drop)
            });
            // Who is gone by now is asked nothing.
            if let Ok(Err(refusal)) = tried {
                return Err((agent, refusal));
            }
        }
        Ok(())
    }

    fn check_profiles(&self, profiles: Vec<Profile>, leaving: &BTreeSet<AgentId>) -> Result<Profiles, StateInUse> {
        let profiles = Profiles::with(profiles);
        for cell in self.cells() {
            for (id, profile, phase) in cell.agents.phases().filter(|(id, ..)| !leaving.contains(id)) {
                let next = profiles.get(profile.name());
                if next.is_none_or(|next| next.phase(profile.name_of(phase)).is_none()) {
                    let record = cell.agents.get(id);
                    return Err(StateInUse {
                        agent: record.map_or_else(String::new, |record| {
                            alloc::format!("agent {}/{}", record.row.namespace, record.row.name)
                        }),
                        profile: profile.name().into(),
                        state: profile.name_of(phase).into(),
                    });
                }
            }
        }
        // One without replicas needs it as soon as it is scaled.
        let groups = self.cells().flat_map(|cell| cell.groups.values());
        for group in groups.filter(|group| !leaving.contains(&group.row.id)) {
            if let Some(template) = group.spec(group.row.target)
                && profiles.get(&template.profile).is_none()
            {
                return Err(StateInUse {
                    agent: alloc::format!("group {}/{}", group.row.namespace, group.row.name),
                    profile: template.profile.clone(),
                    state: "what it is told to be".into(),
                });
            }
        }
        Ok(profiles)
    }

    /// Takes in one input and decides. The batch must be written before anything of it is done.
    ///
    /// # Errors
    /// [`NotOwned`] when the slot that it concerns is not this node's; nothing was changed.
    pub fn step(&mut self, now: Now, input: Input) -> Result<Batch, NotOwned> {
        match input {
            Input::Command(command) => self.on_command(now, *command),
            Input::Group(command) => self.on_group(now, *command),
            Input::Degradation(command) => self.on_degradation(now, *command),
            Input::Features(namespace, plan) => self.on_features(now, namespace, plan),
            Input::Load(namespace, load) => self.on_load(now, &namespace, load),
            Input::Observed(observation) => self.on_observation(now, observation),
            Input::Inventory(slot, inventory) => self.on_inventory(now, slot, &inventory),
            Input::Message(message) => self.on_message(now, message),
            Input::Tick => self.on_tick(now),
        }
    }

    /// The earliest moment at which a [`Input::Tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let alarm = self.alarms.first().map(|(due, _)| *due);
        let turn = self.turns.next().map(|_| Moment::START);
        alarm.into_iter().chain(self.beats.next()).chain(turn).min()
    }

    /// Explains why an agent is as it is and what happens next. Its history is left for the caller to add.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] or [`Refusal::Gone`].
    pub fn explain(&self, now: Now, namespace: &Namespace, agent: &AgentRef) -> Result<Explanation, Refusal> {
        self.look(namespace, agent, |cell, record| {
            let mut explained = explain::explain(cell.surveyed, record, now);
            let rhythm = self.beats.rhythm(record.row.id, now.moment);
            explained
                .agent
                .evidence
                .extend(rhythm.map(|rhythm| explain::rhythm(now, rhythm)));
            explained
        })
    }

    /// Says what would be done about a failure of this kind, had it come now. Nothing is done.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] or [`Refusal::Gone`].
    pub fn foresee(
        &self,
        now: Now,
        namespace: &Namespace,
        agent: &AgentRef,
        failure: FailureKind,
    ) -> Result<Foresight, Refusal> {
        self.look(namespace, agent, |_, record| foresee::foresee(record, now, failure))
    }

    /// Tells where an agent may go from its state.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] or [`Refusal::Gone`].
    pub fn lifecycle(&self, namespace: &Namespace, agent: &AgentRef) -> Result<LifecycleView, Refusal> {
        self.look(namespace, agent, |_, record| view::lifecycle(record))
    }

    /// The agents that are down with their whole fleet, with their namespaces.
    #[must_use]
    pub fn halted(&self) -> Vec<(Namespace, AgentId)> {
        let halted = self.cells().flat_map(|cell| cell.agents.halted());
        halted
            .filter_map(|(namespace, id)| Some((namespace.parse().ok()?, id)))
            .collect()
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
        let mut thawing = Thawing {
            boot: self.boot,
            profiles: self.profiles.clone(),
            specs: core::mem::take(&mut self.specs),
        };
        let thawed = thawing.slot(now, state);
        self.specs = thawing.specs;
        thawed.map(|thawed| self.own(now, thawed))
    }

    /// What thaws slots for this engine, as many at once as there are of it. It knows the profiles that are in force now.
    #[must_use]
    pub fn thawing(&self) -> Thawing {
        Thawing {
            boot: self.boot,
            profiles: self.profiles.clone(),
            specs: Specs::default(),
        }
    }

    /// Takes ownership of a slot that was thawed. What ran is not started again: an [`Input::Inventory`] must come first.
    pub fn own(&mut self, now: Now, thawed: Thawed) -> Batch {
        let Thawed {
            receipt,
            mut cell,
            mut content,
            alarms,
            answers,
        } = thawed;
        let place = usize::from(receipt.slot().number());
        if let Some(old) = &mut self.slots[place] {
            // Those who watch agents of this slot asked once and do not ask again.
            cell.watchers = core::mem::take(&mut old.watchers);
            cell.claims = core::mem::take(&mut old.claims);
            degrade::carry_over(now, old, &mut cell);
            for record in cell.agents.all() {
                let (namespace, name) = (&record.row.namespace, &record.row.name);
                content
                    .messages
                    .extend(cell.watchers.tell(namespace, name, record.told));
            }
        }
        self.discard(receipt.slot());
        for (id, degradation) in &mut cell.degradations {
            degradation.set_alarm(now);
            self.alarms.extend(degradation.alarm.map(|due| (due, *id)));
            content.messages.extend(degradation.subscriptions());
        }
        for row in answers {
            self.answers.keep(row, now.wall);
        }
        self.alarms.extend(alarms);
        // What the table of beats knows outlives what was thawed anew.
        let listed = self.beats.of_slot(cell.slot);
        for id in &listed {
            if let Some(record) = cell.agents.get(*id) {
                self.beats.follow(now.moment, &record);
            }
        }
        self.beats.keep(now.moment, listed, |id| cell.agents.contains(id));
        self.turns.keep(|id| id.slot() != cell.slot);
        for record in cell.agents.whole() {
            self.turns.follow(record);
        }
        self.slots[place] = Some(cell);
        Batch {
            slot: receipt.slot(),
            epoch: receipt.epoch(),
            position: receipt.position(),
            needs: Durability::Written,
            append: None,
            content,
        }
    }

    /// The state rows of a slot as they would be stored now; `None` if it is not owned.
    #[must_use]
    pub fn freeze(&self, now: Now, slot: Slot) -> Option<Vec<AgentRow>> {
        let cell = self.cell(slot)?;
        Some(
            cell.agents
                .all()
                .map(|record| record.freeze(&self.boot, now.moment))
                .collect(),
        )
    }

    /// Gives up a slot: nothing is decided about its agents any more.
    pub fn discard(&mut self, slot: Slot) {
        if let Some(cell) = self.slots[usize::from(slot.number())].take() {
            self.answers.forget(slot);
            self.turns.keep(|id| id.slot() != slot);
            for record in cell.agents.all() {
                if let Some(due) = record.next_timer() {
                    self.alarms.remove(&(due, record.row.id));
                }
            }
            let groups = cell.groups.iter().map(|(id, group)| (*id, group.alarm));
            let degradations = cell.degradations.iter().map(|(id, one)| (*id, one.alarm));
            for (id, alarm) in groups.chain(degradations) {
                if let Some(due) = alarm {
                    self.alarms.remove(&(due, id));
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
                    .all()
                    .filter_map(|record| record.next_timer().map(|due| (due, record.row.id)))
                    .chain(
                        cell.groups
                            .iter()
                            .filter_map(|(id, group)| group.alarm.map(|due| (due, *id))),
                    )
                    .chain(
                        cell.degradations
                            .iter()
                            .filter_map(|(id, one)| one.alarm.map(|due| (due, *id))),
                    )
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
        let cell = self.cell(self.home(namespace, agent)).ok_or_else(unknown)?;
        let id = cell.find(namespace, agent)?;
        let record = cell.agents.get(id).ok_or_else(unknown)?;
        Ok(see(cell, &record))
    }

    /// The slot in which an agent is found: that of its name, unless the name is that of a replica elsewhere.
    fn home(&self, namespace: &Namespace, agent: &AgentRef) -> Slot {
        let home = home(namespace, agent);
        let AgentRef::Name(name) = agent else {
            return home;
        };
        let claim = self.cell(home).and_then(|cell| cell.claims.get(namespace, name));
        claim.and_then(|claim| claim.member).map_or(home, AgentId::slot)
    }

    /// What a group is told to be: its id, the number of its template's revision, and the spec with its secrets.
    ///
    /// # Errors
    /// [`Refusal::UnknownGroup`].
    pub fn group_spec(&self, namespace: &Namespace, group: &AgentRef) -> Result<KnownGroup, Refusal> {
        let unknown = || Refusal::UnknownGroup(alloc::format!("{group}"));
        let cell = self.cell(home(namespace, group)).ok_or_else(unknown)?;
        let group = cell
            .groups
            .get(&cell.find_group(namespace, group)?)
            .ok_or_else(unknown)?;
        let template = group.spec(group.row.target).ok_or_else(unknown)?;
        let spec = GroupSpec {
            replicas: group.row.replicas,
            update: group.row.update.clone(),
            template: AgentSpec::clone(&template),
        };
        Ok(KnownGroup {
            id: group.row.id,
            revision: group.row.target,
            spec,
            taken_back: group.taken_back(),
        })
    }

    /// How updates of a group stand, and what it can go back to.
    ///
    /// # Errors
    /// [`Refusal::UnknownGroup`].
    pub fn rollout(&self, namespace: &Namespace, group: &AgentRef) -> Result<RolloutStatus, Refusal> {
        let unknown = || Refusal::UnknownGroup(alloc::format!("{group}"));
        let cell = self.cell(home(namespace, group)).ok_or_else(unknown)?;
        let group = cell
            .groups
            .get(&cell.find_group(namespace, group)?)
            .ok_or_else(unknown)?;
        group.status().ok_or_else(unknown)
    }

    /// Opens a step of a slot.
    fn open(&mut self, now: Now, slot: Slot) -> Result<Open<'_>, NotOwned> {
        let cell = self.slots[usize::from(slot.number())]
            .as_deref_mut()
            .ok_or(NotOwned(slot))?;
        let step = Step::new(
            now,
            self.boot,
            (self.profiles.clone(), self.policies.clone()),
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
            specs: &mut self.specs,
            beats: &mut self.beats,
            turns: &mut self.turns,
        })
    }

    fn on_command(&mut self, now: Now, command: Command) -> Result<Batch, NotOwned> {
        let key = command.idempotency.as_ref();
        if let Some(repeated) = key.and_then(|key| self.answers.repeat(&command.namespace, key, now.wall)) {
            // In the slot of the answer, so that it is given again only once it is durable.
            return Ok(self.open(now, repeated.slot)?.close(Some(Reply::Agent(repeated.reply))));
        }
        let mut open = self.open(now, self.home(&command.namespace, &command.agent))?;
        open.step.origin = command.origin.clone();
        open.step.needs(Durability::Flushed);
        let (namespace, idempotency) = (command.namespace.clone(), command.idempotency.clone());
        let (verb, audited, reason) = (
            command.request.verb(),
            command.request.is_audited(),
            command.reason.clone(),
        );
        match open.carry_out(command) {
            Ok((outcome, id)) => {
                open.drive_groups();
                let reply = open.answer(outcome, id);
                if let (true, Ok(answer)) = (audited, &reply) {
                    open.audit(verb, reason, Changed::Agent(answer));
                }
                if let (Some(key), Ok(answer)) = (idempotency, &reply) {
                    open.keep(namespace, key, id, answer);
                }
                Ok(open.close(Some(Reply::Agent(reply))))
            }
            Err(refusal) => Ok(open.close(Some(Reply::Agent(Err(refusal))))),
        }
    }

    fn on_group(&mut self, now: Now, command: GroupCommand) -> Result<Batch, NotOwned> {
        let key = command.idempotency.as_ref();
        if let Some(repeated) = key.and_then(|key| self.answers.repeat(&command.namespace, key, now.wall)) {
            return Ok(self.open(now, repeated.slot)?.close(Some(Reply::Group(repeated.reply))));
        }
        let mut open = self.open(now, home(&command.namespace, &command.group))?;
        open.step.origin = command.origin.clone();
        open.step.needs(Durability::Flushed);
        let (namespace, idempotency) = (command.namespace.clone(), command.idempotency.clone());
        let (verb, reason) = (command.request.verb(), command.reason.clone());
        let reply = match open.carry_out_for_group(command) {
            Ok((outcome, id)) => {
                open.drive_groups();
                let reply = open.answer_for_group(outcome, id);
                if let Ok(answer) = &reply {
                    open.audit(verb, reason, Changed::Group(answer));
                }
                if let (Some(key), Ok(answer)) = (idempotency, &reply) {
                    open.keep(namespace, key, id, answer);
                }
                reply
            }
            Err(refusal) => Err(refusal),
        };
        Ok(open.close(Some(Reply::Group(reply))))
    }

    fn on_observation(&mut self, now: Now, observation: Observation) -> Result<Batch, NotOwned> {
        if let Observation::Reported { agent, report } = observation {
            return self.on_report(now, agent, report);
        }
        let id = observe::subject(&observation);
        let mut open = self.open(now, id.slot())?;
        match open.cell.agents.take(id) {
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
        let known: BTreeSet<_> = open.cell.agents.whole().filter_map(Record::instance_id).collect();
        for order in observe::strangers(inventory, |instance| known.contains(&instance)) {
            open.step.order(order);
        }
        let ids: BTreeSet<AgentId> = open.cell.agents.surveyed().chain(observe::named(inventory)).collect();
        for id in ids {
            if let Some(mut record) = open.cell.agents.take(id) {
                open.work(&mut record, |step, record| {
                    observe::take_inventory(step, record, inventory);
                });
                open.beats.begin_anew(&record);
                open.put_back(record);
            }
        }
        open.step.stirred.extend(open.cell.groups.keys().copied());
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
                let elsewhere = open
                    .cell
                    .claims
                    .get(&namespace, &name)
                    .and_then(|claim| claim.member)
                    .filter(|member| member.slot() != slot);
                let known = open
                    .cell
                    .agents
                    .named(&namespace, &name)
                    .and_then(|id| open.cell.agents.get(id))
                    .map(|record| record.told)
                    .or_else(|| open.cell.group_named(&namespace, &name).map(|group| group.told));
                let (to, body) = match elsewhere {
                    Some(member) => (
                        member.slot(),
                        Body::Watch {
                            namespace: namespace.clone(),
                            name: name.clone(),
                            watcher,
                        },
                    ),
                    // That there is none is an answer, too.
                    None => (
                        watcher.slot(),
                        Body::Standing {
                            watcher,
                            name: name.clone(),
                            standing: known.flatten(),
                        },
                    ),
                };
                open.step.send([Message { to, body }]);
                open.cell.watchers.add(namespace, name, watcher);
            }
            Body::Claim {
                namespace,
                name,
                group,
                ordinal,
                member,
            } => claimed(&mut open, namespace, name, Claim { group, ordinal, member }),
            Body::Granted { group, ordinal } => {
                open.with_group(group, |open, group| rollout::granted(open, group, ordinal));
            }
            Body::Release { namespace, name, group } => open.cell.claims.release(namespace, name, group),
            Body::Standing {
                watcher,
                name,
                standing,
            } => {
                if open.stands(watcher, &name, standing) {
                    return Ok(open.close(None));
                }
                if let Some(mut record) = open.cell.agents.take(watcher) {
                    open.work(&mut record, |step, record| {
                        if record.spec.depends_on.contains_key(&name) {
                            record.standings.insert(name, standing);
                            storm::look(step, record);
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
        if let Some((id, word)) = self.beats.stirred(now.moment) {
            return self.on_word(now, id, word);
        }
        if let Some(id) = self.turns.next() {
            let mut open = self.open(now, id.slot())?;
            open.with_agent(id, turns::come);
            return Ok(open.close(None));
        }
        let alarm = self.alarms.first().copied().filter(|(due, _)| *due <= now.moment);
        let slot = alarm
            .map(|(_, id)| id.slot())
            .or_else(|| self.cells().next().map(|cell| cell.slot));
        let mut open = self.open(now, slot.unwrap_or_else(|| AgentId::from_bits(0).slot()))?;
        if let Some((_, id)) = alarm {
            match open.cell.agents.take(id) {
                Some(mut record) => {
                    open.work(&mut record, observe::due);
                    open.put_back(record);
                }
                None if open.cell.degradations.contains_key(&id) => open.hear_of_features(id, Heard::Nothing),
                None => drop(open.step.stirred.insert(id)),
            }
        }
        Ok(open.close(None))
    }
}

/// A group wants a name that is at home here, or has given it to a replica.
fn claimed(open: &mut Open<'_>, namespace: Namespace, name: AgentName, claim: Claim) {
    let holder = open.cell.agents.named(&namespace, &name);
    let of_group = |id: &AgentId| {
        let record = open.cell.agents.get(*id);
        record.is_some_and(|record| {
            record
                .row
                .member
                .as_ref()
                .is_some_and(|member| member.group == claim.group)
        })
    };
    let free = holder.as_ref().is_none_or(of_group);
    let held = open.cell.claims.put(namespace.clone(), name.clone(), claim);
    if !free || held.group != claim.group {
        return;
    }
    match claim.member {
        None => open.step.send([claim.granted()]),
        Some(member) if member.slot() != open.cell.slot => {
            // Those who asked here how it stands are told by its own slot from now on.
            let watchers = open.cell.watchers.of(&namespace, &name).to_vec();
            open.step.send(watchers.into_iter().map(|watcher| Message {
                to: member.slot(),
                body: Body::Watch {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    watcher,
                },
            }));
        }
        Some(_) => {}
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
