//! Requests of people and clients: refused, already so, or written down.

mod drain;
mod group;
mod pause;
mod register;
mod task;
mod update;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use stead_model::{Command, Happening, Outcome, PauseMode, Reason, Refusal, Request, Role, Wanted};

use crate::observe;
use crate::plan::plan;
use crate::record::Record;
use crate::step::{Step, Why};
use crate::wish::{Wish, wish};

pub(crate) use drain::{is_to_be_renewed, restart_drained};
pub(crate) use group::{command as group_command, create as create_group, pause_over as group_pause_over};
pub(crate) use pause::{chill, expired, freeze};
pub(crate) use register::register;
pub(crate) use update::{put_in_force, take_up};

/// Longest reason in a request's words, in bytes.
pub(crate) const MAX_REASON: usize = 1024;

/// Longest detail of a reported error, in bytes.
const MAX_DETAIL: usize = 4096;

/// Carries out a request about a known agent.
pub(crate) fn command(step: &mut Step, record: &mut Record, command: Command) -> Result<Outcome, Refusal> {
    bounded("reason", command.reason.as_deref(), MAX_REASON)?;
    if let Some(expected) = command.expected
        && expected != record.row.revision
    {
        return Err(Refusal::Stale {
            expected,
            current: record.row.revision,
        });
    }
    let verb = command.request.verb();
    match command.request {
        Request::Register { .. } => Err(Refusal::Duplicate {
            name: record.row.name.clone(),
            id: record.row.id,
        }),
        Request::Respec { .. } | Request::Update { spec: Some(_) } if record.row.member.is_some() => {
            Err(of_group(record))
        }
        Request::Respec { spec } => update::respec(step, record, spec),
        Request::Update { spec } => update::update(step, record, spec, verb, command.reason),
        Request::Scale { replicas } => scale(step, record, replicas, verb),
        Request::Want(Wanted::Paused) => pause::pause(step, record, (PauseMode::Soft, None), verb, command.reason),
        Request::Want(wanted) => want(step, record, wanted, verb, command.reason),
        Request::Drain { within } => drain::drain(step, record, within, verb, command.reason),
        Request::Pause { mode, lasts } => pause::pause(step, record, (mode, lasts), verb, command.reason),
        Request::Resume => match record.row.intent.wanted {
            Wanted::Paused | Wanted::Maintenance | Wanted::Running => {
                want(step, record, Wanted::Running, verb, command.reason)
            }
            Wanted::Stopped | Wanted::Terminated | Wanted::Deleted => Err(not_possible(record, verb)),
        },
        Request::Halt => Ok(halt(step, record, command.reason)),
        Request::Lift => Ok(lift(step, record)),
        Request::Deploy => deploy(step, record, verb),
        Request::Restart => restart(step, record, verb, command.reason),
        Request::Reset => Ok(reset(step, record)),
        Request::Assign { task } => task::assign(step, record, task, verb),
        Request::Complete { task } => task::complete(step, record, &task, verb),
        Request::ReportError { detail } => {
            bounded("detail", Some(&detail), MAX_DETAIL)?;
            observe::error_reported(step, record, detail);
            Ok(Outcome::Accepted)
        }
    }
}

/// Refuses a text beyond its limit.
pub(crate) fn bounded(what: &'static str, text: Option<&str>, limit: usize) -> Result<(), Refusal> {
    match text {
        Some(text) if text.len() > limit => Err(Refusal::TooLong { what, limit }),
        Some(_) | None => Ok(()),
    }
}

/// The refusal of what the agent's phase does not permit, with where it may go.
pub(crate) fn not_possible(record: &Record, verb: &'static str) -> Refusal {
    let possible: Vec<String> = record
        .profile
        .next(record.phase)
        .map(|to| record.profile.name_of(to).into())
        .collect();
    Refusal::NotPossible {
        verb,
        phase: record.phase_name(),
        possible,
        verbs: possible_verbs(record),
    }
}

