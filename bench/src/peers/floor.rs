//! The floor: the leanest loop that starts a process anew when its pidfd says that it ended. It watches nothing else,
//! remembers nothing, writes nothing. What a supervisor takes longer is the price of what it does.

use std::env;
use std::mem::MaybeUninit;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::Peer;
use crate::fleet::Fleet;
use crate::tree;

/// This program run with [`FLAG`] as its first argument.
#[derive(Debug)]
pub(crate) struct Floor;

impl Peer for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn delay(&self) -> &'static str {
        "none"
    }

    fn version(&self) -> Result<String> {
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn start(&mut self, fleet: &Fleet) -> Result<()> {
        let mut command = Command::new(env::current_exe()?);
        command
            .arg(FLAG)
            .arg(&fleet.agent)
            .arg(&fleet.fifo)
            .arg(fleet.count.to_string());
        tree::start(&mut command, &fleet.dir.join("log"))?;
        Ok(())
    }
}

/// What comes after [`FLAG`]: agent, FIFO, count. `None` when this process is not to be the floor.
pub(crate) fn arguments() -> Option<Vec<String>> {
    let mut args = env::args().skip(1);
    (args.next()? == FLAG).then(|| args.collect())
}

/// Runs the loop; it ends by being killed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [agent, fifo, count] = arguments else {
        anyhow::bail!("{FLAG} AGENT FIFO COUNT")
    };
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let command = |id: u32| {
        let mut command = Command::new(agent);
        command.arg(fifo).arg(id.to_string());
        Slot { command, pidfd: None }
    };
    let mut slots: Vec<Slot> = (0..count.parse()?).map(command).collect();
    for (index, slot) in slots.iter_mut().enumerate() {
        slot.start(&epoll, index as u64)?;
    }
    let mut ready = [MaybeUninit::<Event>::uninit(); 64];
    loop {
        let events = match epoll::wait(&epoll, ready.as_mut_slice(), None) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for event in events {
            let index = event.data.u64();
            let slot = slots.get_mut(usize::try_from(index)?).context("no such slot")?;
            slot.reap()?;
            slot.start(&epoll, index)?;
        }
    }
}

/// The hidden first argument.
const FLAG: &str = "--be-the-floor";

struct Slot {
    command: Command,
    pidfd: Option<OwnedFd>,
}

impl Slot {
    fn start(&mut self, epoll: &OwnedFd, index: u64) -> Result<()> {
        let child = self.command.spawn()?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        epoll::add(epoll, &pidfd, EventData::new_u64(index), EventFlags::IN)?;
        self.pidfd = Some(pidfd);
        Ok(())
    }

    fn reap(&mut self) -> Result<()> {
        use rustix::fd::AsFd;
        if let Some(pidfd) = self.pidfd.take() {
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
        }
        Ok(())
    }
}
