//! One slot's engine with a store that writes at once.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use stead_engine::{Engine, Input, Released};
use stead_model::journal::{AgentRow, Change, Durability, SlotState, SpecRow};
use stead_model::{
    Action, Activity, ActivityKind, AgentId, AgentName, AgentRef, AgentSpec, Beat, BeatMore, BeatOf, BootClock,
    Command, Epoch, Exit, Explanation, Health, Incarnation, InstanceId, Metric, Moment, Namespace, Notice, Now,
    Observation, Order, Origin, Position, ProcessIdentity, Profile, Report, Request, Signal, Slot, Span, SpawnFailure,
    SpawnFailureKind, Transition, Vitals, Wall, Wanted,
};

pub(crate) const BOOT: BootClock = BootClock {
    boot: 7,
    at_start: Duration::from_secs(50),
};

/// The engine, and what its store would hold.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    pub(crate) slot: Slot,
    pub(crate) position: Position,
    pub(crate) rows: BTreeMap<AgentId, AgentRow>,
    pub(crate) specs: BTreeMap<AgentId, SpecRow>,
    pub(crate) history: Vec<Transition>,
    pub(crate) attempts: BTreeMap<(AgentId, u64), stead_model::RecoveryAttempt>,
    /// How many batches waited for a sync.
    pub(crate) synced: usize,
}

pub(crate) fn name() -> AgentName {
    "web".parse().unwrap()
}

pub(crate) fn identity() -> ProcessIdentity {
    ProcessIdentity {
        boot: "b".into(),
        pid_namespace: 1,
        pid: 7,
        start_time: 1,
    }
}

impl Rig {
    pub(crate) fn new(profiles: Vec<Profile>) -> Self {
        let slot = Slot::home(&Namespace::default(), name().as_str());
        let mut engine = Engine::with_profiles(BOOT, profiles);
        let now = at(0);
        let _nothing = engine.thaw(now, SlotState::empty(slot, Epoch(1))).unwrap();
        let (rows, specs) = (BTreeMap::new(), BTreeMap::new());
        let mut rig = Self {
            engine,
            now,
            slot,
            position: Position(0),
            rows,
            specs,
            history: Vec::new(),
            attempts: BTreeMap::new(),
            synced: 0,
        };
        rig.step(Input::Inventory(slot, stead_model::Inventory::default()));
        rig
    }

    /// One step, written at once; gives the orders.
    pub(crate) fn step(&mut self, input: Input) -> Vec<Action> {
        let mut batch = self.engine.step(self.now, input).unwrap();
        let needs = batch.needs();
        let Some(append) = batch.take_append() else {
            let mut state = SlotState::empty(self.slot, Epoch(1));
            state.position = batch.position();
            assert_eq!(
                state.position, self.position,
                "nothing was changed, so nothing was numbered"
            );
            return batch.release(&state.receipt()).unwrap().actions;
        };
        assert_eq!(append.position, Position(self.position.0 + 1));
        self.position = append.position;
        self.synced += usize::from(needs == Durability::Flushed);
        for change in &append.changes {
            match change {
                Change::Agent(row) if row.removed => drop(self.rows.remove(&row.id)),
                Change::Agent(row) => drop(self.rows.insert(row.id, AgentRow::clone(row))),
                Change::Spec(row) => drop(self.specs.insert(row.agent, SpecRow::clone(row))),
                Change::Recovery(attempt) => {
                    let key = (attempt.agent, attempt.number);
                    self.attempts.insert(key, stead_model::RecoveryAttempt::clone(attempt));
                }
                Change::Group(_) | Change::Answer(_) | Change::Audit(_) | Change::Degradation(_) | Change::Level(_) => {
                }
            }
        }
        self.history.extend(append.transitions.iter().cloned());
        let Released { actions, .. } = batch.release(&append.commit(needs)).unwrap();
        actions
    }

    pub(crate) fn ask(&mut self, request: Request) -> Vec<Action> {
        let origin = Origin {
            actor: "ann".into(),
            role: stead_model::AccessRole::Admin,
            correlation_id: "r".into(),
            trace_id: None,
        };
        self.step(Input::Command(Box::new(Command {
            origin,
            namespace: Namespace::default(),
            agent: AgentRef::Name(name()),
            expected: None,
            idempotency: None,
            reason: None,
            request,
        })))
    }

    /// The only agent, if there is one.
    pub(crate) fn row(&self) -> Option<&AgentRow> {
        self.rows.values().next()
    }

    /// What is said of the agent.
    pub(crate) fn explain(&self) -> Explanation {
        let agent = AgentRef::Name(name());
        self.engine.explain(self.now, &Namespace::default(), &agent).unwrap()
    }

    /// What the agent is told to be.
    pub(crate) fn spec(&self) -> AgentSpec {
        let agent = AgentRef::Name(name());
        let (_, _, spec) = self.engine.spec(&Namespace::default(), &agent).unwrap();
        AgentSpec::clone(&spec)
    }

