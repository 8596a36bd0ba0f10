//! Starting an instance: its files, its environment, its process. Nothing is left of a spawn that failed.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{chown, fchown};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::fs::OFlags;
use stead_model::{Epoch, InstanceId, SpawnFailure, SpawnFailureKind};

use crate::cgroup;
use crate::dir::{StateDir, make_dir};
use crate::doors::Doors;
use crate::logs::{Stream, fifo_path};
use crate::notify;
use crate::prepare::{Base, Prepared, failure};
use crate::record::{self, Ordered};
use crate::spare::Spares;
use crate::sys::{self, Child, Stack, Step};
use crate::wire::SpawnOrder;

/// What all spawns of a keeper share.
#[derive(Debug)]
pub(crate) struct Spawner {
    pub(crate) base: Base,
    pub(crate) cgroups: Option<cgroup::Root>,
    pub(crate) spares: Spares,
    /// For runs that are likely to be ordered soon.
    foreseen: BTreeMap<InstanceId, Makings>,
    /// Their notify sockets, of those for whom nothing else is made ahead.
    inherited: BTreeMap<InstanceId, Socket>,
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
}

/// A notify socket and where it lies.
pub(crate) type Socket = (UnixDatagram, PathBuf);

/// What each run has of its own, before anything is known of what it will run.
#[derive(Debug)]
struct Makings {
    notify: UnixDatagram,
    socket: PathBuf,
    ours: [OwnedFd; 2],
    theirs: [OwnedFd; 2],
    /// Empty.
    record: io::Result<fs::File>,
    /// Its cgroup, open to be born into.
    cradle: Option<OwnedFd>,
    debris: Debris,
}

/// For how many runs at a time something is made ahead: it holds descriptors.
const MOST_FORESEEN: usize = 16;

impl Spawner {
    pub(crate) fn new(dir: &StateDir, base: Base, cgroups: Option<cgroup::Root>) -> io::Result<Self> {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
        Ok(Self {
            spares: Spares::new(dir.path())?,
            base,
            cgroups,
            foreseen: BTreeMap::new(),
            inherited: BTreeMap::new(),
            doors: Doors::open(&null)?,
            null,
            stack: Stack::new(),
        })
    }

    /// Starts what is ordered.
    pub(crate) fn spawn(&mut self, dir: &StateDir, epoch: Epoch, order: &SpawnOrder) -> Result<Running, SpawnFailure> {
        let mut prepared = self.base.prepare(&order.spec)?;
        let uid = prepared.account.as_ref().map(|account| account.uid);
        let agent = dir.agent(order.instance.agent);
        let home = make_home(&agent, &prepared).map_err(|error| shortage("prepare the agent's directory", &error))?;
        let mark = dir.mark_of(order.instance);
        let Makings {
            notify,
            socket,
            ours,
            theirs,
            record,
            cradle,
            mut debris,
        } = match self.foreseen.remove(&order.instance) {
            Some(makings) => makings,
            None => {
                let socket = self.inherited.remove(&order.instance);
                self.make(dir, order.instance, socket)?
            }
        };
        if let Some(uid) = uid {
            hand_over(&theirs, &socket, uid).map_err(|error| shortage("hand over its pipes and socket", &error))?;
        }
        add_environment(&mut prepared, order, epoch, [&mark, &home, &socket.to_string_lossy()]);
        let ordered = Ordered {
            version: record::VERSION,
            instance: order.instance,
            name: order.name.clone(),
            namespace: order.namespace.clone(),
            epoch,
            logs: order.spec.logs.clone(),
            socket,
            cgroup: debris.cgroup.clone(),
        };
        // A full disk must not keep agents down: without a record the process is found by its mark.
        let record = record.and_then(|file| record::begin(file, &ordered));
        if let Err(error) = &record {
            crate::note(&format!("no record of {}: {error}", order.instance));
        }
        let child = self.clone_into(&prepared, &theirs, record.ok().as_ref(), cradle.as_ref(), &mut debris)?;
        let ordered = Ordered {
            cgroup: debris.cgroup.clone(),
            ..ordered
        };
        debris.keep();
        Ok(Running {
            child,
            ordered,
            fifos: ours,
            notify,
        })
    }

