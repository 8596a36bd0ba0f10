//! Becoming a new version of oneself: the state goes through a memory file, the descriptors stay open.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use stead_model::{AgentId, Epoch, Incarnation, ProcessIdentity};

use crate::dir::StateDir;
use crate::error::Error;
use crate::instance::{Instance, Live, Phase};
use crate::prepare::Base;
use crate::record::Ordered;
use crate::sys;
use crate::tree::{Orphans, Tree};
use crate::wire::{End, Said};

/// Names the memory file in the environment of the new program.
const VARIABLE: &str = "STEAD_KEEPER_HANDOVER";
/// The form of [`State`]. A later keeper reads this one and its own.
pub(crate) const VERSION: u32 = 1;

/// What a keeper hands over, borrowed from it.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) state_dir: &'a Path,
    pub(crate) lock: &'a File,
    pub(crate) listener: &'a UnixListener,
    pub(crate) epoch: Epoch,
    pub(crate) base: &'a Base,
    pub(crate) newest: &'a BTreeMap<AgentId, Incarnation>,
    pub(crate) instances: Vec<&'a Instance>,
}

/// What a keeper took over.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) state_dir: PathBuf,
    pub(crate) lock: File,
    pub(crate) listener: UnixListener,
    pub(crate) epoch: Epoch,
    pub(crate) dir: PathBuf,
    pub(crate) open_files: (u64, u64),
    pub(crate) newest: BTreeMap<AgentId, Incarnation>,
    pub(crate) instances: Vec<Carried>,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    state_dir: PathBuf,
    lock: RawFd,
    listener: RawFd,
    epoch: Epoch,
    dir: PathBuf,
    open_files: (u64, u64),
    newest: Vec<(AgentId, Incarnation)>,
    instances: Vec<Carried>,
}

/// One instance on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Carried {
    ordered: Ordered,
    session: i32,
    start_time: u64,
    ours: bool,
    fifos: Option<[RawFd; 2]>,
    said: Said,
    phase: CarriedPhase,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CarriedPhase {
    Live {
        identity: ProcessIdentity,
        pidfd: RawFd,
        notify: RawFd,
        frozen: bool,
        killed: bool,
    },
    Ended {
        end: End,
        acknowledged: bool,
        swept: bool,
    },
}

/// Runs `program` (absent: the running one) with the same arguments in place of this one. Returns only if that fails,
/// and then everything is as before.
pub(crate) fn exec(parts: &Parts<'_>, program: Option<String>) -> io::Result<std::convert::Infallible> {
    let program = match program {
        Some(program) => PathBuf::from(program),
        None => std::env::current_exe()?,
    };
    let state = State {
        version: VERSION,
        state_dir: parts.state_dir.to_owned(),
        lock: parts.lock.as_raw_fd(),
        listener: parts.listener.as_raw_fd(),
        epoch: parts.epoch,
        dir: parts.base.dir.clone(),
        open_files: parts.base.open_files,
        newest: parts.newest.iter().map(|(agent, run)| (*agent, *run)).collect(),
        instances: parts.instances.iter().map(|instance| carry(instance)).collect(),
    };
    let mut file = File::from(memfd_create("stead-keeper", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(&state).map_err(io::Error::other)?)?;
    file.rewind()?;
    inheritable(parts, &file, FdFlags::empty())?;
    let error = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(VARIABLE, file.as_raw_fd().to_string())
        .exec();
    // The failed try has unblocked signals; children may not be born so.
    sys::block_signals()?;
    inheritable(parts, &file, FdFlags::CLOEXEC)?;
    Err(error)
}

/// Takes over from the keeper that this program was before, if it was one.
pub(crate) fn take_over() -> Result<Option<Handover>, Error> {
    let Some(number) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let system = Error::system::<io::Error>;
    let number = number.to_str().and_then(|number| number.parse().ok()).unwrap_or(-1);
    let take = || -> io::Result<Handover> {
        let mut text = Vec::new();
        File::from(sys::inherit(number)?).read_to_end(&mut text)?;
        let state: State = serde_json::from_slice(&text).map_err(io::Error::other)?;
        if state.version != VERSION {
            return Err(io::Error::other(format!(
                "version {} of the state is not known",
                state.version
            )));
        }
        Ok(Handover {
            state_dir: state.state_dir,
            lock: File::from(kept(state.lock)?),
            listener: UnixListener::from(kept(state.listener)?),
            epoch: state.epoch,
            dir: state.dir,
            open_files: state.open_files,
            newest: state.newest.into_iter().collect(),
            instances: state.instances,
        })
    };
    take()
        .map(Some)
        .map_err(system("take over from the keeper before the upgrade"))
}

/// Makes an instance of what was carried.
pub(crate) fn resume(carried: Carried, dir: &StateDir) -> io::Result<Instance> {
    let tree = Tree {
        cgroup: carried.ordered.cgroup.clone(),
        events: None,
        session: carried.session,
        start_time: carried.start_time,
        mark: dir.mark_of(carried.ordered.instance),
        orphans: if carried.ours { Orphans::Here } else { Orphans::Anywhere },
    };
    let phase = match carried.phase {
        CarriedPhase::Live {
            identity,
            pidfd,
            notify,
            frozen,
            killed,
        } => Phase::Live(Live {
            identity,
            pidfd: kept(pidfd)?,
            notify: UnixDatagram::from(kept(notify)?),
            frozen,
            killed,
            undetermined: None,
        }),
        CarriedPhase::Ended {
            end,
            acknowledged,
            swept,
        } => Phase::Ended {
            end,
            acknowledged,
            swept,
        },
    };
    let fifos = match carried.fifos {
        Some([out, err]) => Some([kept(out)?, kept(err)?]),
        None => None,
    };
    Ok(Instance {
        ordered: carried.ordered,
        tree,
        phase,
        fifos,
        said: carried.said,
    })
}

fn carry(instance: &Instance) -> Carried {
    Carried {
        ordered: instance.ordered.clone(),
        session: instance.tree.session,
        start_time: instance.tree.start_time,
        ours: instance.tree.orphans == Orphans::Here,
        fifos: instance
            .fifos
            .as_ref()
            .map(|fifos| fifos.each_ref().map(AsRawFd::as_raw_fd)),
        said: instance.said.clone(),
        phase: match &instance.phase {
            Phase::Live(live) => CarriedPhase::Live {
                identity: live.identity.clone(),
                pidfd: live.pidfd.as_raw_fd(),
                notify: live.notify.as_raw_fd(),
                frozen: live.frozen,
                killed: live.killed,
            },
            Phase::Ended {
                end,
                acknowledged,
                swept,
            } => CarriedPhase::Ended {
                end: *end,
                acknowledged: *acknowledged,
                swept: *swept,
            },
        },
    }
}

fn inheritable(parts: &Parts<'_>, state: &File, flags: FdFlags) -> io::Result<()> {
    fcntl_setfd(state, flags)?;
    fcntl_setfd(parts.lock, flags)?;
    fcntl_setfd(parts.listener, flags)?;
    for instance in &parts.instances {
        if let Some(live) = instance.live() {
            fcntl_setfd(live.pidfd.as_fd(), flags)?;
            fcntl_setfd(live.notify.as_fd(), flags)?;
        }
        for fifo in instance.fifos.iter().flatten() {
            fcntl_setfd(fifo.as_fd(), flags)?;
        }
    }
    Ok(())
}

/// A descriptor that was left open on purpose; children must not get it.
fn kept(fd: RawFd) -> io::Result<OwnedFd> {
    let fd = sys::inherit(fd)?;
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}
