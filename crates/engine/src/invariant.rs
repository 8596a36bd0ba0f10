//! What must hold after every step, whatever happened. Tests and the simulator ask; the daemon need not.

use alloc::format;
use alloc::string::String;

use stead_model::Driver;

use crate::Engine;
use crate::record::{Record, Timer};
use crate::recovery;
use crate::turns;

impl Engine {
    /// Checks every invariant of every agent.
    ///
    /// # Errors
    /// Says which does not hold, and for whom.
    pub fn check_invariants(&self) -> Result<(), String> {
        for cell in self.cells() {
            for record in cell.agents.all() {
                let id = record.row.id;
                check(&record).map_err(|broken| format!("{} ({id}): {broken}", record.row.name))?;
                if cell.agents.named(&record.row.namespace, &record.row.name) != Some(id) {
                    return Err(format!("{} ({id}) is not found by its name", record.row.name));
                }
                if id.slot() != cell.slot {
                    return Err(format!("{id} is not at home in slot {}", cell.slot));
                }
            }
            if !cell.agents.names_are_sound() {
                return Err(format!("slot {} has names of nobody", cell.slot));
            }
        }
        self.check_alarms()
    }
}

fn check(record: &Record) -> Result<(), String> {
    let role = record.role();
    let phase = record.phase_name();
    let runs = matches!(record.spec.driver, Driver::Process(_));
    if runs && role.needs_instance() && !record.has_instance() {
        return Err(format!("{phase} without an instance"));
    }
    if role.forbids_instance() && record.has_instance() {
        return Err(format!("{phase} with an instance"));
    }
    if record.profile.deadline(record.phase).is_some() && record.timer(Timer::Deadline).is_none() {
        return Err(format!("{phase} may last for ever"));
    }
    if record.row.ready && !role.serves() {
        return Err(format!("{phase} but said to take work"));
    }
    if record.ending() && record.timer(Timer::Kill).is_none() {
        return Err(format!("{phase}, being ended, and nothing will make it"));
    }
    if record.row.incarnation > record.row.incarnations_reserved {
        return Err(format!("run {} was not reserved", record.row.incarnation));
    }
    if record
        .row
        .instance
        .as_ref()
        .is_some_and(|instance| instance.incarnation > record.row.incarnation)
    {
        return Err("its instance is beyond its last run".into());
    }
    turns::check(record)?;
    recovery::check(record)
}
