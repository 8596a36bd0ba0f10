//! Processes of this machine, by way of the keeper.
//!
//! The keeper outlives the daemon and may itself be replaced: a thread connects, and connects again once the session ended. What is said in
//! between is read by a task on the thread that acts on it: an end wakes one thread, not two. Orders that were lost with a session need
//! no code of their own here; the survey after each connection shows what is still to be done.

mod hearing;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stead_engine::Foreseen;
use stead_keeper::wire::{MOST_FORESEEN, Request, SpawnOrder, Target, Welcome};
use stead_keeper::{ClientError, Sender, Session, launch};
use stead_model::spec::ProcessSpec;
use stead_model::{Action, AgentId, AgentName, Epoch, InstanceId, Namespace, Order};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::{Courier, Driven, Driver, Seat, Seats};
use crate::probe::{ExecContext, Prober};
use crate::pump::gate::Starter;

/// What a keeper is started with, and what agents are given.
#[derive(Clone, Debug)]
pub(crate) struct KeeperSettings {
    /// The program that has the subcommand `keeper`: this one.
    pub(crate) program: PathBuf,
    /// Where its socket, logs and records lie.
    pub(crate) state_dir: PathBuf,
    /// Variables that every agent gets, such as `STEAD_URL`.
    pub(crate) env: BTreeMap<String, String>,
}

/// Carries out orders about processes.
#[derive(Debug)]
pub(crate) struct ProcessDriver {
    shared: Arc<Shared>,
    prober: Prober,
    courier: Courier,
}

struct Shared {
    settings: KeeperSettings,
    epoch: Epoch,
    session: Mutex<Option<Open>>,
    /// What the orders under way are about, by the numbers that their answers carry.
    under_way: Mutex<HashMap<u64, About>>,
    /// Something was posted that the keeper did not take at once.
    behind: Notify,
    welcome: Mutex<Option<Welcome>>,
    /// The keeper was told to leave: no other is to be started.
    dismissed: Mutex<bool>,
    /// Where those sit who wait to be acted on.
    seats: Seats,
    sink: Box<dyn Fn(Driven, Seat) + Send + Sync>,
}

/// A session.
struct Open {
    sender: Sender,
    /// Orders to start that were sent ahead, to be made ready and not to be begun.
    ahead: HashMap<InstanceId, Box<SpawnOrder>>,
}

/// What an order is about.
enum About {
    Preparing(AgentId),
    Starting(InstanceId),
    /// Begun on an order that was sent ahead.
    Beginning(Box<SpawnOrder>),
    Ending(InstanceId),
}

impl std::fmt::Debug for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Preparing(agent) => write!(f, "preparing {agent}"),
            Self::Starting(instance) => write!(f, "starting {instance}"),
            // Not what it holds: that may be secret.
            Self::Beginning(order) => write!(f, "beginning {}", order.instance),
            Self::Ending(instance) => write!(f, "ending {instance}"),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl ProcessDriver {
    /// Starts the thread that keeps the session; what the keeper says is read by a task of `reader`, so that it wakes nobody but those who
    /// act on it, and goes to `sink`.
    ///
    /// # Errors
    /// The thread could not be started.
    pub(crate) fn start(
        settings: KeeperSettings,
        epoch: Epoch,
        (prober, courier): (Prober, Courier),
        reader: Handle,
        sink: impl Fn(Driven, Seat) + Send + Sync + 'static,
    ) -> std::io::Result<(Self, KeeperInfo)> {
        let shared = Arc::new(Shared {
            settings,
            epoch,
            session: Mutex::new(None),
            under_way: Mutex::new(HashMap::new()),
            behind: Notify::new(),
            welcome: Mutex::new(None),
            dismissed: Mutex::new(false),
            seats: Seats::new(),
            sink: Box::new(sink),
        });
        let keeping = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("keeper-session".into())
            .spawn(move || keeping.keep_session(&reader))?;
        let info = KeeperInfo(Arc::clone(&shared));
        Ok((
            Self {
                shared,
                prober,
                courier,
            },
            info,
        ))
    }

    /// What gives out orders to start, from any thread.
    pub(crate) fn starter(&self) -> Starter {
        let shared = Arc::clone(&self.shared);
        Box::new(move |action| {
            if let Order::Spawn {
                instance,
                namespace,
                name,
                process,
            } = action.order
            {
                shared.start(instance, namespace, name, process);
            }
        })
    }
}

