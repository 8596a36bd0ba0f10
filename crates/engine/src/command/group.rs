//! Requests about groups.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::group::{
    GroupCommand, GroupPhase, GroupRequest, GroupSpec, KEPT_REVISIONS, MOST_REPLICAS, RolloutState,
};
use stead_model::journal::{Change, GroupRow, RevisionRow, RolloutRow, SpecRow};
use stead_model::{
    AgentId, AgentName, AgentSpec, Driver, Happening, Intent, Outcome, Pause, PauseMode, Refusal, Request, Revision,
    Span, Wanted,
};

use super::{MAX_REASON, bounded};
use crate::command;
use crate::group::{Group, ended};
use crate::open::{Open, of_member};
use crate::plan::plan;

/// Longest name of a group, in bytes: its replicas' names are longer.
const LONGEST_NAME: usize = 57;

/// Makes a group known. Its replicas follow as their names are granted.
pub(crate) fn create(
    open: &mut Open<'_>,
    name: AgentName,
    command: &GroupCommand,
    spec: &GroupSpec,
    wanted: Wanted,
) -> Result<Box<Group>, Refusal> {
    bounded("reason", command.reason.as_deref(), MAX_REASON)?;
    bounded("the name of a group", Some(name.as_str()), LONGEST_NAME)?;
    let step = &mut open.step;
    if step.profiles.get(&spec.template.profile).is_none() {
        return Err(Refusal::UnknownProfile(spec.template.profile.clone()));
    }
    let wanted = match wanted {
        Wanted::Running => Wanted::Running,
        Wanted::Paused | Wanted::Maintenance | Wanted::Stopped | Wanted::Terminated | Wanted::Deleted => {
            Wanted::Stopped
        }
    };
    let id = AgentId::new(step.slot, step.position.0);
    let row = GroupRow {
        id,
        namespace: command.namespace.clone(),
        name,
        revision: Revision(0),
        intent: Intent {
            wanted,
            actor: step.origin.actor.clone(),
            at: step.now.wall,
            reason: command.reason.clone(),
            correlation_id: step.origin.correlation_id.clone(),
            pause: None,
        },
        replicas: spec.replicas,
        update: spec.update.clone(),
        target: 1,
        good: 1,
        revisions: Vec::new(),
        rollout: None,
        correlation_id: step.origin.correlation_id.clone(),
        removed: false,
    };
    let mut group = Box::new(Group::new(row));
    keep(
        open,
        &mut group,
        Arc::new(spec.template.clone()),
        command.reason.clone(),
    );
    let replicas = spec.replicas;
    open.step.group_event(&mut group, Happening::GroupCreated { replicas });
    Ok(group)
}

/// Carries out a request about a known group.
pub(crate) fn command(open: &mut Open<'_>, group: &mut Group, command: GroupCommand) -> Result<Outcome, Refusal> {
    bounded("reason", command.reason.as_deref(), MAX_REASON)?;
    if let Some(expected) = command.expected
        && expected != group.row.revision
    {
        return Err(Refusal::Stale {
            expected,
            current: group.row.revision,
        });
    }
    if group.row.intent.wanted == Wanted::Deleted && command.request != GroupRequest::Want(Wanted::Deleted) {
        return Err(Refusal::Gone(group.row.id));
    }
    permitted(open, group, &command.request, command.reason.as_ref())?;
    match command.request {
        GroupRequest::Create { .. } => Err(Refusal::Duplicate {
            name: group.row.name.clone(),
            id: group.row.id,
        }),
        GroupRequest::Respec { spec } => respec(open, group, *spec, command.reason),
        GroupRequest::Scale { replicas } => scale(open, group, replicas),
        GroupRequest::Undo { to } => undo(open, group, to, command.reason),
        GroupRequest::Restart => {
            let spec = group.spec(group.row.target).ok_or(Refusal::Gone(group.row.id))?;
            begin(open, group, spec, command.reason);
            Ok(Outcome::Accepted)
        }
        GroupRequest::Want(Wanted::Paused) => pause(open, group, PauseMode::Soft, None, command.reason),
        GroupRequest::Want(wanted) => want(open, group, wanted, command.reason),
        GroupRequest::Pause { mode, lasts } => pause(open, group, mode, lasts, command.reason),
        GroupRequest::Drain { within } => drain(open, group, within, command.reason),
        GroupRequest::Resume => resume(open, group, command.reason),
        GroupRequest::Reset => ask_all(open, group, &Request::Reset, command.reason.as_ref()),
    }
}

