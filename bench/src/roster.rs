//! Who of a fleet is alive: learnt from what the agents report, killed through pidfds.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::agent::{Inbox, Report};
use crate::clock::Instant;
use crate::fleet::Fleet;
use crate::procfs;

/// The agents of one supervisor.
#[derive(Debug)]
pub(crate) struct Roster {
    fleet: Fleet,
    inbox: Inbox,
    seats: Vec<Seat>,
}

/// What is known of one agent.
#[derive(Debug, Default)]
struct Seat {
    starts: u32,
    latest: Option<Instance>,
}

#[derive(Debug)]
struct Instance {
    pid: i32,
    /// Absent when it was dead before it could be opened.
    pidfd: Option<OwnedFd>,
    since: Instant,
}

impl Roster {
    pub(crate) fn new(fleet: Fleet) -> Result<Self> {
        let inbox = Inbox::create(&fleet.fifo)?;
        let seats = fleet.ids().map(|_| Seat::default()).collect();
        Ok(Self { fleet, inbox, seats })
    }

    pub(crate) const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Takes the next report; `None` when none came until then.
    pub(crate) fn next(&mut self, until: Instant) -> Result<Option<Report>> {
        let Some(report) = self.inbox.next(until)? else {
            return Ok(None);
        };
        let seat = self
            .seats
            .get_mut(report.id as usize)
            .with_context(|| format!("no agent has the id {}", report.id))?;
        seat.starts += 1;
        let pid = Pid::from_raw(report.pid).context("an agent reported pid 0")?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
        seat.latest = Some(Instance {
            pid: report.pid,
            pidfd,
            since: report.at,
        });
        Ok(Some(report))
    }

    /// Takes what was reported meanwhile and waits on until then.
    pub(crate) fn listen(&mut self, until: Instant) -> Result<()> {
        while self.next(until)?.is_some() {}
        Ok(())
    }

    /// Waits until every agent has started at least `times` times. Returns how many have not.
    pub(crate) fn await_starts(&mut self, times: u32, until: Instant) -> Result<usize> {
        let mut missing = self.seats.iter().filter(|seat| seat.starts < times).count();
        while missing > 0 {
            let Some(report) = self.next(until)? else { break };
            if self.starts(report.id) == times {
                missing -= 1;
            }
        }
        Ok(missing)
    }

    /// Kills one agent with SIGKILL. Returns the moment before.
    pub(crate) fn kill(&self, id: u32) -> Result<Instant> {
        let instance = self.instance(id)?;
        let pidfd = instance
            .pidfd
            .as_ref()
            .with_context(|| format!("agent {id} died by itself"))?;
        let before = Instant::now();
        pidfd_send_signal(pidfd, Signal::KILL)?;
        Ok(before)
    }

    /// Holds until an agent has been up for `least`.
    pub(crate) fn let_age(&mut self, id: u32, least: Duration) -> Result<()> {
        let ripe = self.instance(id)?.since.after(least);
        let before = self.starts(id);
        self.listen(ripe)?;
        if self.starts(id) != before {
            bail!("agent {id} was restarted though nobody killed it");
        }
        Ok(())
    }

    /// How often an agent has started.
    pub(crate) fn starts(&self, id: u32) -> u32 {
        self.seats.get(id as usize).map_or(0, |seat| seat.starts)
    }

    /// The pid that an agent reported last.
    pub(crate) fn pid(&self, id: u32) -> Result<i32> {
        Ok(self.instance(id)?.pid)
    }

    /// Counts against what should be: every agent started `times` times, its latest instance alive.
    pub(crate) fn audit(&self, times: u32) -> Audit {
        let alive = |seat: &&Seat| {
            let pid = seat.latest.as_ref().map(|instance| instance.pid);
            seat.starts >= times && pid.is_some_and(|pid| procfs::runs(pid, &self.fleet.agent))
        };
        let present = self.seats.iter().filter(alive).count();
        let extra: u32 = self.seats.iter().map(|seat| seat.starts.saturating_sub(times)).sum();
        Audit {
            lost: self.seats.len() - present,
            doubled: extra as usize,
        }
    }

    fn instance(&self, id: u32) -> Result<&Instance> {
        let seat = self.seats.get(id as usize).and_then(|seat| seat.latest.as_ref());
        seat.with_context(|| format!("agent {id} never started"))
    }
}

/// Agents that are missing, and starts that were too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Audit {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
}

impl Audit {
    pub(crate) fn clean(self) -> Result<()> {
        ensure!(
            self == Self { lost: 0, doubled: 0 },
            "{} agents lost, {} started twice",
            self.lost,
            self.doubled
        );
        Ok(())
    }
}
