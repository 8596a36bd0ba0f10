//! From what was seen of the world to what is known of an agent.

mod beat;
mod clear;
mod exit;
mod inventory;
mod probe;
mod report;
mod sign;
mod timer;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;

use stead_model::journal::{Block, BlockKind};
use stead_model::spec::{ProbeKind, ReadinessSource};
use stead_model::{
    AgentId, Exit, FailureKind, Health, Incarnation, Notice, Observation, Order, ProcessIdentity, Reason, Role,
    SpawnFailure, Wanted,
};

use crate::abstain;
use crate::cause;
use crate::plan::{self, plan};
use crate::record::{Record, Timer};
use crate::step::{Step, Why};
use crate::storm;
use crate::turns;

pub(crate) use beat::word;
pub(crate) use exit::exited;
pub(crate) use inventory::{named, strangers, take_inventory};
pub(crate) use report::error_reported;
pub(crate) use timer::{due, excuse, is_waited_for};

/// How long a process lives before that alone counts as health.
pub(crate) const SETTLED: core::time::Duration = core::time::Duration::from_secs(10);

/// The agent that an observation is about.
pub(crate) const fn subject(observation: &Observation) -> AgentId {
    match observation {
        Observation::Prepared { agent, .. } | Observation::Reported { agent, .. } => *agent,
        Observation::Spawned { instance, .. }
        | Observation::Outnumbered { instance, .. }
        | Observation::Exited { instance, .. }
        | Observation::Notified { instance, .. }
        | Observation::Heard { instance, .. }
        | Observation::Probed { instance, .. } => instance.agent,
    }
}

/// Takes in an observation of a known agent.
pub(crate) fn observe(step: &mut Step, record: &mut Record, observation: Observation) {
    match observation {
        Observation::Prepared { result, .. } => prepared(step, record, result),
        Observation::Spawned { instance, result } if Step::is_current(record, instance) => {
            spawned(step, record, result);
        }
        Observation::Spawned {
            instance,
            result: Ok(_),
        } => {
            record.strays.insert(instance.incarnation);
            step.order(Order::Kill { instance });
        }
        Observation::Spawned { result: Err(_), .. } => {}
        Observation::Outnumbered { instance, newest } if Step::is_current(record, instance) => {
            outnumbered(step, record, newest);
        }
        Observation::Outnumbered { .. } => {}
        Observation::Exited { instance, exit, swept } => {
            step.order(Order::Acknowledge { instance });
            if Step::is_current(record, instance) {
                exited(step, record, exit, swept);
            } else if record.strays.remove(&instance.incarnation) {
                plan(step, record);
            }
        }
        Observation::Notified { instance, notice } if Step::is_current(record, instance) => {
            notified(step, record, notice);
        }
        // What stands still on somebody's word answers nothing.
        Observation::Probed { .. } if record.row.frozen => {}
        Observation::Probed {
            instance,
            kind: ProbeKind::Clear,
            result,
        } => clear::probed(step, record, instance, result),
        Observation::Probed { instance, kind, result } if Step::is_current(record, instance) => {
            probe::probed(step, record, kind, result);
        }
        Observation::Probed { instance, kind, result }
            if record.process().is_none() && instance.incarnation == record.row.incarnation =>
        {
            probe::probed(step, record, kind, result);
        }
        Observation::Heard { instance, word, result } if Step::is_current(record, instance) => {
            plan::heard(step, record, word, result);
        }
        // Word of an earlier run changes nothing.
        Observation::Notified { .. } | Observation::Probed { .. } | Observation::Heard { .. } => {}
        // The table of beats heard it before.
        Observation::Reported { .. } => {}
    }
}

/// What to do with an observation of an agent that is not known (any more).
pub(crate) fn observe_unknown(step: &mut Step, observation: &Observation) {
    match observation {
        Observation::Spawned {
            instance,
            result: Ok(_),
        } => step.order(Order::Kill { instance: *instance }),
        Observation::Exited { instance, .. } => step.order(Order::Acknowledge { instance: *instance }),
        Observation::Prepared { .. }
        | Observation::Spawned { .. }
        | Observation::Outnumbered { .. }
        | Observation::Notified { .. }
        | Observation::Heard { .. }
        | Observation::Probed { .. }
        | Observation::Reported { .. } => {}
    }
}

fn prepared(step: &mut Step, record: &mut Record, result: Result<(), SpawnFailure>) {
    if record.role() != Role::Preparing {
        return;
    }
    match result {
        Ok(()) => {
            let why = Why::new(Reason::Progress, "everything that it needs to run is there");
            let starts = plan::wanted(record) == Wanted::Running && plan::obstacle(step.surveyed, record).is_none();
            step.hop(record, Role::Prepared, if starts { why.via() } else { why });
        }
        Err(failure) => failed_start(step, record, &failure),
    }
    plan(step, record);
}

