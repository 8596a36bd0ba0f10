//! What a group does by itself: as many replicas as are wanted, and a new spec brought to them one after the other.
//!
//! The scheme is that of Kubernetes' Deployments (`maxUnavailable`, `maxSurge`, `minReadySeconds`, `progressDeadlineSeconds`), with replicas
//! that keep their names as in a StatefulSet, and with a roll-back of its own at the first replica that fails. Everything that it
//! decides on is stored, so that a crash in the middle goes on where it was.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::group::RolloutState;
use stead_model::journal::{Durability, MemberRow};
use stead_model::spec::EnvValue;
use stead_model::{AgentId, AgentSpec, Condition, Driver, Happening, Moment, Origin, Request, Wanted};

use crate::command;
use crate::group::{Group, Seen, ended};
use crate::open::{Open, of_member};
use crate::plan::plan;

/// Where each replica finds its number.
const REPLICA: &str = "STEAD_REPLICA";

/// Goes as far with a group as can be gone now.
pub(crate) fn drive(open: &mut Open<'_>, group: &mut Group) {
    forget_gone(open, group);
    if group.row.intent.wanted == Wanted::Deleted {
        leave(open, group);
        return;
    }
    if group
        .expiry(open.step.now)
        .is_some_and(|due| due <= open.step.now.moment)
    {
        command::group_pause_over(open, group);
    }
    resize(open, group);
    renew(open, group);
    if group.rolls().is_some() {
        roll(open, group);
        // Its end, or the way back, may want another number of replicas.
        resize(open, group);
    } else {
        relieve(open, group);
    }
}

/// What the group sees of its replicas, by their numbers.
pub(crate) fn see(open: &Open<'_>, group: &Group) -> Vec<Seen> {
    let records = group.members.values().filter_map(|id| open.cell.agents.get(*id));
    records.filter_map(|record| group.see(&record)).collect()
}

fn forget_gone(open: &mut Open<'_>, group: &mut Group) {
    let gone: Vec<u32> = group
        .members
        .iter()
        .filter(|(_, id)| !open.cell.agents.contains(**id))
        .map(|(ordinal, _)| *ordinal)
        .collect();
    for ordinal in gone {
        group.members.remove(&ordinal);
        open.step.send(group.releasing(ordinal));
    }
}

/// Removes every replica, then the group.
fn leave(open: &mut Open<'_>, group: &mut Group) {
    // No update is judged any more; a deadline that is over would have it looked at again and again until its last replica is gone.
    group.touched |= group.deadline.take().is_some();
    dismiss(open, group, 0, "its group is deleted");
    for ordinal in core::mem::take(&mut group.claimed) {
        open.step.send(group.releasing(ordinal));
    }
    if group.members.is_empty() && !group.row.removed {
        // Also the names that it asked for before its slot was loaded anew: it does not remember them.
        let surge = group.row.update.max_surge.ceil_of(group.row.replicas);
        for ordinal in 1..=group.row.replicas.saturating_add(surge) {
            open.step.send(group.releasing(ordinal));
        }
        group.row.removed = true;
        group.deadline = None;
        open.step.group_event(group, Happening::GroupDeleted);
    }
}

/// Asks for the names of replicas that are missing, and removes those beyond what is wanted.
fn resize(open: &mut Open<'_>, group: &mut Group) {
    let most = group.row.replicas.saturating_add(group.surge());
    for ordinal in 1..=most {
        if !group.members.contains_key(&ordinal) && group.claimed.insert(ordinal) {
            open.step.send(group.naming(ordinal, None));
        }
    }
    let unneeded: Vec<u32> = group.claimed.range(most.saturating_add(1)..).copied().collect();
    for ordinal in unneeded {
        group.claimed.remove(&ordinal);
        open.step.send(group.releasing(ordinal));
    }
    dismiss(open, group, most, "its group has fewer replicas now");
}

