//! Ends: told at once, swept up afterwards.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use stead_model::{Exit, Incarnation, InstanceId, Signal};

use super::{FIRST_WAIT, Keeper};
use crate::cgroup::{self, Kills};
use crate::instance::{Fate, Instance, Phase, peek, reap};
use crate::legacy::{Legacy, OwnCgroup, Pipes};
use crate::logs::{AgentLog, Pumped, Stream, fifo_path};
use crate::record::Line;
use crate::tree::Orphans;
use crate::wire::{End, Event};
use crate::{clock, notify, sys};

/// How long the kernel is given to tell how another's child ended: until its parent has reaped it.
const UNDETERMINED: Duration = Duration::from_millis(200);
/// How long a keeper that leaves tidies up.
const LEAVING: Duration = Duration::from_millis(500);
/// How long the keeper stays awake once a start is ready: longer than a daemon that is not busy takes to write it down.
const EXPECTING: Duration = Duration::from_millis(1);
/// How much of the output of one ended instance is read in one turn.
const LAST_READS: usize = 4;

impl Keeper {
    /// The main process of an instance may have ended.
    pub(super) fn main_changed(&mut self, place: u32) {
        match self.settle(place) {
            Ok(Some(exit)) => self.ended(place, exit),
            Ok(None) => {}
            Err(error) => crate::note(&format!("wait for a main process: {error}")),
        }
    }

    /// Finds out whether and how it ended, and leaves it to be reaped. What shares its process group is killed before its pid is free.
    fn settle(&mut self, place: u32) -> io::Result<Option<Exit>> {
        let Some(known) = self.places.get_mut(place as usize).and_then(Option::as_mut) else {
            return Ok(None);
        };
        let tree = known.tree.clone();
        let Some(live) = known.live_mut() else { return Ok(None) };
        match peek(&live.pidfd)? {
            Fate::Runs => Ok(None),
            Fate::Ended(exit) => {
                if live.identity.pid == tree.session {
                    tree.kill_group_of_ended_leader();
                }
                let root = self.spawner.cgroups.as_ref();
                let starved = || {
                    let both = root.zip(tree.cgroup.as_deref());
                    both.is_some_and(|(root, path)| root.was_out_of_memory(path))
                };
                let killed = matches!(exit, Exit::Signal { signal, .. } if signal == Signal::KILL);
                let by_kernel = killed && !live.killed && (starved() || self.kills.as_mut().is_some_and(Kills::take));
                Ok(Some(if by_kernel { Exit::OutOfMemory } else { exit }))
            }
            Fate::Undetermined => {
                let now = clock::now();
                if let Some(until) = live.undetermined {
                    return Ok((now >= until).then_some(Exit::Unknown));
                }
                live.undetermined = Some(now + UNDETERMINED);
                // The descriptor stays readable: it is asked again by the clock, not by the poller.
                if let Some(live) = self.instance(place).and_then(Instance::live) {
                    self.poller.remove(&live.pidfd);
                }
                self.closing.push(place);
                self.chores.soon();
                Ok(None)
            }
        }
    }

    fn ended(&mut self, place: u32, exit: Exit) {
        // What it said and printed before it ended is told and kept before its end is told.
        self.notified(place);
        self.keep_last_words(place);
        let Some(known) = self.instance_mut(place) else { return };
        let instance = known.id();
        let end = End {
            exit,
            swept: known.tree.sweep(),
            at: clock::wall(),
        };
        let ended = Phase::Ended {
            end,
            acknowledged: false,
            swept: false,
        };
        // Only a cgroup tells for sure that nobody is left who could still speak.
        let silent = known.tree.cgroup.is_some() && end.swept == 0;
        let before = std::mem::replace(&mut known.phase, ended);
        // First of all: whoever starts the next one has work to do meanwhile.
        self.happened(Event::Exited { instance, end });
        if let Phase::Live(live) = before {
            if let Err(error) = reap(&live.pidfd) {
                crate::note(&format!("reap {instance}: {error}"));
            }
            self.mains.remove(&live.identity.pid);
            self.poller.remove(&live.notify);
            // The kernel ends whatever is born into a cgroup that was once killed, or has it stand still in one that is frozen.
            let marked = live.frozen || live.killed;
            if silent && self.session.is_some() && notify::is_silent(&live.notify) {
                if let Some(legacy) = self.bequeath(place, live.notify, marked) {
                    self.spawner.keep_for(next_of(instance), legacy);
                }
            } else {
                if let Some(known) = self.instance(place) {
                    // Somebody may have removed it.
                    let _absent = std::fs::remove_file(&known.ordered.socket);
                }
            }
        }
        self.write_down(instance, &Line::Ended(end));
        if !self.is_tidy(place) {
            if !self.closing.contains(&place) {
                self.closing.push(place);
            }
            self.chores.soon();
        }
    }

