//! What an earlier keeper left: by its records, by cgroups, and by the marks that processes carry.
//!
//! All three are looked through before anything is started, so that nothing is started twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Signal, pidfd_send_signal};
use stead_model::spec::LogSpec;
use stead_model::{Epoch, Exit, InstanceId, Namespace, ProcessIdentity};

use crate::cgroup;
use crate::clock;
use crate::dir::{StateDir, parse_instance};
use crate::error::Error;
use crate::identity::{Here, Stat};
use crate::instance::{Fate, Instance, Live, Phase, peek};
use crate::logs::{Stream, fifo_path, make_fifo, open_fifo};
use crate::notify;
use crate::record::{self, Ordered, Record};
use crate::tree::{self, Orphans, Tree};
use crate::wire::{End, Said};

/// A child of a killed keeper may be born but not yet run its program, and so carry no mark for a moment.
const BIRTH: Duration = Duration::from_millis(30);

/// Finds every instance that lives or whose end was not acknowledged.
pub(crate) fn find(dir: &StateDir, here: &Here, cgroups: Option<&cgroup::Root>) -> Result<Vec<Instance>, Error> {
    let (records, unread) = record::read_all(&dir.records()).map_err(Error::system("read the records"))?;
    for path in unread {
        if fs::metadata(&path).is_ok_and(|meta| meta.len() == 0) {
            // Its keeper was killed before the first line, and so before anything was started.
            drop(fs::remove_file(&path));
            if let Some(id) = path.file_stem().and_then(|name| parse_instance(name.to_str()?)) {
                for stream in Stream::BOTH {
                    drop(fs::remove_file(fifo_path(&dir.agent(id.agent), id.incarnation, stream)));
                }
            }
            continue;
        }
        crate::note(&format!("{} holds no record", path.display()));
    }
    if records.iter().any(|record| record.spawned.is_none()) {
        thread::sleep(BIRTH);
    }
    let mut seen = Seen::look(dir, cgroups);
    let mut found = Vec::new();
    for record in records {
        let id = record.ordered.instance;
        let pids = seen.take(id, record.ordered.cgroup.as_ref());
        match from_record(dir, here, record, &pids) {
            Ok(Some(instance)) => found.push(instance),
            // It was ordered and never born: whoever ordered it orders it again.
            Ok(None) => drop(fs::remove_file(dir.record(id))),
            Err(error) => return Err(Error::system("adopt an instance")(error)),
        }
    }
    for (id, (pids, cgroup)) in seen.0 {
        match without_record(dir, here, id, &pids, cgroup) {
            Ok(instance) => found.extend(instance),
            Err(error) => return Err(Error::system("adopt an instance without a record")(error)),
        }
    }
    found.sort_by_key(Instance::id);
    remove_sockets(dir, &found).map_err(Error::system("remove the notify sockets of nobody"))?;
    Ok(found)
}