/// Removes the replicas beyond a number, the highest first.
fn dismiss(open: &mut Open<'_>, group: &Group, beyond: u32, reason: &str) {
    let ids: Vec<AgentId> = group
        .members
        .range(beyond.saturating_add(1)..)
        .rev()
        .map(|(_, id)| *id)
        .collect();
    for id in ids {
        let stays = open
            .cell
            .agents
            .get(id)
            .is_some_and(|record| record.row.intent.wanted != Wanted::Deleted);
        if stays {
            open.step.needs(Durability::Flushed);
            // Policies were asked when it was asked of the group. Beside them every agent may be deleted at any time.
            let _never_refused = open.with_agent(id, |step, record| {
                let asked = of_member(step, record, Request::Want(Wanted::Deleted), Some(reason.to_string()));
                command::command(step, record, asked)
            });
        }
    }
}

/// Starts the replica whose name was granted, if it is still wanted.
pub(crate) fn granted(open: &mut Open<'_>, group: &mut Group, ordinal: u32) {
    let asked = group.claimed.remove(&ordinal);
    let most = group.row.replicas.saturating_add(group.surge());
    if !asked || group.members.contains_key(&ordinal) {
        return;
    }
    let wanted = match group.row.intent.wanted {
        Wanted::Deleted => None,
        _ if ordinal > most => None,
        Wanted::Running => Some(Wanted::Running),
        Wanted::Paused | Wanted::Maintenance | Wanted::Stopped | Wanted::Terminated => Some(Wanted::Stopped),
    };
    let revision = match (&group.row.rollout, group.rolls()) {
        // Its turn comes as that of the others does.
        (Some(rollout), Some(RolloutState::Rolling)) if ordinal <= group.row.replicas => rollout.from,
        (Some(_) | None, _) => group.row.target,
    };
    let (Some(wanted), Some(spec), Some(name)) = (wanted, group.spec(revision), group.name_of(ordinal)) else {
        open.step.send(group.releasing(ordinal));
        return;
    };
    open.step.needs(Durability::Flushed);
    open.step.origin = Origin {
        correlation_id: group.row.correlation_id.clone(),
        ..open.step.origin.clone()
    };
    let member = MemberRow {
        group: group.row.id,
        group_name: group.row.name.clone(),
        ordinal,
        revision,
        restarts: 0,
        passed: false,
    };
    match open.register_member(
        group.row.namespace.clone(),
        name,
        for_replica(&spec, ordinal),
        wanted,
        member,
    ) {
        Ok(id) => {
            group.members.insert(ordinal, id);
            open.step.send(group.naming(ordinal, Some(id)));
        }
        Err(_full) => open.step.send(group.releasing(ordinal)),
    }
}

/// The template as one replica is told it.
pub(crate) fn for_replica(template: &Arc<AgentSpec>, ordinal: u32) -> Box<AgentSpec> {
    let mut spec = Box::new(AgentSpec::clone(template));
    if let Driver::Process(process) = &mut spec.driver {
        process
            .env
            .insert(REPLICA.to_string(), EnvValue::Plain(ordinal.to_string()));
    }
    spec
}

/// Takes the next steps of an update, forth or back.
fn roll(open: &mut Open<'_>, group: &mut Group) {
    let now = open.step.now.moment;
    let seen = present(open, group);
    if group.rests(&seen) {
        wait(open, group, &seen);
        return;
    }
    if group.deadline.is_none() {
        group.deadline = Some(now.after(group.row.update.progress_deadline.0));
        group.touched = true;
    }
    note_passes(open, group, &seen, now);
    let mut seen = present(open, group);
    if let Some(detail) = failure(group, &seen, now) {
        fail(open, group, detail);
        seen = present(open, group);
    }
    if group.rolls().is_some() {
        if is_done(group, &seen) {
            finish(open, group);
        } else {
            advance(open, group, &seen, now);
        }
    }
}

/// Has an update wait for a group that rests: nothing shows then what the new revision is worth, and nothing speaks against it. One that
/// has no process starts with it; one whose process waits with it has its turn when the group goes on.
fn wait(open: &mut Open<'_>, group: &mut Group, seen: &[Seen]) {
    if group.deadline.take().is_some() {
        group.touched = true;
    }
    let target = group.row.target;
    for seen in seen.iter().filter(|seen| seen.revision != target && !seen.lives) {
        bring(open, group, seen);
    }
}

