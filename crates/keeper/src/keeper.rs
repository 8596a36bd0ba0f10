//! The one thread: waits, serves who is ready, then tidies up.

mod ends;
mod output;
mod requests;
mod sessions;
mod start;

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use stead_model::{AgentId, Epoch, Incarnation, InstanceId};

use crate::cgroup::Kills;
use crate::clock;
use crate::dir::{Lock, StateDir};
use crate::error::Error;
use crate::identity::Here;
use crate::instance::Instance;
use crate::logs::{AgentLog, Stream};
use crate::poller::{Poller, Token};
use crate::spawn::Spawner;
use crate::{sys, upgrade, wire};
use sessions::Connection;

pub use start::{DESCRIPTORS_BESIDE, DESCRIPTORS_EACH, run};

/// How a keeper is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything lies. Made if it does not exist; at most [`crate::MAX_STATE_DIR`] bytes of path.
    pub state_dir: PathBuf,
    /// Whether [`run`] stays.
    pub stay: Stay,
    /// Whether instances get cgroups.
    pub cgroups: Cgroups,
}

/// Whether instances get cgroups of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cgroups {
    /// Where a cgroup v2 hierarchy is writable.
    #[default]
    WherePossible,
    /// Never: trees are found by session, descent and environment, as on systems without them.
    Never,
}

/// Whether [`run`] stays until the keeper leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stay {
    /// It returns when the keeper leaves.
    Foreground,
    /// It returns as soon as another process, detached from everything, is the keeper; or with what kept it from that.
    Background,
}

/// Everything that a keeper holds.
#[derive(Debug)]
struct Keeper {
    dir: StateDir,
    lock: Lock,
    here: Here,
    poller: Poller,
    signals: std::os::fd::OwnedFd,
    listener: UnixListener,
    spawner: Spawner,
    epoch: Epoch,
    capacity: u64,
    /// Instances by their place, which is what descriptors are registered by. Places are freed only between turns.
    places: Vec<Option<Instance>>,
    index: BTreeMap<InstanceId, u32>,
    /// Main processes by pid.
    mains: BTreeMap<i32, u32>,
    /// The newest run of each agent that was seen here.
    newest: BTreeMap<AgentId, Incarnation>,
    logs: BTreeMap<AgentId, AgentLog>,
    connections: Vec<Option<Connection>>,
    session: Option<u32>,
    /// Places of instances that have ended and are not tidied up.
    closing: Vec<u32>,
    /// Streams whose lines could not be written, for instance because the disk is full.
    stalled: Vec<(u32, Stream)>,
    chores: Chores,
    turn: usize,
    /// Until when an order to start is expected any moment.
    expects: Option<Instant>,
    /// Kills for want of memory, where they are not counted for each instance.
    kills: Option<Kills>,
    leaving: bool,
}

/// When to tidy up next. Waits double while nothing changes.
#[derive(Debug)]
struct Chores {
    due: Option<Instant>,
    wait: Duration,
}

const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How many streams are read in one turn, so that a flood delays no end and no request.
const OUTPUTS_A_TURN: usize = 8;

impl Chores {
    fn none() -> Self {
        Self {
            due: None,
            wait: FIRST_WAIT,
        }
    }

    /// Something new is to be done: soon.
    fn soon(&mut self) {
        self.wait = FIRST_WAIT;
        self.due = Some(clock::now() + self.wait);
    }

    /// Something is still to be done: later and later.
    fn later(&mut self) {
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.due = Some(clock::now() + self.wait);
    }
}

