//! What is wanted of one agent: the table `[agents.NAME]` of a fleet file and the body of `POST /agents`.

mod health;
mod probe;
mod process;
mod recovery;
mod restart;
mod sense;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use health::{HealthSettings, HealthSpec, ThresholdsSpec, WarningStep};
pub use probe::{ExecAction, GrpcAction, HttpGetAction, Probe, ProbeAction, ProbeKind, Probes, TcpSocketAction};
pub use process::{EnvValue, Limits, LogSpec, ProcessSpec, StopSpec};
pub use recovery::{RecoveryMode, RecoverySpec};
pub use restart::{BackoffSpec, IntensitySpec, RestartPolicy, RestartSpec};
pub use sense::Nonsense;

use crate::{AgentName, Span};

/// Everything that one agent is told to be. Valid once it exists.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "SpecForm", into = "SpecForm")]
pub struct AgentSpec {
    /// Which lifecycle it follows; default `agent`.
    pub profile: String,
    /// What sort of work it does: `database api worker ui compute web` or one's own; default `worker`.
    pub kind: String,
    /// Free words to select by.
    pub labels: BTreeMap<String, String>,
    /// What runs it.
    pub driver: Driver,
    /// When it is started again.
    pub restart: RestartSpec,
    /// How it is brought back.
    pub recovery: RecoverySpec,
    /// Whom it waits for before it starts.
    pub depends_on: BTreeMap<AgentName, Condition>,
    /// How it is looked at from outside.
    pub probes: Probes,
    /// What is expected of its signs of life.
    pub health: HealthSpec,
    /// How long it may stay in the states that must end.
    pub deadlines: Deadlines,
    /// Where it takes word of pauses itself, if it does. Only of a process.
    pub lifecycle: Option<LifecycleSpec>,
}

impl AgentSpec {
    /// The spec of an agent that nothing runs and that only reports.
    #[must_use]
    pub fn reporting(profile: &str) -> Self {
        Self {
            profile: profile.to_owned(),
            kind: DEFAULT_KIND.to_owned(),
            labels: BTreeMap::new(),
            driver: Driver::None,
            restart: RestartSpec::default(),
            recovery: RecoverySpec::default(),
            depends_on: BTreeMap::new(),
            probes: Probes::default(),
            health: HealthSpec::default(),
            deadlines: Deadlines::default(),
            lifecycle: None,
        }
    }

    /// The spec of an agent that is a process, with every default.
    #[must_use]
    pub fn process(process: ProcessSpec) -> Self {
        Self {
            driver: Driver::Process(Box::new(process)),
            ..Self::reporting(DEFAULT_PROFILE)
        }
    }

    /// Whether both say the same, whatever their labels are.
    #[must_use]
    pub fn is_but_for_labels(&self, other: &Self) -> bool {
        let Self {
            profile,
            kind,
            labels: _,
            driver,
            restart,
            recovery,
            depends_on,
            probes,
            health,
            deadlines,
            lifecycle,
        } = self;
        *profile == other.profile
            && *kind == other.kind
            && *driver == other.driver
            && *restart == other.restart
            && *recovery == other.recovery
            && *depends_on == other.depends_on
            && *probes == other.probes
            && *health == other.health
            && *deadlines == other.deadlines
            && *lifecycle == other.lifecycle
    }

    /// The same spec fit to be shown: values of secrets are `***`.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        if let Driver::Process(process) = &mut shown.driver {
            process.env.values_mut().for_each(EnvValue::redact);
        }
        shown
    }

    /// What the agent's readiness is learnt from.
    #[must_use]
    pub fn readiness(&self) -> ReadinessSource {
        match &self.driver {
            Driver::Process(process) if process.notify => ReadinessSource::Notify,
            Driver::Process(_) if self.probes.readiness.is_some() || self.probes.startup.is_some() => {
                ReadinessSource::Probe
            }
            Driver::Process(_) => ReadinessSource::Spawn,
            Driver::None if self.probes.look_at_runs() => ReadinessSource::Probe,
            Driver::None => ReadinessSource::Report,
        }
    }
}

