//! Starting an instance: its files, its environment, its process. Nothing is left of a spawn that failed.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{chown, fchown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use stead_model::{Epoch, Incarnation, InstanceId, SpawnFailure, SpawnFailureKind};

use crate::cgroup;
use crate::dir::{StateDir, make_dir};
use crate::doors::Doors;
use crate::legacy::{Legacy, Pipes};
use crate::logs::{Stream, fifo_path, open_fifo};
use crate::notify;
use crate::prepare::{Base, Prepared, failure};
use crate::record::{self, Line, Ordered, Records};
use crate::spare::Spares;
use crate::sys::{self, Child, Stack, Step};
use crate::wire::{MOST_FORESEEN, SpawnOrder};

/// What all spawns of a keeper share.
#[derive(Debug)]
pub(crate) struct Spawner {
    pub(crate) base: Base,
    pub(crate) cgroups: Option<cgroup::Root>,
    pub(crate) spares: Spares,
    /// Runs that were ordered to be made ready.
    ready: BTreeMap<InstanceId, Ready>,
    /// What runs inherit that are likely to be ordered soon.
    inherited: BTreeMap<InstanceId, Legacy>,
    pub(crate) records: Records,
    null: OwnedFd,
    doors: Option<Doors>,
    stack: Stack,
}

/// An instance that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) ordered: Ordered,
    pub(crate) fifos: [OwnedFd; 2],
    pub(crate) notify: UnixDatagram,
    /// What tells whether anybody is in its cgroup.
    pub(crate) events: Option<Arc<fs::File>>,
}

/// What each run has of its own, before anything is known of what it will run.
#[derive(Debug)]
struct Makings {
    notify: UnixDatagram,
    socket: PathBuf,
    pipes: Pipes,
    theirs: [OwnedFd; 2],
    events: Option<Arc<fs::File>>,
    /// Its cgroup, open to be born into.
    cradle: Option<OwnedFd>,
    debris: Debris,
}

/// What the next act is to start.
#[derive(Debug)]
struct Ready {
    prepared: Prepared,
    env: Vec<CString>,
    ordered: Ordered,
    makings: Makings,
    /// What the process adds to its record, if it has one.
    birth: Option<Vec<u8>>,
}

impl Spawner {
    pub(crate) fn new(dir: &StateDir, base: Base, cgroups: Option<cgroup::Root>) -> io::Result<Self> {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
        Ok(Self {
            spares: Spares::new(dir.path())?,
            records: Records::open(&dir.records())?,
            base,
            cgroups,
            ready: BTreeMap::new(),
            inherited: BTreeMap::new(),
            doors: Doors::open(&null)?,
            null,
            stack: Stack::new(),
        })
    }

    /// Starts what is ordered.
    pub(crate) fn spawn(&mut self, dir: &StateDir, epoch: Epoch, order: &SpawnOrder) -> Result<Running, SpawnFailure> {
        if self.ready.contains_key(&order.instance) {
            // It was foreseen, and is ordered whole all the same: this order counts.
            self.foresee_no_more(dir, order.instance);
        }
        let ready = self.make_ready(dir, epoch, order)?;
        self.start(ready)
    }

    /// Makes ready what is likely to be ordered. What stands against it is told when it is ordered.
    pub(crate) fn foresee_order(&mut self, dir: &StateDir, epoch: Epoch, order: &SpawnOrder) {
        if self.ready.len() < MOST_FORESEEN
            && !self.ready.contains_key(&order.instance)
            && let Ok(ready) = self.make_ready(dir, epoch, order)
        {
            self.ready.insert(order.instance, ready);
        }
    }

    /// Starts what was made ready; none where nothing was.
    pub(crate) fn begin(&mut self, instance: InstanceId) -> Option<Result<Running, SpawnFailure>> {
        let ready = self.ready.remove(&instance)?;
        Some(self.start(ready))
    }

