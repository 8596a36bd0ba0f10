//! Every phase of each built-in profile with every intent and every observation: the engine follows the tables, and the tables are
//! written down. `UPDATE_LIFECYCLE=1 cargo test -p stead-sim --test it lifecycle` writes them anew.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use stead_engine::{Batch, Engine, Input, Released, Reply, Step, Wish, wish};
use stead_model::journal::{AgentRow, InstanceRow, SlotState, SpecRow};
use stead_model::profile::{agent, component};
use stead_model::spec::ProcessSpec;
use stead_model::{
    Action, AgentId, AgentRef, AgentSpec, BootClock, Command, Epoch, Exit, Health, Incarnation, InstanceId, Intent,
    Inventory, LiveInstance, Moment, Namespace, Notice, Now, Observation, Order, Origin, PhaseId, Position,
    ProcessIdentity, Profile, Refusal, Report, Request, Revision, Role, Sequence, Slot, Wanted,
};

/// One agent in one phase, and a keeper that does what it is told.
struct Bench {
    engine: Engine,
    id: AgentId,
    now: Now,
    live: Option<Incarnation>,
    path: Vec<String>,
    profile: Profile,
    /// It does not say that it is ready.
    silent: bool,
}

const BOOT: BootClock = BootClock {
    boot: 1,
    at_start: Duration::ZERO,
};

fn identity() -> ProcessIdentity {
    ProcessIdentity {
        boot: "b".into(),
        pid_namespace: 1,
        pid: 7,
        start_time: 1,
    }
}

impl Bench {
    /// An agent as if it had come to this phase, with or without a run that lives.
    fn new(profile: &Profile, phase: PhaseId, wanted: Wanted, alive: bool) -> Self {
        let name: stead_model::AgentName = "web".parse().unwrap();
        let slot = Slot::home(&Namespace::default(), name.as_str());
        let id = AgentId::new(slot, 1);
        let intent = Intent {
            wanted,
            actor: "ann".into(),
            at: stead_model::Wall::default(),
            reason: None,
            correlation_id: "r-0".into(),
            pause: None,
        };
        let spec = ProcessSpec {
            command: vec!["web".into()],
            notify: true,
            ..ProcessSpec::default()
        };
        let spec = AgentSpec {
            profile: profile.name().into(),
            ..AgentSpec::process(spec)
        };
        let instance = alive.then(|| InstanceRow {
            incarnation: Incarnation(1),
            spec_revision: 1,
            process: Some(identity()),
            since: stead_model::Wall::default(),
            ending: false,
            watchdog: None,
            listens: None,
            beats: false,
        });
        let patience = (profile.role(phase) == Role::Error && alive).then_some(Duration::from_secs(30));
        let lasts = profile.deadline(phase).map(|deadline| deadline.after).or(patience);
        let deadline = lasts.map(|lasts| BOOT.store(Moment::START, Moment::at(lasts)));
        let row = AgentRow {
            id,
            namespace: Namespace::default(),
            name,
            boot: 1,
            profile: profile.name().into(),
            revision: Revision(1),
            phase: profile.name_of(phase).into(),
            phase_since: stead_model::Wall::default(),
            sequence: Sequence(0),
            intent,
            health: Health::Unknown,
            claim: None,
            vital: None,
            health_since: stead_model::Wall::default(),
            ready: profile.role(phase).serves(),
            conditions: vec![],
            evidence: vec![],
            spec_revision: 1,
            incarnation: Incarnation(1),
            incarnations_reserved: Incarnation(64),
            instance,
            last_exit: None,
            restarts: 0,
            restart_wanted: false,
            halted: false,
            halt_reason: None,
            renewal: None,
            recovery: stead_model::journal::RecoveryRow::default(),
            deadline,
            tasks: if profile.role(phase) == Role::Busy {
                vec!["t1".into()]
            } else {
                vec![]
            },
            correlation_id: "r-0".into(),
            expiry: None,
            frozen: false,
            word: None,
            asked: Vec::new(),
            member: None,
            draining: false,
            drain: None,
            removed: false,
        };
        let spec = SpecRow {
            agent: id,
            revision: 1,
            actor: "ann".into(),
            at: stead_model::Wall::default(),
            spec,
        };
        let mut state = SlotState::empty(slot, Epoch(1));
        (state.position, state.agents, state.specs) = (Position(1), vec![row], vec![spec]);
        let mut engine = Engine::new(BOOT);
        let now = Now::default();
        let _loaded = engine.thaw(now, state).unwrap();
        let path = vec![profile.name_of(phase).to_owned()];
        Self {
            engine,
            id,
            now,
            live: alive.then_some(Incarnation(1)),
            path,
            profile: profile.clone(),
            silent: false,
        }
    }

