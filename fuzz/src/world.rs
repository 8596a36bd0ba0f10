//! A small daemon without a system below it: the API, an engine, a store in memory, processes that are played.
//!
//! One step is done to its end before the next, and time is counted, not asked for: the same requests come to the same.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use stead_daemon::{
    ApiState, Ask, DaemonInfo, Handle, Host, LogReader, LogRequest, LogSource, Part, Ports, QUEUE, ShutdownOrder,
    Status, Views, config_door, router,
};
use stead_engine::{Engine, Input, Released, Reply};
use stead_model::journal::{Durability, Receipt};
use stead_model::{
    AgentRef, Beat, BeatAnswer, BeatOf, BeatOutcome, BootClock, Exit, InstanceId, Inventory, Moment, Namespace, Now,
    Observation, Order, Problem, ProblemCode, ProcessIdentity, Signal, Slot, SpawnFailure, SpawnFailureKind, Wall,
};
use stead_store::{Completion, Lease, MemoryStore, Owner, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

type Mailbox = Arc<Mutex<VecDeque<Completion>>>;

/// The API of a fresh daemon with no agent; the rest of it runs as a task of the runtime that calls.
pub(crate) fn daemon() -> Router {
    let mailbox = Mailbox::default();
    let sink = Arc::clone(&mailbox);
    let store = Arc::new(MemoryStore::new(Box::new(move |completion| {
        sink.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(completion);
    })));
    let (views, status) = (Arc::new(Views::default()), Arc::new(Status::default()));
    status.update(|report| (report.store, report.keeper, report.adopted) = (Part::Up, Part::Up, Part::Up));
    let (asks, asked) = mpsc::channel(QUEUE);
    let (committed, commits) = watch::channel(0);
    let body = Body {
        engine: Engine::new(BootClock {
            boot: 1,
            at_start: Duration::ZERO,
        }),
        store: Arc::clone(&store),
        mailbox,
        views: Arc::clone(&views),
        committed,
        slots: BTreeSet::new(),
        ticks: 0,
    };
    tokio::spawn(body.run(asked));
    let handle = Handle::new(asks, views, store, commits, status);
    let nothing = Arc::new(Nothing);
    router(ApiState {
        ports: Ports {
            host: nothing.clone(),
            logs: nothing,
            config: config_door(handle.clone()),
        },
        handle,
        token: None,
        listen: ([127, 0, 0, 1], 7878).into(),
        hosts: Vec::new(),
        closing: CancellationToken::new(),
    })
}

struct Body {
    engine: Engine,
    store: Arc<MemoryStore>,
    mailbox: Mailbox,
    views: Arc<Views>,
    committed: watch::Sender<u64>,
    /// Those that were taken: each when it is first spoken of.
    slots: BTreeSet<Slot>,
    ticks: u32,
}

impl Body {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        while let Some(ask) = asked.recv().await {
            self.on_ask(ask);
            self.engine
                .check_invariants()
                .expect("invariants hold after each request");
        }
    }

    fn on_ask(&mut self, ask: Ask) {
        self.ticks += 1;
        let now = self.now();
        match ask {
            Ask::Command(command, back) => {
                let slot = home(&command.namespace, &command.agent);
                let answer = match self.ask(slot, Input::Command(command)) {
                    Some(Reply::Agent(answer)) => answer.map(|answer| *answer).map_err(Problem::from),
                    other => panic!("a command was answered {other:?}"),
                };
                let _left = back.send(answer);
            }
            Ask::Group(command, back) => {
                let slot = home(&command.namespace, &command.group);
                let answer = match self.ask(slot, Input::Group(command)) {
                    Some(Reply::Group(answer)) => answer.map(|answer| *answer).map_err(Problem::from),
                    other => panic!("a request of a group was answered {other:?}"),
                };
                let _left = back.send(answer);
            }
            Ask::Degradation(command, back) => {
                let slot = stead_engine::home_of(&command.namespace);
                let answer = match self.ask(slot, Input::Degradation(command)) {
                    Some(Reply::Degradation(answer)) => Ok(*answer),
                    other => panic!("a request about degradation was answered {other:?}"),
                };
                let _left = back.send(answer);
            }
            Ask::Features(namespace, plan) => {
                let slot = stead_engine::home_of(&namespace);
                let _nothing = self.ask(slot, Input::Features(namespace, plan));
            }
            Ask::Load(namespace, load) => {
                let slot = stead_engine::home_of(&namespace);
                let _nothing = self.ask(slot, Input::Load(namespace, load));
            }
            Ask::GroupSpec(namespace, group, back) => {
                self.own(home(&namespace, &group));
                let _left = back.send(self.engine.group_spec(&namespace, &group).map_err(Problem::from));
            }
            Ask::Rollout(namespace, group, back) => {
                self.own(home(&namespace, &group));
                let _left = back.send(self.engine.rollout(&namespace, &group).map_err(Problem::from));
            }
            Ask::Beat(beat, back) => {
                let answers = self.beats(now, &[*beat]);
                let heard = answers.first().filter(|answer| answer.outcome != BeatOutcome::Unknown);
                let unknown = || Problem::new(ProblemCode::UnknownAgent, "it is of nobody");
                let _left = back.send(heard.copied().ok_or_else(unknown));
            }
            Ask::Vitals(back) => drop(back.send(Ok(Vec::new()))),
            Ask::Beats(beats, _, back) => drop(back.send(Ok(self.beats(now, &beats)))),
            Ask::Explain(namespace, agent, back) => {
                self.own(home(&namespace, &agent));
                let _left = back.send(self.engine.explain(now, &namespace, &agent).map_err(Problem::from));
            }
            Ask::Foresee(namespace, agent, failure, back) => {
                self.own(home(&namespace, &agent));
                let foreseen = self.engine.foresee(now, &namespace, &agent, failure);
                let _left = back.send(foreseen.map_err(Problem::from));
            }
            Ask::Lifecycle(namespace, agent, back) => {
                self.own(home(&namespace, &agent));
                let _left = back.send(self.engine.lifecycle(&namespace, &agent).map_err(Problem::from));
            }
            Ask::Configure((profiles, policies), back) => {
                let configured = self.engine.configure(profiles.clone(), policies);
                if configured.is_ok() {
                    self.views.show_profiles(profiles);
                }
                let refused = configured.map_err(|used| Problem::new(ProblemCode::NotPossible, used.to_string()));
                let _left = back.send(refused);
            }
            Ask::CouldConfigure((profiles, _), leaving, back) => {
                let could = self.engine.could_configure(profiles, &leaving);
                let refused = could.map_err(|used| Problem::new(ProblemCode::NotPossible, used.to_string()));
                let _left = back.send(refused);
            }
            Ask::Could(commands, (profiles, policies), back) => {
                let could = self.engine.could(now, commands, profiles, policies);
                let _left = back.send(could.map_err(|(_, refusal)| Problem::from(refusal)));
            }
            Ask::Halted(back) => drop(back.send(Ok(self.engine.halted()))),
            Ask::Spec(namespace, agent, back) => {
                self.own(home(&namespace, &agent));
                let _left = back.send(self.engine.spec(&namespace, &agent).map_err(Problem::from));
            }
        }
    }

    /// Takes in signs of life, and all that follows from them.
    fn beats(&mut self, now: Now, beats: &[Beat]) -> Vec<BeatAnswer> {
        let slot_of = |beat: &Beat| match &beat.of {
            BeatOf::Named(named) => Some(home(&named.0, &named.1)),
            BeatOf::Id(id) => Some(id.slot()),
            BeatOf::Handle(_) => None,
        };
        beats.iter().filter_map(slot_of).for_each(|slot| self.own(slot));
        let mut answers = Vec::new();
        self.engine.beats(now, beats, &mut answers);
        for slot in beats.iter().filter_map(slot_of) {
            self.ask(slot, Input::Tick);
        }
        answers
    }

    /// Does one thing and all that follows from it, then lets a second pass; gives the answer to the first.
    fn ask(&mut self, slot: Slot, input: Input) -> Option<Reply> {
        let mut inputs = VecDeque::from([(slot, input)]);
        let mut answer = None;
        for _ in 0..MOST {
            let Some((slot, input)) = inputs.pop_front() else {
                self.pass(&mut inputs);
                match inputs.is_empty() {
                    true => return answer,
                    false => continue,
                }
            };
            self.own(slot);
            let reply = self.step(input, &mut inputs);
            answer = answer.or(reply);
        }
        panic!("the engine does not come to rest");
    }

    /// Lets time pass, once for each request, and has the next wait that is over be seen to.
    fn pass(&mut self, inputs: &mut VecDeque<(Slot, Input)>) {
        let now = self.now().moment;
        if self.engine.next_deadline().is_some_and(|due| due <= now) {
            // The slot of a tick is the engine's to find.
            inputs.extend(self.slots.first().map(|slot| (*slot, Input::Tick)));
        }
    }

    fn step(&mut self, input: Input, inputs: &mut VecDeque<(Slot, Input)>) -> Option<Reply> {
        let mut batch = self.engine.step(self.now(), input).expect("its slot was taken");
        let slot = batch.slot();
        let receipt = match batch.take_append() {
            Some(append) => {
                self.store.submit(append);
                self.commit()
            }
            None => self.store.load(slot).expect("memory can be read").receipt(),
        };
        let Released {
            actions,
            views,
            removed,
            groups,
            groups_removed,
            degradations,
            messages,
            reply,
        } = batch.release(&receipt).expect("its receipt covers it");
        views.into_iter().for_each(|view| self.views.publish(view));
        removed.into_iter().for_each(|id| self.views.withdraw(id));
        groups.into_iter().for_each(|view| self.views.publish_group(view));
        groups_removed.into_iter().for_each(|id| self.views.withdraw_group(id));
        degradations
            .into_iter()
            .for_each(|view| self.views.publish_degradation(view));
        inputs.extend(
            messages
                .into_iter()
                .map(|message| (message.to(), Input::Message(message))),
        );
        for action in actions {
            inputs.extend(played(action.order).map(|(slot, seen)| (slot, Input::Observed(seen))));
        }
        reply
    }

    fn commit(&mut self) -> Receipt {
        assert_eq!(self.store.pump(), 1, "one append is one completion");
        let completion = self.mailbox.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        self.committed.send_modify(|count| *count += 1);
        match completion {
            Some(Completion::Committed(receipt)) if receipt.durability() == Durability::Flushed => receipt,
            Some(Completion::Committed(receipt)) => {
                // What was only written is flushed too, so that no batch waits.
                self.store.flush();
                self.store.load(receipt.slot()).expect("memory can be read").receipt()
            }
            other => panic!("memory writes everything, not {other:?}"),
        }
    }

    /// Takes a slot when it is first spoken of.
    fn own(&mut self, slot: Slot) {
        if self.slots.insert(slot) {
            self.store
                .take(&[slot], &Owner::new("fuzz"), Lease::unending(Wall::default()))
                .expect("nobody else takes slots");
            let state = self.store.load(slot).expect("memory can be read");
            let now = self.now();
            let thawed = self.engine.thaw(now, state).expect("nothing was stored before");
            assert!(thawed.is_empty(), "an empty slot is nothing to do");
            let empty = Input::Inventory(slot, Inventory::default());
            drop(self.engine.step(now, empty).expect("it was taken"));
        }
    }

    fn now(&self) -> Now {
        let since = Duration::from_secs(self.ticks.into());
        Now {
            moment: Moment::at(since),
            wall: Wall::from_unix_millis(DAWN + i64::from(self.ticks) * 1000),
        }
    }
}