fn spawned(step: &mut Step, record: &mut Record, result: Result<ProcessIdentity, SpawnFailure>) {
    match result {
        Ok(process) => {
            alive(step, record, process);
            if record.spec.readiness() == ReadinessSource::Spawn && !record.ending() {
                serves(
                    step,
                    record,
                    Reason::NormalStartup,
                    "its process was started; nothing better tells of its readiness",
                );
            }
        }
        Err(failure) => {
            let rises = matches!(record.role(), Role::Starting | Role::Restarting | Role::Updating) && !record.ending();
            if rises && plan::wanted(record) == Wanted::Running {
                record.row.instance = None;
                failed_start(step, record, &failure);
            } else {
                exited(step, record, Exit::Unknown, 0);
            }
        }
    }
    plan(step, record);
}

/// Numbers its runs beyond those that had these numbers before. Nothing was begun, and nothing is held against it.
fn outnumbered(step: &mut Step, record: &mut Record, newest: Incarnation) {
    record.row.incarnation = record.row.incarnation.max(newest);
    record.row.incarnations_reserved = record.row.incarnations_reserved.max(newest);
    if matches!(record.role(), Role::Starting | Role::Restarting) && !record.ending() {
        record.row.instance = None;
        step.touch();
    } else {
        exited(step, record, Exit::Unknown, 0);
    }
    plan(step, record);
}

/// Notes that the instance's process is there, and has it looked at.
pub(crate) fn alive(step: &mut Step, record: &mut Record, process: ProcessIdentity) {
    step.evidence(record, "process", "keeper", format!("process {} runs", process.pid));
    if let Some(instance) = &mut record.row.instance {
        instance.process = Some(process);
    }
    step.touch();
    look(step, record);
}

/// Has its process looked at, where it has probes.
pub(crate) fn look(step: &mut Step, record: &Record) {
    if let (Some(instance), Some(process)) = (record.instance_id(), record.process())
        && record.spec.probes.look_at_runs()
    {
        let mut probes = Box::new(record.spec.probes.of_run());
        if record.role().serves() {
            // It has come up before; one that is adopted need not show that again.
            probes.startup = None;
        }
        let process = Box::new(process.clone());
        step.order(Order::Probe {
            instance,
            namespace: record.row.namespace.clone(),
            name: record.row.name.clone(),
            probes,
            process: Some(process),
        });
    }
}

/// It could not be prepared or started; whether another try can help decides what follows.
fn failed_start(step: &mut Step, record: &mut Record, failure: &SpawnFailure) {
    step.evidence(record, "start", "keeper", failure.detail.clone());
    cause::note(step, record, cause::of_spawn(failure.kind), &failure.detail);
    step.hop(
        record,
        Role::Failed,
        Why::new(Reason::InitializationError, failure.detail.clone()),
    );
    step.health(record, Health::Failed, &failure.detail);
    if failure.kind.may_pass() {
        plan::schedule(step, record);
    } else {
        let detail = format!("{}; {}", failure.detail, plan::mend(record));
        plan::block(
            step,
            record,
            Block {
                kind: BlockKind::Held,
                detail,
            },
        );
    }
}

/// It serves, as far as its source of readiness can tell.
pub(crate) fn serves(step: &mut Step, record: &mut Record, reason: Reason, detail: &str) {
    match record.role() {
        Role::Starting | Role::Restarting => {
            plan::take_up_work(step, record, Why::new(reason, detail));
        }
        Role::Updating | Role::Scaling if !record.ending() => {
            plan::take_up_work(step, record, Why::new(Reason::ConfigUpdate, detail));
        }
        Role::Error if !record.ending() => {
            plan::take_up_work(step, record, Why::new(Reason::SelfHealing, detail));
            step.health(record, Health::Healthy, detail);
        }
        Role::Ready | Role::Busy | Role::Idle | Role::Impaired => {}
        Role::Initial
        | Role::Preparing
        | Role::Prepared
        | Role::Stopping
        | Role::Updating
        | Role::Scaling
        | Role::Error
        | Role::Failed
        | Role::TimedOut
        | Role::Maintenance
        | Role::Suspended
        | Role::Offline
        | Role::Retired
        | Role::Gone => return,
    }
    step.ready(record, true, detail);
    match record.spec.readiness() {
        ReadinessSource::Spawn => {
            // What it says meanwhile does not make it younger.
            if record.row.health != Health::Healthy && record.timer(Timer::Settle).is_none() {
                record.set_timer(Timer::Settle, Some(step.now.moment.after(SETTLED)));
            }
        }
        ReadinessSource::Notify | ReadinessSource::Probe | ReadinessSource::Report => {
            step.health(record, Health::Healthy, detail);
        }
    }
    plan(step, record);
}