    /// Does all that an order needs up to the birth.
    fn make_ready(&mut self, dir: &StateDir, epoch: Epoch, order: &SpawnOrder) -> Result<Ready, SpawnFailure> {
        let mut prepared = self.base.prepare(&order.spec)?;
        let uid = prepared.account.as_ref().map(|account| account.uid);
        let agent = dir.agent(order.instance.agent);
        let home = make_home(&agent, &prepared).map_err(|error| shortage("prepare the agent's directory", &error))?;
        let mark = dir.mark_of(order.instance);
        let legacy = self.inherited.remove(&order.instance);
        let makings = self.make(dir, order.instance, legacy)?;
        let socket = &makings.socket;
        if let Some(uid) = uid {
            hand_over(&makings.theirs, socket, uid)
                .map_err(|error| shortage("hand over its pipes and socket", &error))?;
        }
        add_environment(&mut prepared, order, epoch, [&mark, &home, &socket.to_string_lossy()]);
        let env = prepared.overlay()?;
        let instance = order.instance;
        let ordered = Ordered {
            version: record::VERSION,
            instance,
            name: order.name.clone(),
            namespace: order.namespace.clone(),
            epoch,
            logs: order.spec.logs.clone(),
            socket: socket.clone(),
            cgroup: makings.debris.cgroup.clone(),
            pipes: Some(makings.pipes.named).filter(|named| *named != instance.incarnation),
        };
        // A full disk must not keep agents down: without a record the process is found by its mark.
        let recorded = self.records.append(instance, &Line::Ordered(Box::new(ordered.clone())));
        let birth = recorded.and_then(|()| record::birth(instance));
        if let Err(error) = &birth {
            crate::note(&format!("no record of {instance}: {error}"));
        }
        Ok(Ready {
            prepared,
            env,
            ordered,
            makings,
            birth: birth.ok(),
        })
    }

    fn start(&mut self, mut ready: Ready) -> Result<Running, SpawnFailure> {
        let instance = ready.ordered.instance;
        let child = match self.clone_into(&mut ready) {
            Ok(child) => child,
            Err(failure) => {
                self.forget(instance);
                return Err(failure);
            }
        };
        let Ready { ordered, makings, .. } = ready;
        let Makings {
            notify,
            pipes,
            events,
            debris,
            ..
        } = makings;
        let ordered = Ordered {
            cgroup: debris.cgroup.clone(),
            ..ordered
        };
        debris.keep();
        Ok(Running {
            child,
            ordered,
            fifos: pipes.ours,
            notify,
            events,
        })
    }

    /// Writes down that nothing is to be known of an instance any more.
    pub(crate) fn forget(&mut self, instance: InstanceId) {
        if let Err(error) = self.records.append(instance, &Line::Forgotten) {
            crate::note(&format!("record of {instance}: {error}"));
        }
    }

    /// What is to be known of runs that are ready, in the form of the records.
    pub(crate) fn orders(&self) -> impl Iterator<Item = (InstanceId, Line)> {
        let ready = self.ready.iter();
        ready.map(|(instance, ready)| (*instance, Line::Ordered(Box::new(ready.ordered.clone()))))
    }

    /// Makes all that a run needs whatever is ordered exactly, from what it inherits as far as that goes.
    fn make(&mut self, dir: &StateDir, instance: InstanceId, legacy: Option<Legacy>) -> Result<Makings, SpawnFailure> {
        let mut debris = Debris::default();
        let (socket, pipes, cgroup) = match legacy {
            Some(Legacy {
                notify,
                socket,
                pipes,
                cgroup,
            }) => (Some((notify, socket)), pipes, cgroup),
            None => (None, None, None),
        };
        let (notify, socket) = match socket {
            Some(inherited) => inherited,
            None => notify::free_path(dir.path(), &dir.mark_of(instance))
                .and_then(|path| Ok((self.spares.socket(&path)?, path)))
                .map_err(|error| shortage("make its notify socket", &error))?,
        };
        debris.files.push(socket.clone());
        let agent = dir.agent(instance.agent);
        let (pipes, theirs) = match pipes.and_then(|pipes| Some((theirs_of(&agent, &pipes)?, pipes))) {
            Some((theirs, pipes)) => (pipes, theirs),
            None => self
                .pipes(&agent, instance.incarnation, &mut debris)
                .map_err(|error| shortage("make its pipes", &error))?,
        };
        for stream in Stream::BOTH {
            debris.files.push(fifo_path(&agent, pipes.named, stream));
        }
        let own = cgroup.and_then(|own| Some((cgroup::open(&own.path).ok()?, own)));
        let (cradle, events) = match own {
            Some((cradle, own)) => {
                debris.cgroup = Some(own.path);
                (Some(cradle), own.events)
            }
            None => {
                debris.cgroup = self.cgroup(instance);
                let path = debris.cgroup.as_deref();
                let events = path.and_then(|path| cgroup::open_events(path).ok()).map(Arc::new);
                (path.and_then(|path| cgroup::open(path).ok()), events)
            }
        };
        Ok(Makings {
            notify,
            socket,
            pipes,
            theirs,
            events,
            cradle,
            debris,
        })
    }

