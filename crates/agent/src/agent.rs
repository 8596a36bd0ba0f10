//! A whole agent: its runtime, its lifecycle server, word to its supervisor, and a shutdown that loses nothing.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use stead_model::{AgentName, InvalidId};
use stead_resilience::{CheckConfig, Finding};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{InvalidConfig, LifecycleConfig};
use crate::heartbeat::{HeartbeatConfig, InvalidHeartbeats, Place, Teller};
use crate::notify::Notifier;
use crate::pulse::Pulse;
use crate::runtime::{EntryPoint, InvalidRuntime, Refused, Runtime, RuntimeBuilder, RuntimeConfig};
use crate::server::{Reach, Server, listen, serve};
use crate::shutdown::{Asked, Signals};
use crate::store::{CheckpointStore, Files, StoreError};

/// An agent, ready to run.
///
/// # Examples
///
/// ```no_run
/// use stead_agent::{Agent, Call, WorkResult};
///
/// async fn greet(call: Call) -> WorkResult<String> {
///     Ok(format!("hello, {}", call.input::<String>()?))
/// }
///
/// # async fn main_() -> Result<(), stead_agent::AgentError> {
/// Agent::builder("greeter").entry_point("greet", greet).run().await
/// # }
/// ```
#[derive(Debug)]
pub struct Agent {
    name: AgentName,
    runtime: Runtime,
    lifecycle: LifecycleConfig,
    beats: Option<(Place, HeartbeatConfig)>,
    wedged_after: Duration,
}

/// What an agent is made of.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built or run"]
pub struct AgentBuilder {
    name: String,
    runtime: RuntimeBuilder,
    config: RuntimeConfig,
    lifecycle: LifecycleConfig,
    heartbeats: HeartbeatConfig,
    keeps: Keeps,
    wedged_after: Duration,
}

/// Where checkpoints go.
#[derive(Debug)]
enum Keeps {
    /// Into a directory that the surroundings name.
    Usual,
    /// Into this directory.
    In(PathBuf),
    /// Into a store of one's own, which the runtime has already.
    Own,
}