impl Keeper {
    /// Serves until it is told to leave.
    fn serve(&mut self) -> Result<(), Error> {
        let mut ready = Vec::new();
        while !self.leaving {
            let expecting = self.expecting();
            let wanting = !expecting && self.spawner.spares.wanting();
            let timeout = match self.chores.due {
                _ if wanting || expecting => Some(Duration::ZERO),
                due => due.map(|due| due.saturating_duration_since(clock::now())),
            };
            self.poller
                .wait(timeout, &mut ready)
                .map_err(Error::system("wait for events"))?;
            self.turn(&ready);
            if ready.is_empty()
                && !expecting
                && self.spawner.records.is_long()
                && let Err(error) = self.write_records_anew()
            {
                crate::note(&format!("the records stay as long as they are: {error}"));
            }
            if wanting && ready.is_empty() {
                self.spawner.spares.make();
            }
            if expecting && ready.is_empty() {
                // To wake a processor that sleeps takes longer than all that is done here; others may use it meanwhile.
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Whether an order to start is expected so soon that it is not worth while to sleep.
    fn expecting(&mut self) -> bool {
        self.expects = self.expects.filter(|until| clock::now() < *until);
        self.expects.is_some()
    }

    fn turn(&mut self, ready: &[Token]) {
        let outputs = ready.iter().filter(|token| matches!(token, Token::Output(..))).count();
        let (first, rest) = ready.split_at(ready.len() - outputs);
        if first.iter().any(|token| matches!(token, Token::Main(_))) {
            self.herald();
        }
        for token in first {
            match *token {
                Token::Main(place) => self.main_changed(place),
                Token::Signals => self.signalled(),
                Token::Connection(index) => self.connection_ready(index),
                Token::Listener => self.accept(),
                Token::Notify(place) => self.notified(place),
                Token::Output(..) => {}
            }
        }
        if outputs > 0 {
            self.turn = self.turn.wrapping_add(OUTPUTS_A_TURN);
            let at = clock::wall().to_string();
            // Another one is first each time, so that none waits for ever behind those before it.
            for offset in 0..outputs.min(OUTPUTS_A_TURN) {
                if let Some(Token::Output(place, stream)) = rest.get((self.turn + offset) % outputs) {
                    self.pump(*place, *stream, &at);
                }
            }
        }
        if !self.closing.is_empty() || self.chores.due.is_some_and(|due| due <= clock::now()) {
            self.tidy();
        }
        self.flush_all();
        self.drop_closed_connections();
    }

    /// Forgets what the records say of what is gone.
    fn write_records_anew(&mut self) -> std::io::Result<()> {
        let instances = self.places.iter().flatten();
        let lines = instances.flat_map(|known| known.lines(&self.here).into_iter().map(|line| (known.id(), line)));
        let lines: Vec<_> = lines.chain(self.spawner.orders()).collect();
        self.spawner.records.compact(&lines)
    }

    fn signalled(&mut self) {
        while let Some(signal) = sys::next_signal(&self.signals) {
            if signal == libc::SIGTERM.unsigned_abs() {
                self.leaving = true;
            }
        }
        self.reap_children();
    }

    fn instance(&self, place: u32) -> Option<&Instance> {
        self.places.get(place as usize)?.as_ref()
    }

    fn instance_mut(&mut self, place: u32) -> Option<&mut Instance> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    /// Takes an instance in and waits for what it does.
    fn take_in(&mut self, instance: Instance) -> std::io::Result<u32> {
        let free = self.places.iter().position(Option::is_none);
        let place = free.unwrap_or(self.places.len());
        let number = u32::try_from(place).map_err(std::io::Error::other)?;
        if let Some(live) = instance.live() {
            self.poller.add(&live.pidfd, Token::Main(number))?;
            self.poller.add(&live.notify, Token::Notify(number))?;
            self.mains.insert(live.identity.pid, number);
        } else {
            self.closing.push(number);
            self.chores.soon();
        }
        for stream in Stream::BOTH {
            if let Some(fifo) = instance.fifo(stream) {
                self.poller.add(fifo, Token::Output(number, stream))?;
            }
        }
        let id = instance.id();
        let newest = self.newest.entry(id.agent).or_insert(id.incarnation);
        *newest = id.incarnation.max(*newest);
        self.index.insert(id, number);
        match free {
            Some(place) => {
                if let Some(slot) = self.places.get_mut(place) {
                    *slot = Some(instance);
                }
            }
            None => self.places.push(Some(instance)),
        }
        Ok(number)
    }

    fn welcome(&self) -> wire::Welcome {
        wire::Welcome {
            version: wire::VERSION,
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            capacity: self.capacity,
            cgroups: self.spawner.cgroups.is_some(),
            handover: upgrade::VERSION,
        }
    }
}
