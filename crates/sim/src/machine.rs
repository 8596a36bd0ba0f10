//! The machine: a keeper and the processes that it started, each behaving as its command says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stead_model::spec::ProcessSpec;
use stead_model::{
    Action, AgentId, Beat, Epoch, Exit, InstanceId, Inventory, LiveInstance, Notice, Observation, Order,
    ProcessIdentity, Signal, Slot, SpawnFailure, SpawnFailureKind, Word,
};

use crate::voice::Voice;

/// How a process behaves; the first word of its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// `serve`: runs, and ends 100 ms after it is asked to.
    Serve,
    /// `slow`: as `serve`, and ends with code 0 three seconds after it is asked to.
    Slow,
    /// `stubborn`: ends by SIGKILL alone.
    Stubborn,
    /// `job`: ends with code 0 after two seconds.
    Job,
    /// `crash`: ends with code 1 after a second.
    Crash,
    /// `flash`: ends with code 1 at once.
    Flash,
    /// `missing`: there is no such program.
    Missing,
    /// `scarce`: the machine has no room for it.
    Scarce,
}

impl Behaviour {
    fn of(process: &ProcessSpec) -> Self {
        match process.command.first().map_or("", String::as_str) {
            "slow" => Self::Slow,
            "stubborn" => Self::Stubborn,
            "job" => Self::Job,
            "crash" => Self::Crash,
            "flash" => Self::Flash,
            "missing" => Self::Missing,
            "scarce" => Self::Scarce,
            _serve => Self::Serve,
        }
    }

    fn fault(self) -> Result<(), SpawnFailure> {
        let fault = |kind, detail: &str| {
            Err(SpawnFailure {
                kind,
                detail: detail.to_owned(),
            })
        };
        match self {
            Self::Missing => fault(SpawnFailureKind::NotFound, "there is no program `missing`"),
            Self::Scarce => fault(SpawnFailureKind::Resources, "no process can be started now"),
            Self::Serve | Self::Slow | Self::Stubborn | Self::Job | Self::Crash | Self::Flash => Ok(()),
        }
    }

    fn ends_by_itself(self, now: Duration) -> Option<(Duration, Exit)> {
        match self {
            Self::Job => Some((now + Duration::from_secs(2), Exit::Code { code: 0 })),
            Self::Crash => Some((now + Duration::from_secs(1), Exit::Code { code: 1 })),
            Self::Flash => Some((now, Exit::Code { code: 1 })),
            Self::Serve | Self::Slow | Self::Stubborn | Self::Missing | Self::Scarce => None,
        }
    }

    fn answers(self, signal: Signal, now: Duration) -> Option<(Duration, Exit)> {
        match self {
            Self::Stubborn => None,
            Self::Slow => Some((now + Duration::from_secs(3), Exit::Code { code: 0 })),
            Self::Serve | Self::Job | Self::Crash | Self::Flash | Self::Missing | Self::Scarce => {
                Some((now + Duration::from_millis(100), Exit::Signal { signal, core: false }))
            }
        }
    }
}

#[derive(Debug)]
struct Process {
    identity: ProcessIdentity,
    behaviour: Behaviour,
    voice: Option<Voice>,
    ready: bool,
    frozen: bool,
    /// What it is being told, and when it hears it.
    told: Option<(Duration, Word)>,
    /// When and how it will end by itself.
    ends: Option<(Duration, Exit)>,
}

impl Process {
    /// When it hears what it is being told.
    fn hears(&self) -> Option<Duration> {
        self.told.filter(|_| !self.frozen).map(|(at, _)| at)
    }

    /// When it speaks next by itself.
    fn speaks(&self) -> Option<Duration> {
        self.voice.as_ref().filter(|_| !self.frozen)?.next()
    }
}

/// How long it takes until a process has heard a word, and has done as it was told.
const HEARS_AFTER: Duration = Duration::from_millis(300);

/// A machine with a keeper. Deaths of the daemon leave it as it is; a power cut leaves nothing but what it remembers for the checks.
#[derive(Debug, Default)]
pub struct Machine {
    boot: u64,
    live: BTreeMap<InstanceId, Process>,
    /// Exits that were not acknowledged.
    exits: BTreeMap<InstanceId, Exit>,
    /// Every run that was begun, in this boot or an earlier one.
    begun: BTreeSet<InstanceId>,
    /// Runs that this boot's keeper was ordered to begin.
    ordered: BTreeSet<InstanceId>,
    /// Runs whose order failed once, as was told; ordered twice, they may yet begin when the next run is already ordered.
    failed: BTreeSet<InstanceId>,
    /// Highest epoch seen per slot.
    epochs: BTreeMap<Slot, Epoch>,
    pids: i32,
    /// Agents that have paused themselves: it is written down where they are, and outlives their processes.
    paused: BTreeSet<AgentId>,
    /// The keeper is dead: what ends meanwhile ends unseen.
    pub(crate) blind: bool,
    /// What behaves badly is well from now on, and can be started.
    calm: bool,
}

impl Machine {
    pub(crate) fn new(boot: u64) -> Self {
        Self {
            boot,
            ..Self::default()
        }
    }