    /// FIFOs that are named after a run.
    fn pipes(&mut self, agent: &Path, named: Incarnation, debris: &mut Debris) -> io::Result<(Pipes, [OwnedFd; 2])> {
        let mut open = |stream| {
            let path = fifo_path(agent, named, stream);
            debris.files.push(path.clone());
            self.spares.fifo(&path)
        };
        let (out, err) = (open(Stream::Out)?, open(Stream::Err)?);
        let ours = [out.ours, err.ours];
        Ok((Pipes { named, ours }, [out.theirs, err.theirs]))
    }

    /// Keeps what the next run inherits until it is ordered. Nothing is made of it before that: whoever decides on it needs the processor.
    pub(crate) fn keep_for(&mut self, instance: InstanceId, legacy: Legacy) {
        self.inherited.insert(instance, legacy);
    }

    /// Gives back what was made for a run that was not ordered.
    pub(crate) fn foresee_no_more(&mut self, dir: &StateDir, instance: InstanceId) {
        if let Some(legacy) = self.inherited.remove(&instance) {
            legacy.give_back(dir, instance.agent, &mut self.spares);
        }
        let Some(Ready { makings, .. }) = self.ready.remove(&instance) else {
            return;
        };
        self.forget(instance);
        let Makings {
            pipes, theirs, debris, ..
        } = makings;
        let named = pipes.named;
        drop((pipes, theirs));
        for stream in Stream::BOTH {
            self.spares
                .take_fifo(&fifo_path(&dir.agent(instance.agent), named, stream));
        }
        drop(debris);
    }

    /// Gives back what was made for all runs that were not ordered.
    pub(crate) fn foresee_nothing(&mut self, dir: &StateDir) {
        let runs = self.ready.keys().chain(self.inherited.keys());
        for instance in runs.copied().collect::<Vec<_>>() {
            self.foresee_no_more(dir, instance);
        }
    }

    fn cgroup(&self, instance: InstanceId) -> Option<PathBuf> {
        let root = self.cgroups.as_ref()?;
        match root.create(&instance.to_string()) {
            Ok(path) => Some(path),
            Err(error) => {
                crate::note(&format!("no cgroup for {instance}: {error}"));
                None
            }
        }
    }

    fn clone_into(&mut self, ready: &mut Ready) -> Result<Child, SpawnFailure> {
        let Ready {
            prepared,
            env,
            makings,
            birth,
            ..
        } = ready;
        let Makings {
            theirs: [out, err],
            cradle,
            debris,
            ..
        } = makings;
        let (argv, envp) = (pointers(&prepared.argv), pointers(prepared.rest().chain(&*env)));
        let mut stdio = [self.null.as_raw_fd(), out.as_raw_fd(), err.as_raw_fd()];
        let mut record = self.records.fd().as_raw_fd();
        if let Some(doors) = &mut self.doors {
            let put = doors.put([out.as_fd(), err.as_fd()], self.records.fd());
            put.map_err(|error| shortage("pass its descriptors", &error))?;
            stdio = doors.stdio();
            record = doors.birth();
        }
        let plan = sys::Plan {
            program: &prepared.program,
            argv: &argv,
            envp: &envp,
            dir: &prepared.dir,
            stdio,
            few: self.doors.as_ref().map(Doors::end),
            limits: &prepared.limits,
            user: prepared.account.as_ref().map(|account| sys::User {
                uid: account.uid,
                gid: account.gid,
                groups: &account.groups,
            }),
            birth: birth.as_deref().map(|text| (record, text)),
            parent: i32::try_from(std::process::id()).unwrap_or(0),
        };
        let mut result = sys::spawn(&plan, cradle.as_ref().map(AsFd::as_fd), &mut self.stack);
        if let (Err((Step::Clone, error)), Some(_)) = (&result, cradle) {
            // Some systems let us make cgroups but not be born into them: the process still runs, without one.
            crate::note(&format!("no birth into a cgroup: {error}"));
            if let Some(path) = debris.cgroup.take() {
                cgroup::remove(&path);
            }
            result = sys::spawn(&plan, None, &mut self.stack);
        }
        if let Some(doors) = &mut self.doors {
            doors.clear();
        }
        result.map_err(|(step, error)| explain(step, &error, prepared))
    }
}

/// What a spawn made so far; removed again unless the instance runs.
#[derive(Debug, Default)]
struct Debris {
    files: Vec<PathBuf>,
    cgroup: Option<PathBuf>,
}

