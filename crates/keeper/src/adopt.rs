//! What an earlier keeper left: by its records, by cgroups, and by the marks that processes carry.
//!
//! All three are looked through before anything is started, so that nothing is started twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Signal, pidfd_send_signal};
use stead_model::spec::LogSpec;
use stead_model::{AgentId, Epoch, Exit, Incarnation, InstanceId, Namespace, ProcessIdentity};

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

/// Finds every instance that lives or whose end was not acknowledged, and names the files of earlier keepers that say so, to be removed
/// once that is written down anew.
pub(crate) fn find(
    dir: &StateDir,
    here: &Here,
    cgroups: Option<&cgroup::Root>,
) -> Result<(Vec<Instance>, Vec<PathBuf>), Error> {
    let (mut records, earlier) = record::read_all(&dir.records()).map_err(Error::system("read the records"))?;
    if records.iter().any(|record| record.spawned.is_none()) {
        thread::sleep(BIRTH);
    }
    let heirs = Heirs::among(&records);
    for record in &mut records {
        heirs.disinherit(&mut record.ordered);
    }
    let mut seen = Seen::look(dir, cgroups);
    let mut found = Vec::new();
    for record in records {
        let id = record.ordered.instance;
        let pids = seen.take(id, record.ordered.cgroup.as_ref());
        // One that was ordered and never born is nothing: whoever ordered it orders it again.
        let fifos = heirs.has_pipes(&record.ordered);
        let instance = from_record(dir, here, record, &pids, fifos);
        found.extend(instance.map_err(Error::system("adopt an instance"))?);
    }
    for (id, (pids, cgroup)) in seen.0 {
        match without_record(dir, here, id, &pids, cgroup) {
            Ok(instance) => found.extend(instance),
            Err(error) => return Err(Error::system("adopt an instance without a record")(error)),
        }
    }
    found.sort_by_key(Instance::id);
    remove_sockets(dir, &found).map_err(Error::system("remove the notify sockets of nobody"))?;
    remove_pipes(dir, &found).map_err(Error::system("remove the pipes of nobody"))?;
    Ok((found, earlier))
}

/// Who has what a run left to the next one: the newest of which it is known.
struct Heirs {
    cgroups: BTreeMap<PathBuf, Incarnation>,
    pipes: BTreeMap<(AgentId, Incarnation), Incarnation>,
}

impl Heirs {
    fn among(records: &[Record]) -> Self {
        let mut heirs = Self {
            cgroups: BTreeMap::new(),
            pipes: BTreeMap::new(),
        };
        for Record { ordered, .. } in records {
            let InstanceId { agent, incarnation } = ordered.instance;
            let newest = |known: &mut Incarnation| *known = incarnation.max(*known);
            if let Some(cgroup) = ordered.cgroup.clone() {
                heirs.cgroups.entry(cgroup).and_modify(newest).or_insert(incarnation);
            }
            let pipes = heirs.pipes.entry((agent, ordered.pipes()));
            pipes.and_modify(newest).or_insert(incarnation);
        }
        heirs
    }

    /// Takes from an earlier run what a later one has: whatever is in that cgroup is not its own any more.
    fn disinherit(&self, ordered: &mut Ordered) {
        let own = ordered.instance.incarnation;
        ordered.cgroup.take_if(|path| self.cgroups.get(path) != Some(&own));
    }

    fn has_pipes(&self, ordered: &Ordered) -> bool {
        let InstanceId { agent, incarnation } = ordered.instance;
        self.pipes.get(&(agent, ordered.pipes())) == Some(&incarnation)
    }
}

/// Removes FIFOs that are nobody's, such as those made for runs that never began.
fn remove_pipes(dir: &StateDir, found: &[Instance]) -> io::Result<()> {
    let with_pipes = found.iter().filter(|instance| instance.fifos.is_some());
    let kept: BTreeSet<_> = with_pipes
        .map(|instance| (instance.id().agent, instance.ordered.pipes()))
        .collect();
    for agent in fs::read_dir(dir.path().join("agents"))? {
        let agent = agent?;
        let Some(id) = agent.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for (path, named) in pipes_in(&agent.path())? {
            if !kept.contains(&(id, named)) {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// The FIFOs in the directory of an agent, with the runs after which they are named.
fn pipes_in(agent: &Path) -> io::Result<Vec<(PathBuf, Incarnation)>> {
    let mut pipes = Vec::new();
    for entry in fs::read_dir(agent)? {
        let entry = entry?;
        if entry.file_type()?.is_fifo()
            && let Some(named) = entry.path().file_stem().and_then(|name| name.to_str()?.parse().ok())
        {
            pipes.push((entry.path(), Incarnation(named)));
        }
    }
    Ok(pipes)
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
        let marks: BTreeMap<i32, InstanceId> = seen
            .iter()
            .flat_map(|(id, (pids, _))| pids.iter().map(|pid| (*pid, *id)))
            .collect();
        for (name, path) in cgroups.map(cgroup::Root::list).unwrap_or_default() {
            let Some(named) = parse_instance(&name) else { continue };
            let pids = cgroup::processes(&path);
            // It may have been left to a later run, which those who are in it say.
            let later = pids.iter().filter_map(|pid| marks.get(pid)).max();
            let id = later.filter(|id| id.agent == named.agent).copied().unwrap_or(named);
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

fn from_record(
    dir: &StateDir,
    here: &Here,
    record: Record,
    pids: &[i32],
    has_pipes: bool,
) -> io::Result<Option<Instance>> {
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
    let fifos = if has_pipes { reopen(dir, &ordered)? } else { None };
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
        (None, Err(exit)) => unseen_end(&ordered, &tree, exit)?,
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
        pipes: newest_pipes(&dir.agent(id.agent), id.incarnation),
    };
    let record = Record {
        ordered,
        born: true,
        spawned: Some(first),
        main: None,
        ready: false,
        ended: None,
    };
    from_record(dir, here, record, pids, true)
}

/// The FIFOs that a run most likely has: the newest that are not named after a later one.
fn newest_pipes(agent: &Path, run: Incarnation) -> Option<Incarnation> {
    let pipes = pipes_in(agent).unwrap_or_default().into_iter();
    pipes.map(|(_, named)| named).filter(|named| *named <= run).max()
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
        events: None,
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
    let fifos = reopen(dir, &ordered)?;
    Ok(Some(Instance {
        phase: unseen_end(&ordered, &tree, Exit::Unknown)?,
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

/// It ended while nobody looked.
fn unseen_end(ordered: &Ordered, tree: &Tree, exit: Exit) -> io::Result<Phase> {
    let end = End {
        exit,
        swept: tree.sweep(),
        at: clock::wall(),
    };
    match fs::remove_file(&ordered.socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
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
fn reopen(dir: &StateDir, ordered: &Ordered) -> io::Result<Option<[OwnedFd; 2]>> {
    let agent = dir.agent(ordered.instance.agent);
    if !agent.is_dir() {
        return Ok(None);
    }
    let open = |stream| {
        let path = fifo_path(&agent, ordered.pipes(), stream);
        make_fifo(&path)?;
        open_fifo(&path, OFlags::NONBLOCK)
    };
    Ok(Some([open(Stream::Out)?, open(Stream::Err)?]))
}
