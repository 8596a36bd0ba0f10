//! From nothing, from a dead keeper's records, or from the keeper before an upgrade, to one that serves.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use rustix::process::{Resource, Rlimit, getpid, getrlimit, set_child_subreaper, setrlimit, setsid};
use stead_model::Epoch;

use super::{Cgroups, Chores, Config, Keeper, Stay};
use crate::dir::{Lock, StateDir};
use crate::error::Error;
use crate::identity::Here;
use crate::instance::Instance;
use crate::logs::{Stream, has_spool};
use crate::poller::{Poller, Token};
use crate::prepare::Base;
use crate::spawn::Spawner;
use crate::upgrade::{self, Handover};
use crate::{adopt, cgroup, clock, detach, sys};

/// Descriptors that a keeper holds for each instance: its process, two streams, its notify socket, the events of its cgroup.
pub const DESCRIPTORS_EACH: u64 = 5;
/// Descriptors that a keeper needs for everything else.
pub const DESCRIPTORS_BESIDE: u64 = 256;

/// Runs the keeper of a state directory. Call it before the process has a second thread.
///
/// With [`Stay::Background`] it returns once the keeper serves as a process of its own, whose socket then answers.
/// SIGTERM and the `shutdown` request make the keeper leave; its agents live on and are adopted by the next one.
///
/// # Errors
///
/// The state directory cannot be used or is held by another keeper, or the system refuses what a keeper needs.
pub fn run(config: &Config) -> Result<(), Error> {
    sys::keep_descriptors();
    if let Some(handover) = upgrade::take_over()? {
        return Keeper::resumed(handover, config.cgroups)?.serve_and_leave();
    }
    match config.stay {
        Stay::Foreground => Keeper::fresh(config)?.serve_and_leave(),
        Stay::Background => detach::into_background(
            || Keeper::fresh(config),
            |keeper| detach::log_to(&keeper.dir.log()),
            Keeper::serve_and_leave,
        ),
    }
}

impl Keeper {
    fn fresh(config: &Config) -> Result<Self, Error> {
        let cwd = std::env::current_dir().map_err(Error::system("find the working directory"))?;
        let dir = StateDir::open(&config.state_dir)?;
        let lock = dir.lock()?;
        // A group leader cannot, but then it is already apart.
        let _leader = setsid();
        std::env::set_current_dir("/").map_err(Error::system("leave the working directory"))?;
        let listener = bind(&dir)?;
        let open_files = raise_open_files();
        let epoch = dir.epoch()?;
        let base = Base::take(cwd, open_files);
        let mut keeper = Self::assemble(dir, lock, listener, base, (epoch, config.cgroups))?;
        keeper.adopt()?;
        Ok(keeper)
    }

    fn resumed(handover: Handover, cgroups: Cgroups) -> Result<Self, Error> {
        let dir = StateDir::open(&handover.state_dir)?;
        let base = Base::take(handover.dir, handover.open_files);
        let lock = Lock::kept(handover.lock);
        let mut keeper = Self::assemble(dir, lock, handover.listener, base, (handover.epoch, cgroups))?;
        keeper.newest = handover.newest;
        for instance in handover.instances {
            let instance = upgrade::resume(instance, &keeper.dir).map_err(Error::system("take over an instance"))?;
            keeper.take_over(instance).map_err(Error::system("watch an instance"))?;
        }
        crate::note("upgraded");
        Ok(keeper)
    }