    /// As [`Bench::new`], and the keeper has told what there is.
    fn surveyed(profile: &Profile, phase: PhaseId, wanted: Wanted, alive: bool) -> Self {
        let mut bench = Self::new(profile, phase, wanted, alive);
        let live = LiveInstance {
            instance: bench.instance(Incarnation(1)),
            process: identity(),
            ready: false,
        };
        let inventory = Inventory {
            live: alive.then_some(live).into_iter().collect(),
            exited: vec![],
        };
        bench.step(Input::Inventory(bench.id.slot(), inventory));
        bench
    }

    fn instance(&self, incarnation: Incarnation) -> InstanceId {
        InstanceId {
            agent: self.id,
            incarnation,
        }
    }

    /// One step and all that it leads to at once, each order obeyed.
    fn step(&mut self, input: Input) -> Option<Result<stead_model::Answer, Refusal>> {
        let batch = self.engine.step(self.now, input).unwrap();
        let (reply, actions) = self.written(batch);
        for action in actions {
            for seen in self.obey(action) {
                self.step(Input::Observed(seen));
            }
        }
        reply
    }

    fn written(&mut self, mut batch: Batch) -> (Option<Result<stead_model::Answer, Refusal>>, Vec<Action>) {
        self.engine.check_invariants().unwrap();
        let needs = batch.needs();
        let receipt = match batch.take_append() {
            Some(append) => {
                for row in &append.transitions {
                    let edge = self.profile.phase(&row.from).zip(self.profile.phase(&row.to)).unwrap();
                    assert!(self.profile.has_edge(edge.0, edge.1), "{} -> {}", row.from, row.to);
                    self.path.push(row.to.clone().into_owned());
                }
                append.commit(needs)
            }
            None => {
                let mut state = SlotState::empty(batch.slot(), Epoch(1));
                state.position = batch.position();
                state.receipt()
            }
        };
        let Released { actions, reply, .. } = batch.release(&receipt).unwrap();
        let reply = reply.and_then(|reply| match reply {
            Reply::Agent(reply) => Some(reply.map(|answer| *answer)),
            Reply::Group(_) | Reply::Degradation(_) => None,
        });
        (reply, actions)
    }

    /// One that does as it should says so as soon as it runs.
    fn says_ready(&mut self) {
        if let Some(incarnation) = self.live.filter(|_| !self.silent) {
            let (instance, notice) = (self.instance(incarnation), Notice::Ready);
            self.step(Input::Observed(Observation::Notified { instance, notice }));
        }
    }

    fn obey(&mut self, action: Action) -> Vec<Observation> {
        match action.order {
            Order::Prepare { agent, .. } => vec![Observation::Prepared { agent, result: Ok(()) }],
            Order::Spawn { instance, .. } => {
                assert_eq!(self.live.replace(instance.incarnation), None, "two runs at once");
                vec![Observation::Spawned {
                    instance,
                    result: Ok(identity()),
                }]
            }
            Order::Signal { instance, .. } | Order::Kill { instance } => {
                let lived = self.live.take_if(|live| *live == instance.incarnation).is_some();
                let exit = Exit::Code { code: 0 };
                lived
                    .then_some(Observation::Exited {
                        instance,
                        exit,
                        swept: 0,
                    })
                    .into_iter()
                    .collect()
            }
            Order::Acknowledge { .. } | Order::Tell { .. } | Order::Freeze { .. } | Order::Probe { .. } => vec![],
        }
    }

    fn ask(&mut self, request: Request) -> Result<stead_model::Answer, Refusal> {
        let command = Command {
            origin: Origin {
                actor: "ann".into(),
                role: stead_model::AccessRole::Admin,
                correlation_id: "r-1".into(),
                trace_id: None,
            },
            namespace: Namespace::default(),
            agent: AgentRef::Id(self.id),
            expected: None,
            idempotency: None,
            reason: None,
            request,
        };
        self.step(Input::Command(Box::new(command))).unwrap()
    }

    /// Lets every wait end, one after the other, for so long.
    fn wait(&mut self, span: Duration) {
        let until = self.now.moment.after(span);
        let mut ticks = 0;
        self.says_ready();
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= until) {
            self.now.moment = self.now.moment.max(due);
            self.step(Input::Tick);
            self.says_ready();
            ticks += 1;
            assert!(ticks < 1_000, "it does not come to rest: {}", self.path.join(" "));
        }
        self.now.moment = until;
    }

    fn phase(&self) -> &str {
        self.path.last().unwrap()
    }

    fn role(&self) -> Role {
        self.profile.role(self.profile.phase(self.phase()).unwrap())
    }
}

