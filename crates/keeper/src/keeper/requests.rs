//! What the session asks for.

use std::collections::btree_map::Entry;

use rustix::process::{Pid, Signal as Sent, WaitId, WaitIdOptions, kill_process, pidfd_send_signal, waitid};
use stead_model::{Incarnation, InstanceId, Signal, SpawnFailure, SpawnFailureKind};

use super::Keeper;
use super::ends::next_of;
use crate::cgroup;
use crate::instance::{Instance, Live, Phase};
use crate::logs::{Stream, fifo_path};
use crate::prepare::failure;
use crate::record::{Line, Ordered};
use crate::spawn::Running;
use crate::tree::{Orphans, Tree};
use crate::wire::{Event, Refusal, Reply, Request, Said, SpawnOrder, Target};

/// Why a request is not carried out.
type Refused = (Refusal, String);

impl Keeper {
    pub(super) fn answer(&mut self, index: u32, id: u64, request: Request) {
        let done = match request {
            // Sessions see to it before they ask here.
            Request::Hello { .. } => Ok(()),
            Request::Spawn(order) => {
                return self.spawn(index, id, order.instance, |keeper| {
                    Some(keeper.spawner.spawn(&keeper.dir, keeper.epoch, &order))
                });
            }
            Request::Begin { instance } => {
                return self.spawn(index, id, instance, |keeper| keeper.spawner.begin(instance));
            }
            Request::Foresee(order) => return self.foresee_order(&order),
            Request::List => return self.list(index, id),
            Request::Prepare { spec } => {
                let reply = match self.spawner.base.prepare(&spec) {
                    Ok(_) => Reply::Done,
                    Err(failure) => Reply::Unfit { failure },
                };
                return self.reply(index, id, reply);
            }
            Request::Signal {
                instance,
                signal,
                target,
            } => self.signal(instance, signal, target),
            Request::KillTree { instance } => self.signal(instance, Signal::KILL, Target::Tree),
            Request::Freeze { instance } => self.freeze(instance, true),
            Request::Thaw { instance } => self.freeze(instance, false),
            Request::Acknowledge { instance } => self.acknowledge(instance),
            Request::Shutdown => {
                self.leaving = true;
                Ok(())
            }
            Request::Upgrade { program } => match self.upgrade(program) {
                Ok(never) => match never {},
                Err(error) => Err((Refusal::Failed, format!("the keeper goes on as it is: {error}"))),
            },
        };
        match done {
            Ok(()) => self.reply(index, id, Reply::Done),
            Err((code, detail)) => self.refuse(index, id, code, detail),
        }
    }

    /// Has `start` start an instance, if it may be started; it may have nothing ready.
    fn spawn(
        &mut self,
        index: u32,
        id: u64,
        instance: InstanceId,
        start: impl FnOnce(&mut Self) -> Option<Result<Running, SpawnFailure>>,
    ) {
        self.expects = None;
        if let Some(place) = self.index.get(&instance).copied() {
            return self.spawned_before(index, id, place);
        }
        if let Err((code, detail)) = self.may_spawn(instance) {
            let newest = self.newest.get(&instance.agent).copied();
            let newest = newest.filter(|newest| code == Refusal::Stale && *newest >= instance.incarnation);
            return self.reply(index, id, Reply::Refused { code, detail, newest });
        }
        let started = if self.index.len() as u64 >= self.capacity {
            let detail = format!("the keeper has descriptors for {} instances only", self.capacity);
            Err(failure(SpawnFailureKind::Resources, detail))
        } else {
            match start(self) {
                Some(started) => started,
                None => {
                    let detail = String::from("nothing is ready for it; order it whole");
                    return self.refuse(index, id, Refusal::Unforeseen, detail);
                }
            }
        };
        let spawned = started.and_then(|running| {
            let (pid, ordered) = (running.child.pid, running.ordered.clone());
            self.look_after(running).map_err(|error| {
                self.end_unwatched(pid, &ordered);
                failure(SpawnFailureKind::Resources, format!("cannot watch it: {error}"))
            })
        });
        match spawned {
            Ok(identity) => {
                let spawned = Line::Spawned(identity.clone());
                self.reply(index, id, Reply::Spawned { instance, identity });
                self.write_down(instance, &spawned);
            }
            Err(failure) => self.reply(index, id, Reply::SpawnFailed { instance, failure }),
        }
    }