    fn assemble(
        dir: StateDir,
        lock: Lock,
        listener: UnixListener,
        base: Base,
        (epoch, cgroups): (Epoch, Cgroups),
    ) -> Result<Self, Error> {
        let signals = sys::take_signals(&[libc::SIGCHLD, libc::SIGTERM]).map_err(Error::system("take signals"))?;
        set_child_subreaper(Some(getpid())).map_err(Error::system("become the parent of orphans"))?;
        let poller = Poller::new().map_err(Error::system("make a poller"))?;
        poller
            .add(&listener, Token::Listener)
            .map_err(Error::system("watch its socket"))?;
        poller
            .add(&signals, Token::Signals)
            .map_err(Error::system("watch signals"))?;
        let (cgroups, kills) = match cgroups {
            Cgroups::WherePossible => {
                let root = cgroup::Root::find(dir.mark());
                let uncounted = !root.as_ref().is_some_and(cgroup::Root::counts_memory);
                (root, uncounted.then(cgroup::Kills::find).flatten())
            }
            Cgroups::Never => (None, None),
        };
        Ok(Self {
            here: Here::ask().map_err(Error::system("read /proc"))?,
            spawner: Spawner::new(&dir, base, cgroups).map_err(Error::system("prepare to start agents"))?,
            capacity: capacity(),
            dir,
            lock,
            poller,
            signals,
            listener,
            epoch,
            places: Vec::new(),
            index: BTreeMap::new(),
            mains: BTreeMap::new(),
            newest: BTreeMap::new(),
            logs: BTreeMap::new(),
            connections: Vec::new(),
            session: None,
            closing: Vec::new(),
            stalled: Vec::new(),
            chores: Chores::none(),
            turn: 0,
            expects: None,
            kills,
            leaving: false,
        })
    }

    /// Takes in whatever an earlier keeper left.
    fn adopt(&mut self) -> Result<(), Error> {
        let (found, earlier) = adopt::find(&self.dir, &self.here, self.spawner.cgroups.as_ref())?;
        let count = found.len();
        for instance in found {
            self.take_over(instance)
                .map_err(Error::system("watch an adopted instance"))?;
        }
        // A disk that refuses leaves them as they are, and the next keeper finds as much.
        match self.write_records_anew() {
            Ok(()) => earlier.iter().for_each(|path| drop(std::fs::remove_file(path))),
            Err(error) => crate::note(&format!("the records stay as they are: {error}")),
        }
        crate::note(&format!(
            "keeper {} of {}: {count} instances adopted",
            getpid(),
            self.dir.path().display()
        ));
        Ok(())
    }

    /// Takes in an instance that another keeper had, with what that one had read of its output and not yet written as lines.
    fn take_over(&mut self, instance: Instance) -> io::Result<()> {
        let id = instance.id();
        let place = self.take_in(instance)?;
        let (agent, at) = (self.dir.agent(id.agent), clock::wall().to_string());
        for stream in Stream::BOTH {
            if has_spool(&agent, id.incarnation, stream) {
                self.pump(place, stream, &at);
            }
        }
        Ok(())
    }

    fn serve_and_leave(mut self) -> Result<(), Error> {
        // Children may have ended while nobody looked.
        self.reap_children();
        let served = self.serve();
        self.tidy_before_leaving();
        self.spawner.foresee_nothing(&self.dir);
        if let Some(cgroups) = &self.spawner.cgroups {
            cgroups.remove_if_empty();
        }
        // The next keeper makes it anew; until then nobody answers, which is true.
        let _absent = std::fs::remove_file(self.dir.socket());
        served
    }

    /// Replaces the program by a new one that goes on with everything. Returns only if that fails.
    pub(super) fn upgrade(&mut self, program: Option<String>) -> io::Result<std::convert::Infallible> {
        self.flush_all();
        self.spawner.foresee_nothing(&self.dir);
        let instances = self.places.iter().flatten();
        let handover = upgrade::Parts {
            state_dir: self.dir.path(),
            lock: &self.lock.0,
            listener: &self.listener,
            epoch: self.epoch,
            base: &self.spawner.base,
            newest: &self.newest,
            instances: instances.collect(),
        };
        upgrade::exec(&handover, program)
    }
}

fn bind(dir: &StateDir) -> Result<UnixListener, Error> {
    let path = dir.socket();
    let fault = |source| Error::StateDir {
        path: path.clone(),
        source,
    };
    // The lock is held, so a socket that lies there is a dead keeper's.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path).map_err(fault)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(fault)?;
    listener.set_nonblocking(true).map_err(fault)?;
    Ok(listener)
}

/// Raises the soft limit of open files to the hard one; returns what both were.
fn raise_open_files() -> (u64, u64) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        crate::note(&format!("the limit of open files stays as it is: {error}"));
    }
    (before.current.unwrap_or(u64::MAX), before.maximum.unwrap_or(u64::MAX))
}

/// How many instances can be held.
fn capacity() -> u64 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let processes = getrlimit(Resource::Nproc).current.unwrap_or(u64::MAX);
    (files.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_EACH).min(processes)
}
