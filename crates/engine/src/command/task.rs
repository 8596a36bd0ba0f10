//! Tasks: the first in flight makes an agent busy, the last one done makes it idle.

use alloc::string::String;

use stead_model::{Happening, Outcome, Reason, Refusal, Role};

use super::update::drained;
use super::{bounded, not_possible};
use crate::plan::plan;
use crate::record::Record;
use crate::step::{Step, Why};

/// How many tasks one agent may have in flight.
const MOST_TASKS: usize = 10_000;

/// Longest id of a task, in bytes.
const MAX_TASK: usize = 255;

/// Gives an agent a task. One that it has already changes nothing.
pub(crate) fn assign(
    step: &mut Step,
    record: &mut Record,
    task: String,
    verb: &'static str,
) -> Result<Outcome, Refusal> {
    bounded("task", Some(&task), MAX_TASK)?;
    if record.row.tasks.contains(&task) {
        return Ok(Outcome::Already);
    }
    if !record.role().serves() || !record.row.ready {
        return Err(not_possible(record, verb));
    }
    if record.row.tasks.len() >= MOST_TASKS {
        return Err(Refusal::TooManyTasks(in_flight(record)));
    }
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    record.row.tasks.push(task.clone());
    step.event(
        record,
        Happening::TaskAssigned {
            task: task.clone(),
            in_flight: in_flight(record),
        },
    );
    if record.role() != Role::Busy {
        step.hop(
            record,
            Role::Busy,
            Why::new(Reason::Request, alloc::format!("task {task} was assigned")),
        );
    }
    Ok(Outcome::Accepted)
}

/// Notes that a task is done. One that it does not have changes nothing.
pub(crate) fn complete(
    step: &mut Step,
    record: &mut Record,
    task: &str,
    verb: &'static str,
) -> Result<Outcome, Refusal> {
    let Some(place) = record.row.tasks.iter().position(|known| known == task) else {
        return if record.role().serves() {
            Ok(Outcome::Already)
        } else {
            Err(not_possible(record, verb))
        };
    };
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    record.row.tasks.remove(place);
    step.event(
        record,
        Happening::TaskCompleted {
            task: task.into(),
            in_flight: in_flight(record),
        },
    );
    if record.row.tasks.is_empty() && record.role() == Role::Busy {
        let why = Why::new(Reason::Request, alloc::format!("task {task} is done, none is left"));
        if !step.hop(record, Role::Idle, why.clone()) {
            step.hop(record, Role::Ready, why);
        }
    }
    if record.row.tasks.is_empty() {
        drained(step, record);
        plan(step, record);
    }
    Ok(Outcome::Accepted)
}

fn in_flight(record: &Record) -> u32 {
    u32::try_from(record.row.tasks.len()).unwrap_or(u32::MAX)
}