    /// Does what the daemon ordered; gives what it is told in turn, or what must never be ordered.
    pub(crate) fn execute(&mut self, now: Duration, action: Action) -> Result<Option<Observation>, String> {
        let known = self.epochs.entry(action.id.slot).or_default();
        if action.id.epoch < *known {
            return Ok(None);
        }
        *known = action.id.epoch;
        match action.order {
            Order::Prepare { agent, process } => Ok(Some(Observation::Prepared {
                agent,
                result: self.behaviour(&process).fault(),
            })),
            Order::Spawn { instance, process, .. } => self.spawn(now, instance, &process),
            Order::Signal { instance, signal } => {
                if let Some(process) = self.live.get_mut(&instance).filter(|process| !process.frozen) {
                    let answer = process.behaviour.answers(signal, now);
                    process.ends = answer.or(process.ends);
                }
                Ok(None)
            }
            Order::Freeze { instance, frozen } => {
                if let Some(process) = self.live.get_mut(&instance) {
                    process.frozen = frozen;
                }
                Ok(None)
            }
            Order::Kill { instance } => {
                let signal = Signal::KILL;
                let known = self.live.contains_key(&instance) || self.exits.contains_key(&instance);
                if known {
                    return Ok(self.end(instance, Exit::Signal { signal, core: false }));
                }
                // What is not there has ended; nobody can tell how.
                let exit = Exit::Unknown;
                Ok(Some(Observation::Exited {
                    instance,
                    exit,
                    swept: 0,
                }))
            }
            Order::Acknowledge { instance } => {
                self.exits.remove(&instance);
                Ok(None)
            }
            Order::Tell { instance, word, .. } => {
                if let Some(process) = self.live.get_mut(&instance) {
                    process.told = Some((now + HEARS_AFTER, word));
                }
                Ok(None)
            }
            Order::Probe { .. } => Ok(None),
        }
    }

    fn behaviour(&self, process: &ProcessSpec) -> Behaviour {
        match Behaviour::of(process) {
            Behaviour::Missing | Behaviour::Scarce | Behaviour::Crash | Behaviour::Flash if self.calm => {
                Behaviour::Serve
            }
            behaviour => behaviour,
        }
    }

    fn spawn(
        &mut self,
        now: Duration,
        instance: InstanceId,
        process: &ProcessSpec,
    ) -> Result<Option<Observation>, String> {
        if let Some(process) = self.live.get(&instance) {
            let result = Ok(process.identity.clone());
            return Ok(Some(Observation::Spawned { instance, result }));
        }
        if let Some(exit) = self.exits.get(&instance) {
            return Ok(Some(Observation::Exited {
                instance,
                exit: *exit,
                swept: 0,
            }));
        }
        if self.begun.contains(&instance) && !self.ordered.contains(&instance) {
            return Err(format!(
                "run {instance} was begun in an earlier boot and is ordered again"
            ));
        }
        if self.ordered.contains(&instance) {
            return Err(format!("run {instance} was begun, has ended, and is ordered again"));
        }
        if let Some(other) = self.live_of(instance.agent).next() {
            if !self.failed.contains(&other) {
                return Err(format!("run {instance} is ordered while {other} lives"));
            }
            return Ok(Some(Observation::Spawned {
                instance,
                result: Err(SpawnFailure {
                    kind: SpawnFailureKind::Resources,
                    detail: "an older incarnation of the agent still lives".to_owned(),
                }),
            }));
        }
        let behaviour = self.behaviour(process);
        if let Err(failure) = behaviour.fault() {
            self.failed.insert(instance);
            return Ok(Some(Observation::Spawned {
                instance,
                result: Err(failure),
            }));
        }
        self.begun.insert(instance);
        self.ordered.insert(instance);
        self.pids += 1;
        let identity = ProcessIdentity {
            boot: format!("boot-{}", self.boot),
            pid_namespace: 1,
            pid: self.pids,
            start_time: u64::try_from(now.as_millis() / 10).unwrap_or(u64::MAX),
        };
        let process = Process {
            identity: identity.clone(),
            behaviour,
            voice: Voice::of(process, now, self.calm),
            ready: false,
            frozen: false,
            told: None,
            ends: behaviour.ends_by_itself(now),
        };
        self.live.insert(instance, process);
        Ok(Some(Observation::Spawned {
            instance,
            result: Ok(identity),
        }))
    }

    /// Ends a process; gives what the keeper sees of it.
    pub(crate) fn end(&mut self, instance: InstanceId, exit: Exit) -> Option<Observation> {
        self.live.remove(&instance)?;
        let exit = if self.blind { Exit::Unknown } else { exit };
        self.exits.insert(instance, exit);
        (!self.blind).then_some(Observation::Exited {
            instance,
            exit,
            swept: 0,
        })
    }

    /// An end that was not acknowledged, as the keeper tells of it.
    pub(crate) fn ended(&self, instance: InstanceId) -> Option<Observation> {
        let exit = *self.exits.get(&instance)?;
        Some(Observation::Exited {
            instance,
            exit,
            swept: 0,
        })
    }