/// What becomes of a replica by a request about its group.
enum Lead {
    Asked(Request),
    Replaced,
}

/// Asks policies what a request would lead each replica to: one that they refuse of any is refused of all, before anything is changed.
fn permitted(
    open: &mut Open<'_>,
    group: &Group,
    request: &GroupRequest,
    reason: Option<&String>,
) -> Result<(), Refusal> {
    let all = u32::MAX;
    // Replicas beyond a number go; what becomes of the others.
    let (kept, lead) = match request {
        GroupRequest::Create { .. } => return Ok(()),
        GroupRequest::Scale { replicas } => (*replicas, None),
        GroupRequest::Respec { spec } => {
            let same = group
                .spec(group.row.target)
                .is_some_and(|known| *known == spec.template);
            (spec.replicas, (!same).then_some(Lead::Replaced))
        }
        GroupRequest::Undo { .. } | GroupRequest::Restart => (all, Some(Lead::Replaced)),
        GroupRequest::Want(wanted) => (all, Some(Lead::Asked(Request::Want(*wanted)))),
        GroupRequest::Pause { mode, lasts } => {
            let (mode, lasts) = (*mode, *lasts);
            (all, Some(Lead::Asked(Request::Pause { mode, lasts })))
        }
        GroupRequest::Drain { within } => (all, Some(Lead::Asked(Request::Drain { within: *within }))),
        GroupRequest::Resume => (all, Some(Lead::Asked(Request::Resume))),
        GroupRequest::Reset => (all, Some(Lead::Asked(Request::Reset))),
    };
    let gone = Lead::Asked(Request::Want(Wanted::Deleted));
    for (ordinal, id) in &group.members {
        let Some(lead) = (if *ordinal > kept { Some(&gone) } else { lead.as_ref() }) else {
            continue;
        };
        open.permits_member(*id, reason.map(String::as_str), |step, record| match lead {
            Lead::Asked(request) => {
                let asked = of_member(step, record, request.clone(), reason.cloned());
                // What it cannot have itself leads to nothing.
                let _leads_to_nothing = command::command(step, record, asked);
            }
            Lead::Replaced => {
                command::put_in_force(step, record, String::new());
                plan(step, record);
            }
        })?;
    }
    Ok(())
}

fn respec(open: &mut Open<'_>, group: &mut Group, spec: GroupSpec, reason: Option<String>) -> Result<Outcome, Refusal> {
    let known = group.spec(group.row.target).ok_or(Refusal::Gone(group.row.id))?;
    if known.profile != spec.template.profile {
        return Err(Refusal::ProfileChange);
    }
    if matches!(known.driver, Driver::None) != matches!(spec.template.driver, Driver::None) {
        return Err(Refusal::DriverChange);
    }
    let mut outcome = scale(open, group, spec.replicas)?;
    if group.row.update != spec.update {
        group.row.update = spec.update;
        group.touched = true;
        outcome = Outcome::Accepted;
    }
    if *known != spec.template {
        begin(open, group, Arc::new(spec.template), reason);
        outcome = Outcome::Accepted;
    }
    Ok(outcome)
}

fn scale(open: &mut Open<'_>, group: &mut Group, replicas: u32) -> Result<Outcome, Refusal> {
    if replicas > MOST_REPLICAS {
        return Err(Refusal::TooManyReplicas {
            wanted: replicas,
            limit: MOST_REPLICAS,
        });
    }
    let from = group.row.replicas;
    if from == replicas {
        return Ok(Outcome::Already);
    }
    group.row.replicas = replicas;
    group.row.correlation_id.clone_from(&open.step.origin.correlation_id);
    open.step
        .group_event(group, Happening::GroupScaled { from, to: replicas });
    Ok(Outcome::Accepted)
}

