//! Several agents in one engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stead_engine::{Engine, Input, Reply};
use stead_model::journal::{Change, DegradationRow, SlotState, SpecRow};
use stead_model::spec::ProbeKind;
use stead_model::{
    AccessRole, Action, AgentId, AgentName, AgentRef, AgentSpec, Command, Condition, DegradationAnswer,
    DegradationView, Epoch, Event, Exit, Explanation, Happening, InstanceId, Inventory, LevelChange, Namespace,
    Observation, Order, Origin, Position, RecoveryAttempt, Refusal, Request, Slot, Transition, Wanted,
};

use crate::rig::{BOOT, at, identity};

/// Several agents, with a keeper that does at once what it is told and a store that writes at once.
pub(crate) struct Fleet {
    pub(crate) engine: Engine,
    pub(crate) millis: u64,
    pub(crate) ids: BTreeMap<String, AgentId>,
    pub(crate) runs: BTreeMap<AgentId, InstanceId>,
    /// Every start, with when it was ordered.
    pub(crate) starts: Vec<(u64, InstanceId)>,
    pub(crate) positions: BTreeMap<Slot, Position>,
    pub(crate) specs: BTreeMap<AgentId, SpecRow>,
    pub(crate) attempts: Vec<RecoveryAttempt>,
    pub(crate) history: Vec<Transition>,
    /// What the namespace has given up, as it is stored, as it was told, and as it is shown.
    pub(crate) degradation: Option<DegradationRow>,
    pub(crate) levels: Vec<LevelChange>,
    pub(crate) events: Vec<Event>,
    pub(crate) shown: Option<DegradationView>,
    pub(crate) answers: Vec<DegradationAnswer>,
    /// What was refused of what was asked of groups.
    pub(crate) refusals: Vec<Refusal>,
}

impl Fleet {
    pub(crate) fn new(names: &[String]) -> Self {
        let mut engine = Engine::new(BOOT);
        let slots: BTreeSet<_> = names
            .iter()
            .map(|name| Slot::home(&Namespace::default(), name))
            .collect();
        for slot in &slots {
            let _nothing = engine.thaw(at(0), SlotState::empty(*slot, Epoch(1))).unwrap();
        }
        let mut fleet = Self {
            engine,
            millis: 0,
            ids: BTreeMap::new(),
            runs: BTreeMap::new(),
            starts: Vec::new(),
            positions: BTreeMap::new(),
            specs: BTreeMap::new(),
            attempts: Vec::new(),
            history: Vec::new(),
            degradation: None,
            levels: Vec::new(),
            events: Vec::new(),
            shown: None,
            answers: Vec::new(),
            refusals: Vec::new(),
        };
        for slot in slots {
            fleet.step(Input::Inventory(slot, Inventory::default()));
        }
        fleet
    }

    pub(crate) fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut batch = self.engine.step(at(self.millis), input).unwrap();
            let needs = batch.needs();
            let receipt = match batch.take_append() {
                Some(append) => {
                    self.positions.insert(append.slot, append.position);
                    for change in &append.changes {
                        match change {
                            Change::Agent(row) => drop(self.ids.insert(row.name.to_string(), row.id)),
                            Change::Recovery(attempt) => self.attempts.push(RecoveryAttempt::clone(attempt)),
                            Change::Spec(spec) => drop(self.specs.insert(spec.agent, SpecRow::clone(spec))),
                            Change::Degradation(row) => self.degradation = Some(DegradationRow::clone(row)),
                            Change::Level(change) => self.levels.push(LevelChange::clone(change)),
                            Change::Group(_) | Change::Answer(_) | Change::Audit(_) => {}
                        }
                    }
                    self.history.extend(append.transitions.iter().cloned());
                    let told = |event: &&Event| matches!(event.what, Happening::DegradationChanged { .. });
                    self.events.extend(append.events.iter().filter(told).cloned());
                    append.commit(needs)
                }
                None => {
                    let mut state = SlotState::empty(batch.slot(), Epoch(1));
                    state.position = batch.position();
                    state.receipt()
                }
            };
            let released = batch.release(&receipt).unwrap();
            self.shown = released.degradations.into_iter().next().or(self.shown.take());
            match released.reply {
                Some(Reply::Degradation(answer)) => self.answers.push(*answer),
                Some(Reply::Group(Err(refusal))) => self.refusals.push(refusal),
                Some(Reply::Group(Ok(_)) | Reply::Agent(_)) | None => {}
            }
            inputs.extend(released.messages.into_iter().map(Input::Message));
            let obeyed = released.actions.into_iter().filter_map(|action| self.obey(&action));
            inputs.extend(obeyed.map(Input::Observed).collect::<Vec<_>>());
        }
    }

    fn obey(&mut self, action: &Action) -> Option<Observation> {
        match &action.order {
            Order::Prepare { agent, .. } => Some(Observation::Prepared {
                agent: *agent,
                result: Ok(()),
            }),
            Order::Spawn { instance, .. } => {
                self.starts.push((self.millis, *instance));
                self.runs.insert(instance.agent, *instance);
                Some(Observation::Spawned {
                    instance: *instance,
                    result: Ok(identity()),
                })
            }
            Order::Kill { instance } => Some(Observation::Exited {
                instance: *instance,
                exit: Exit::Unknown,
                swept: 0,
            }),
            _other => None,
        }
    }

    pub(crate) fn register(&mut self, name: &str, spec: &str) {
        let spec: AgentSpec = serde_json::from_str(spec).unwrap();
        let name: AgentName = name.parse().unwrap();
        self.step(Input::Command(Box::new(Command {
            origin: Origin {
                actor: "ann".into(),
                role: AccessRole::Admin,
                correlation_id: "r".into(),
                trace_id: None,
            },
            namespace: Namespace::default(),
            agent: AgentRef::Name(name),
            expected: None,
            idempotency: None,
            reason: None,
            request: Request::Register {
                spec: Box::new(spec),
                wanted: Wanted::Running,
            },
        })));
    }

    pub(crate) fn probe(&mut self, name: &str, kind: ProbeKind, good: bool) {
        let instance = self.runs[&self.ids[name]];
        let result = if good { Ok(()) } else { Err("503".into()) };
        self.step(Input::Observed(Observation::Probed { instance, kind, result }));
    }

    pub(crate) fn exit(&mut self, name: &str) {
        let instance = self.runs[&self.ids[name]];
        self.step(Input::Observed(Observation::Exited {
            instance,
            exit: Exit::Code { code: 1 },
            swept: 0,
        }));
    }

    /// Lets time pass, with every wait that ends on the way.
    pub(crate) fn wait(&mut self, millis: u64) {
        let until = self.millis + millis;
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= at(until).moment) {
            let due = u64::try_from(due.since_start().as_millis()).unwrap();
            self.millis = self.millis.max(due + 1).min(until);
            self.step(Input::Tick);
        }
        self.millis = until;
    }

    /// What is said of an agent.
    pub(crate) fn explain(&self, name: &str) -> Explanation {
        let name = AgentRef::Name(name.parse().unwrap());
        let namespace = Namespace::default();
        self.engine.explain(at(self.millis), &namespace, &name).unwrap()
    }

    pub(crate) fn held(&self, name: &str) -> bool {
        let why = self.explain(name);
        why.agent
            .conditions
            .iter()
            .any(|held| held.condition == Condition::Held)
    }
}