    /// The order to begin is on its way: everything else is done meanwhile.
    fn foresee_order(&mut self, order: &SpawnOrder) {
        if !self.index.contains_key(&order.instance) && self.may_spawn(order.instance).is_ok() {
            self.spawner.foresee_order(&self.dir, self.epoch, order);
            self.expect_order();
        }
    }

    /// The same order again: the same answer, and the end once more if there was one.
    fn spawned_before(&mut self, index: u32, id: u64, place: u32) {
        let Some(known) = self.instance(place) else { return };
        let instance = known.id();
        match &known.phase {
            Phase::Live(live) => {
                let identity = live.identity.clone();
                self.reply(index, id, Reply::Spawned { instance, identity });
            }
            Phase::Ended { end, .. } => {
                let end = *end;
                let detail = String::from("it ran and ended");
                self.refuse(index, id, Refusal::Stale, detail);
                self.happened(Event::Exited { instance, end });
            }
        }
    }

    fn may_spawn(&self, instance: InstanceId) -> Result<(), Refused> {
        match self.newest.get(&instance.agent) {
            Some(newest) if *newest > instance.incarnation => Err((
                Refusal::Stale,
                format!("incarnation {newest} is known, so {} is too old", instance.incarnation),
            )),
            Some(newest) if *newest == instance.incarnation => {
                Err((Refusal::Stale, String::from("it ran, ended and was acknowledged")))
            }
            Some(_) | None => {
                let first = InstanceId {
                    agent: instance.agent,
                    incarnation: Incarnation(0),
                };
                let mut runs = self.index.range(first..instance).map(|(_, place)| *place);
                match runs.find(|place| self.instance(*place).is_some_and(|known| known.live().is_some())) {
                    Some(_) => Err((
                        Refusal::OlderLives,
                        String::from("an older incarnation of the agent still lives"),
                    )),
                    None => Ok(()),
                }
            }
        }
    }

    fn look_after(&mut self, running: Running) -> std::io::Result<stead_model::ProcessIdentity> {
        let mark = self.dir.mark_of(running.ordered.instance);
        // The process is our child and not reaped, so the pid is surely still its own.
        let identity = self.here.identify(running.child.pid)?;
        let live = Live {
            identity: identity.clone(),
            pidfd: running.child.pidfd,
            notify: running.notify,
            frozen: false,
            killed: false,
            undetermined: None,
        };
        self.take_in(Instance {
            tree: Tree {
                cgroup: running.ordered.cgroup.clone(),
                events: running.events,
                session: running.child.pid,
                start_time: identity.start_time,
                mark,
                orphans: Orphans::Here,
            },
            ordered: running.ordered,
            phase: Phase::Live(live),
            fifos: Some(running.fifos),
            said: Said::default(),
        })?;
        Ok(identity)
    }

    /// Ends a process that runs already and cannot be watched, so that what is told of it is true: it does not run.
    fn end_unwatched(&mut self, pid: i32, ordered: &Ordered) {
        self.mains.remove(&pid);
        if let Some(pid) = Pid::from_raw(pid) {
            // It is our child and not reaped, so the pid is surely still its own.
            let _gone = kill_process(pid, Sent::KILL);
            let _reaped = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
        }
        if let Some(cgroup) = &ordered.cgroup {
            // What it started meanwhile is in there; the next keeper removes what still dies.
            let _empty = cgroup::kill(cgroup).is_ok() && cgroup::remove(cgroup);
        }
        let agent = self.dir.agent(ordered.instance.agent);
        let fifos = Stream::BOTH.map(|stream| fifo_path(&agent, ordered.pipes(), stream));
        for file in fifos.iter().chain([&ordered.socket]) {
            // Somebody may have removed it.
            let _absent = std::fs::remove_file(file);
        }
        self.spawner.forget(ordered.instance);
    }