/// Every combination in which an agent can be: a phase that must not have a run has none, one that needs one has it.
fn places(profile: &Profile) -> impl Iterator<Item = (PhaseId, bool)> + '_ {
    profile.phases().flat_map(move |phase| {
        let role = profile.role(phase);
        let never_ran = matches!(role, Role::Initial | Role::Preparing | Role::Prepared);
        let lives = [false, true].into_iter().filter(move |alive| {
            !(*alive && (never_ran || role.forbids_instance()) || !*alive && role.needs_instance())
        });
        lives
            .filter(move |_| role != Role::Gone)
            .map(move |alive| (phase, alive))
    })
}

#[test]
fn what_is_wanted_is_reached_from_every_phase_or_refused() {
    for profile in [agent(), component()] {
        for (phase, alive) in places(&profile) {
            for wanted in Wanted::ALL.iter().copied() {
                let mut bench = Bench::surveyed(&profile, phase, Wanted::Running, alive);
                let here = bench.path.join(" ");
                // What is asked for is judged by where it stands then.
                let possible = wish(wanted, bench.role(), bench.live.is_some());
                let answer = bench.ask(Request::Want(wanted));
                bench.wait(Duration::from_secs(3600));
                let way = bench.path.join(" ");
                if let Err(refusal) = answer {
                    let seat = match wanted {
                        Wanted::Paused => Some(Role::Suspended),
                        Wanted::Maintenance => Some(Role::Maintenance),
                        Wanted::Terminated => Some(Role::Retired),
                        Wanted::Running | Wanted::Stopped | Wanted::Deleted => None,
                    };
                    let has_seat = seat.is_none_or(|seat| profile.has_role(seat));
                    assert!(
                        possible == Wish::Refused || !has_seat,
                        "{}: {here}, wanted {wanted}: {refusal}, though the table says {possible:?}",
                        profile.name()
                    );
                    continue;
                }
                let role = bench.role();
                let gone = bench
                    .engine
                    .spec(&Namespace::default(), &AgentRef::Id(bench.id))
                    .is_err();
                let reached = match wanted {
                    Wanted::Running => role.serves() || role == Role::Retired,
                    Wanted::Paused => role == Role::Suspended || wish(wanted, role, false) == Wish::Refused,
                    Wanted::Maintenance => role == Role::Maintenance || wish(wanted, role, false) == Wish::Refused,
                    Wanted::Stopped => wish(wanted, role, bench.live.is_some()) == Wish::Satisfied,
                    Wanted::Terminated => role == Role::Retired || wish(wanted, role, false) == Wish::Refused,
                    Wanted::Deleted => gone,
                };
                assert!(reached, "{}: {here}, wanted {wanted}: {way}", profile.name());
                assert!(
                    bench.path.len() < 16,
                    "{}: {here}, wanted {wanted}: {way}",
                    profile.name()
                );
            }
        }
    }
}

#[test]
fn an_intent_that_stands_from_before_is_followed_after_a_restart_of_the_daemon() {
    for profile in [agent(), component()] {
        for (phase, alive) in places(&profile) {
            for wanted in Wanted::ALL.iter().copied() {
                let mut bench = Bench::surveyed(&profile, phase, wanted, alive);
                bench.wait(Duration::from_secs(3600));
                let removed = bench
                    .engine
                    .spec(&Namespace::default(), &AgentRef::Id(bench.id))
                    .is_err();
                let end = profile.phase(bench.phase()).unwrap();
                let said = answer(&profile, end, wanted, bench.live.is_some());
                let rests = matches!(said, Wish::Satisfied | Wish::Refused);
                assert!(
                    rests || removed,
                    "{} wanted {wanted}: {}",
                    profile.name(),
                    bench.path.join(" ")
                );
            }
        }
    }
}

#[test]
fn every_phase_that_must_end_ends_by_itself() {
    for profile in [agent(), component()] {
        for (phase, alive) in places(&profile).filter(|(phase, _)| profile.deadline(*phase).is_some()) {
            let mut bench = Bench::new(&profile, phase, Wanted::Stopped, alive);
            bench.silent = true;
            bench.wait(Duration::from_secs(900));
            assert_eq!(bench.path.len(), 1, "nothing is judged before it was looked at");
            let inventory = Inventory::default();
            bench.step(Input::Inventory(bench.id.slot(), inventory));
            bench.wait(Duration::from_secs(3600));
            assert!(bench.path.len() > 1, "{} stays {}", profile.name(), bench.phase());
        }
    }
}