    /// Makes all that a run needs whatever is ordered exactly.
    fn make(&mut self, dir: &StateDir, instance: InstanceId, socket: Option<Socket>) -> Result<Makings, SpawnFailure> {
        // First, so that the next keeper knows by it what else may be there.
        let mut debris = Debris {
            files: vec![dir.record(instance)],
            cgroup: None,
        };
        let record = self.spares.record(&dir.record(instance));
        let (notify, socket) = match socket {
            Some(inherited) => inherited,
            None => notify::free_path(dir.path(), &dir.mark_of(instance))
                .and_then(|path| Ok((self.spares.socket(&path)?, path)))
                .map_err(|error| shortage("make its notify socket", &error))?,
        };
        debris.files.push(socket.clone());
        let agent = dir.agent(instance.agent);
        let mut open = |stream| {
            let path = fifo_path(&agent, instance.incarnation, stream);
            debris.files.push(path.clone());
            self.spares.fifo(&path)
        };
        let (out, err) = open(Stream::Out)
            .and_then(|out| Ok((out, open(Stream::Err)?)))
            .map_err(|error| shortage("make its pipes", &error))?;
        debris.cgroup = self.cgroup(instance);
        let cradle = debris.cgroup.as_deref().and_then(|path| cgroup::open(path).ok());
        Ok(Makings {
            notify,
            socket,
            ours: [out.ours, err.ours],
            theirs: [out.theirs, err.theirs],
            record,
            cradle,
            debris,
        })
    }

    /// Makes what a run needs that is likely to be ordered soon. It may inherit the notify socket of the run before it, if nobody is left
    /// of that one who could still speak there.
    pub(crate) fn foresee(&mut self, dir: &StateDir, instance: InstanceId, socket: Option<Socket>) {
        if self.foreseen.len() < MOST_FORESEEN {
            if let Ok(makings) = self.make(dir, instance, socket) {
                self.foreseen.insert(instance, makings);
            }
        } else if let Some(socket) = socket {
            self.inherited.insert(instance, socket);
        }
    }

    /// Gives back what was made for a run that was not ordered.
    pub(crate) fn foresee_no_more(&mut self, dir: &StateDir, instance: InstanceId) {
        if let Some((_closed, path)) = self.inherited.remove(&instance) {
            // Somebody may have removed it.
            let _absent = fs::remove_file(path);
        }
        let Some(Makings {
            ours, theirs, debris, ..
        }) = self.foreseen.remove(&instance)
        else {
            return;
        };
        drop((ours, theirs));
        let agent = dir.agent(instance.agent);
        for stream in Stream::BOTH {
            self.spares.take_fifo(&fifo_path(&agent, instance.incarnation, stream));
        }
        self.spares.take_record(&dir.record(instance));
        drop(debris);
    }

    /// Removes what was made for all runs that were not ordered.
    pub(crate) fn foresee_nothing(&mut self) {
        self.foreseen.clear();
        for (_closed, path) in std::mem::take(&mut self.inherited).into_values() {
            // Somebody may have removed it.
            let _absent = fs::remove_file(path);
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

    fn clone_into(
        &mut self,
        prepared: &Prepared,
        theirs: &[OwnedFd; 2],
        record: Option<&fs::File>,
        cradle: Option<&OwnedFd>,
        debris: &mut Debris,
    ) -> Result<Child, SpawnFailure> {
        let env = prepared.envp()?;
        let (argv, envp) = (pointers(&prepared.argv), pointers(&env));
        let [out, err] = theirs;
        let mut stdio = [self.null.as_raw_fd(), out.as_raw_fd(), err.as_raw_fd()];
        let mut birth = record.map(AsRawFd::as_raw_fd);
        if let Some(doors) = &mut self.doors {
            let put = doors.put([out.as_fd(), err.as_fd()], record.map(AsFd::as_fd));
            put.map_err(|error| shortage("pass its descriptors", &error))?;
            stdio = doors.stdio();
            birth = birth.map(|_| doors.birth());
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
            birth: birth.map(|fd| (fd, record::BORN)),
            parent: i32::try_from(std::process::id()).unwrap_or(0),
        };
        let mut result = sys::spawn(&plan, cradle.map(AsFd::as_fd), &mut self.stack);
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
#[derive(Debug)]
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

fn make_home(agent: &std::path::Path, prepared: &Prepared) -> io::Result<String> {
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
fn hand_over(theirs: &[OwnedFd; 2], socket: &std::path::Path, uid: u32) -> io::Result<()> {
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

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    let texts = texts.iter().map(|text| text.as_ptr());
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