    fn list(&mut self, index: u32, id: u64) {
        let listed = |known: &&Instance| !matches!(known.phase, Phase::Ended { acknowledged: true, .. });
        let views: Vec<_> = self
            .places
            .iter()
            .flatten()
            .filter(listed)
            .map(Instance::view)
            .collect();
        let count = views.len() as u64;
        for view in views {
            self.reply(index, id, Reply::Instance(Box::new(view)));
        }
        self.reply(index, id, Reply::Listed { count });
    }

    fn signal(&mut self, instance: InstanceId, signal: Signal, target: Target) -> Result<(), Refused> {
        let number = Sent::from_named_raw(i32::from(signal.number()));
        let known = self.known(instance)?;
        let tree = known.tree.clone();
        let Some(live) = known.live_mut() else {
            return Err((Refusal::WrongState, String::from("it has ended")));
        };
        live.killed |= signal == Signal::KILL;
        let Some(number) = number else {
            return Err((Refusal::Failed, format!("{signal} is not sent by Stead")));
        };
        match target {
            Target::Leader => match pidfd_send_signal(&live.pidfd, number) {
                // It ended at this moment: its end is on the way.
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err((Refusal::Failed, error.to_string())),
            },
            Target::Tree => {
                tree.signal(number);
                Ok(())
            }
        }
    }

    fn freeze(&mut self, instance: InstanceId, frozen: bool) -> Result<(), Refused> {
        let known = self.known(instance)?;
        let result = known.tree.freeze(frozen);
        let Some(live) = known.live_mut() else {
            return Err((Refusal::WrongState, String::from("it has ended")));
        };
        match result {
            Ok(()) => {
                live.frozen = frozen;
                Ok(())
            }
            Err(error) => Err((Refusal::Failed, error.to_string())),
        }
    }

    fn acknowledge(&mut self, instance: InstanceId) -> Result<(), Refused> {
        // A second acknowledgement finds nothing, which is what it asks for.
        let Ok(known) = self.known(instance) else { return Ok(()) };
        match &mut known.phase {
            Phase::Live(_) => Err((Refusal::WrongState, String::from("it lives"))),
            Phase::Ended {
                acknowledged, swept, ..
            } => {
                *acknowledged = true;
                if *swept && known.fifos.is_none() {
                    let place = self.index.get(&instance).copied();
                    place.into_iter().for_each(|place| self.forget(place));
                    return Ok(());
                }
                let place = self.index.get(&instance).copied();
                if let Some(place) = place.filter(|place| !self.closing.contains(place)) {
                    self.closing.push(place);
                }
                self.chores.soon();
                Ok(())
            }
        }
    }

    fn known(&mut self, instance: InstanceId) -> Result<&mut Instance, Refused> {
        let place = self.index.get(&instance).copied();
        match place.and_then(|place| self.instance_mut(place)) {
            Some(known) => Ok(known),
            None => Err((Refusal::UnknownInstance, format!("no instance {instance} is known"))),
        }
    }

    /// Adds to the record of an instance; the disk may refuse, and then its mark has to do.
    pub(super) fn write_down(&mut self, instance: InstanceId, line: &Line) {
        if let Err(error) = self.spawner.records.append(instance, line) {
            crate::note(&format!("record of {instance}: {error}"));
        }
    }

    /// Forgets an instance and frees its place.
    pub(super) fn forget(&mut self, place: u32) {
        let Some(gone) = self.places.get_mut(place as usize).and_then(Option::take) else {
            return;
        };
        let instance = gone.id();
        self.index.remove(&instance);
        self.spawner.forget(instance);
        self.spawner.foresee_no_more(&self.dir, next_of(instance));
        let agent = instance.agent;
        let run = |incarnation| InstanceId { agent, incarnation };
        let mut runs = self.index.range(run(Incarnation(0))..=run(Incarnation(u64::MAX)));
        let more = runs.next().is_some();
        if let (false, Entry::Occupied(log)) = (more, self.logs.entry(agent)) {
            log.remove();
        }
    }
}