/// What runs an agent.
#[derive(Clone, PartialEq, Debug)]
pub enum Driver {
    /// Nothing: it runs elsewhere, and reports or is probed.
    None,
    /// A process of this machine.
    Process(Box<ProcessSpec>),
}

/// What says that an agent is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadinessSource {
    /// `READY=1` on its notify socket.
    Notify,
    /// Its startup and readiness probes; any of its probes, where nothing runs it here.
    Probe,
    /// That it was started; nothing better is known.
    Spawn,
    /// Its own report.
    Report,
}

/// What a dependency must have reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DependencyCondition")]
pub enum Condition {
    /// It has a live instance.
    Started,
    /// It is ready and healthy.
    Healthy,
    /// It ran and ended with success.
    Completed,
}

/// Deadlines of states that must end. What is absent takes the profile's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// Preparing; default 300 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploying: Option<Span>,
    /// Start to readiness; default 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting: Option<Span>,
    /// Stop request to exit; default the grace and 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<Span>,
    /// A new spec to readiness with it; default 600 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updating: Option<Span>,
    /// Another number of replicas to all of them being there; default 120 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Span>,
    /// States by their names, those of profiles of one's own among them; where one is named, that counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub states: BTreeMap<String, Span>,
}

impl Deadlines {
    /// What it does not say itself is as `others` say.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        let mut states = others.states;
        states.extend(self.states);
        Self {
            states,
            deploying: self.deploying.or(others.deploying),
            starting: self.starting.or(others.starting),
            stopping: self.stopping.or(others.stopping),
            updating: self.updating.or(others.updating),
            scaling: self.scaling.or(others.scaling),
        }
    }
}

/// Where an agent takes word of pauses: the lifecycle server of `stead-agent`, or one with the same routes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LifecycleEndpoint")]
pub struct LifecycleSpec {
    /// Where it listens. Its `STEAD_LIFECYCLE_TOKEN`, where its `env` has one, is shown to it.
    pub port: u16,
    /// Name or address of the machine; default this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What a driver is called in text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriverName {
    /// It runs elsewhere: it reports, or is probed.
    None,
    /// A process of this machine.
    Process,
}

/// What is wanted of one agent or component, as TOML and JSON have it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecForm {
    /// Lifecycle profile: `agent` (default) or `component`.
    #[serde(default = "default_profile")]
    pub profile: String,
    /// Sort of work: `database api worker ui compute web` or one's own. Default `worker`.
    #[serde(default = "default_kind", rename = "type")]
    pub kind: String,
    /// Free words to select by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What runs it. Default `process` when there is a command, else `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverName>,
    /// Program and arguments; no shell is involved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub command: Option<Vec<String>>,
    /// Working directory; default that of the fleet file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// Environment variables on top of the daemon's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// User (name or number) to run as; default the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Resource limits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// How it is stopped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stop: StopSpec,
    /// How its output is kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub logs: LogSpec,
    /// Whether it says `READY=1` on `NOTIFY_SOCKET`; it is ready only then. Default false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify: bool,
    /// Longest silence between two `WATCHDOG=1` of an agent that notifies. Default: none is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Span>,
    /// When it is started again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restart: RestartSpec,
    /// How it is brought back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recovery: RecoverySpec,
    /// Whom it waits for: `{ db = "healthy" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<AgentName, Condition>,
    /// How it is looked at from outside.
    #[serde(default, skip_serializing_if = "is_default")]
    pub probes: Probes,
    /// What is expected of its signs of life.
    #[serde(default, skip_serializing_if = "is_default")]
    pub health: HealthSpec,
    /// How long it may stay in the states that must end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deadlines: Deadlines,
    /// Where it takes word of pauses itself: `{ port = 8080 }`. It offers pauses of modes checkpoint and hibernate then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<LifecycleSpec>,
}