    /// What behaves badly is well from now on.
    pub fn calm_down(&mut self) {
        self.calm = true;
        for process in self.live.values_mut() {
            if matches!(process.behaviour, Behaviour::Crash) {
                process.ends = None;
            }
        }
    }

    /// Has every process hear what it was told by now; what stands still hears nothing.
    fn hear(&mut self, now: Duration) -> Vec<Observation> {
        let mut heard = Vec::new();
        for (instance, process) in &mut self.live {
            let due = process.hears().is_some_and(|at| at <= now);
            let Some((_, word)) = process.told.take_if(|_| due) else {
                continue;
            };
            match word {
                Word::Pause | Word::Checkpoint => self.paused.insert(instance.agent),
                Word::Resume => self.paused.remove(&instance.agent),
            };
            let (instance, result) = (*instance, Ok(()));
            heard.push(Observation::Heard { instance, word, result });
        }
        heard
    }

    /// Says nothing more: whoever said it is dead.
    pub(crate) fn hush(&mut self) {
        for process in self.live.values_mut() {
            process.told = None;
        }
    }

    /// Whether an agent has paused itself and was not told to go on since.
    #[must_use]
    pub fn has_paused(&self, agent: AgentId) -> bool {
        self.paused.contains(&agent)
    }

    /// Ends what ends by itself by now.
    pub(crate) fn pass(&mut self, now: Duration) -> Vec<Observation> {
        let due: Vec<(Duration, InstanceId, Exit)> = self
            .live
            .iter()
            .filter_map(|(instance, process)| process.ends.map(|(at, exit)| (at, *instance, exit)))
            .filter(|(at, _, _)| *at <= now)
            .collect();
        let ended: Vec<_> = due
            .into_iter()
            .filter_map(|(_, instance, exit)| self.end(instance, exit))
            .collect();
        self.hear(now).into_iter().chain(ended).collect()
    }

    /// What processes say of themselves by now; what stands still says nothing.
    pub(crate) fn beats(&mut self, now: Duration) -> Vec<(InstanceId, Beat)> {
        let awake = self.live.iter_mut().filter(|(_, process)| !process.frozen);
        awake
            .filter_map(|(instance, process)| Some((*instance, process.voice.as_mut()?.speak(now, *instance)?)))
            .collect()
    }

    /// Whether a process speaks for itself.
    #[must_use]
    pub fn has_voice(&self, instance: InstanceId) -> bool {
        self.live.get(&instance).is_some_and(|process| process.voice.is_some())
    }

    /// Whether a process has fallen silent for good and lives on.
    #[must_use]
    pub fn hangs(&self, instance: InstanceId) -> bool {
        let voice = self.live.get(&instance).and_then(|process| process.voice);
        voice.is_some_and(|voice| voice.hangs())
    }

    /// When the next process ends or speaks by itself.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.live
            .values()
            .flat_map(|process| [process.ends.map(|(at, _)| at), process.hears(), process.speaks()])
            .flatten()
            .min()
    }

    pub(crate) fn notify(&mut self, instance: InstanceId, notice: Notice) -> Option<Observation> {
        let process = self.live.get_mut(&instance)?;
        process.ready |= notice == Notice::Ready;
        (!self.blind).then_some(Observation::Notified { instance, notice })
    }

    /// What the keeper finds of one slot.
    pub(crate) fn inventory(&self, slot: Slot) -> Inventory {
        let live = self.live.iter().filter(|(instance, _)| instance.agent.slot() == slot);
        let exited = self.exits.iter().filter(|(instance, _)| instance.agent.slot() == slot);
        Inventory {
            live: live
                .map(|(instance, process)| LiveInstance {
                    instance: *instance,
                    process: process.identity.clone(),
                    ready: process.ready,
                })
                .collect(),
            exited: exited.map(|(instance, exit)| (*instance, *exit)).collect(),
        }
    }

    /// Ends everything, without a trace.
    pub(crate) fn power_cut(&mut self) {
        self.boot += 1;
        self.live.clear();
        self.exits.clear();
        self.ordered.clear();
        self.failed.clear();
        self.epochs.clear();
        self.blind = false;
    }

    /// A process that nobody ordered, as one that a lost store knew of.
    pub(crate) fn plant(&mut self, instance: InstanceId) {
        self.begun.insert(instance);
        self.ordered.insert(instance);
        let identity = ProcessIdentity {
            boot: format!("boot-{}", self.boot),
            pid_namespace: 1,
            pid: 999,
            start_time: 0,
        };
        let process = Process {
            identity,
            behaviour: Behaviour::Serve,
            voice: None,
            ready: false,
            frozen: false,
            told: None,
            ends: None,
        };
        self.live.insert(instance, process);
    }

    /// The runs of an agent that live.
    pub fn live_of(&self, agent: AgentId) -> impl Iterator<Item = InstanceId> + '_ {
        self.live
            .keys()
            .copied()
            .filter(move |instance| instance.agent == agent)
    }

    /// All runs that live.
    pub fn live(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.live.keys().copied()
    }

    /// How many exits wait to be acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.exits.len()
    }
}
