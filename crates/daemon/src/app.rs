//! The daemon put together: store, engine, keeper, API, in the order in which they may start and stop.

mod apply;
mod fleet;
mod gap;
mod limits;
mod logs;
mod mind;
mod ports;
pub(crate) mod prune;
mod reload;
pub(crate) mod remains;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use stead_engine::Unthawable;
use stead_keeper::ClientError;
use stead_model::{Epoch, Origin, Slot, Wall};
use stead_store::{Completion, Holder, LockError, OpenError, Sink, StateDir, Store, StoreError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::api::{self, ApiState, OpenListener, Ports, ShutdownOrder, Token, check_listener};
use crate::clock::Clock;
use crate::driver::{Courier, Driven, KeeperInfo, KeeperSettings, ProcessDriver};
use crate::handle::{Handle, QUEUE};
use crate::probe::Prober;
use crate::pump::gate::Gate;
use crate::pump::{Incoming, Parts};
use crate::status::{Part, Status};
use crate::views::Views;
use mind::Mind;

pub(crate) use apply::Config;
pub use apply::config_door;
pub use limits::{LimitsError, check_limits};
pub use reload::Reloader;

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything that survives lies. Made if it is not there.
    pub state_dir: PathBuf,
    /// Address and port of the API; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What every request must show; needed off loopback.
    pub token: Option<Token>,
    /// The file that the token came from, for the environment of agents.
    pub token_file: Option<PathBuf>,
    /// Names by which requests may call a daemon on loopback, beside those of loopback itself.
    pub hosts: Vec<String>,
    /// The program that has the subcommand `keeper`: this one.
    pub program: PathBuf,
}

impl Settings {
    /// Whether a daemon could be started with them, as far as that can be told without touching anything; with them goes what the environment
    /// says (`STEAD_DURABILITY`).
    ///
    /// # Errors
    /// `Open`, `LongPath`, `Durability`.
    pub fn check(&self) -> Result<(), StartError> {
        check_listener(self.listen, self.token.as_ref())?;
        if self.state_dir.as_os_str().len() > stead_keeper::MAX_STATE_DIR {
            return Err(StartError::LongPath(self.state_dir.clone()));
        }
        mind::least_durability().map(drop)
    }
}