/// Puts in force what single replicas were told while they rested, as they are to run again.
fn renew(open: &mut Open<'_>, group: &Group) {
    for seen in present(open, group) {
        if seen.runs && seen.stale {
            open.with_agent(seen.id, |step, record| {
                let why = format!("it rested while it was updated to revision {}", seen.revision);
                command::put_in_force(step, record, why);
                plan(step, record);
            });
        }
    }
}

/// The replicas that are there to stay.
fn present(open: &Open<'_>, group: &Group) -> Vec<Seen> {
    let mut seen = see(open, group);
    seen.retain(|seen| !seen.leaves);
    seen
}

/// Notes who has passed with the revision that they are to have; each one that does is progress.
fn note_passes(open: &mut Open<'_>, group: &mut Group, seen: &[Seen], now: Moment) {
    let mut passed = 0;
    for seen in seen.iter().filter(|seen| seen.revision == group.row.target) {
        if !seen.passed && seen.available(now) {
            open.with_agent(seen.id, |step, record| {
                if let Some(member) = &mut record.row.member {
                    member.passed = true;
                }
                step.touch();
            });
        }
        passed += u32::from(seen.passed || seen.available(now));
    }
    if let Some(rollout) = &mut group.row.rollout
        && passed > rollout.passed
    {
        rollout.passed = passed;
        group.deadline = Some(now.after(group.row.update.progress_deadline.0));
        group.touched = true;
    }
}

/// What ends the update, if anything does.
fn failure(group: &Group, seen: &[Seen], now: Moment) -> Option<String> {
    let late = group.deadline.is_some_and(|due| due <= now).then(|| {
        format!(
            "no further replica was available within {}",
            group.row.update.progress_deadline
        )
    });
    match group.rolls() {
        Some(RolloutState::Rolling) => seen
            .iter()
            .find(|seen| seen.revision == group.row.target && seen.runs && seen.failed)
            .and_then(|seen| group.name_of(seen.ordinal))
            .map(|name| format!("{name} failed with it"))
            .or(late),
        Some(
            RolloutState::RollingBack
            | RolloutState::Completed
            | RolloutState::RolledBack
            | RolloutState::Failed
            | RolloutState::Superseded,
        )
        | None => late,
    }
}

/// Takes an update back, or gives it up where there is no way back.
fn fail(open: &mut Open<'_>, group: &mut Group, detail: String) {
    open.step.needs(Durability::Flushed);
    group.touched = true;
    let (target, good) = (group.row.target, group.row.good);
    let back = group.rolls() == Some(RolloutState::Rolling) && good != target && group.specs.contains_key(&good);
    let Some(rollout) = &mut group.row.rollout else {
        return;
    };
    let revision = rollout.to;
    rollout.why = Some(detail.clone());
    if let Some(row) = group.row.revisions.iter_mut().find(|row| row.number == revision) {
        row.failed = true;
    }
    if back {
        rollout.state = RolloutState::RollingBack;
        rollout.passed = 0;
        group.row.target = good;
        group.deadline = Some(open.step.now.moment.after(group.row.update.progress_deadline.0));
    } else {
        ended(rollout, RolloutState::Failed, open.step.now.wall);
        group.deadline = None;
    }
    let back_to = back.then_some(good);
    open.step.group_event(
        group,
        Happening::RolloutFailed {
            revision,
            back_to,
            detail,
        },
    );
    if !back {
        let state = RolloutState::Failed;
        open.step
            .group_event(group, Happening::RolloutEnded { revision, state });
    }
}

/// Whether every replica has passed that is to run, and the others are told. At least one has: with none, the group rests.
fn is_done(group: &Group, seen: &[Seen]) -> bool {
    let wanted: Vec<&Seen> = seen.iter().filter(|seen| seen.ordinal <= group.row.replicas).collect();
    let reached = |seen: &&&Seen| seen.revision == group.row.target && (seen.passed || !seen.runs);
    wanted.iter().filter(reached).count() == usize::try_from(group.row.replicas).unwrap_or(usize::MAX)
}