/// What comes of an order to the system: a process starts at once, unless it is called `broken`, and ends when it is told to.
fn played(order: Order) -> Option<(Slot, Observation)> {
    let ended = |instance: InstanceId, exit| Observation::Exited {
        instance,
        exit,
        swept: 0,
    };
    let seen = match order {
        Order::Prepare { agent, .. } => return Some((agent.slot(), Observation::Prepared { agent, result: Ok(()) })),
        Order::Spawn { instance, process, .. } => {
            let broken = process.command.first().is_some_and(|program| program == "broken");
            let result = if broken {
                Err(SpawnFailure {
                    kind: SpawnFailureKind::NotFound,
                    detail: "there is no `broken`".into(),
                })
            } else {
                Ok(ProcessIdentity {
                    boot: "b".into(),
                    pid_namespace: 1,
                    pid: 41,
                    start_time: 1,
                })
            };
            (instance, Observation::Spawned { instance, result })
        }
        Order::Signal { instance, .. } => (instance, ended(instance, Exit::Code { code: 0 })),
        Order::Kill { instance } => {
            let (signal, core) = (Signal::KILL, false);
            (instance, ended(instance, Exit::Signal { signal, core }))
        }
        Order::Acknowledge { .. } | Order::Tell { .. } | Order::Freeze { .. } | Order::Probe { .. } => return None,
    };
    Some((seen.0.agent.slot(), seen.1))
}