    /// Takes from an instance that is over, and of which nobody is left, what the next one can have.
    fn bequeath(&mut self, place: u32, notify: UnixDatagram, marked: bool) -> Option<Legacy> {
        let printed = self.instance(place).is_some_and(Instance::has_unread) || !self.is_log_finished(place);
        let Some(Some(known)) = self.places.get_mut(place as usize) else {
            return None;
        };
        let pipes = known.fifos.take_if(|_| !printed).map(|ours| {
            ours.iter().for_each(|fifo| self.poller.remove(fifo));
            Pipes {
                named: known.ordered.pipes(),
                ours,
            }
        });
        let root = self.spawner.cgroups.as_ref();
        // What an earlier keeper did to it is not known. One that has others below, or that counts what befell its run, stays with it.
        let unmarked = !marked && known.tree.orphans == Orphans::Here;
        let as_new = |path: &PathBuf| {
            unmarked && cgroup::is_plain(path) && !root.is_some_and(|root| root.was_out_of_memory(path))
        };
        let cgroup = known.tree.cgroup.take_if(|path| as_new(path)).map(|path| OwnCgroup {
            path,
            events: known.tree.events.take(),
        });
        if let (Some(_), Phase::Ended { swept, .. }) = (&cgroup, &mut known.phase) {
            // From here on it is another's.
            known.ordered.cgroup = None;
            *swept = true;
        }
        Some(Legacy {
            notify,
            socket: known.ordered.socket.clone(),
            pipes,
            cgroup,
        })
    }

    /// Writes the last lines of an instance whose pipes are empty; false if that cannot be done now.
    fn is_log_finished(&mut self, place: u32) -> bool {
        let Some(id) = self.instance(place).map(Instance::id) else {
            return false;
        };
        // Where no log is open, nothing was ever printed.
        let log = self.logs.get_mut(&id.agent);
        log.is_none_or(|log| log.finish(id.incarnation, &clock::wall().to_string()).is_ok())
    }

    /// Whether an instance that ended has nothing left that would have to be tidied up.
    fn is_tidy(&self, place: u32) -> bool {
        self.instance(place)
            .is_some_and(|known| known.fifos.is_none() && matches!(known.phase, Phase::Ended { swept: true, .. }))
    }

    /// What was made ready is begun any moment: the keeper stays awake for that. Before, whoever decides on it needs the processor.
    pub(super) fn expect_order(&mut self) {
        self.expects = Some(clock::now() + EXPECTING);
    }

    /// Reaps every child that ended: main processes with their instance, orphans that came to us without.
    pub(super) fn reap_children(&mut self) {
        while let Some(pid) = sys::ended_child() {
            if let Some(place) = self.mains.get(&pid).copied() {
                self.main_changed(place);
            }
            let Some(pid) = Pid::from_raw(pid) else { return };
            // Reaped above already if it was a main process.
            let _reaped = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            if !self.closing.is_empty() {
                self.chores.wait = FIRST_WAIT;
            }
        }
    }