/// What is known of the keeper, for people.
#[derive(Clone, Debug)]
pub(crate) struct KeeperInfo(Arc<Shared>);

impl KeeperInfo {
    /// The keeper's pid, once there was a session.
    #[must_use]
    pub(crate) fn pid(&self) -> Option<i32> {
        lock(&self.0.welcome).as_ref().map(|welcome| welcome.pid)
    }
}

impl Driver for ProcessDriver {
    fn execute(&mut self, action: Action) {
        match action.order {
            Order::Prepare { agent, process } => {
                self.shared
                    .order(About::Preparing(agent), Request::Prepare { spec: process });
            }
            Order::Spawn {
                instance,
                namespace,
                name,
                process,
            } => {
                self.shared.start(instance, namespace, name, process);
            }
            Order::Tell {
                instance,
                word,
                note,
                endpoint,
                token,
            } => self.courier.tell(instance, word, note, endpoint, token),
            Order::Signal { instance, signal } => {
                self.courier.hush(instance);
                let target = Target::Tree;
                let request = Request::Signal {
                    instance,
                    signal,
                    target,
                };
                self.shared.order(About::Ending(instance), request);
            }
            Order::Freeze { instance, frozen } => {
                if frozen {
                    // It could answer nothing, and an answer that comes late would be held against it.
                    self.prober.unwatch(instance);
                }
                self.shared.ask(if frozen {
                    Request::Freeze { instance }
                } else {
                    Request::Thaw { instance }
                });
            }
            Order::Kill { instance } => {
                self.courier.hush(instance);
                self.prober.unwatch(instance);
                self.shared
                    .order(About::Ending(instance), Request::KillTree { instance });
            }
            Order::Acknowledge { instance } => {
                self.courier.hush(instance);
                self.prober.unwatch(instance);
                self.shared.ask(Request::Acknowledge { instance });
            }
            Order::Probe {
                instance,
                namespace,
                name,
                probes,
                process,
            } => {
                let own = [
                    ("STEAD_AGENT".to_owned(), name.to_string()),
                    ("STEAD_NAMESPACE".to_owned(), namespace.to_string()),
                ];
                let context = ExecContext::of(process.as_deref(), tokio::time::Instant::now())
                    .with(self.shared.settings.env.clone().into_iter().chain(own));
                self.prober.watch(instance, *probes, context);
            }
        }
    }

    fn foresee(&mut self, start: Foreseen<'_>) {
        self.shared.foresee(start);
    }

    fn survey(&mut self) {
        self.shared.ask(Request::List);
    }

    fn dismiss(&mut self) {
        *lock(&self.shared.dismissed) = true;
        self.shared.ask(Request::Shutdown);
    }
}

impl Shared {
    /// Has a run made ready while the order to start it is being written down.
    fn foresee(&self, start: Foreseen<'_>) {
        let mut session = lock(&self.session);
        let Some(open) = &mut *session else { return };
        if open.ahead.len() >= MOST_FORESEEN {
            return;
        }
        let Foreseen {
            instance,
            namespace,
            name,
            process,
        } = start;
        let order = Box::new(self.spawn_order(instance, namespace.clone(), name.clone(), process.clone()));
        if self.post(open, Request::Foresee(order.clone())).is_some() {
            open.ahead.insert(instance, order);
        }
    }

    /// Starts a run, by a word where its order was sent ahead.
    fn start(&self, instance: InstanceId, namespace: Namespace, name: AgentName, process: Box<ProcessSpec>) {
        let ahead = lock(&self.session)
            .as_mut()
            .and_then(|open| open.ahead.remove(&instance));
        match ahead.filter(|ahead| ahead.spec == *process) {
            Some(ahead) => self.order(About::Beginning(ahead), Request::Begin { instance }),
            None => self.order_start(Box::new(self.spawn_order(instance, namespace, name, *process))),
        }
    }