/// An intent under which an agent is in a phase of this role.
const fn wanted_in(role: Role) -> Wanted {
    match role {
        Role::Suspended => Wanted::Paused,
        Role::Maintenance => Wanted::Maintenance,
        Role::Stopping => Wanted::Stopped,
        _ => Wanted::Running,
    }
}

/// What the table says, as far as the profile has the states for it.
fn answer(profile: &Profile, phase: PhaseId, wanted: Wanted, instance: bool) -> Wish {
    let seat = match wanted {
        Wanted::Paused => Some(Role::Suspended),
        Wanted::Maintenance => Some(Role::Maintenance),
        Wanted::Terminated => Some(Role::Retired),
        Wanted::Running | Wanted::Stopped | Wanted::Deleted => None,
    };
    match wish(wanted, profile.role(phase), instance) {
        _ if seat.is_some_and(|seat| !profile.has_role(seat)) => Wish::Refused,
        answer => answer,
    }
}

/// What may be seen of an agent, as the tables call it.
fn observations(bench: &Bench) -> Vec<(&'static str, Input)> {
    let instance = bench.instance(Incarnation(1));
    let agent = bench.id;
    let exited = |exit| Observation::Exited {
        instance,
        exit,
        swept: 0,
    };
    let probed = |kind, result| Observation::Probed { instance, kind, result };
    let notified = |notice| Observation::Notified { instance, notice };
    vec![
        ("exit 0", Input::Observed(exited(Exit::Code { code: 0 }))),
        ("exit 1", Input::Observed(exited(Exit::Code { code: 1 }))),
        ("out of memory", Input::Observed(exited(Exit::OutOfMemory))),
        ("READY=1", Input::Observed(notified(Notice::Ready))),
        ("hung", Input::Observed(notified(Notice::WatchdogTrigger))),
        (
            "report",
            Input::Observed(Observation::Reported {
                agent,
                report: Report::default(),
            }),
        ),
        (
            "probe",
            Input::Observed(probed(stead_model::spec::ProbeKind::Readiness, Ok(()))),
        ),
    ]
}

/// An intent under which an agent stays in a phase of this role for a while.
const fn resting(role: Role) -> Wanted {
    match role {
        Role::Initial | Role::Prepared | Role::Offline | Role::Failed | Role::TimedOut => Wanted::Stopped,
        Role::Retired => Wanted::Terminated,
        _ => wanted_in(role),
    }
}

/// What may be asked for beside the intents, as the tables call it.
fn verbs() -> Vec<(&'static str, Request)> {
    let task = |task: &str| task.to_owned();
    vec![
        ("deploy", Request::Deploy),
        ("restart", Request::Restart),
        ("reset", Request::Reset),
        ("resume", Request::Resume),
        ("update", Request::Update { spec: None }),
        ("assign", Request::Assign { task: task("t2") }),
        ("complete", Request::Complete { task: task("t1") }),
        ("error", Request::ReportError { detail: task("odd") }),
        (
            "drain",
            Request::Drain {
                within: stead_model::Span(Duration::from_secs(5)),
            },
        ),
    ]
}

/// What comes of each verb in each phase, at once.
fn asked(profile: &Profile, page: &mut String) {
    *page += "\n## Phase and verb\n\nWhat comes of a request at once, with a live run where there may be one that says READY=1, and the keeper does as it is \
              told; a busy one has the task that `complete` ends. `refused`: 409, and nothing is changed; `already`: it is as asked for; `noted`: it \
              stays where it is for now. Phases that are left at once have no row.\n\n| phase |";
    let verbs = verbs();
    verbs.iter().for_each(|(name, _)| write!(page, " {name} |").unwrap());
    *page += "\n|---|";
    *page += &"---|".repeat(verbs.len());
    page.push('\n');
    for phase in profile.phases().filter(|phase| profile.role(*phase) != Role::Gone) {
        let alive = places(profile).any(|place| place == (phase, true));
        if Bench::surveyed(profile, phase, resting(profile.role(phase)), alive)
            .path
            .len()
            > 1
        {
            continue;
        }
        write!(page, "| {} |", profile.name_of(phase)).unwrap();
        for (_, request) in verbs.clone() {
            let mut bench = Bench::surveyed(profile, phase, resting(profile.role(phase)), alive);
            let answer = bench.ask(request);
            if answer.is_ok() {
                bench.says_ready();
            }
            let way = bench.path[1..].join(" → ");
            let cell = match answer {
                Err(_) => {
                    assert_eq!(way, "", "a refusal changes nothing");
                    "refused"
                }
                Ok(answer) if answer.outcome == stead_model::Outcome::Already => "already",
                Ok(_) if way.is_empty() => "noted",
                Ok(_) => &way,
            };
            write!(page, " {cell} |").unwrap();
        }
        page.push('\n');
    }
}