/// Where an agent or a group lives.
fn home(namespace: &Namespace, named: &AgentRef) -> Slot {
    match named {
        AgentRef::Name(name) => Slot::home(namespace, name.as_str()),
        AgentRef::Id(id) => id.slot(),
    }
}

/// Ports that do nothing.
struct Nothing;

impl Host for Nothing {
    fn now(&self) -> Wall {
        Wall::from_unix_millis(DAWN)
    }

    fn info(&self) -> DaemonInfo {
        DaemonInfo {
            version: "0".into(),
            pid: 1,
            started_at: Wall::default(),
            state_dir: "/".into(),
            listen: "127.0.0.1:7878".into(),
            keeper_pid: None,
        }
    }

    fn shut_down(&self, _: ShutdownOrder) {}
}

impl LogSource for Nothing {
    fn open(&self, _: &LogRequest) -> io::Result<Box<dyn LogReader>> {
        Ok(Box::new(Self))
    }
}

impl LogReader for Nothing {
    fn read(&mut self, _: usize) -> io::Result<Vec<stead_daemon::LogLine>> {
        Ok(Vec::new())
    }
}

/// The most steps that may follow from one request.
const MOST: usize = 100_000;

/// When the world begins, in civil time.
const DAWN: i64 = 1_767_225_600_000;