    /// Does what ends leave to be done, as far as it can be done now.
    pub(super) fn tidy(&mut self) {
        let due = self.chores.due.is_none_or(|due| due <= clock::now());
        if !due {
            return;
        }
        self.chores.due = None;
        let before = self.closing.len() + self.stalled.len();
        self.retry_stalled();
        for place in std::mem::take(&mut self.closing) {
            if self.instance(place).is_some_and(|known| known.live().is_some()) {
                self.main_changed(place);
                let waits = self.instance(place).and_then(Instance::live).is_some();
                if waits && !self.closing.contains(&place) {
                    self.closing.push(place);
                }
            } else if !self.close_down(place) {
                self.closing.push(place);
            }
        }
        let after = self.closing.len() + self.stalled.len();
        if after > 0 && self.chores.due.is_none() {
            if after < before {
                self.chores.soon();
            } else {
                self.chores.later();
            }
        }
    }

    /// Tidies up what is ended, within a bound; what lives is left alone, and what remains is the next keeper's.
    pub(super) fn tidy_before_leaving(&mut self) {
        let until = clock::now() + LEAVING;
        while !self.closing.is_empty() && clock::now() < until {
            self.chores.due = None;
            self.reap_children();
            self.tidy();
            if !self.closing.is_empty() {
                std::thread::sleep(FIRST_WAIT);
            }
        }
    }

    /// Sweeps, reads the last output, frees what the instance had. True once nothing is left to do.
    fn close_down(&mut self, place: u32) -> bool {
        let Some(known) = self.instance_mut(place) else {
            return true;
        };
        let Phase::Ended { swept, .. } = &known.phase else {
            return true;
        };
        if !*swept {
            if known.tree.sweep() > 0 || !known.tree.cgroup.as_deref().is_none_or(cgroup::remove) {
                return false;
            }
            if let Phase::Ended { swept, .. } = &mut known.phase {
                *swept = true;
            }
        }
        if !self.read_last_output(place) {
            return false;
        }
        let Some(known) = self.instance(place) else { return true };
        match known.phase {
            Phase::Ended { acknowledged: true, .. } => self.forget(place),
            Phase::Ended {
                acknowledged: false, ..
            }
            | Phase::Live(_) => {}
        }
        true
    }

    /// Reads what the pipes hold at an end, as far as that can be done in a moment; most are empty, which costs next to nothing.
    fn keep_last_words(&mut self, place: u32) {
        for stream in Stream::BOTH {
            let fifo = self.instance(place).and_then(|known| known.fifo(stream));
            let left = fifo.map(rustix::io::ioctl_fionread);
            if left.is_some_and(|left| left.is_ok_and(|left| left > 0)) {
                let at = clock::wall().to_string();
                for _ in 0..LAST_READS {
                    // What cannot be written now stays in the pipe.
                    if !matches!(self.try_pump(place, stream, &at), Ok(Pumped::Some)) {
                        break;
                    }
                }
            }
        }
    }

    /// Nothing writes to the streams any more: once they are empty, they are closed and their last lines written.
    fn read_last_output(&mut self, place: u32) -> bool {
        let at = clock::wall().to_string();
        for stream in Stream::BOTH {
            for _ in 0..LAST_READS {
                match self.try_pump(place, stream, &at) {
                    Ok(Pumped::Empty) => break,
                    Ok(Pumped::Some) => {}
                    Err(_full) => return false,
                }
            }
        }
        let Some(known) = self.instance(place) else { return true };
        if known.fifos.is_none() {
            return true;
        }
        if known.has_unread() {
            self.chores.soon();
            return false;
        }
        let (id, named, spec) = (known.id(), known.ordered.pipes(), known.ordered.logs.clone());
        let finished = self
            .log_of(id.agent, &spec)
            .and_then(|log| AgentLog::finish(log, id.incarnation, &at));
        if let Err(error) = finished {
            crate::note(&format!("last output of {id}: {error}"));
            return false;
        }
        let Some(fifos) = self.instance_mut(place).and_then(|known| known.fifos.take()) else {
            return true;
        };
        drop(fifos);
        let agent = self.dir.agent(id.agent);
        for stream in Stream::BOTH {
            self.spawner.spares.take_fifo(&fifo_path(&agent, named, stream));
        }
        true
    }
}

/// The run that would follow.
pub(super) fn next_of(instance: InstanceId) -> InstanceId {
    InstanceId {
        incarnation: Incarnation(instance.incarnation.0 + 1),
        ..instance
    }
}