/// Why a daemon did not start. Nothing that ran before was touched.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener would be open to everybody.
    #[error(transparent)]
    Open(#[from] OpenListener),
    /// The state directory is another daemon's, or cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The sockets of agents would have longer paths than the system permits.
    #[error("the path of the state directory {} is longer than {} bytes; choose a shorter one", .0.display(), stead_keeper::MAX_STATE_DIR)]
    LongPath(PathBuf),
    /// `STEAD_DURABILITY` asks for what is not known.
    #[error(
        "STEAD_DURABILITY is `{0}`, which is not known; write `flushed` to have every change wait for the disk, or leave it out"
    )]
    Durability(String),
    /// The address is taken or cannot be had.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] OpenError),
    /// What is stored cannot be read.
    #[error("cannot load what is stored")]
    Load(#[from] StoreError),
    /// What is stored is of a version that is not known here.
    #[error(transparent)]
    Unthawable(#[from] Unthawable),
    /// There is no keeper and none can be started.
    #[error("cannot start the keeper of the agents' processes")]
    Keeper(#[from] ClientError),
    /// A thread or another part of the process could not be had.
    #[error("cannot start {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A running daemon.
#[derive(Debug)]
pub struct App {
    handle: Handle,
    clock: Clock,
    settings: Settings,
    started_at: Wall,
    keeper: KeeperInfo,
    incoming: mpsc::UnboundedSender<Incoming>,
    pump: JoinHandle<()>,
    listener: TcpListener,
    listen: SocketAddr,
    closing: CancellationToken,
    /// Probes and words that are under way.
    errands: TaskTracker,
    orders: (mpsc::Sender<ShutdownOrder>, mpsc::Receiver<ShutdownOrder>),
    config: Arc<Config>,
    damage: Option<String>,
}

impl App {
    /// Starts everything but the API; what ran before is adopted in the background. Call it within a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]; nothing of the daemon runs then, and agents that live are left alone.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        settings.check()?;
        limits::raise_descriptors();
        let clock = Clock::start();
        let started_at = clock.now().wall;
        let holder = Holder {
            pid: std::process::id(),
            listen: None,
            started_at,
            away_since: None,
        };
        let dir = StateDir::lock(&settings.state_dir, &holder)?;
        let (listener, listen) = bind(settings.listen)?;
        dir.announce(|holder| holder.listen = Some(listen.to_string()))
            .map_err(|source| LockError::Unusable {
                path: settings.state_dir.clone(),
                source,
            })?;
        let dir = Arc::new(dir);
        let (incoming, from_world) = mpsc::unbounded_channel();
        let gate = Arc::new(Gate::default());
        let sink = || told_to(&incoming, &gate);
        let slots: Vec<Slot> = Slot::all().collect();
        let taken = mind::take(&dir, &slots, started_at, sink)?;
        let epoch = taken.as_ref().map_or(Epoch(0), |taken| taken.epoch);

        let (asks, asked) = mpsc::channel(QUEUE);
        let (committed, commits) = watch::channel(0);
        let (views, status) = (Arc::new(Views::default()), Arc::new(Status::default()));
        let (closing, errands) = (CancellationToken::new(), TaskTracker::new());
        let driven = incoming.clone();
        let expecting = taken.as_ref().ok().map(|taken| Arc::clone(&taken.store));
        let home = mind::Home::start()?;
        let (driver, keeper) = ProcessDriver::start(
            keeper_settings(&settings, listen),
            // A store that was put back from a backup counts on from there; the keeper forgets nothing.
            epoch.max(stead_keeper::last_epoch(&settings.state_dir).next()),
            messengers(&incoming, &closing, &errands),
            home.tasks().clone(),
            move |told: Driven, seat| match (&told, &expecting) {
                // What comes will be written down as soon as it is decided what follows from it.
                (Driven::Stirring, Some(store)) => store.expect(),
                _ => drop(driven.send(Incoming::Driven(told, seat))),
            },
        )
        .map_err(|source| StartError::System {
            what: "the thread of the keeper's session",
            source,
        })?;

        gate.open_to(driver.starter());
        let loaded = mind::load(taken, &slots, &dir, (clock, started_at))?;
        let parts = |store: &Arc<dyn Store>| Parts {
            clock,
            database: dir.database(),
            note_away: gap::note_away(&dir),
            store: Arc::clone(store),
            driver: Box::new(driver),
            views: Arc::clone(&views),
            status: Arc::clone(&status),
            gate: Arc::clone(&gate),
            committed,
            incoming: (incoming.clone(), from_world),
            asks: asked,
        };
        let Mind {
            store,
            thread,
            damage,
            in_force,
        } = match loaded {
            Ok(loaded) => mind::whole(home, loaded, parts),
            Err(found) => mind::damaged(home, found, parts, &dir, sink()),
        };
        info!(agents = views.count(), %listen, state_dir = %settings.state_dir.display(), "state loaded");

        let handle = Handle::new(asks, views, store, commits, status);
        let config = Arc::new(Config::new(handle.clone(), clock, in_force));
        Ok(Self {
            handle,
            clock,
            settings,
            started_at,
            keeper,
            incoming,
            pump: thread,
            listener,
            listen,
            closing,
            errands,
            orders: mpsc::channel(1),
            config,
            damage,
        })
    }

    /// A handle on the engine.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where the API listens.
    #[must_use]
    pub const fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// What is wrong with the stored state, and what to do, if it cannot be used: the daemon shows what there is and changes nothing.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Why nothing can be written now, if the store was away when the daemon started: agents are cared for, and changes are taken once it is back.
    #[must_use]
    pub fn away(&self) -> Option<String> {
        match self.handle.status().report().store {
            Part::Away { detail, .. } if self.damage.is_none() => Some(detail),
            Part::Away { .. } | Part::Starting | Part::Up => None,
        }
    }

    /// Applies a fleet and lifts what went down with it, once the store is back. What is refused then is told in the log.
    pub fn apply_when_back(&self, fleet: crate::config::Fleet, origin: Origin) {
        let (handle, config, closing) = (self.handle.clone(), Arc::clone(&self.config), self.closing.clone());
        let apply = async move {
            fleet::until_back(&handle).await;
            if let Err(problem) = config.apply(fleet, api::ApplyOrder::default(), origin.clone()).await {
                warn!(%problem, "the fleet file is not applied");
            }
            fleet::lift(&handle, &origin).await;
        };
        tokio::spawn(async move { closing.run_until_cancelled(apply).await });
    }

    /// Applies a fleet: what is new is registered and started, what changed is told, what is no longer there is removed.
    ///
    /// # Errors
    /// The first change that was refused; what was applied before it stays.
    pub async fn apply(
        &self,
        fleet: crate::config::Fleet,
        origin: Origin,
    ) -> Result<api::ConfigApplied, stead_model::Problem> {
        self.config.apply(fleet, api::ApplyOrder::default(), origin).await
    }

    /// Ends a daemon that has served nobody; the keeper with it, unless it keeps somebody. Agents that live are left alone.
    pub async fn withdraw(self) {
        // A keeper that is on its way could not be told, and nobody knows yet whom it keeps.
        let found = tokio::time::timeout(LAST_ERRANDS, fleet::until_ready(&self.handle)).await;
        let mut kept = found.is_err();
        self.handle.views().each(|agent| kept |= agent.glance().pid.is_some());
        self.closing.cancel();
        let _gone = self.incoming.send(Incoming::Stop { dismiss: !kept });
        let _joined = tokio::task::spawn_blocking(move || self.pump.join()).await;
    }

    /// Has the fleet file read again when it is asked to.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader::new(Arc::clone(&self.config), self.clock)
    }

    /// Brings back what went down with its whole fleet.
    pub async fn lift(&self, origin: Origin) {
        fleet::lift(&self.handle, &origin).await;
    }

    /// Serves the API until somebody orders the daemon down or `leave` resolves; then stops, the agents first if they are to stop.
    ///
    /// # Errors
    /// The listener broke.
    pub async fn serve(self, leave: impl Future<Output = ShutdownOrder>) -> io::Result<()> {
        let Self {
            handle,
            clock,
            settings,
            started_at,
            keeper,
            incoming,
            pump,
            listener,
            listen,
            closing,
            errands,
            orders,
            config: kept,
            damage,
        } = self;
        let (order, mut ordered) = orders;
        let host = ports::Process {
            clock,
            started_at,
            listen,
            state_dir: settings.state_dir.clone(),
            keeper,
            order,
        };
        let state = ApiState {
            handle: handle.clone(),
            ports: Ports {
                host: Arc::new(host),
                logs: Arc::new(logs::KeptLogs::new(settings.state_dir.clone())),
                config: Arc::<Config>::clone(&kept),
            },
            token: settings.token,
            listen,
            hosts: settings.hosts,
            closing: closing.clone(),
        };
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut serving = tokio::spawn(api::serve(listener, api::router(state), closing.clone()));
        // Looked for once, beside everything else: nothing waits for it.
        drop(tokio::task::spawn_blocking({
            let dir = settings.state_dir.clone();
            move || tell_of_orphans(&dir)
        }));
        let pruning = tokio::spawn(prune::keep_pruned(
            handle.clone(),
            clock,
            settings.state_dir.clone(),
            closing.clone(),
        ));
        let watching = tokio::spawn(Reloader::new(kept, clock).watch(closing.clone()));
        let measuring = tokio::spawn(crate::degradation::watch_load(handle.clone(), closing.clone()));
        let order = tokio::select! {
            order = leave => order,
            Some(order) = ordered.recv() => order,
            served = &mut serving => return served.map_err(io::Error::other)?,
        };
        let dismiss = match order.agents {
            api::AgentsLeft::Stop if damage.is_some() => {
                warn!("agents are left at work: what is wanted of them cannot be read");
                false
            }
            api::AgentsLeft::Stop => fleet::halt(&handle, &order.origin, order.reason.as_deref()).await,
            api::AgentsLeft::Leave => false,
        };
        closing.cancel();
        let _ended = pruning.await;
        let _ended = watching.await;
        let _ended = measuring.await;
        let served = serving.await.map_err(io::Error::other)?;
        let _gone = incoming.send(Incoming::Stop { dismiss });
        let _joined = tokio::task::spawn_blocking(move || pump.join()).await;
        errands.close();
        if tokio::time::timeout(LAST_ERRANDS, errands.wait()).await.is_err() {
            warn!(
                errands = errands.len(),
                "probes or words to agents are still under way; they end with the daemon"
            );
        }
        served
    }
}

/// How long probes and words that were told to end are waited for.
const LAST_ERRANDS: Duration = Duration::from_secs(5);

/// Says once how many processes of agents nobody keeps on this machine, and what they cost.
fn tell_of_orphans(state_dir: &std::path::Path) {
    let found = stead_keeper::orphans::find(state_dir);
    if !found.is_empty() {
        let memory = stead_model::Bytes(found.iter().map(|orphan| orphan.memory.0).sum());
        warn!(processes = found.len(), %memory, "nobody keeps some processes of agents; `stead orphans` lists them");
    }
}

fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source| StartError::Listen { addr, source };
    let listener = TcpListener::bind(addr).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// Who looks at agents from outside, and who says words to them: what they find goes to the pump.
fn messengers(
    incoming: &mpsc::UnboundedSender<Incoming>,
    closing: &CancellationToken,
    tasks: &TaskTracker,
) -> (Prober, Courier) {
    let sink = || {
        let pump = incoming.clone();
        move |observation| {
            let _gone = pump.send(Incoming::Probed(observation));
        }
    };
    let prober = Prober::new(sink(), closing.clone(), tasks.clone());
    (prober, Courier::new(sink(), closing.clone(), tasks.clone()))
}

/// Tells the pump what the store completed; what waits for nothing else is given out before that.
fn told_to(incoming: &mpsc::UnboundedSender<Incoming>, gate: &Arc<Gate>) -> Sink {
    let (completions, gate) = (incoming.clone(), Arc::clone(gate));
    Box::new(move |completion| {
        if let Completion::Committed(receipt) = &completion {
            gate.pass(receipt);
        }
        // The pump outlives the store; after it nobody waits for completions.
        let _gone = completions.send(Incoming::Completed(completion));
    })
}

fn keeper_settings(settings: &Settings, listen: SocketAddr) -> KeeperSettings {
    let mut env = BTreeMap::from([("STEAD_URL".to_owned(), format!("http://{listen}"))]);
    if let Some(file) = &settings.token_file {
        env.insert("STEAD_TOKEN_FILE".to_owned(), file.display().to_string());
    }
    KeeperSettings {
        program: settings.program.clone(),
        state_dir: settings.state_dir.clone(),
        env,
    }
}