fn table(profile: &Profile) -> String {
    let mut page = format!(
        "# The lifecycle of `{0}`\n\nGenerated from the tables; \
         `UPDATE_LIFECYCLE=1 cargo test -p stead-sim --test it lifecycle` writes it anew.\n\n## Edges\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> {1}\n",
        profile.name(),
        profile.name_of(profile.initial()),
    );
    for from in profile.phases() {
        for to in profile.next(from) {
            writeln!(page, "    {} --> {}", profile.name_of(from), profile.name_of(to)).unwrap();
        }
    }
    page += "```\n\n## Phase and intent\n\nWhat is done about an intent, with a live run / without one.\n\n| phase |";
    Wanted::ALL
        .iter()
        .for_each(|wanted| write!(page, " {wanted} |").unwrap());
    page += "\n|---|";
    page += &"---|".repeat(Wanted::ALL.len());
    page.push('\n');
    for phase in profile.phases() {
        let role = profile.role(phase);
        write!(page, "| {} |", profile.name_of(phase)).unwrap();
        for wanted in Wanted::ALL.iter().copied() {
            let (with, without) = (
                word(answer(profile, phase, wanted, true)),
                word(answer(profile, phase, wanted, false)),
            );
            match (role.forbids_instance(), role.needs_instance()) {
                (true, _) => write!(page, " {without} |").unwrap(),
                (false, true) => write!(page, " {with} |").unwrap(),
                (false, false) if with == without => write!(page, " {with} |").unwrap(),
                (false, false) => write!(page, " {with} / {without} |").unwrap(),
            }
        }
        page.push('\n');
    }
    page += "\n## Phase and observation\n\nWhere an agent with a live run that says READY=1 goes by itself, all at once, when \
             something is seen of it and the keeper does as it is told. Nothing: it stays.\n\n| phase |";
    let sample = Bench::new(profile, profile.initial(), Wanted::Running, true);
    observations(&sample)
        .iter()
        .for_each(|(name, _)| write!(page, " {name} |").unwrap());
    page += "\n|---|";
    page += &"---|".repeat(observations(&sample).len());
    page.push('\n');
    let lasts = |phase: &PhaseId| !matches!(profile.role(*phase), Role::Failed | Role::TimedOut);
    for (phase, _) in places(profile).filter(|(phase, alive)| *alive && lasts(phase)) {
        write!(page, "| {} |", profile.name_of(phase)).unwrap();
        for place in 0..observations(&sample).len() {
            let mut bench = Bench::surveyed(profile, phase, wanted_in(profile.role(phase)), true);
            bench.path.truncate(1);
            let (_, input) = observations(&bench).swap_remove(place);
            if matches!(input, Input::Observed(Observation::Exited { .. })) {
                bench.live = None;
            }
            bench.step(input);
            write!(page, " {} |", bench.path[1..].join(" → ")).unwrap();
        }
        page.push('\n');
    }
    asked(profile, &mut page);
    page
}

const fn word(wish: Wish) -> &'static str {
    match wish {
        Wish::Satisfied => "satisfied",
        Wish::Wait => "wait",
        Wish::Refused => "refused",
        Wish::Next(step) => match step {
            Step::Enter(Role::Ready) => "resume",
            Step::Enter(Role::Suspended) => "suspend",
            Step::Enter(Role::Maintenance) => "take out of work",
            Step::Enter(Role::Retired) => "retire",
            Step::Enter(Role::Gone) => "remove",
            Step::Enter(_) => "enter",
            Step::Prepare => "prepare",
            Step::Start => "start",
            Step::Stop => "stop",
            Step::End => "end",
            Step::Kill => "kill",
            Step::Down => "go down",
        },
    }
}

#[test]
fn the_written_tables_are_those_that_the_engine_follows() {
    for profile in [agent(), component()] {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lifecycle"));
        let path = folder.join(format!("{}.md", profile.name()));
        let page = table(&profile);
        if std::env::var_os("UPDATE_LIFECYCLE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, page,
            "run UPDATE_LIFECYCLE=1 cargo test -p stead-sim --test it lifecycle"
        );
    }
}