/// What can be asked of it as it is.
fn possible_verbs(record: &Record) -> Vec<&'static str> {
    let deleting = record.row.intent.wanted == Wanted::Deleted;
    let wishes = Wanted::ALL.iter().filter(|wanted| {
        // What is wanted already helps nobody, unless something keeps it from being tried.
        let news = **wanted != record.row.intent.wanted || record.row.recovery.block.is_some();
        news && reachable(record, **wanted)
    });
    let mut verbs: Vec<_> = wishes.map(|wanted| Request::Want(*wanted).verb()).collect();
    if !deleting && wish(Wanted::Running, record.role(), record.has_instance()) != Wish::Refused {
        verbs.push(Request::Restart.verb());
    }
    verbs
}

/// Whether something can be wanted of it as it is.
fn reachable(record: &Record, wanted: Wanted) -> bool {
    let seat = match wanted {
        Wanted::Paused => Some(Role::Suspended),
        Wanted::Maintenance => Some(Role::Maintenance),
        Wanted::Terminated => Some(Role::Retired),
        Wanted::Running | Wanted::Stopped | Wanted::Deleted => None,
    };
    let by_table = match wish(wanted, record.role(), record.has_instance()) {
        Wish::Refused => false,
        _ if seat.is_some_and(|seat| !record.profile.has_role(seat)) => false,
        Wish::Next(crate::wish::Step::Enter(role)) if role != Role::Gone => {
            record.profile.hop(record.phase, role).is_some()
        }
        Wish::Satisfied | Wish::Wait | Wish::Next(_) => true,
    };
    by_table && (record.row.intent.wanted != Wanted::Deleted || wanted == Wanted::Deleted)
}

fn want(
    step: &mut Step,
    record: &mut Record,
    wanted: Wanted,
    verb: &'static str,
    reason: Option<String>,
) -> Result<Outcome, Refusal> {
    if !reachable(record, wanted) {
        return Err(not_possible(record, verb));
    }
    let from = record.row.intent.wanted;
    let blocked = wanted == Wanted::Running && record.row.recovery.block.is_some();
    let waits = wanted == Wanted::Running && record.timer(crate::record::Timer::Restart).is_some();
    let drains = record.timer(crate::record::Timer::Drain).is_some();
    if from == wanted && !blocked && !waits && !drains && !record.row.restart_wanted && !record.row.halted {
        return Ok(Outcome::Already);
    }
    drain::end(step, record, wanted);
    if wanted == Wanted::Running {
        forgive(step, record);
    } else {
        record.set_timer(crate::record::Timer::Restart, None);
    }
    record.row.restart_wanted = false;
    record.row.halted = false;
    record.row.halt_reason = None;
    intend(step, record, wanted, reason);
    plan(step, record);
    Ok(Outcome::Accepted)
}

/// Notes what is wanted, by whom and why.
fn intend(step: &mut Step, record: &mut Record, wanted: Wanted, reason: Option<String>) {
    let from = record.row.intent.wanted;
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    record.row.intent = stead_model::Intent {
        wanted,
        actor: step.origin.actor.clone(),
        at: step.now.wall,
        reason: reason.clone(),
        correlation_id: step.origin.correlation_id.clone(),
        pause: None,
    };
    record.row.renewal = None;
    record.set_timer(crate::record::Timer::Expiry, None);
    step.event(
        record,
        Happening::IntentChanged {
            from,
            to: wanted,
            reason,
        },
    );
}

/// Clears what kept it from being started.
pub(crate) fn forgive(step: &mut Step, record: &mut Record) {
    record.forgive();
    step.clear(record, stead_model::Condition::Held);
    step.clear(record, stead_model::Condition::Quarantined);
    step.touch();
}

/// The refusal of what only the group of a replica may be asked for.
fn of_group(record: &Record) -> Refusal {
    let name = record.row.name.clone();
    let group = record
        .row
        .member
        .as_ref()
        .map_or_else(|| name.clone(), |member| member.group_name.clone());
    Refusal::Replica { name, group }
}