/// A form whose parts do not fit together. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidSpec {
    /// A process without a program.
    #[error("an agent with driver = \"process\" needs `command`, a list of the program and its arguments")]
    NoCommand,
    /// A program without a name.
    #[error(
        "`command` is empty; it is a list of the program and its arguments. Leave it out for an agent that runs elsewhere"
    )]
    EmptyCommand,
    /// A probe without a program.
    #[error("`exec.command` is empty; it is a list of the program and its arguments")]
    EmptyExec,
    /// A text that no system call takes.
    #[error("`{0}` holds a NUL character, which no program, path or variable can have; remove it")]
    Nul(String),
    /// Settings of a process for something that is none.
    #[error("driver = \"none\" runs nothing, so `{0}` has no meaning; remove it or use driver = \"process\"")]
    NotAProcess(&'static str),
    /// A watchdog nobody feeds.
    #[error("`watchdog` needs `notify = true`: it is fed by WATCHDOG=1 on the notify socket")]
    WatchdogWithoutNotify,
    /// A number that would mean never or always.
    #[error("`{0}` must be at least 1")]
    Zero(&'static str),
    /// A number that cannot be counted to.
    #[error("`{0}` must be at most 100")]
    TooMany(&'static str),
    /// The same call once is no loop.
    #[error("`health.loop_rounds` must be at least 2: a call that is made once is no loop")]
    OneRound,
    /// Progress is told with beats, so it cannot be missed sooner.
    #[error(
        "`health.stuck_after` of {after} must be longer than `health.interval` of {interval}: progress is told with beats"
    )]
    ShortStuck {
        /// As given.
        after: Span,
        /// As given, or of its type.
        interval: Span,
    },
    /// Beats that would cost more than they tell.
    #[error("`health.interval` of {0:?} is shorter than 100ms, the shortest that is taken")]
    ShortInterval(Span),
    /// Beats that would tell nothing.
    #[error("`health.interval` is at most 7 days, `health.timeout` at most 21")]
    LongInterval,
    /// One late beat would be a failure.
    #[error(
        "`health.interval` of {interval} must be less than `health.timeout` of {timeout}: one late beat is no failure"
    )]
    IntervalNotBelowTimeout {
        /// How often it beats.
        interval: Span,
        /// How long it may be silent.
        timeout: Span,
    },
    /// A probe must say exactly one thing to do.
    #[error("a probe needs exactly one of http_get, tcp_socket, exec, grpc")]
    ProbeAction,
    /// A time that is shorter than any that is kept.
    #[error("`{0}` must be at least 0.1")]
    Short(&'static str),
    /// Environment variables have no `=` and are not empty.
    #[error("`{0}` is no name of an environment variable")]
    EnvName(String),
}

impl SpecForm {
    /// Refuses texts that the system would cut at a NUL, wherever they are handed to it.
    fn check_texts(&self) -> Result<(), InvalidSpec> {
        let command = self.command.iter().flatten().map(|word| ("command".to_owned(), word));
        let dir = self.dir.iter().map(|dir| ("dir".to_owned(), dir));
        let user = self.user.iter().map(|user| ("user".to_owned(), user));
        let env = self.env.iter().map(|(name, value)| {
            let text = match value {
                EnvValue::Plain(text) | EnvValue::Secret { secret: text } | EnvValue::File { file: text } => text,
            };
            (alloc::format!("env.{name}"), text)
        });
        let probes = ProbeKind::ALL.into_iter().flat_map(|kind| {
            let exec = self.probes.get(kind).and_then(|probe| match &probe.action {
                ProbeAction::Exec(exec) => Some(&exec.command),
                ProbeAction::HttpGet(_) | ProbeAction::TcpSocket(_) | ProbeAction::Grpc(_) => None,
            });
            let words = exec.into_iter().flatten();
            words.map(move |word| (alloc::format!("probes.{kind}.exec.command"), word))
        });
        let mut texts = command.chain(dir).chain(user).chain(env).chain(probes);
        match texts.find(|(_, text)| text.contains('\0')) {
            Some((field, _)) => Err(InvalidSpec::Nul(field)),
            None => Ok(()),
        }
    }
}