/// Why an agent did not run, or ended. Its `Debug` is the sentence that people read where `main` returns it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// Its name cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidId),
    /// Its configuration makes no sense.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// Its configuration of beats makes no sense.
    #[error(transparent)]
    Heartbeats(#[from] InvalidHeartbeats),
    /// What it shall run makes no sense.
    #[error(transparent)]
    Runtime(#[from] InvalidRuntime),
    /// Its store cannot be opened.
    #[error("checkpoints have no place; name one with `checkpoints_in`, or STEAD_AGENT_DIR")]
    Store(#[from] StoreError),
    /// Its address cannot be listened on.
    #[error("cannot listen on {address}; choose another with STEAD_LIFECYCLE_PORT")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The system refused a thread, the signals or the notify socket.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its start failed. Nothing runs.
    #[error(transparent)]
    Start(#[from] Refused),
}

impl AgentBuilder {
    /// Adds something that can be executed, up to 64 of it at once.
    pub fn entry_point<F, Fut, T, E>(self, name: &str, work: F) -> Self
    where
        F: Fn(crate::Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: serde::Serialize,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.entry(EntryPoint::new(name, work))
    }

    /// Adds something that can be executed, with limits of its own.
    pub fn entry(self, entry: EntryPoint) -> Self {
        self.with(|runtime| runtime.entry_point(entry))
    }

    /// Looks now and then whether something that the agent depends on works; see [`RuntimeBuilder::check`].
    pub fn check<F, Fut>(self, name: &str, config: CheckConfig, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Into<Finding>,
    {
        self.with(|runtime| runtime.check(name, config, check))
    }

    /// Runs `hook` at each start, before any work. Where it fails, the start does.
    pub fn on_start<F, Fut, E>(self, hook: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.with(|runtime| runtime.on_start(hook))
    }

    /// Runs `hook` at each stop, after the last work.
    pub fn on_stop<F, Fut, E>(self, hook: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.with(|runtime| runtime.on_stop(hook))
    }

    /// Sets limits and times of the runtime.
    pub fn config(self, config: RuntimeConfig) -> Self {
        Self { config, ..self }
    }

    /// Sets the lifecycle server; the environment has the last word.
    pub fn lifecycle(self, lifecycle: LifecycleConfig) -> Self {
        Self { lifecycle, ..self }
    }

    /// Sets whether and how often it beats to the daemon; the environment has the last word.
    pub fn heartbeats(self, heartbeats: HeartbeatConfig) -> Self {
        Self { heartbeats, ..self }
    }

    /// Keeps checkpoints in this directory. Without, they are kept below `STEAD_AGENT_DIR`, which the daemon sets; else below
    /// the user's state directory (`XDG_STATE_HOME`, or `~/.local/state`), in `stead-agent/NAME`.
    pub fn checkpoints_in(self, dir: impl Into<PathBuf>) -> Self {
        Self {
            keeps: Keeps::In(dir.into()),
            ..self
        }
    }

    /// Keeps checkpoints in a store of one's own.
    pub fn store(self, store: impl CheckpointStore) -> Self {
        let with_store = self.with(|runtime| runtime.store(store));
        Self {
            keeps: Keeps::Own,
            ..with_store
        }
    }

    /// Sets after how long without a turn of the agent's loop it counts as dead; 30 s unless set. Too short, a pause of the
    /// machine ends it; too long, one that hangs is replaced late.
    pub fn wedged_after(self, wedged_after: Duration) -> Self {
        Self { wedged_after, ..self }
    }

    /// Makes the agent. Its functions will run on the tokio runtime that this is called on.
    ///
    /// # Errors
    /// Something of it makes no sense, or its store cannot be opened.
    pub fn build(self) -> Result<Agent, AgentError> {
        let name: AgentName = self.name.parse()?;
        let lifecycle = self.lifecycle.with_env()?;
        let config = RuntimeConfig {
            graceful_timeout: lifecycle.graceful_timeout.unwrap_or(self.config.graceful_timeout),
            ..self.config
        };
        let runtime = self.runtime.config(config);
        let runtime = match self.keeps {
            Keeps::Own => runtime,
            Keeps::In(dir) => runtime.store(Files::open(dir)?),
            Keeps::Usual => match usual_dir(&name) {
                Some(dir) => runtime.store(Files::open(dir)?),
                None => {
                    warn!(
                        "CheckpointsInMemory: no STEAD_AGENT_DIR and no HOME; unfinished work ends with this process"
                    );
                    runtime
                }
            },
        };
        let place = self.heartbeats.place(&name)?;
        Ok(Agent {
            beats: place.map(|place| (place, self.heartbeats)),
            name,
            runtime: runtime.build()?,
            lifecycle,
            wedged_after: self.wedged_after,
        })
    }

    /// Makes the agent and runs it; see [`Agent::run`].
    ///
    /// # Errors
    /// Those of [`AgentBuilder::build`] and [`Agent::run`].
    pub async fn run(self) -> Result<(), AgentError> {
        self.build()?.run().await
    }

    fn with(self, change: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> Self {
        Self {
            runtime: change(self.runtime),
            ..self
        }
    }
}

impl Agent {
    /// What an agent is made of, to be filled in.
    pub fn builder(name: impl Into<String>) -> AgentBuilder {
        AgentBuilder {
            name: name.into(),
            runtime: Runtime::builder(),
            config: RuntimeConfig::default(),
            lifecycle: LifecycleConfig::default(),
            heartbeats: HeartbeatConfig::default(),
            keeps: Keeps::Usual,
            wedged_after: Duration::from_secs(30),
        }
    }

    /// Its runtime, to give it work from inside.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Starts, and runs until SIGTERM or SIGINT; then drains and returns. A second signal ends the process as soon as what is
    /// in flight is written down, half a second later at most, with 128 and the signal's number. The server, the signals and the word to the supervisor have threads of their own: they answer
    /// though the agent's own loop hangs. Dropped, it drains as well. Beats to the daemon come from another; where they show that a later run of
    /// this agent is the present one, the process ends at once with 75.
    ///
    /// Where work blocks its thread and so outlives the drain, the process exits with 0 a second after this has returned.
    ///
    /// # Errors
    /// The address is taken, the system refused, or the start failed. Nothing runs.
    pub async fn run(self) -> Result<(), AgentError> {
        let listener = self.lifecycle.enabled.then(|| self.listen()).transpose()?;
        let notifier = Notifier::from_env().map_err(system("open NOTIFY_SOCKET"))?;
        let pulse = Pulse::begin(self.runtime.handle(), self.wedged_after);
        let (leaving, gone) = (CancellationToken::new(), CancellationToken::new());
        let superseded = CancellationToken::new();
        if let Some((place, config)) = self.beats {
            let teller = Teller {
                place,
                config,
                runtime: self.runtime.clone(),
                pulse: pulse.clone(),
                gone: gone.clone(),
                superseded: superseded.clone(),
            };
            on_thread("stead-heartbeat", teller.tell())?;
        }
        if let Some(notifier) = notifier {
            let telling = notifier.tell(self.runtime.clone(), pulse.clone(), leaving.clone(), gone.clone());
            on_thread("stead-notify", telling)?;
        }
        let (done, over) = oneshot::channel();
        let (heard, acknowledged) = oneshot::channel();
        let body = Body {
            runtime: self.runtime,
            listener: listener.map(|listener| (listener, self.lifecycle, pulse)),
            serving: None,
            leaving,
            gone,
            superseded,
        };
        info!(agent = %self.name, "AgentRuns");
        on_thread("stead-lifecycle", body.live(done, acknowledged))?;
        let ended = over.await;
        let _nobody_asks = heard.send(());
        ended.unwrap_or_else(|_| Err(Refused::Internal("its control thread ended".to_owned()).into()))
    }

    fn listen(&self) -> Result<TcpListener, AgentError> {
        let address = SocketAddr::new(self.lifecycle.host, self.lifecycle.port);
        listen(address).map_err(|source| AgentError::Listen { address, source })
    }
}

/// What lives on the control thread.
struct Body {
    runtime: Runtime,
    listener: Option<(TcpListener, LifecycleConfig, Pulse)>,
    serving: Option<tokio::task::JoinHandle<()>>,
    leaving: CancellationToken,
    gone: CancellationToken,
    superseded: CancellationToken,
}

impl Body {
    /// From the start to the end, in the order that loses nothing: the server first, so that probes are answered during the
    /// start; then the runtime; then nothing until a signal; then the drain, probes still answered; then the end.
    async fn live(mut self, mut done: oneshot::Sender<Result<(), AgentError>>, acknowledged: oneshot::Receiver<()>) {
        let closing = CancellationToken::new();
        let signals = Signals::take().map_err(system("take over the signals"));
        let mut signals = match signals.and_then(|signals| self.serve(&closing).map(|()| signals)) {
            Ok(signals) => signals,
            Err(error) => {
                let _gone = done.send(Err(error));
                return;
            }
        };
        let asked = tokio::select! {
            started = self.runtime.start() => match started {
                Ok(_) => None,
                // Over the server somebody stopped it before it was up: it stays, and can be started from there again.
                Err(refused @ (Refused::StoppedMeanwhile | Refused::WrongState { .. })) => {
                    info!(%refused, "AgentNotStarted");
                    None
                }
                Err(refused) => {
                    self.runtime.leave();
                    self.leave(&closing).await;
                    let _gone = done.send(Err(refused.into()));
                    return;
                }
            },
            asked = signals.next() => Some(asked),
            () = self.superseded.cancelled() => give_way(),
        };
        let asked = match asked {
            Some(asked) => Some(asked),
            None => tokio::select! {
                asked = signals.next() => Some(asked),
                () = done.closed() => None,
                () = self.superseded.cancelled() => give_way(),
            },
        };
        info!(signal = asked.map_or("none", Asked::as_str), "AgentStops");
        self.leaving.cancel();
        // From here on a restart that is under way stops, and does not start.
        self.runtime.leave();
        tokio::select! {
            stopped = self.runtime.stop() => if let Err(refused) = stopped {
                error!(%refused, "DrainFailed");
            },
            again = signals.next() => {
                warn!(signal = again.as_str(), "AgentForced: what is in flight is to be resumed");
                // The drain may not have come to marking it yet.
                let _late = tokio::time::timeout(FORCED_GRACE, self.runtime.write_down()).await;
                exit(again.exit_code());
            }
            () = self.superseded.cancelled() => give_way(),
        }
        let stuck = self.runtime.in_flight();
        self.leave(&closing).await;
        let _gone = done.send(Ok(()));
        // Whoever ran the agent takes it from here; unless something holds the process that never lets go.
        let taken = tokio::time::timeout(LAST_GRACE, acknowledged).await;
        if taken.is_err() || stuck > 0 {
            tokio::time::sleep(LAST_GRACE).await;
            warn!(
                stuck,
                "AgentLeft: something holds a thread; it goes on from its checkpoint next time"
            );
            exit(0);
        }
    }

    fn serve(&mut self, closing: &CancellationToken) -> Result<(), AgentError> {
        let Some((listener, config, pulse)) = self.listener.take() else {
            return Ok(());
        };
        let address = listener.local_addr().map_err(system("ask for its address"))?;
        let reach = if address.ip().to_canonical().is_loopback() {
            Reach::Loopback
        } else {
            Reach::Network
        };
        if reach == Reach::Network && config.token.is_none() {
            warn!("ControlDisabled: others reach {address} and STEAD_LIFECYCLE_TOKEN is not set");
        }
        info!(%address, "LifecycleServed");
        let server = Server::new(self.runtime.clone(), reach)
            .token(config.token)
            .max_body(config.max_body)
            .pulse(pulse);
        let serving = serve(listener, server.alone(), closing.clone());
        self.serving = Some(tokio::spawn(async move {
            if let Err(error) = serving.await {
                error!(%error, "LifecycleUnserved");
            }
        }));
        Ok(())
    }

    /// Ends the server and the word to the supervisor.
    async fn leave(&mut self, closing: &CancellationToken) {
        closing.cancel();
        self.gone.cancel();
        if let Some(serving) = self.serving.take() {
            let _late = tokio::time::timeout(LAST_GRACE * 2, serving).await;
        }
    }
}

/// Runs work on a thread with a small runtime of its own, which is not waited for.
pub(crate) fn on_thread(name: &str, work: impl Future<Output = ()> + Send + 'static) -> Result<(), AgentError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("make a small runtime"))?;
    let thread = std::thread::Builder::new().name(name.to_owned());
    let begun = thread.spawn(move || runtime.block_on(work));
    begun.map(|_detached| ()).map_err(system("begin a thread"))
}

fn usual_dir(name: &AgentName) -> Option<PathBuf> {
    let var = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(dir) = var("STEAD_AGENT_DIR") {
        return Some(dir.join("checkpoints"));
    }
    let state = var("XDG_STATE_HOME").or_else(|| Some(var("HOME")?.join(".local/state")))?;
    Some(state.join("stead-agent").join(name.as_str()))
}

fn system(what: &'static str) -> impl Fn(io::Error) -> AgentError {
    move |source| AgentError::System { what, source }
}

/// Ends at once, and writes nothing down: what this one has in flight is the later run's by now, and so is its directory.
fn give_way() -> ! {
    error!("AgentSuperseded: a later run of this agent has its work; this one ends");
    exit(SUPERSEDED)
}

#[expect(clippy::exit, reason = "what holds the process cannot be asked to let go")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

/// The exit code of one that a later run has superseded: `EX_TEMPFAIL` of sysexits.
const SUPERSEDED: i32 = 75;
/// How long what is in flight may take to be written down when a second signal forces.
const FORCED_GRACE: Duration = Duration::from_millis(500);
/// How long the last answers, and whoever runs the agent, may take.
const LAST_GRACE: Duration = Duration::from_secs(1);
