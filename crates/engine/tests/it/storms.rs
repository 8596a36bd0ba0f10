//! A provider that many depend on goes away and comes back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use stead_engine::{Engine, Input};
use stead_model::journal::{Change, SlotState};
use stead_model::spec::ProbeKind;
use stead_model::{
    AccessRole, Action, AgentId, AgentName, AgentRef, AgentSpec, Command, Condition, Epoch, Exit, InstanceId,
    Inventory, Namespace, Observation, Order, Origin, RecoveryAttempt, Request, Slot, Wanted,
};

use crate::rig::{BOOT, at, identity};

/// Several agents, with a keeper that does at once what it is told and a store that writes at once.
struct Fleet {
    engine: Engine,
    millis: u64,
    ids: BTreeMap<String, AgentId>,
    runs: BTreeMap<AgentId, InstanceId>,
    /// Every start, with when it was ordered.
    starts: Vec<(u64, InstanceId)>,
    attempts: Vec<RecoveryAttempt>,
}

impl Fleet {
    fn new(names: &[String]) -> Self {
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
            attempts: Vec::new(),
        };
        for slot in slots {
            fleet.step(Input::Inventory(slot, Inventory::default()));
        }
        fleet
    }

    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut batch = self.engine.step(at(self.millis), input).unwrap();
            let needs = batch.needs();
            let receipt = match batch.take_append() {
                Some(append) => {
                    for change in &append.changes {
                        match change {
                            Change::Agent(row) => drop(self.ids.insert(row.name.to_string(), row.id)),
                            Change::Recovery(attempt) => self.attempts.push(RecoveryAttempt::clone(attempt)),
                            Change::Spec(_) | Change::Group(_) | Change::Answer(_) | Change::Audit(_) => {}
                        }
                    }
                    append.commit(needs)
                }
                None => {
                    let mut state = SlotState::empty(batch.slot(), Epoch(1));
                    state.position = batch.position();
                    state.receipt()
                }
            };
            let released = batch.release(&receipt).unwrap();
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

    fn register(&mut self, name: &str, spec: &str) {
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

    fn probe(&mut self, name: &str, kind: ProbeKind, good: bool) {
        let instance = self.runs[&self.ids[name]];
        let result = if good { Ok(()) } else { Err("503".into()) };
        self.step(Input::Observed(Observation::Probed { instance, kind, result }));
    }

    fn exit(&mut self, name: &str) {
        let instance = self.runs[&self.ids[name]];
        self.step(Input::Observed(Observation::Exited {
            instance,
            exit: Exit::Code { code: 1 },
            swept: 0,
        }));
    }

    /// Lets time pass, with every wait that ends on the way.
    fn wait(&mut self, millis: u64) {
        let until = self.millis + millis;
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= at(until).moment) {
            let due = u64::try_from(due.since_start().as_millis()).unwrap();
            self.millis = self.millis.max(due + 1).min(until);
            self.step(Input::Tick);
        }
        self.millis = until;
    }

    fn held(&self, name: &str) -> bool {
        let name = AgentRef::Name(name.parse().unwrap());
        let why = self
            .engine
            .explain(at(self.millis), &Namespace::default(), &name)
            .unwrap();
        why.agent
            .conditions
            .iter()
            .any(|held| held.condition == Condition::Held)
    }
}

const PROVIDER: &str = r#"{"command":["x"],"probes":{"readiness":{"tcp_socket":{"port":1}}}}"#;
const DEPENDANT: &str = r#"{"command":["x"],"depends_on":{"provider":"healthy"},
    "probes":{"liveness":{"tcp_socket":{"port":1}}}}"#;

/// A provider and those that depend on it, all of them up.
fn fleet(size: usize) -> (Fleet, Vec<String>) {
    let names: Vec<String> = (0..size).map(|n| format!("web-{n}")).collect();
    let mut all = names.clone();
    all.push("provider".into());
    let mut fleet = Fleet::new(&all);
    fleet.register("provider", PROVIDER);
    fleet.probe("provider", ProbeKind::Readiness, true);
    for name in &names {
        fleet.register(name, DEPENDANT);
        fleet.probe(name, ProbeKind::Liveness, true);
    }
    assert_eq!(fleet.starts.len(), size + 1);
    fleet.starts.clear();
    (fleet, names)
}

fn provider(fleet: &mut Fleet, good: bool) {
    for _ in 0..3 {
        fleet.probe("provider", ProbeKind::Readiness, good);
    }
}

#[test]
fn a_provider_that_is_away_for_ten_minutes_has_none_of_its_five_hundred_dependants_restarted() {
    let (mut fleet, names) = fleet(500);
    provider(&mut fleet, false);
    for _ in 0..20 {
        fleet.wait(30_000);
        for name in &names {
            fleet.probe(name, ProbeKind::Liveness, false);
        }
    }
    assert!(
        names.iter().all(|name| fleet.held(name)),
        "each says why it is left alone"
    );
    provider(&mut fleet, true);
    assert!(!names.iter().any(|name| fleet.held(name)));
    for name in &names {
        fleet.probe(name, ProbeKind::Liveness, true);
    }
    fleet.wait(600_000);
    assert_eq!((&fleet.starts, &fleet.attempts), (&vec![], &vec![]));
}

#[test]
fn those_that_ended_meanwhile_are_started_once_on_a_ramp_and_no_restart_is_counted_against_them() {
    let (mut fleet, names) = fleet(100);
    provider(&mut fleet, false);
    names.iter().for_each(|name| fleet.exit(name));
    fleet.wait(600_000);
    assert_eq!(fleet.starts, []);
    let back = fleet.millis;
    provider(&mut fleet, true);
    fleet.wait(15_000);
    assert_eq!(fleet.starts.len(), 100);
    let mut seconds: Vec<_> = fleet.starts.iter().map(|(at, _)| (at - back) / 1_000).collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert!(
        seconds.len() >= 8 && seconds.iter().all(|second| *second <= 10),
        "{seconds:?}"
    );
    let rows = fleet
        .engine
        .freeze(at(fleet.millis), fleet.ids["web-0"].slot())
        .unwrap();
    let row = rows.iter().find(|row| row.id == fleet.ids["web-0"]).unwrap();
    assert!(row.recovery.attempt == 0 && row.recovery.recent.is_empty());
}

#[test]
fn one_that_fails_for_itself_is_restarted_while_its_provider_does_well() {
    let (mut fleet, _names) = fleet(1);
    for _ in 0..3 {
        fleet.probe("web-0", ProbeKind::Liveness, false);
    }
    fleet.wait(1);
    assert_eq!(fleet.starts.len(), 1);
    let span = Duration::from_millis(fleet.starts[0].0);
    assert!(span < Duration::from_secs(1), "at once");
}
