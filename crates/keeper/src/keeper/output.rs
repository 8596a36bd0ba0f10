//! What instances print and say.

use std::io;

use stead_model::spec::LogSpec;
use stead_model::{AgentId, ProcessIdentity};

use super::Keeper;
use crate::clock;
use crate::identity::open_pid;
use crate::instance::Instance;
use crate::logs::{AgentLog, Pumped, Stream};
use crate::notify::{self, Datagram, Said};
use crate::poller::Token;
use crate::record::Line;
use crate::wire::{Event, Notice};

/// How many datagrams of one instance are read in one turn.
const DATAGRAMS_A_TURN: usize = 64;

impl Keeper {
    pub(super) fn pump(&mut self, place: u32, stream: Stream, at: &str) {
        if let Err(error) = self.try_pump(place, stream, at) {
            let Some(fifo) = self.instance(place).and_then(|known| known.fifo(stream)) else {
                return;
            };
            // It stays in the pipe, and the agent waits once that is full: nothing is thrown away.
            self.poller.remove(fifo);
            self.stalled.push((place, stream));
            self.chores.later();
            let id = self.instance(place).map(Instance::id);
            crate::note(&format!(
                "output of {} waits: {error}",
                id.map_or_else(String::new, |id| id.to_string())
            ));
        }
    }

    pub(super) fn try_pump(&mut self, place: u32, stream: Stream, at: &str) -> io::Result<Pumped> {
        let Some(Some(known)) = self.places.get(place as usize) else {
            return Ok(Pumped::Empty);
        };
        let Some(fifo) = known.fifo(stream) else {
            return Ok(Pumped::Empty);
        };
        let id = known.id();
        let log = open_log(&mut self.logs, &self.dir, id.agent, &known.ordered.logs)?;
        log.pump(id.incarnation, stream, fifo, at)
    }

    /// Reads on where writing failed before.
    pub(super) fn retry_stalled(&mut self) {
        let at = clock::wall().to_string();
        for (place, stream) in std::mem::take(&mut self.stalled) {
            let Some(known) = self.instance(place) else { continue };
            let Some(fifo) = known.fifo(stream) else { continue };
            if self.poller.add(fifo, Token::Output(place, stream)).is_ok() {
                self.pump(place, stream, &at);
            }
        }
    }

    pub(super) fn log_of(&mut self, agent: AgentId, spec: &LogSpec) -> io::Result<&mut AgentLog> {
        open_log(&mut self.logs, &self.dir, agent, spec)
    }

    /// Reads what an instance said and tells the session.
    pub(super) fn notified(&mut self, place: u32) {
        for _ in 0..DATAGRAMS_A_TURN {
            let Some(live) = self.instance(place).and_then(Instance::live) else {
                return;
            };
            match notify::receive(&live.notify) {
                Ok(Some(Datagram::Said(said, fds))) => {
                    self.heard(place, said);
                    // All of it is told by now, which is what a barrier waits for.
                    drop(fds);
                }
                Ok(Some(Datagram::Malformed)) => {
                    if let Some(known) = self.instance_mut(place) {
                        known.said.malformed = known.said.malformed.saturating_add(1);
                    }
                }
                Ok(None) => return,
                Err(error) => return crate::note(&format!("notify socket: {error}")),
            }
        }
    }

    fn heard(&mut self, place: u32, said: Vec<Said>) {
        let notices: Vec<Notice> = said.into_iter().filter_map(|said| self.note_of(place, said)).collect();
        let Some(instance) = self.instance(place).map(Instance::id) else {
            return;
        };
        if !notices.is_empty() {
            self.happened(Event::Notified { instance, notices });
        }
    }

    /// Remembers what was said; returns what is to be told of it.
    fn note_of(&mut self, place: u32, said: Said) -> Option<Notice> {
        let known = self.instance_mut(place)?;
        let instance = known.id();
        Some(match said {
            Said::Ready => {
                if !std::mem::replace(&mut known.said.ready, true) {
                    self.write_down(instance, &Line::Ready);
                }
                Notice::Ready
            }
            Said::Stopping => {
                known.said.stopping = true;
                Notice::Stopping
            }
            Said::Reloading => Notice::Reloading,
            Said::Status(text) => {
                known.said.status = Some(text.clone());
                Notice::Status(text)
            }
            Said::Watchdog => {
                known.said.watchdog_at = Some(clock::wall());
                Notice::Watchdog
            }
            Said::WatchdogTrigger => Notice::WatchdogTrigger,
            Said::WatchdogInterval(micros) => Notice::WatchdogInterval(micros),
            Said::ExtendTimeout(micros) => Notice::ExtendTimeout(micros),
            Said::Errno(number) => Notice::Errno(number),
            Said::MainPid(pid) => match self.change_main(place, pid) {
                Ok(changed) => Notice::MainProcess(changed?),
                Err(error) => {
                    crate::note(&format!("MAINPID={pid} of {instance}: {error}"));
                    return None;
                }
            },
            Said::Barrier => return None,
        })
    }

    /// Watches another process of the tree from now on. One outside the tree is not accepted.
    fn change_main(&mut self, place: u32, pid: i32) -> io::Result<Option<ProcessIdentity>> {
        let Some(known) = self.instance(place) else {
            return Ok(None);
        };
        let Some(live) = known.live().filter(|live| live.identity.pid != pid) else {
            return Ok(None);
        };
        let outside = || {
            io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is no process of the instance's tree",
            )
        };
        let Some(pidfd) = open_pid(pid)? else {
            return Err(outside());
        };
        // Asked after the descriptor is open, so that it is asked of the very process that will be watched.
        if !known.tree.owns(pid) {
            return Err(outside());
        }
        let identity = self.here.identify(pid)?;
        let (id, before) = (known.id(), live.identity.pid);
        self.poller.add(&pidfd, Token::Main(place))?;
        self.poller.remove(&live.pidfd);
        self.mains.remove(&before);
        self.mains.insert(pid, place);
        if let Some(live) = self.instance_mut(place).and_then(Instance::live_mut) {
            live.pidfd = pidfd;
            live.identity = identity.clone();
        }
        self.write_down(id, &Line::Main(identity.clone()));
        Ok(Some(identity))
    }
}

fn open_log<'a>(
    logs: &'a mut std::collections::BTreeMap<AgentId, AgentLog>,
    dir: &crate::dir::StateDir,
    agent: AgentId,
    spec: &LogSpec,
) -> io::Result<&'a mut AgentLog> {
    use std::collections::btree_map::Entry;
    match logs.entry(agent) {
        Entry::Occupied(known) => {
            let log = known.into_mut();
            log.set_spec(spec.clone());
            Ok(log)
        }
        Entry::Vacant(place) => Ok(place.insert(AgentLog::open(dir.agent(agent), spec.clone())?)),
    }
}