/// Has one that runs elsewhere change its own size; its next report says that it has.
fn scale(step: &mut Step, record: &mut Record, replicas: u32, verb: &'static str) -> Result<Outcome, Refusal> {
    if record.row.member.is_some() {
        return Err(of_group(record));
    }
    if record.process().is_some() {
        return Err(Refusal::NotScalable(record.row.name.clone()));
    }
    let why = Why::new(
        Reason::Request,
        alloc::format!("scale to {replicas} asked by {}", step.origin.actor),
    );
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    if step.hop(record, Role::Scaling, why.with("replicas", replicas)) {
        Ok(Outcome::Accepted)
    } else {
        Err(not_possible(record, verb))
    }
}

fn deploy(step: &mut Step, record: &mut Record, verb: &'static str) -> Result<Outcome, Refusal> {
    match record.role() {
        Role::Prepared | Role::Preparing => return Ok(Outcome::Already),
        Role::Initial | Role::Failed if !record.has_instance() => {}
        Role::Initial
        | Role::Starting
        | Role::Restarting
        | Role::Ready
        | Role::Busy
        | Role::Idle
        | Role::Impaired
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
        | Role::Gone => return Err(not_possible(record, verb)),
    }
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    let why = Why::new(Reason::Request, alloc::format!("deploy asked by {}", step.origin.actor));
    if !step.hop(record, Role::Preparing, why) {
        return Err(not_possible(record, verb));
    }
    forgive(step, record);
    match record.process().cloned() {
        Some(process) => {
            step.order(stead_model::Order::Prepare {
                agent: record.row.id,
                process: Box::new(process),
            });
        }
        None => {
            step.hop(
                record,
                Role::Prepared,
                Why::new(Reason::Progress, "nothing runs it, so nothing has to be prepared"),
            );
        }
    }
    Ok(Outcome::Accepted)
}

fn restart(
    step: &mut Step,
    record: &mut Record,
    verb: &'static str,
    reason: Option<String>,
) -> Result<Outcome, Refusal> {
    if wish(Wanted::Running, record.role(), record.has_instance()) == Wish::Refused
        || record.row.intent.wanted == Wanted::Deleted
    {
        return Err(not_possible(record, verb));
    }
    drain::end(step, record, Wanted::Stopped);
    forgive(step, record);
    intend(step, record, Wanted::Running, reason);
    record.row.halted = false;
    record.row.halt_reason = None;
    record.row.restart_wanted = true;
    plan(step, record);
    Ok(Outcome::Accepted)
}

/// Has it down with its fleet. What is wanted of it stays as it is, and so does what was held against it.
fn halt(step: &mut Step, record: &mut Record, reason: Option<String>) -> Outcome {
    if record.timer(crate::record::Timer::Drain).is_some() {
        // There is no time left for its tasks.
        drain::end(step, record, Wanted::Stopped);
        plan(step, record);
        return Outcome::Accepted;
    }
    match record.row.intent.wanted {
        Wanted::Running | Wanted::Paused | Wanted::Maintenance if !record.row.halted => {}
        // It is halted, or down by a person's word.
        Wanted::Running
        | Wanted::Paused
        | Wanted::Maintenance
        | Wanted::Stopped
        | Wanted::Terminated
        | Wanted::Deleted => return Outcome::Already,
    }
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    record.row.halted = true;
    record.row.halt_reason = reason.map(String::into_boxed_str);
    record.set_timer(crate::record::Timer::Restart, None);
    step.touch();
    plan(step, record);
    Outcome::Accepted
}

/// Has it be again what is wanted of it.
fn lift(step: &mut Step, record: &mut Record) -> Outcome {
    if !record.row.halted {
        return Outcome::Already;
    }
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    record.row.halted = false;
    record.row.halt_reason = None;
    step.touch();
    plan(step, record);
    Outcome::Accepted
}

fn reset(step: &mut Step, record: &mut Record) -> Outcome {
    let untroubled = record.row.recovery.block.is_none() && record.streak.attempts() == 0;
    if untroubled && record.timer(crate::record::Timer::Restart).is_none() {
        return Outcome::Already;
    }
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    forgive(step, record);
    plan(step, record);
    Outcome::Accepted
}
