//! What a run leaves to the next one of its agent, where nobody is left who could still use it: its notify socket, its FIFOs, its cgroup.
//!
//! To give these back and to get new ones would take longer than everything else about an end and a start.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;

use stead_model::{AgentId, Incarnation};

use crate::cgroup;
use crate::dir::StateDir;
use crate::logs::{Stream, fifo_path};
use crate::spare::Spares;

/// It, while nobody has taken it.
#[derive(Debug)]
pub(crate) struct Legacy {
    pub(crate) notify: UnixDatagram,
    pub(crate) socket: PathBuf,
    pub(crate) pipes: Option<Pipes>,
    pub(crate) cgroup: Option<OwnCgroup>,
}

/// Our ends of the FIFOs of a run.
#[derive(Debug)]
pub(crate) struct Pipes {
    /// The run after which they are named.
    pub(crate) named: Incarnation,
    pub(crate) ours: [OwnedFd; 2],
}

/// The cgroup of a run.
#[derive(Debug)]
pub(crate) struct OwnCgroup {
    pub(crate) path: PathBuf,
    /// What tells whether anybody is in it.
    pub(crate) events: Option<Arc<File>>,
}

impl Legacy {
    /// Gives back what nobody took.
    pub(crate) fn give_back(self, dir: &StateDir, agent: AgentId, spares: &mut Spares) {
        let Self {
            notify,
            socket,
            pipes,
            cgroup,
        } = self;
        drop(notify);
        // Somebody may have removed it.
        let _absent = fs::remove_file(socket);
        if let Some(Pipes { named, ours }) = pipes {
            drop(ours);
            for stream in Stream::BOTH {
                spares.take_fifo(&fifo_path(&dir.agent(agent), named, stream));
            }
        }
        if let Some(OwnCgroup { path, events }) = cgroup {
            drop(events);
            cgroup::remove(&path);
        }
    }
}
