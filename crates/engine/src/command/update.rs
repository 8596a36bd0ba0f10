//! Another spec put in force: the process is replaced while the agent is in `updating`, at a moment when it has no task.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use stead_model::journal::{Change, SpecRow};
use stead_model::{AgentSpec, Driver, Happening, Outcome, Reason, Refusal, Role, Wanted};

use super::{forgive, not_possible};
use crate::depend;
use crate::plan::{self, plan};
use crate::record::{Record, Timer};
use crate::step::{Step, Why};

/// Tells an agent to be something else, from its next start on.
pub(crate) fn respec(step: &mut Step, record: &mut Record, spec: Box<AgentSpec>) -> Result<Outcome, Refusal> {
    if *record.spec == *spec {
        return Ok(Outcome::Already);
    }
    if spec.depends_on.contains_key(&record.row.name) {
        return Err(Refusal::SelfDependency(record.row.name.clone()));
    }
    if record.spec.profile != spec.profile {
        return Err(Refusal::ProfileChange);
    }
    if matches!(record.spec.driver, Driver::None) != matches!(spec.driver, Driver::None) {
        return Err(Refusal::DriverChange);
    }
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    take_up(step, record, Arc::from(spec));
    forgive(step, record);
    plan(step, record);
    Ok(Outcome::Accepted)
}

/// Tells an agent to be something else, if anything, and replaces its process.
pub(crate) fn update(
    step: &mut Step,
    record: &mut Record,
    spec: Option<Box<AgentSpec>>,
    verb: &'static str,
    reason: Option<String>,
) -> Result<Outcome, Refusal> {
    if matches!(record.role(), Role::Retired | Role::Gone) || record.row.intent.wanted == Wanted::Deleted {
        return Err(not_possible(record, verb));
    }
    if let Some(spec) = spec {
        respec(step, record, spec)?;
    } else {
        record.row.correlation_id.clone_from(&step.origin.correlation_id);
        forgive(step, record);
    }
    let detail = match reason {
        Some(reason) => alloc::format!("update asked by {}: {reason}", step.origin.actor),
        None => alloc::format!("update asked by {}", step.origin.actor),
    };
    put_in_force(step, record, detail);
    plan(step, record);
    Ok(Outcome::Accepted)
}

/// Notes a new spec of the agent.
pub(crate) fn take_up(step: &mut Step, record: &mut Record, spec: Arc<AgentSpec>) {
    record.row.spec_revision += 1;
    step.put(Change::Spec(Box::new(SpecRow {
        agent: record.row.id,
        revision: record.row.spec_revision,
        actor: step.origin.actor.clone(),
        at: step.now.wall,
        spec: (*spec).clone(),
    })));
    record.spec = spec;
    step.event(
        record,
        Happening::SpecChanged {
            spec_revision: record.row.spec_revision,
        },
    );
    step.send(depend::subscriptions(record));
    record
        .standings
        .retain(|name, _| record.spec.depends_on.contains_key(name));
}

/// Has the agent run with what it is told to be now. One that is not to run, or not up yet, takes it up with its next start.
pub(crate) fn put_in_force(step: &mut Step, record: &mut Record, why: String) {
    step.touch();
    if plan::wanted(record) != Wanted::Running {
        return;
    }
    match record.role() {
        Role::Busy => {
            record.row.draining = true;
            step.ready(record, false, "it finishes its tasks and is updated then");
        }
        Role::Ready | Role::Idle | Role::Impaired => replace(step, record, why),
        Role::Updating => {
            if !record.ending() {
                plan::end(step, record);
            }
        }
        Role::Starting | Role::Restarting | Role::Scaling | Role::Error | Role::TimedOut | Role::Failed => {
            record.row.renewal = None;
            record.row.restart_wanted = record.has_instance();
        }
        // Its next start is with the new spec.
        Role::Initial
        | Role::Preparing
        | Role::Prepared
        | Role::Stopping
        | Role::Maintenance
        | Role::Suspended
        | Role::Offline
        | Role::Retired
        | Role::Gone => {}
    }
}

/// Its last task is done: what waited for that goes on.
pub(crate) fn drained(step: &mut Step, record: &mut Record) {
    if record.timer(Timer::Drain).is_some() {
        // What is wanted of it holds from now on.
        record.set_timer(Timer::Drain, None);
        step.touch();
    } else if core::mem::take(&mut record.row.draining) {
        replace(step, record, "its tasks are done and its update goes on".into());
    }
}

/// Ends the process of one that serves; the exit starts the next one. A profile that knows no updating restarts.
fn replace(step: &mut Step, record: &mut Record, why: String) {
    if step.hop(record, Role::Updating, Why::new(Reason::ConfigUpdate, why)) {
        plan::end(step, record);
    } else {
        record.row.renewal = None;
        record.row.restart_wanted = true;
    }
}
