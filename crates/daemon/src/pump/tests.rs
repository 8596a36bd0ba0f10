use std::sync::Mutex;

use stead_model::{
    Action, AgentId, AgentRef, AgentSpec, Exit, InstanceId, Namespace, Order, Origin, Outcome, ProcessIdentity,
    Request, Signal, Wanted, spec::ProcessSpec,
};
use stead_store::{Fault, Lease, MemoryStore, Owner, StoreError, TransitionQuery};

use super::*;

mod remains;
mod starts;

/// A pump on a store in memory, with a driver that only notes its orders.
struct Rig {
    handle: crate::Handle,
    store: Arc<MemoryStore>,
    orders: Arc<Mutex<Vec<Order>>>,
    foreseen: Arc<Mutex<Vec<InstanceId>>>,
    incoming: mpsc::UnboundedSender<Incoming>,
    /// What was noted for the next daemon: whether the store is away.
    away: Arc<Mutex<Vec<bool>>>,
}

struct Notes {
    orders: Arc<Mutex<Vec<Order>>>,
    foreseen: Arc<Mutex<Vec<InstanceId>>>,
}

impl Driver for Notes {
    fn execute(&mut self, action: Action) {
        self.orders.lock().unwrap().push(action.order);
    }
    fn foresee(&mut self, start: stead_engine::Foreseen<'_>) {
        self.foreseen.lock().unwrap().push(start.instance);
    }
    fn survey(&mut self) {}
    fn dismiss(&mut self) {}
}

impl Rig {
    fn start() -> Self {
        let (incoming, from_world) = mpsc::unbounded_channel();
        let completions = incoming.clone();
        let gate = Arc::new(Gate::default());
        let passed = Arc::clone(&gate);
        let store = Arc::new(MemoryStore::new(Box::new(move |completion| {
            if let Completion::Committed(receipt) = &completion {
                passed.pass(receipt);
            }
            let _gone = completions.send(Incoming::Completed(completion));
        })));
        let slots: Vec<Slot> = Slot::all().collect();
        store
            .take(&slots, &Owner::new("test"), Lease::unending(Wall::default()))
            .unwrap();
        let (asks, asked) = mpsc::channel(64);
        let (committed, commits) = watch::channel(0);
        let away = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&away);
        let (views, status) = (Arc::new(Views::default()), Arc::new(Status::default()));
        let orders = Arc::new(Mutex::new(Vec::new()));
        let foreseen = Arc::new(Mutex::new(Vec::new()));
        let started = Arc::clone(&orders);
        gate.open_to(Box::new(move |action| started.lock().unwrap().push(action.order)));
        let clock = Clock::start();
        let mut pump = Pump::new(Parts {
            clock,
            database: "stead.db".into(),
            note_away: Box::new(move |since| noted.lock().unwrap().push(since.is_some())),
            store: Arc::<MemoryStore>::clone(&store),
            driver: Box::new(Notes {
                orders: Arc::clone(&orders),
                foreseen: Arc::clone(&foreseen),
            }),
            views: Arc::clone(&views),
            status: Arc::clone(&status),
            gate,
            committed,
            incoming: (incoming.clone(), from_world),
            asks: asked,
        });
        pump.adopt(thaw(&*store, &slots, clock, None, None).unwrap().unwrap());
        tokio::spawn(pump.run());
        incoming
            .send(Incoming::Driven(
                Driven::Surveyed {
                    live: Vec::new(),
                    exited: Vec::new(),
                    names: std::collections::BTreeMap::new(),
                },
                Seat::default(),
            ))
            .unwrap();
        let handle = crate::Handle::new(asks, views, Arc::<MemoryStore>::clone(&store), commits, status);
        Self {
            handle,
            store,
            orders,
            foreseen,
            incoming,
            away,
        }
    }

    fn ask(&self, name: &str, request: Request) -> tokio::task::JoinHandle<Result<Answer, Problem>> {
        let command = Command {
            origin: Origin {
                actor: "test".into(),
                role: stead_model::AccessRole::Admin,
                correlation_id: "c-1".into(),
                trace_id: None,
            },
            namespace: Namespace::default(),
            agent: name.parse().unwrap(),
            expected: None,
            idempotency: None,
            reason: None,
            request,
        };
        let handle = self.handle.clone();
        tokio::spawn(async move { handle.command(command).await })
    }

    /// Lets everything that can happen without the store happen.
    async fn turn(&self) {
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets everything happen, the store's part included.
    async fn settle(&self) {
        for _ in 0..64 {
            self.store.pump();
            tokio::task::yield_now().await;
        }
    }

    fn orders(&self) -> Vec<Order> {
        std::mem::take(&mut *self.orders.lock().unwrap())
    }

    fn see(&self, observation: Observation) {
        self.incoming
            .send(Incoming::Driven(Driven::Observed(observation), Seat::default()))
            .unwrap();
    }

    /// Registers and starts an agent up to its being online.
    async fn online(&self, name: &str) -> InstanceId {
        let spec = AgentSpec::process(ProcessSpec {
            command: vec!["agent".into()],
            ..ProcessSpec::default()
        });
        let asked = self.ask(
            name,
            Request::Register {
                spec: Box::new(spec),
                wanted: Wanted::Running,
            },
        );
        self.settle().await;
        let agent = asked.await.unwrap().unwrap().agent.id;
        self.see(Observation::Prepared { agent, result: Ok(()) });
        self.settle().await;
        let instance = spawned(&self.orders()).unwrap();
        self.see(Observation::Spawned {
            instance,
            result: Ok(process(41)),
        });
        self.settle().await;
        assert_eq!(self.phase(agent), "online");
        instance
    }

    fn phase(&self, agent: AgentId) -> String {
        let view = self.handle.views().get(&Namespace::default(), &AgentRef::Id(agent));
        view.map(|view| view.phase.to_string()).unwrap_or_default()
    }
}