/// Removes notify sockets that are nobody's, such as those made for runs that never began.
fn remove_sockets(dir: &StateDir, found: &[Instance]) -> io::Result<()> {
    let live = found.iter().filter(|instance| instance.live().is_some());
    let kept: BTreeSet<_> = live.map(|instance| &instance.ordered.socket).collect();
    for entry in fs::read_dir(dir.path().join("n"))? {
        let path = entry?.path();
        if !kept.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Processes by instance, as marks and cgroups tell.
struct Seen(BTreeMap<InstanceId, (Vec<i32>, Option<PathBuf>)>);

impl Seen {
    fn look(dir: &StateDir, cgroups: Option<&cgroup::Root>) -> Self {
        let mut seen: BTreeMap<InstanceId, (Vec<i32>, Option<PathBuf>)> = BTreeMap::new();
        for (pid, mark) in tree::marked() {
            if let Some(id) = dir.instance_of(&mark) {
                seen.entry(id).or_default().0.push(pid);
            }
        }
        for (name, path) in cgroups.map(cgroup::Root::list).unwrap_or_default() {
            let Some(id) = parse_instance(&name) else { continue };
            let pids = cgroup::processes(&path);
            if pids.is_empty() && !seen.contains_key(&id) {
                cgroup::remove(&path);
                continue;
            }
            let entry = seen.entry(id).or_default();
            entry.0.extend(pids);
            entry.1 = Some(path);
        }
        Self(seen)
    }

    fn take(&mut self, id: InstanceId, cgroup: Option<&PathBuf>) -> Vec<i32> {
        let (mut pids, _) = self.0.remove(&id).unwrap_or_default();
        pids.extend(cgroup.map(|path| cgroup::processes(path)).unwrap_or_default());
        pids
    }
}

fn from_record(dir: &StateDir, here: &Here, record: Record, pids: &[i32]) -> io::Result<Option<Instance>> {
    let Record {
        ordered,
        born,
        spawned,
        main,
        ready,
        ended,
    } = record;
    let first = match spawned {
        Some(first) => Some(first),
        None => leader(here, pids)?,
    };
    let Some(first) = first else {
        return if born { born_and_gone(dir, ordered) } else { Ok(None) };
    };
    let tree = tree_of(dir, &ordered, &first);
    let said = Said {
        ready,
        ..Said::default()
    };
    let main = main.unwrap_or(first);
    // Before anything of the tree is killed: a pipe lives only as long as somebody holds it.
    let fifos = reopen(dir, ordered.instance)?;
    let phase = match (ended, open_living(here, &main)?) {
        (Some(end), _) => ended_phase(end),
        (None, Ok(pidfd)) => Phase::Live(Live {
            frozen: ordered.cgroup.as_deref().is_some_and(cgroup::is_frozen),
            identity: main,
            pidfd,
            notify: notify::rebind(&ordered.socket)?,
            killed: false,
            undetermined: None,
        }),
        (None, Err(exit)) => unseen_end(&ordered, dir, &tree, exit)?,
    };
    Ok(Some(Instance {
        ordered,
        tree,
        phase,
        fifos,
        said,
    }))
}

/// Its record was lost; its own environment still says who it is.
fn without_record(
    dir: &StateDir,
    here: &Here,
    id: InstanceId,
    pids: &[i32],
    cgroup: Option<PathBuf>,
) -> io::Result<Option<Instance>> {
    let Some(first) = leader(here, pids)? else {
        for pid in pids {
            if let Some(pidfd) = crate::identity::open_pid(*pid)? {
                // What outlived its leader and its record is nobody's any more.
                let _gone = pidfd_send_signal(&pidfd, Signal::KILL);
            }
        }
        return Ok(None);
    };
    let variable = |name: &str| tree::variable_of(first.pid, name);
    let name = variable("STEAD_AGENT=").and_then(|name| name.parse().ok());
    let fallback = || id.agent.to_string().replace('_', "-").parse().ok();
    let Some(name) = name.or_else(fallback) else {
        return Ok(None);
    };
    let namespace = variable("STEAD_NAMESPACE=").and_then(|name| name.parse().ok());
    let epoch = variable("STEAD_EPOCH=").and_then(|epoch| epoch.parse().ok());
    let socket = variable("NOTIFY_SOCKET=").map(PathBuf::from);
    let ordered = Ordered {
        version: record::VERSION,
        instance: id,
        name,
        namespace: namespace.unwrap_or_else(Namespace::default),
        epoch: Epoch(epoch.unwrap_or(0)),
        logs: LogSpec::default(),
        // Only a path of ours is made anew: the environment is the agent's to write.
        socket: socket
            .filter(|path| path.parent() == Some(&dir.path().join("n")))
            .unwrap_or_else(|| dir.path().join(format!("n/{}", first.pid))),
        cgroup,
    };
    record::begin(record::create_empty(&dir.record(id))?, &ordered)?;
    record::append(&dir.record(id), &record::Line::Born)?;
    record::append(&dir.record(id), &record::Line::Spawned(first.clone()))?;
    let record = Record {
        ordered,
        born: true,
        spawned: Some(first),
        main: None,
        ready: false,
        ended: None,
    };
    from_record(dir, here, record, pids)
}

/// The process that leads its own session: each instance begins with one.
fn leader(here: &Here, pids: &[i32]) -> io::Result<Option<ProcessIdentity>> {
    for pid in pids {
        match Stat::of(*pid) {
            Ok(stat) if stat.session == *pid && !stat.zombie => return here.identify(*pid).map(Some),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn tree_of(dir: &StateDir, ordered: &Ordered, first: &ProcessIdentity) -> Tree {
    Tree {
        cgroup: ordered.cgroup.clone(),
        session: first.pid,
        start_time: first.start_time,
        mark: dir.mark_of(ordered.instance),
        orphans: Orphans::Anywhere,
    }
}

/// It ran, but ended before anybody knew its process.
fn born_and_gone(dir: &StateDir, ordered: Ordered) -> io::Result<Option<Instance>> {
    let nobody = ProcessIdentity {
        boot: String::new(),
        pid_namespace: 0,
        // No process has this pid, and no process leads its session.
        pid: i32::MAX,
        start_time: 0,
    };
    let tree = tree_of(dir, &ordered, &nobody);
    let fifos = reopen(dir, ordered.instance)?;
    Ok(Some(Instance {
        phase: unseen_end(&ordered, dir, &tree, Exit::Unknown)?,
        fifos,
        ordered,
        tree,
        said: Said::default(),
    }))
}

/// Opens a main process; of one that ended, how.
fn open_living(here: &Here, main: &ProcessIdentity) -> io::Result<Result<OwnedFd, Exit>> {
    let Some(pidfd) = here.open(main)? else {
        return Ok(Err(Exit::Unknown));
    };
    Ok(match peek(&pidfd)? {
        Fate::Runs => Ok(pidfd),
        Fate::Ended(exit) => Err(exit),
        Fate::Undetermined => Err(Exit::Unknown),
    })
}

/// It ended while nobody looked; that is written down.
fn unseen_end(ordered: &Ordered, dir: &StateDir, tree: &Tree, exit: Exit) -> io::Result<Phase> {
    let end = End {
        exit,
        swept: tree.sweep(),
        at: clock::wall(),
    };
    match fs::remove_file(&ordered.socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if let Err(error) = record::append(&dir.record(ordered.instance), &record::Line::Ended(end)) {
        crate::note(&format!("record of {}: {error}", ordered.instance));
    }
    Ok(ended_phase(end))
}

fn ended_phase(end: End) -> Phase {
    Phase::Ended {
        end,
        acknowledged: false,
        swept: false,
    }
}

/// Opens the streams again; what was printed meanwhile waits in them as long as the agent lives.
fn reopen(dir: &StateDir, id: InstanceId) -> io::Result<Option<[OwnedFd; 2]>> {
    let agent = dir.agent(id.agent);
    if !agent.is_dir() {
        return Ok(None);
    }
    let open = |stream| {
        let path = fifo_path(&agent, id.incarnation, stream);
        make_fifo(&path)?;
        open_fifo(&path, OFlags::NONBLOCK)
    };
    Ok(Some([open(Stream::Out)?, open(Stream::Err)?]))
}
