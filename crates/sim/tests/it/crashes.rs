//! Whole fleets under faults: whatever dies at whatever point, nothing that was said is lost, nothing runs twice, and in the end
//! everything is as it is wanted.
//!
//! `STEAD_RUNS=100000` asks for more lives than the test command takes, `STEAD_SEED=7` for one of them again.

use std::time::Duration;

use stead_model::group::{GroupRequest, RolloutState};
use stead_model::journal::AgentRow;
use stead_model::spec::ProbeKind;
use stead_model::{AgentSpec, Exit, Health, Notice, Observation, PauseMode, Report, Request, Signal, Wanted};
use stead_sim::{Crash, Dice, Turn, World};
use stead_store::{Fault, StoreError};

const NAMES: [&str; 6] = ["web", "db", "bus", "job", "edge", "llm"];

/// A group in every fleet, and the replicas that it may have.
const GROUP: &str = "flock";
const REPLICAS: [&str; 4] = ["flock-1", "flock-2", "flock-3", "flock-4"];

/// What the group may be told to be.
const GROUP_SPECS: [&str; 4] = [
    r#"{"replicas":2,"update":{"min_ready":"1s","progress_deadline":"20s"},"template":{"command":["serve"]}}"#,
    r#"{"replicas":3,"update":{"min_ready":"2s","progress_deadline":"20s"},"template":{"command":["slow"]}}"#,
    r#"{"replicas":2,"update":{"min_ready":"1s","progress_deadline":"20s","max_unavailable":0,"max_surge":1},"template":{"command":["serve","2"]}}"#,
    r#"{"replicas":2,"update":{"min_ready":"1s","progress_deadline":"20s"},"template":{"command":["flash"]}}"#,
];

const MODES: [PauseMode; 4] = [
    PauseMode::Soft,
    PauseMode::Freeze,
    PauseMode::Checkpoint,
    PauseMode::Hibernate,
];