fn spawned(orders: &[Order]) -> Option<InstanceId> {
    orders.iter().find_map(|order| {
        if let Order::Spawn { instance, .. } = order {
            Some(*instance)
        } else {
            None
        }
    })
}

fn process(pid: i32) -> ProcessIdentity {
    ProcessIdentity {
        boot: "b".into(),
        pid_namespace: 1,
        pid,
        start_time: 1,
    }
}

fn killed() -> Exit {
    Exit::Signal {
        signal: Signal::KILL,
        core: false,
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_or_done_before_it_is_written() {
    let rig = Rig::start();
    let spec = AgentSpec::process(ProcessSpec {
        command: vec!["agent".into()],
        ..ProcessSpec::default()
    });
    rig.settle().await;
    let asked = rig.ask(
        "web",
        Request::Register {
            spec: Box::new(spec),
            wanted: Wanted::Running,
        },
    );
    rig.turn().await;
    assert!(!asked.is_finished() && rig.orders().is_empty() && rig.handle.views().count() == 0);

    rig.settle().await;
    assert_eq!(asked.await.unwrap().unwrap().outcome, Outcome::Created);
    assert!(matches!(rig.orders()[..], [Order::Prepare { .. }]));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_waits_for_what_it_was_decided_on() {
    let rig = Rig::start();
    rig.settle().await;
    let first = rig.ask(
        "web",
        Request::Register {
            spec: Box::new(AgentSpec::reporting("agent")),
            wanted: Wanted::Stopped,
        },
    );
    let second = rig.ask(
        "web",
        Request::Register {
            spec: Box::new(AgentSpec::reporting("agent")),
            wanted: Wanted::Stopped,
        },
    );
    rig.turn().await;
    assert!(!second.is_finished(), "the name is taken by what is not durable yet");
    rig.settle().await;
    assert!(first.await.unwrap().is_ok());
    assert_eq!(second.await.unwrap().unwrap_err().code, ProblemCode::DuplicateName);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_full_changes_are_refused_and_the_dead_are_started_again() {
    let rig = Rig::start();
    let instance = rig.online("web").await;
    rig.store.set_trouble(Some(StoreError::Full));

    rig.see(Observation::Exited {
        instance,
        exit: killed(),
        swept: 0,
    });
    rig.settle().await;
    let again = spawned(&rig.orders()).expect("care goes on");
    assert_eq!(again.incarnation, instance.incarnation.next());
    assert!(!rig.handle.status().report().ready());
    let refused = rig
        .ask("web", Request::Want(Wanted::Stopped))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.code, ProblemCode::StoreUnavailable);

    rig.see(Observation::Spawned {
        instance: again,
        result: Ok(process(42)),
    });
    rig.settle().await;
    rig.store.set_trouble(None);
    for _ in 0..8 {
        tokio::time::sleep(TRY_STORE).await;
        rig.settle().await;
    }
    assert_eq!(rig.handle.status().report().store, Part::Up);
    assert!(rig.ask_and_settle("web", Request::Want(Wanted::Stopped)).await.is_ok());
    let page = rig
        .store
        .transitions(&TransitionQuery {
            agent: Some(instance.agent),
            limit: 100,
            ..TransitionQuery::default()
        })
        .unwrap();
    let mut numbers: Vec<u64> = page.items.iter().map(|row| row.sequence.0).collect();
    numbers.reverse();
    assert_eq!(
        numbers,
        (1..=numbers.len() as u64).collect::<Vec<_>>(),
        "history is whole"
    );
    assert!(
        page.items
            .iter()
            .any(|row| row.to == "online" && row.incarnation == again.incarnation)
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_write_failed_is_answered_as_unknown() {
    let rig = Rig::start();
    rig.online("web").await;
    for fault in [
        Fault::Fail(StoreError::Unknown { detail: "EIO".into() }),
        Fault::WrittenButUnknown,
    ] {
        rig.store.inject(fault);
        let asked = rig.ask_and_settle("web", Request::Want(Wanted::Maintenance)).await;
        assert_eq!(asked.unwrap_err().code, ProblemCode::OutcomeUnknown);
        for _ in 0..8 {
            tokio::time::sleep(TRY_STORE).await;
            rig.settle().await;
        }
        assert_eq!(rig.handle.status().report().store, Part::Up);
        let view = rig
            .handle
            .views()
            .get(&Namespace::default(), &"web".parse().unwrap())
            .unwrap();
        assert_eq!(view.phase, "maintenance", "it took effect when the store was back");
        rig.ask_and_settle("web", Request::Resume).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_failed_holds_back_its_own_agent_and_no_other() {
    let rig = Rig::start();
    let home = Slot::home(&Namespace::default(), "web");
    let other = (0..)
        .map(|n| format!("n{n}"))
        .find(|name| Slot::home(&Namespace::default(), name) == home)
        .unwrap();
    let (asked, beside) = (rig.online("web").await, rig.online(&other).await);
    rig.store.set_trouble(Some(StoreError::Full));
    let failed = rig.ask_and_settle("web", Request::Want(Wanted::Stopped)).await;
    assert_eq!(failed.unwrap_err().code, ProblemCode::OutcomeUnknown);
    rig.orders();

    for instance in [asked, beside] {
        rig.see(Observation::Exited {
            instance,
            exit: killed(),
            swept: 0,
        });
        rig.settle().await;
    }
    let again = spawned(&rig.orders()).expect("care goes on beside it");
    assert_eq!(again.agent, beside.agent);
    rig.see(Observation::Spawned {
        instance: again,
        result: Ok(process(43)),
    });
    rig.settle().await;
    assert_eq!(rig.phase(beside.agent), "online");
    assert_eq!(
        rig.phase(asked.agent),
        "online",
        "what was asked for is not durable, nor is what followed"
    );

    rig.store.set_trouble(None);
    rig.back().await;
    assert_eq!(rig.phase(asked.agent), "offline");
    assert_eq!(*rig.away.lock().unwrap(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_store_is_away_for_long_is_written_when_it_is_back() {
    let rig = Rig::start();
    let mut instance = rig.online("web").await;
    rig.store.set_trouble(Some(StoreError::Full));
    for pid in 50..60 {
        rig.see(Observation::Exited {
            instance,
            exit: killed(),
            swept: 0,
        });
        rig.settle().await;
        tokio::time::sleep(TRY_STORE * 600).await;
        rig.settle().await;
        let Some(again) = spawned(&rig.orders()) else { break };
        instance = again;
        rig.see(Observation::Spawned {
            instance,
            result: Ok(process(pid)),
        });
        rig.settle().await;
    }
    rig.store.set_trouble(None);
    rig.back().await;
    let stored = rig.store.load(instance.agent.slot()).unwrap();
    assert_eq!(stored.agents[0].incarnation, instance.incarnation);
    assert!(rig.ask_and_settle("web", Request::Want(Wanted::Stopped)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_store_is_told_once_and_for_all_and_care_goes_on() {
    let rig = Rig::start();
    let instance = rig.online("web").await;
    let corrupt = StoreError::Corrupt {
        detail: "malformed".into(),
    };
    rig.store.set_trouble(Some(corrupt.clone()));
    let failed = rig.ask_and_settle("other", rig.registration()).await.unwrap_err();
    assert_eq!(failed.code, ProblemCode::StoreUnavailable, "nothing of it was written");
    rig.store.set_trouble(None);
    rig.back().await;

    let Part::Away { detail, .. } = rig.handle.status().report().store else {
        panic!("it is not well again by itself");
    };
    assert!(
        detail.contains("stead.db is damaged") && detail.contains("malformed"),
        "{detail}"
    );
    let refused = rig
        .ask_and_settle("web", Request::Want(Wanted::Stopped))
        .await
        .unwrap_err();
    assert_eq!((refused.code, refused.detail), (ProblemCode::StoreUnavailable, detail));
    rig.see(Observation::Exited {
        instance,
        exit: killed(),
        swept: 0,
    });
    rig.settle().await;
    assert!(spawned(&rig.orders()).is_some());
    assert_eq!(*rig.away.lock().unwrap(), [true]);
}

#[tokio::test(start_paused = true)]
async fn damage_that_a_reader_meets_stops_changes() {
    let rig = Rig::start();
    rig.online("web").await;
    let error = StoreError::Corrupt {
        detail: "malformed".into(),
    };
    rig.incoming
        .send(Incoming::Completed(Completion::Damaged { error }))
        .unwrap();
    rig.settle().await;
    let refused = rig
        .ask_and_settle("web", Request::Want(Wanted::Stopped))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ProblemCode::StoreUnavailable);
    assert!(!rig.handle.status().report().ready());
}

impl Rig {
    fn registration(&self) -> Request {
        Request::Register {
            spec: Box::new(AgentSpec::reporting("agent")),
            wanted: Wanted::Stopped,
        }
    }

    /// Gives the store time to be tried again.
    async fn back(&self) {
        for _ in 0..8 {
            tokio::time::sleep(TRY_STORE).await;
            self.settle().await;
        }
    }

    async fn ask_and_settle(&self, name: &str, request: Request) -> Result<Answer, Problem> {
        let asked = self.ask(name, request);
        self.settle().await;
        asked.await.unwrap()
    }
}