    /// Another node takes over from what is stored, and finds nothing that runs.
    pub(crate) fn restart(&mut self) -> Vec<Action> {
        let stored = self.stored();
        self.engine = Engine::new(BOOT);
        let _views = self.engine.thaw(self.now, stored).unwrap();
        self.step(Input::Inventory(self.slot, stead_model::Inventory::default()))
    }

    /// What a store would load now.
    pub(crate) fn stored(&self) -> SlotState {
        let mut state = SlotState::empty(self.slot, Epoch(1));
        state.position = self.position;
        state.agents = self.engine.freeze(self.now, self.slot).unwrap();
        let spec = |row: &AgentRow| self.specs[&row.id].clone();
        state.specs = state.agents.iter().map(spec).collect();
        state
    }

    /// Lets time pass; every wait that ends on the way is handled.
    pub(crate) fn wait(&mut self, millis: u64) -> Vec<Action> {
        let until = at(u64::try_from(self.now.wall.unix_millis()).unwrap() + millis);
        let mut orders = Vec::new();
        for _ in 0..10_000 {
            match self.engine.next_deadline().filter(|due| *due <= until.moment) {
                Some(due) => {
                    self.now.moment = self.now.moment.max(due);
                    orders.extend(self.step(Input::Tick));
                }
                None => {
                    self.now = until;
                    return orders;
                }
            }
        }
        panic!("it does not come to rest");
    }
}

pub(crate) fn at(millis: u64) -> Now {
    let moment = Moment::at(Duration::from_millis(millis));
    Now {
        moment,
        wall: Wall::from_unix_millis(i64::try_from(millis).unwrap()),
    }
}

/// Something that may happen to an agent.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Ask(Request),
    /// The keeper does this order, of those that stand, in this way.
    Obey(usize, bool),
    Exit(Exit),
    Notice(Notice),
    Report(Option<Health>),
    /// A beat with metrics, progress and what it is at.
    Beat(f64, Option<u64>, Option<(ActivityKind, u64)>),
    Stale,
    Wait(u64),
}

pub(crate) fn event(profile: &'static str) -> impl Strategy<Value = Event> {
    let spec = move |driver: usize| Box::new(spec(profile, driver));
    let task = || prop_oneof![Just("t1".to_owned()), Just("t2".to_owned())];
    let request = prop_oneof![
        4 => (0..5_usize).prop_map(move |n| Request::Register { spec: spec(n), wanted: Wanted::Running }),
        1 => (0..5_usize).prop_map(move |n| Request::Respec { spec: spec(n) }),
        6 => proptest::sample::select(Wanted::ALL).prop_map(Request::Want),
        1 => Just(Request::Resume),
        1 => Just(Request::Deploy),
        2 => Just(Request::Restart),
        1 => Just(Request::Reset),
        1 => Just(Request::Halt),
        1 => Just(Request::Lift),
        2 => (0..20_u64).prop_map(|s| Request::Drain { within: Span(Duration::from_secs(s)) }),
        1 => task().prop_map(|task| Request::Assign { task }),
        1 => task().prop_map(|task| Request::Complete { task }),
        1 => Just(Request::ReportError { detail: "500".into() }),
    ];
    let exits = [
        Exit::Code { code: 0 },
        Exit::Code { code: 1 },
        Exit::Code { code: 78 },
        Exit::Signal {
            signal: Signal::KILL,
            core: true,
        },
        Exit::OutOfMemory,
        Exit::Unknown,
    ];
    let notices = [
        Notice::Ready,
        Notice::Stopping,
        Notice::Reloading,
        Notice::Watchdog,
        Notice::WatchdogTrigger,
        Notice::Status { text: "s".into() },
        Notice::ExtendTimeout { micros: 9_000_000 },
        Notice::WatchdogInterval { micros: 2_000_000 },
        Notice::WatchdogInterval { micros: 0 },
        Notice::MainProcess { process: identity() },
    ];
    let kinds = proptest::option::of((proptest::sample::select(ActivityKind::ALL), 0..2_u64));
    let beat = (0.0..1.0_f64, proptest::option::of(0..3_u64), kinds)
        .prop_map(|(memory, progress, call)| Event::Beat(memory, progress, call));
    prop_oneof![
        5 => request.prop_map(Event::Ask),
        12 => (0..4_usize, prop::bool::weighted(0.9)).prop_map(|(which, well)| Event::Obey(which, well)),
        2 => proptest::sample::select(exits.to_vec()).prop_map(Event::Exit),
        2 => proptest::sample::select(notices.to_vec()).prop_map(Event::Notice),
        2 => proptest::option::of(proptest::sample::select(Health::ALL)).prop_map(Event::Report),
        1 => Just(Event::Stale),
        4 => beat,
        4 => proptest::sample::select(vec![1_u64, 100, 1_000, 11_000, 70_000, 700_000]).prop_map(Event::Wait),
    ]
}