/// What each may be told to be.
const SPECS: &[(&str, &str)] = &[
    ("web", r#"{"command":["serve"],"depends_on":{"db":"started"}}"#),
    (
        "web",
        r#"{"command":["crash"],"restart":{"backoff":{"initial":"0s"},"intensity":{"max":50,"period":"1m"}}}"#,
    ),
    ("web", r#"{"command":["stubborn"],"stop":{"grace":"2s"}}"#),
    (
        "db",
        r#"{"command":["serve"],"notify":true,"watchdog":"20s","restart":{"backoff":{"max":"10s"}}}"#,
    ),
    (
        "db",
        r#"{"command":["slow"],"probes":{"readiness":{"tcp_socket":{"port":1}}}}"#,
    ),
    ("db", r#"{"command":["flash"],"restart":{"backoff":{"max":"5s"}}}"#),
    (
        "web",
        r#"{"command":["serve","hangs"],"health":{"expected":true},"restart":{"backoff":{"max":"10s"}}}"#,
    ),
    (
        "db",
        r#"{"command":["slow","leaks"],"health":{"on_warning":"drain"},"restart":{"backoff":{"max":"10s"}}}"#,
    ),
    (
        "bus",
        r#"{"command":["stubborn","hangs"],"profile":"component","health":{"expected":true},"restart":{"backoff":{"max":"10s"}}}"#,
    ),
    ("edge", r#"{"command":["serve","beats"],"lifecycle":{"port":1}}"#),
    (
        "bus",
        r#"{"command":["serve"],"profile":"component","depends_on":{"edge":"healthy"}}"#,
    ),
    ("bus", r#"{"command":["missing"],"profile":"component"}"#),
    (
        "job",
        r#"{"command":["job"],"restart":{"policy":"on-failure","final_exit_codes":[3]}}"#,
    ),
    (
        "job",
        r#"{"command":["scarce"],"restart":{"policy":"never"},"depends_on":{"web":"started"}}"#,
    ),
    ("edge", r#"{"driver":"none"}"#),
    (
        "edge",
        r#"{"command":["serve"],"lifecycle":{"port":1},"restart":{"backoff":{"max":"10s"}}}"#,
    ),
    ("bus", r#"{"command":["slow"],"lifecycle":{"port":2}}"#),
    (
        "llm",
        r#"{"driver":"none","profile":"component","depends_on":{"job":"completed"}}"#,
    ),
    ("llm", r#"{"driver":"none","profile":"component"}"#),
];

/// One fleet and the chance that rules its life.
struct Life {
    dice: Dice,
    world: World,
}

impl Life {
    fn new(seed: u64, engines: usize) -> Self {
        Self {
            dice: Dice::new(seed),
            world: World::new(engines, &[&NAMES[..], &[GROUP], &REPLICAS].concat()),
        }
    }

    /// Anything may happen, between any two turns of the wheel.
    fn chaos(&mut self, happenings: usize) {
        for _ in 0..happenings {
            match self.dice.below(40) {
                0..=22 => self.turn(),
                23 => self.request_of_group(),
                24..=29 => self.request(),
                30..=33 => self.pass(),
                34 | 35 => self.end(),
                36 | 37 => self.hear(),
                38 => self.disturb(),
                _ if self.dice.one_in(2) => self.crash(),
                _ => self.world.settle(),
            }
        }
    }

    fn turn(&mut self) {
        let open: Vec<Turn> = Turn::ALL.into_iter().filter(|turn| self.world.can(*turn)).collect();
        if !open.is_empty() {
            let turn = *self.dice.pick(&open);
            self.world.turn(turn);
        }
    }

    fn request(&mut self) {
        let (name, spec) = *self.dice.pick(SPECS);
        let spec: Box<AgentSpec> = Box::new(serde_json::from_str(spec).unwrap());
        let task = format!("t{}", self.dice.below(4));
        let request = match self.dice.below(26) {
            0..=6 => Request::Register {
                spec,
                wanted: Wanted::Running,
            },
            7 => Request::Register {
                spec,
                wanted: Wanted::Stopped,
            },
            8 => Request::Respec { spec },
            9 | 10 => Request::Restart,
            11 => Request::Reset,
            12 => Request::Deploy,
            13 => Request::Assign { task },
            14 => Request::Complete { task },
            15 => Request::ReportError {
                detail: "it answers 500".into(),
            },
            16 if self.dice.one_in(2) => Request::Halt,
            16 => Request::Resume,
            17 => Request::Drain {
                within: stead_model::Span(Duration::from_secs(*self.dice.pick(&[0, 5, 20]))),
            },
            18 | 19 => Request::Pause {
                mode: *self.dice.pick(&MODES),
                lasts: None,
            },
            _ => Request::Want(*self.dice.pick(Wanted::ALL)),
        };
        self.world.request(name, request);
    }

    fn request_of_group(&mut self) {
        let text = *self.dice.pick(&GROUP_SPECS);
        let spec = Box::new(serde_json::from_str(text).unwrap());
        let request = match self.dice.below(14) {
            0..=3 => GroupRequest::Create {
                spec,
                wanted: Wanted::Running,
            },
            4..=6 => GroupRequest::Respec { spec },
            7 => GroupRequest::Scale {
                replicas: u32::try_from(self.dice.below(4)).unwrap(),
            },
            8 => GroupRequest::Restart,
            9 => GroupRequest::Undo { to: None },
            10 => GroupRequest::Want(Wanted::Running),
            11 => GroupRequest::Want(*self.dice.pick(&[Wanted::Stopped, Wanted::Deleted])),
            12 => GroupRequest::Want(*self.dice.pick(&[Wanted::Paused, Wanted::Maintenance])),
            _ => GroupRequest::Resume,
        };
        self.world.request_of_group(GROUP, request);
    }

    fn pass(&mut self) {
        let spans = [1, 50, 150, 1_000, 5_000, 12_000, 65_000];
        let millis = *self.dice.pick(&spans);
        self.world.pass(Duration::from_millis(millis));
    }

    fn end(&mut self) {
        let live: Vec<_> = self.world.machine.live().collect();
        if !live.is_empty() {
            let instance = *self.dice.pick(&live);
            let signal = Signal::KILL;
            let exits = [
                Exit::Code { code: 0 },
                Exit::Code { code: 1 },
                Exit::Code { code: 3 },
                Exit::OutOfMemory,
                Exit::Signal { signal, core: true },
            ];
            let exit = *self.dice.pick(&exits);
            self.world.end(instance, exit);
        }
    }

    /// Somebody says something: the truth, something late, something strange.
    fn hear(&mut self) {
        let name = *self.dice.pick(&NAMES);
        let Some(mut instance) = self.world.instance(name) else {
            return;
        };
        if self.dice.one_in(4) {
            instance.incarnation.0 = instance.incarnation.0.saturating_sub(1);
        }
        let notices = [
            Notice::Ready,
            Notice::Watchdog,
            Notice::WatchdogTrigger,
            Notice::Stopping,
            Notice::Reloading,
        ];
        let health = [
            None,
            Some(Health::Healthy),
            Some(Health::Degraded),
            Some(Health::Failed),
        ];
        let kinds = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];
        match self.dice.below(4) {
            0 => {
                let notice = self.dice.pick(&notices).clone();
                self.world.notify(instance, notice);
            }
            1 => {
                let health = *self.dice.pick(&health);
                let report = Report {
                    health,
                    ..Report::default()
                };
                self.world.observe(Observation::Reported {
                    agent: instance.agent,
                    report,
                });
            }
            2 => {
                let result = if self.dice.one_in(2) {
                    Ok(())
                } else {
                    Err("refused".into())
                };
                let kind = *self.dice.pick(&kinds);
                self.world.observe(Observation::Probed { instance, kind, result });
            }
            _ if instance.incarnation.0 > 0
                && self.world.machine.live_of(instance.agent).all(|live| live != instance) =>
            {
                // The keeper tells of an end again; it was told of before, or is in the inventory.
                self.world.tell_again(instance);
            }
            _ => {}
        }
    }

    fn disturb(&mut self) {
        let detail = || "as ordered".to_owned();
        match self.dice.below(6) {
            0 => self.world.fault(Fault::WrittenButUnknown),
            1 => self.world.fault(Fault::Fail(StoreError::Full)),
            2 => self.world.fault(Fault::Fail(StoreError::Down { detail: detail() })),
            3 => self.world.lose_keeper(),
            _ => self.world.sync(),
        }
    }

    fn crash(&mut self) {
        let keep = self.dice.below(6);
        let crash = match self.dice.below(3) {
            0 => Crash::Daemon,
            1 => Crash::DaemonAndKeeper,
            _ => Crash::Power { keep },
        };
        if self.world.up() {
            self.world.crash(crash);
            for _ in 0..self.dice.below(3) {
                self.pass();
                self.end();
            }
            self.world.start();
        }
    }

    /// Faults have stopped, and everybody does as they should, for a while.
    fn calm(&mut self) {
        self.world.machine.calm_down();
        for _ in 0..60 {
            self.world.settle();
            self.cooperate();
            self.world.settle();
            let later = self.world.elapsed() + Duration::from_secs(5);
            self.world.run_until(later);
        }
    }

    fn cooperate(&mut self) {
        for name in NAMES.into_iter().chain(REPLICAS) {
            let Some(instance) = self.world.instance(name) else {
                continue;
            };
            self.world.request(name, Request::Lift);
            if !self.world.machine.has_voice(instance) {
                let report = Report {
                    health: Some(Health::Healthy),
                    ..Report::default()
                };
                self.world.observe(Observation::Reported {
                    agent: instance.agent,
                    report,
                });
            }
            self.world.notify(instance, Notice::Ready);
            for kind in [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness] {
                self.world.observe(Observation::Probed {
                    instance,
                    kind,
                    result: Ok(()),
                });
            }
        }
    }

    /// Everything is as it is wanted, or says why it cannot be.
    fn is_as_wanted(&self) {
        let rows: Vec<AgentRow> = self.world.agents().cloned().collect();
        for row in &rows {
            let name = row.name.as_str();
            let why = self.world.explain(name).unwrap();
            let lifecycle = self.world.lifecycle(name).unwrap();
            let phase = row.phase.as_str();
            let stays = ["registered", "deployed", "failed", "offline", "unknown", "inactive"].contains(&phase);
            let fine = match row.intent.wanted {
                Wanted::Running => {
                    lifecycle.is_operational || row.recovery.block.is_some() || !why.waiting_for.is_empty()
                }
                Wanted::Paused => phase == "suspended" || stays,
                Wanted::Maintenance => phase == "maintenance" || stays,
                Wanted::Stopped => stays || phase == "terminated",
                Wanted::Terminated => phase == "terminated" || stays,
                Wanted::Deleted => false,
            };
            assert!(fine, "{}\n{}", why.summary, self.world.transcript());
            let listens = row.instance.as_ref().is_some_and(|run| run.listens.is_some());
            assert!(
                !(row.intent.wanted == Wanted::Running && listens && self.world.machine.has_paused(row.id)),
                "{name} was never told to go on\n{}",
                self.world.transcript()
            );
        }
        for instance in self.world.machine.live() {
            // One that hangs while what it depends on is down is found, and held: no restart of its own could help.
            let wanted = rows
                .iter()
                .find(|row| row.id == instance.agent && !row.recovery.sheltered)
                .map(|row| row.intent.wanted);
            assert!(
                !(wanted == Some(Wanted::Running) && self.world.machine.hangs(instance)),
                "that {instance} hangs was not found\n{}",
                self.world.transcript()
            );
            let known = rows.iter().find(|row| row.id == instance.agent);
            let current = known.and_then(|row| row.instance.as_ref()).map(|run| run.incarnation);
            assert_eq!(
                current,
                Some(instance.incarnation),
                "{instance} runs for nobody\n{}",
                self.world.transcript()
            );
        }
        assert_eq!(
            self.world.machine.unacknowledged(),
            0,
            "exits are left\n{}",
            self.world.transcript()
        );
        self.world.check_history().unwrap();
        self.group_is_as_wanted(&rows);
    }

    /// The group has its replicas, each runs what it was told last, and no update hangs in the middle.
    fn group_is_as_wanted(&self, rows: &[AgentRow]) {
        let members = rows.iter().filter(|row| row.member.is_some()).count();
        let Ok(status) = self.world.rollout(GROUP) else {
            assert_eq!(members, 0, "replicas of nobody\n{}", self.world.transcript());
            return;
        };
        let group = status.group;
        let state = group.rollout.as_ref().map(|rollout| rollout.state);
        let hangs = matches!(state, Some(RolloutState::Rolling | RolloutState::RollingBack));
        let told = || format!("{group:#?}\n{}", self.world.transcript());
        let mut running = rows
            .iter()
            .filter(|row| row.member.is_some() && row.intent.wanted == Wanted::Running)
            .peekable();
        let ended = matches!(state, Some(RolloutState::Completed | RolloutState::RolledBack));
        let rests = group.intent != Wanted::Running || running.peek().is_none();
        assert!(rests || !hangs, "{}", told());
        for row in running {
            let member = row.member.as_ref().unwrap();
            assert!(
                !ended || member.revision == group.spec_revision,
                "{} {}",
                row.name,
                told()
            );
            let runs = row.instance.as_ref().map(|run| run.spec_revision);
            let newest = runs.is_none_or(|runs| runs == row.spec_revision);
            assert!(newest, "{} runs an older spec\n{}", row.name, told());
        }
        assert!(group.intent != Wanted::Deleted, "{}", told());
        assert_eq!(members, usize::try_from(group.present).unwrap(), "{}", told());
        assert_eq!(group.present, group.replicas, "{}", told());
    }
}

/// Says how a life that ended badly is lived again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "live it again: STEAD_SEED={0} cargo test -p stead-sim --test it crashes",
                self.0
            );
        }
    }
}

fn seeds(runs: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (first, runs) = match number("STEAD_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("STEAD_RUNS").unwrap_or(runs)),
    };
    first..first + runs
}

#[test]
fn a_fleet_whose_daemon_keeper_disk_and_power_fail_at_any_point_comes_to_what_is_wanted() {
    for seed in seeds(1500) {
        let _replay = Replay(seed);
        let mut life = Life::new(seed, 1);
        life.chaos(200);
        life.calm();
        life.is_as_wanted();
    }
}

#[test]
fn a_fleet_spread_over_many_engines_comes_through_the_same_faults() {
    for seed in seeds(300) {
        let _replay = Replay(seed);
        let mut life = Life::new(seed, 64);
        life.chaos(200);
        life.calm();
        life.is_as_wanted();
    }
}

/// The same undisturbed life on so many engines: every row of history, by agent, and how each stands in the end.
fn outcome(seed: u64, engines: usize) -> Vec<(AgentRow, Vec<stead_model::Transition>)> {
    let mut life = Life::new(seed, engines);
    for _ in 0..60 {
        match life.dice.below(4) {
            0 | 1 => life.request(),
            2 => life.end(),
            _ => {
                let later = life.world.elapsed() + Duration::from_millis(*life.dice.pick(&[100, 1_500, 20_000]));
                life.world.run_until(later);
            }
        }
        life.world.settle();
    }
    life.world
        .agents()
        .map(|row| (row.clone(), life.world.history_of(row.id)))
        .collect()
}

#[test]
fn a_fleet_has_the_same_fate_in_one_engine_and_spread_over_many() {
    for seed in seeds(200) {
        let _replay = Replay(seed);
        let one = outcome(seed, 1);
        assert_eq!(one, outcome(seed, 64));
        assert_eq!(one, outcome(seed, 2));
    }
}