/// Goes to the spec of an earlier revision, as a new one.
fn undo(open: &mut Open<'_>, group: &mut Group, to: Option<u32>, reason: Option<String>) -> Result<Outcome, Refusal> {
    let target = group.row.target;
    let wanted = to.or_else(|| {
        if group.rolls().is_some() && group.row.good != target {
            return Some(group.row.good);
        }
        let before = group.row.revisions.iter().rev().skip_while(|row| row.number != target);
        before.skip(1).find(|row| !row.failed).map(|row| row.number)
    });
    let Some(spec) = wanted
        .filter(|number| *number != target)
        .and_then(|number| group.spec(number))
    else {
        return Err(Refusal::NoRevision {
            wanted: to,
            kept: group.row.revisions.iter().map(|row| row.number).collect(),
        });
    };
    let reason = reason.or_else(|| wanted.map(|number| alloc::format!("back to revision {number}")));
    begin(open, group, spec, reason);
    Ok(Outcome::Accepted)
}

/// Begins to bring a spec to every replica. An update that is under way is superseded.
fn begin(open: &mut Open<'_>, group: &mut Group, spec: Arc<AgentSpec>, reason: Option<String>) {
    let (now, wall) = (open.step.now.moment, open.step.now.wall);
    let from = if group.rolls().is_some() {
        group.row.good
    } else {
        group.row.target
    };
    if let (Some(_), Some(rollout)) = (group.rolls(), &mut group.row.rollout) {
        ended(rollout, RolloutState::Superseded, wall);
        let (revision, state) = (rollout.to, RolloutState::Superseded);
        open.step
            .group_event(group, Happening::RolloutEnded { revision, state });
    }
    let to = keep(open, group, spec, reason.clone());
    group.row.target = to;
    group.row.correlation_id.clone_from(&open.step.origin.correlation_id);
    group.row.rollout = Some(RolloutRow {
        state: RolloutState::Rolling,
        from,
        to,
        began: wall,
        ended: None,
        deadline: None,
        passed: 0,
        actor: open.step.origin.actor.clone(),
        why: reason.clone(),
    });
    group.deadline = Some(now.after(group.row.update.progress_deadline.0));
    open.step
        .group_event(group, Happening::RolloutStarted { from, to, reason });
}

/// Keeps a spec as the group's next revision; gives its number. The oldest one that nothing needs is forgotten for it.
fn keep(open: &mut Open<'_>, group: &mut Group, spec: Arc<AgentSpec>, reason: Option<String>) -> u32 {
    let number = group.row.revisions.last().map_or(1, |row| row.number.saturating_add(1));
    let (actor, at) = (open.step.origin.actor.clone(), open.step.now.wall);
    open.step.put(Change::Spec(Box::new(SpecRow {
        agent: group.row.id,
        revision: number,
        actor: actor.clone(),
        at,
        spec: (*spec).clone(),
    })));
    group.specs.insert(number, spec);
    group.row.revisions.push(RevisionRow {
        number,
        actor,
        at,
        reason,
        failed: false,
    });
    let needed = [group.row.good, group.row.target];
    if group.row.revisions.len() > KEPT_REVISIONS
        && let Some(place) = group.row.revisions.iter().position(|row| !needed.contains(&row.number))
    {
        let forgotten = group.row.revisions.remove(place);
        group.specs.remove(&forgotten.number);
    }
    group.touched = true;
    number
}

/// Wants something else of every replica.
fn want(open: &mut Open<'_>, group: &mut Group, wanted: Wanted, reason: Option<String>) -> Result<Outcome, Refusal> {
    let known = group.row.intent.wanted == wanted;
    // Replicas of a group that is deleted are dismissed one by one as it is driven.
    let asked = if wanted == Wanted::Deleted {
        Outcome::Already
    } else {
        ask_all(open, group, &Request::Want(wanted), reason.as_ref())?
    };
    if known && asked == Outcome::Already {
        return Ok(Outcome::Already);
    }
    intend(open, group, wanted, reason);
    Ok(Outcome::Accepted)
}