impl Debris {
    fn keep(mut self) {
        self.files.clear();
        self.cgroup = None;
    }
}

impl Drop for Debris {
    fn drop(&mut self) {
        for file in &self.files {
            // It may not have been made yet.
            let _absent = fs::remove_file(file);
        }
        if let Some(path) = &self.cgroup {
            cgroup::remove(path);
        }
    }
}

/// The other ends of FIFOs that are inherited; none if somebody removed them.
fn theirs_of(agent: &Path, pipes: &Pipes) -> Option<[OwnedFd; 2]> {
    let open = |stream| open_fifo(&fifo_path(agent, pipes.named, stream), OFlags::empty()).ok();
    Some([open(Stream::Out)?, open(Stream::Err)?])
}

fn make_home(agent: &Path, prepared: &Prepared) -> io::Result<String> {
    let home = agent.join("home");
    if !home.is_dir() {
        make_dir(agent, 0o711)?;
        make_dir(&home, 0o700)?;
    }
    if let Some(account) = &prepared.account {
        chown(&home, Some(account.uid), Some(account.gid))?;
    }
    Ok(home.to_string_lossy().into_owned())
}

/// Gives a run's user what only it may use. Programs that open /dev/stdout anew need the right to.
fn hand_over(theirs: &[OwnedFd; 2], socket: &Path, uid: u32) -> io::Result<()> {
    for stream in theirs {
        fchown(stream, Some(uid), None)?;
    }
    chown(socket, Some(uid), None)
}

fn add_environment(prepared: &mut Prepared, order: &SpawnOrder, epoch: Epoch, [mark, home, socket]: [&str; 3]) {
    let mut set = |name: &str, value: String| {
        prepared.env.insert(OsString::from(name), OsString::from(value));
    };
    for (name, value) in &order.env {
        set(name, value.clone());
    }
    set("STEAD_AGENT", order.name.to_string());
    set("STEAD_NAMESPACE", order.namespace.to_string());
    set("STEAD_INSTANCE", mark.to_owned());
    set("STEAD_INCARNATION", order.instance.incarnation.to_string());
    set("STEAD_EPOCH", epoch.to_string());
    set("STEAD_AGENT_DIR", home.to_owned());
    set("NOTIFY_SOCKET", socket.to_owned());
    if let Some(watchdog) = order.spec.watchdog {
        // WATCHDOG_PID is left out: the pid is not known before the birth, and its absence means "for anyone".
        set("WATCHDOG_USEC", watchdog.0.as_micros().to_string());
    }
}

fn pointers<'a>(texts: impl IntoIterator<Item = &'a CString>) -> Vec<*const libc::c_char> {
    let texts = texts.into_iter().map(|text| text.as_ptr());
    texts.chain([std::ptr::null()]).collect()
}

fn shortage(what: &str, error: &io::Error) -> SpawnFailure {
    failure(SpawnFailureKind::Resources, format!("cannot {what}: {error}"))
}

fn explain(step: Step, error: &io::Error, prepared: &Prepared) -> SpawnFailure {
    let program = prepared.program.to_string_lossy();
    let (kind, what) = match step {
        Step::Clone => (SpawnFailureKind::Resources, String::from("cannot make a process")),
        Step::Session | Step::Stdio => (SpawnFailureKind::Setting, String::from("cannot set up the process")),
        Step::Limit => (
            SpawnFailureKind::Setting,
            String::from("limits: cannot be put in force"),
        ),
        Step::User => (SpawnFailureKind::User, String::from("user: cannot be taken on")),
        Step::Directory => (
            SpawnFailureKind::Directory,
            format!("dir: {}", prepared.dir.to_string_lossy()),
        ),
        Step::Orphaned => (
            SpawnFailureKind::Resources,
            String::from("the keeper was replaced meanwhile"),
        ),
        Step::Exec => match error.raw_os_error() {
            Some(libc::ENOENT) => (
                SpawnFailureKind::NotFound,
                format!("{program}: the interpreter that its first line names, or its loader, does not exist"),
            ),
            Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => {
                (SpawnFailureKind::Resources, program.into())
            }
            Some(libc::E2BIG) => (
                SpawnFailureKind::Setting,
                format!("{program}: arguments and environment are too long"),
            ),
            _ => (SpawnFailureKind::NotExecutable, program.into()),
        },
    };
    failure(kind, format!("{what}: {error}"))
}