    fn order_start(&self, order: Box<SpawnOrder>) {
        self.order(About::Starting(order.instance), Request::Spawn(order));
    }

    fn spawn_order(
        &self,
        instance: InstanceId,
        namespace: Namespace,
        name: AgentName,
        spec: ProcessSpec,
    ) -> SpawnOrder {
        SpawnOrder {
            instance,
            name,
            namespace,
            spec,
            env: self.settings.env.clone(),
        }
    }

    /// Sends an order whose answer, also a refusal, is one about `about`.
    fn order(&self, about: About, request: Request) {
        // The answer may come before this returns; it waits for the note.
        let mut under_way = lock(&self.under_way);
        if let Some(id) = self.ask(request) {
            under_way.insert(id, about);
        }
    }

    fn ask(&self, request: Request) -> Option<u64> {
        // Without a session the order is lost; the survey that follows the next one shows what is still to be done.
        let mut session = lock(&self.session);
        self.post(session.as_mut()?, request)
    }

    /// Never waits: what the keeper does not take at once is sent by the reading task.
    fn post(&self, open: &mut Open, request: Request) -> Option<u64> {
        match open.sender.post(request) {
            Ok(posted) => {
                if posted.behind {
                    self.behind.notify_one();
                }
                Some(posted.id)
            }
            Err(error) => {
                // A keeper that takes nothing must not hold up anybody: the session ends, and a new one is tried.
                warn!(%error, "the session with the keeper is given up");
                open.sender.close();
                None
            }
        }
    }

    /// Connects, reads until the session ends, and connects again, until the keeper is dismissed.
    fn keep_session(self: Arc<Self>, reader: &Handle) {
        let mut wait = FIRST_WAIT;
        let mut fresh = true;
        while !*lock(&self.dismissed) {
            let session = self.open().and_then(|session| {
                // Once in the life of a daemon, so that an old one never takes back what was installed meanwhile.
                if std::mem::take(&mut fresh) {
                    self.renew(session)
                } else {
                    Ok(session)
                }
            });
            match session {
                Ok(session) => {
                    let Welcome {
                        pid, cgroups, capacity, ..
                    } = session.welcome;
                    info!(pid, cgroups, capacity, "keeper found");
                    wait = FIRST_WAIT;
                    *lock(&self.welcome) = Some(session.welcome.clone());
                    let (sender, receiver) = session.split();
                    *lock(&self.session) = Some(Open {
                        sender: sender.clone(),
                        ahead: HashMap::new(),
                    });
                    (self.sink)(Driven::Back, Seat::default());
                    let (ended, end) = sync_channel(1);
                    let reading = Arc::clone(&self).read(sender, receiver);
                    reader.spawn(async move { ended.send(reading.await) });
                    let Ok(detail) = end.recv() else {
                        // Nobody acts on what the keeper says any more.
                        return;
                    };
                    *lock(&self.session) = None;
                    lock(&self.under_way).clear();
                    (self.sink)(Driven::Lost { detail }, Seat::default());
                }
                Err(error) => {
                    let detail = error.to_string();
                    (self.sink)(Driven::Lost { detail }, Seat::default());
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Opens a session, with a new keeper where none answers.
    fn open(&self) -> Result<Session, ClientError> {
        let KeeperSettings { program, state_dir, .. } = &self.settings;
        launch(program, state_dir)?;
        Session::open(state_dir, self.epoch)
    }

    /// Has a keeper that another daemon left go on as the program of this one, where that is another. Nothing was asked of it yet, so
    /// that nothing can be lost with the session.
    fn renew(&self, mut session: Session) -> Result<Session, ClientError> {
        let program = &self.settings.program;
        if session.runs(program) != Some(false) {
            return Ok(session);
        }
        let (pid, shown) = (session.welcome.pid, program.display());
        match session.upgrade(program) {
            Ok(()) => {
                info!(pid, program = %shown, "the keeper goes on as the program of this daemon");
                drop(session);
                self.open()
            }
            Err(error) => {
                warn!(pid, program = %shown, %error, "the keeper goes on as the program that it was");
                Ok(session)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