fn finish(open: &mut Open<'_>, group: &mut Group) {
    open.step.needs(Durability::Flushed);
    group.touched = true;
    group.deadline = None;
    let revision = group.row.target;
    let state = if group.rolls() == Some(RolloutState::Rolling) {
        group.row.good = revision;
        RolloutState::Completed
    } else {
        RolloutState::RolledBack
    };
    if let Some(rollout) = &mut group.row.rollout {
        ended(rollout, state, open.step.now.wall);
    }
    open.step
        .group_event(group, Happening::RolloutEnded { revision, state });
}

/// Brings the new revision to as many replicas as may be taken down now.
fn advance(open: &mut Open<'_>, group: &Group, seen: &[Seen], now: Moment) {
    let target = group.row.target;
    let behind = seen.iter().filter(|seen| seen.revision != target).collect();
    for seen in spared(group, seen, behind, now) {
        bring(open, group, seen);
    }
}

/// Starts those of its replicas again whose metrics warn, and that say so by their spec: as many at once as an update may take down.
fn relieve(open: &mut Open<'_>, group: &Group) {
    let seen = present(open, group);
    let warned = |seen: &&Seen| {
        let record = open.cell.agents.get(seen.id);
        record.is_some_and(|record| command::is_to_be_renewed(&record))
    };
    let warned: Vec<&Seen> = seen.iter().filter(warned).collect();
    if warned.is_empty() {
        return;
    }
    for seen in spared(group, &seen, warned, open.step.now.moment) {
        open.with_agent(seen.id, |step, record| {
            record.row.correlation_id.clone_from(&step.origin.correlation_id);
            let warns = |held: &&stead_model::ConditionView| held.condition == Condition::Warning;
            let warning = record.row.conditions.iter().find(warns).map(|held| held.detail.clone());
            command::restart_drained(step, record, &warning.unwrap_or_default());
        });
    }
}

/// Which of those that are to go down may do so now, the first ones first.
///
/// One that is not ready anyway costs nothing. One that is ready may go only while enough others are available without it.
fn spared<'s>(group: &Group, seen: &[Seen], mut behind: Vec<&'s Seen>, now: Moment) -> Vec<&'s Seen> {
    let resting = seen
        .iter()
        .filter(|seen| seen.ordinal <= group.row.replicas && !seen.runs)
        .count();
    let wanted = group
        .row
        .replicas
        .saturating_sub(u32::try_from(resting).unwrap_or(u32::MAX));
    let mut may_miss = group.row.update.max_unavailable.floor_of(group.row.replicas);
    if group.surge() == 0 && !group.row.update.max_unavailable.is_zero() {
        // A share of few replicas may come to none; without a way forward no update would ever end.
        may_miss = may_miss.max(1);
    }
    let least = wanted.saturating_sub(may_miss);
    let mut available = u32::try_from(seen.iter().filter(|seen| seen.available(now)).count()).unwrap_or(u32::MAX);
    behind.sort_by_key(|seen| (seen.ready, seen.ordinal));
    let may_go = |seen: &&Seen| {
        if seen.ready {
            let without = available.saturating_sub(u32::from(seen.available(now)));
            if available < least || without < least {
                return false;
            }
            available = without;
        }
        true
    };
    behind.into_iter().take_while(may_go).collect()
}

/// Tells one replica the revision that it is to have, and puts that in force.
fn bring(open: &mut Open<'_>, group: &Group, seen: &Seen) {
    let target = group.row.target;
    let Some(spec) = group.spec(target) else {
        return;
    };
    open.step.needs(Durability::Flushed);
    open.step.origin.correlation_id.clone_from(&group.row.correlation_id);
    let back = group.rolls() == Some(RolloutState::RollingBack);
    open.with_agent(seen.id, |step, record| {
        record.row.correlation_id.clone_from(&step.origin.correlation_id);
        command::take_up(step, record, Arc::from(for_replica(&spec, seen.ordinal)));
        if let Some(member) = &mut record.row.member {
            member.revision = target;
            member.restarts = record.row.restarts;
            member.passed = false;
        }
        command::forgive(step, record);
        let why = if back {
            format!("the update is taken back to revision {target}")
        } else {
            format!("it is updated to revision {target}")
        };
        command::put_in_force(step, record, why);
        plan(step, record);
    });
}