/// It lives but must not go on: it is ended, and started again by its policy.
pub(crate) fn ill(step: &mut Step, record: &mut Record, reason: Reason, detail: &str) {
    let to = match record.role() {
        Role::Ready | Role::Busy | Role::Idle | Role::Impaired | Role::Updating | Role::Scaling => Role::Error,
        Role::Starting | Role::Restarting => Role::Failed,
        Role::Initial
        | Role::Preparing
        | Role::Prepared
        | Role::Stopping
        | Role::Error
        | Role::Failed
        | Role::TimedOut
        | Role::Maintenance
        | Role::Suspended
        | Role::Offline
        | Role::Retired
        | Role::Gone => return,
    };
    if storm::shelter(step, record, detail) {
        return;
    }
    cause::note_reason(step, record, reason, detail);
    if abstain::up(step, record, detail) {
        return;
    }
    let served = record.role().serves();
    step.hop(record, to, Why::new(reason, detail));
    step.health(record, Health::Failed, detail);
    record.set_timer(Timer::Silence, None);
    record.set_timer(Timer::Settle, None);
    if served {
        turns::end(step, record);
    } else {
        plan::kill(step, record);
    }
    plan(step, record);
}

fn notified(step: &mut Step, record: &mut Record, notice: Notice) {
    feed(step, record);
    match notice {
        Notice::Ready => {
            step.evidence(record, "notify", "agent", "READY=1".to_string());
            serves(step, record, Reason::ReadinessComplete, "it says READY=1");
        }
        Notice::Reloading => step.evidence(record, "notify", "agent", "RELOADING=1".to_string()),
        Notice::Stopping => {
            step.evidence(record, "notify", "agent", "STOPPING=1".to_string());
            step.ready(record, false, "it says STOPPING=1");
        }
        Notice::Status { text } => {
            if !record
                .row
                .evidence
                .iter()
                .any(|known| known.kind == "status" && known.detail == text)
            {
                step.evidence(record, "status", "agent", text);
                publish(step, record);
            }
        }
        Notice::Watchdog => step.evidence(record, "watchdog", "agent", "WATCHDOG=1".to_string()),
        Notice::WatchdogTrigger => ill(step, record, Reason::Deadlock, "it says WATCHDOG=trigger"),
        Notice::WatchdogInterval { micros } => {
            if let Some(instance) = &mut record.row.instance {
                instance.watchdog = Some(stead_model::Span(core::time::Duration::from_micros(micros)));
                step.touch();
            }
            record.set_timer(Timer::Silence, None);
            feed(step, record);
        }
        Notice::MainProcess { process } => alive(step, record, process),
        Notice::ExtendTimeout { micros } => {
            let until = step.now.moment.after(core::time::Duration::from_micros(micros));
            if matches!(record.role(), Role::Starting | Role::Restarting | Role::Stopping) {
                record.set_timer(Timer::Deadline, Some(until));
                step.touch();
            }
            if record.timer(Timer::Kill).is_some() {
                record.set_timer(Timer::Kill, Some(until));
            }
        }
    }
}

/// Publishes what it says of itself, at most once a second: an agent may say more than a store should write.
fn publish(step: &mut Step, record: &mut Record) {
    record.unpublished = record.timer(Timer::Word).is_some();
    if !record.unpublished {
        record.set_timer(Timer::Word, Some(step.now.moment.after(BETWEEN_WORDS)));
        step.touch();
    }
}

/// How often what an agent says of itself is published at most.
const BETWEEN_WORDS: core::time::Duration = core::time::Duration::from_secs(1);

/// Any word on its socket feeds the watchdog of one that serves.
fn feed(step: &mut Step, record: &mut Record) {
    if let Some(watchdog) = record.watchdog()
        && record.role().serves()
        && !record.ending()
    {
        record.set_timer(Timer::Silence, Some(step.now.moment.after(watchdog.0)));
        abstain::take_back(step, record, FailureKind::HeartbeatTimeout, "its watchdog is fed again");
        // That it is heard again is what it is looked at for after an outage of what it depends on.
        let by_word = record.spec.readiness() == ReadinessSource::Notify && record.spec.probes.readiness.is_none();
        if by_word && record.row.health == Health::Recovering {
            record.set_timer(Timer::Settle, None);
            step.health(record, Health::Healthy, "its watchdog is fed again");
        }
    }
}