impl TryFrom<SpecForm> for AgentSpec {
    type Error = InvalidSpec;

    fn try_from(form: SpecForm) -> Result<Self, InvalidSpec> {
        form.restart.check()?;
        if form.recovery.at_once == 0 {
            return Err(InvalidSpec::Zero("recovery.at_once"));
        }
        form.health.check(&form.kind)?;
        form.check_texts()?;
        if form.lifecycle.as_ref().is_some_and(|endpoint| endpoint.port == 0) {
            return Err(InvalidSpec::Zero("lifecycle.port"));
        }
        let driver = form.driver.unwrap_or(if form.command.is_some() {
            DriverName::Process
        } else {
            DriverName::None
        });
        let driver = match driver {
            DriverName::Process => Driver::Process(Box::new(ProcessSpec {
                command: match form.command {
                    Some(command) if command.first().is_some_and(|program| !program.is_empty()) => command,
                    Some(_) => return Err(InvalidSpec::EmptyCommand),
                    None => return Err(InvalidSpec::NoCommand),
                },
                dir: form.dir,
                env: process::checked_env(form.env)?,
                user: form.user,
                limits: form.limits,
                stop: form.stop,
                logs: form.logs.checked()?,
                watchdog: if form.notify || form.watchdog.is_none() {
                    form.watchdog
                } else {
                    return Err(InvalidSpec::WatchdogWithoutNotify);
                },
                notify: form.notify,
            })),
            DriverName::None => {
                let meaningless = [
                    ("command", form.command.is_some()),
                    ("dir", form.dir.is_some()),
                    ("env", !form.env.is_empty()),
                    ("user", form.user.is_some()),
                    ("notify", form.notify),
                    ("watchdog", form.watchdog.is_some()),
                    ("lifecycle", form.lifecycle.is_some()),
                ];
                match meaningless.iter().find(|(_, given)| *given) {
                    Some((field, _)) => return Err(InvalidSpec::NotAProcess(field)),
                    None => Driver::None,
                }
            }
        };
        Ok(Self {
            profile: form.profile,
            kind: form.kind,
            labels: form.labels,
            driver,
            restart: form.restart,
            recovery: form.recovery,
            depends_on: form.depends_on,
            probes: form.probes,
            health: form.health,
            deadlines: form.deadlines,
            lifecycle: form.lifecycle,
        })
    }
}

impl From<AgentSpec> for SpecForm {
    fn from(spec: AgentSpec) -> Self {
        let (driver, process) = match spec.driver {
            Driver::None => (DriverName::None, None),
            Driver::Process(process) => (DriverName::Process, Some(*process)),
        };
        let runs = process.is_some();
        let process = process.unwrap_or_default();
        Self {
            profile: spec.profile,
            kind: spec.kind,
            labels: spec.labels,
            driver: Some(driver),
            command: runs.then_some(process.command),
            dir: process.dir,
            env: process.env,
            user: process.user,
            limits: process.limits,
            stop: process.stop,
            logs: process.logs,
            notify: process.notify,
            watchdog: process.watchdog,
            restart: spec.restart,
            recovery: spec.recovery,
            depends_on: spec.depends_on,
            probes: spec.probes,
            health: spec.health,
            deadlines: spec.deadlines,
            lifecycle: spec.lifecycle,
        }
    }
}

impl JsonSchema for AgentSpec {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "AgentSpec".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        SpecForm::json_schema(generator)
    }
}

const DEFAULT_PROFILE: &str = "agent";
const DEFAULT_KIND: &str = "worker";

fn default_profile() -> String {
    DEFAULT_PROFILE.to_owned()
}

fn default_kind() -> String {
    DEFAULT_KIND.to_owned()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