fn spec(profile: &str, which: usize) -> AgentSpec {
    let text = match which {
        0 => r#"{"command":["x"],"restart":{"backoff":{"jitter":0},"final_exit_codes":[78]}}"#,
        1 => {
            r#"{"command":["x"],"notify":true,"watchdog":"5s","restart":{"backoff":{"jitter":0},"policy":"on-failure"}}"#
        }
        3 => r#"{"command":["x"],"notify":true,"watchdog":"5s","recovery":{"mode":"observe"}}"#,
        2 => r#"{"command":["x"],"stop":{"grace":"0s"},"restart":{"policy":"never"}}"#,
        _ => r#"{"driver":"none"}"#,
    };
    let spec: AgentSpec = serde_json::from_str(text).unwrap();
    AgentSpec {
        profile: profile.to_owned(),
        ..spec
    }
}

/// Has something happen; `standing` are the orders that the keeper has not done yet.
pub(crate) fn happen(rig: &mut Rig, standing: &mut Vec<Action>, event: &Event) {
    let row = rig.row();
    let run = row.and_then(|row| row.instance.as_ref().map(|run| (row.id, run.incarnation)));
    let instance = run.map(|(agent, incarnation)| InstanceId { agent, incarnation });
    let agent = row.map(|row| row.id);
    let seen = match (event, instance) {
        (Event::Ask(request), _) => return standing.extend(rig.ask(request.clone())),
        (Event::Wait(millis), _) => return standing.extend(rig.wait(*millis)),
        (Event::Obey(which, well), _) => {
            if standing.is_empty() {
                return;
            }
            let action = standing.remove(which % standing.len());
            obey(action, *well)
        }
        (Event::Exit(exit), Some(instance)) => Some(Observation::Exited {
            instance,
            exit: *exit,
            swept: 1,
        }),
        (Event::Notice(notice), Some(instance)) => Some(Observation::Notified {
            instance,
            notice: notice.clone(),
        }),
        (Event::Stale, Some(mut instance)) => {
            instance.incarnation = Incarnation(instance.incarnation.0 - 1);
            Some(Observation::Exited {
                instance,
                exit: Exit::Unknown,
                swept: 0,
            })
        }
        (Event::Report(health), _) => agent.map(|agent| Observation::Reported {
            agent,
            report: Report {
                health: *health,
                ..Report::default()
            },
        }),
        (Event::Beat(memory, progress, call), _) => {
            if let Some(agent) = agent {
                beat(rig, agent, (*memory, *progress, *call));
                standing.extend(rig.wait(0));
            }
            None
        }
        (Event::Exit(_) | Event::Notice(_) | Event::Stale, None) => None,
    };
    if let Some(seen) = seen {
        standing.extend(rig.step(Input::Observed(seen)));
    }
}

/// It beats many times at once, so that what takes a number of beats comes about.
fn beat(rig: &mut Rig, agent: AgentId, (memory, progress, call): (f64, Option<u64>, Option<(ActivityKind, u64)>)) {
    let mut vitals = Vitals::NONE;
    vitals.set(Metric::MemoryUsage, memory).unwrap();
    let activity = call.map(|(kind, hash)| Activity {
        kind,
        lasts: Some(Span::secs(700 * hash)),
        hash: Some(hash),
    });
    let beat = Beat {
        vitals,
        progress,
        more: activity.map(|activity| {
            Box::new(BeatMore {
                activity: Some(activity),
                ..BeatMore::default()
            })
        }),
        ..Beat::bare(BeatOf::Id(agent))
    };
    rig.engine.beats(rig.now, &vec![beat; 20], &mut Vec::new());
}

fn obey(action: Action, well: bool) -> Option<Observation> {
    let kind = if action.id.index == 0 {
        SpawnFailureKind::Resources
    } else {
        SpawnFailureKind::NotFound
    };
    let failure = || SpawnFailure {
        kind,
        detail: "no".into(),
    };
    match action.order {
        Order::Prepare { agent, .. } => {
            let result = if well { Ok(()) } else { Err(failure()) };
            Some(Observation::Prepared { agent, result })
        }
        Order::Spawn { instance, .. } => {
            let result = if well { Ok(identity()) } else { Err(failure()) };
            Some(Observation::Spawned { instance, result })
        }
        Order::Signal { instance, signal } => well.then_some(Observation::Exited {
            instance,
            exit: Exit::Signal { signal, core: false },
            swept: 0,
        }),
        Order::Kill { instance } => Some(Observation::Exited {
            instance,
            exit: Exit::Unknown,
            swept: 0,
        }),
        Order::Acknowledge { .. } | Order::Tell { .. } | Order::Freeze { .. } | Order::Probe { .. } => None,
    }
}