/// Has every replica pause.
fn pause(
    open: &mut Open<'_>,
    group: &mut Group,
    mode: PauseMode,
    lasts: Option<Span>,
    reason: Option<String>,
) -> Result<Outcome, Refusal> {
    let pause = Some(Pause {
        mode,
        until: lasts.map(|lasts| open.step.now.wall.after(lasts.0)),
    });
    let intent = &group.row.intent;
    let known = intent.wanted == Wanted::Paused && intent.pause == pause;
    let asked = ask_all(open, group, &Request::Pause { mode, lasts }, reason.as_ref())?;
    if known && asked == Outcome::Already {
        return Ok(Outcome::Already);
    }
    intend(open, group, Wanted::Paused, reason);
    group.row.intent.pause = pause;
    Ok(Outcome::Accepted)
}

/// The pause of a group is over by itself; each of its replicas knows that of its own.
pub(crate) fn pause_over(open: &mut Open<'_>, group: &mut Group) {
    intend(open, group, Wanted::Running, Some("its pause is over".into()));
}

/// Has every replica down once its tasks are done.
fn drain(open: &mut Open<'_>, group: &mut Group, within: Span, reason: Option<String>) -> Result<Outcome, Refusal> {
    let known = group.row.intent.wanted == Wanted::Stopped;
    let asked = ask_all(open, group, &Request::Drain { within }, reason.as_ref())?;
    if known && asked == Outcome::Already {
        return Ok(Outcome::Already);
    }
    intend(open, group, Wanted::Stopped, reason);
    Ok(Outcome::Accepted)
}

/// Lets every replica go on; one that a person has down stays so.
fn resume(open: &mut Open<'_>, group: &mut Group, reason: Option<String>) -> Result<Outcome, Refusal> {
    match group.row.intent.wanted {
        Wanted::Running | Wanted::Paused | Wanted::Maintenance => {}
        Wanted::Stopped | Wanted::Terminated | Wanted::Deleted => {
            return Err(Refusal::NotPossible {
                verb: Request::Resume.verb(),
                phase: group
                    .shown
                    .as_ref()
                    .map_or(GroupPhase::Resting, |view| view.phase)
                    .to_string(),
                possible: Vec::new(),
                verbs: alloc::vec!["start", "delete"],
            });
        }
    }
    let known = group.row.intent.wanted == Wanted::Running;
    let asked = ask_all(open, group, &Request::Resume, reason.as_ref())?;
    if known && asked == Outcome::Already {
        return Ok(Outcome::Already);
    }
    intend(open, group, Wanted::Running, reason);
    Ok(Outcome::Accepted)
}

/// Asks the same of every replica; refused only where no replica can have it.
fn ask_all(open: &mut Open<'_>, group: &Group, request: &Request, reason: Option<&String>) -> Result<Outcome, Refusal> {
    let mut refused = None;
    let mut outcome = None;
    for id in group.members.values() {
        match open.ask_member(*id, request.clone(), reason.cloned()) {
            Ok(Outcome::Already) => {
                outcome.get_or_insert(Outcome::Already);
            }
            Ok(accepted @ (Outcome::Accepted | Outcome::Created)) => outcome = Some(accepted),
            Err(refusal) => refused = Some(refusal),
        }
    }
    match (outcome, refused) {
        (None, Some(refusal)) => Err(refusal),
        (outcome, _) => Ok(outcome.unwrap_or(Outcome::Already)),
    }
}

/// Notes what is wanted of the group, by whom and why.
fn intend(open: &mut Open<'_>, group: &mut Group, wanted: Wanted, reason: Option<String>) {
    let from = group.row.intent.wanted;
    group.row.intent = Intent {
        wanted,
        actor: open.step.origin.actor.clone(),
        at: open.step.now.wall,
        reason: reason.clone(),
        correlation_id: open.step.origin.correlation_id.clone(),
        pause: None,
    };
    group.row.correlation_id.clone_from(&open.step.origin.correlation_id);
    open.step.group_event(
        group,
        Happening::IntentChanged {
            from,
            to: wanted,
            reason,
        },
    );
}
