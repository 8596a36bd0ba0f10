//! Degradation through the door.

use alloc::boxed::Box;

use stead_model::journal::Durability;
use stead_model::{AgentId, AgentName, DegradationCommand, Namespace, Now};
use stead_policy::degrade::{Degrader, Load};

use super::{Engine, NotOwned};
use crate::batch::{Batch, Reply};
use crate::degrade::{self, Degradation, Heard};
use crate::open::Open;
use crate::slot::Cell;

impl Engine {
    pub(super) fn on_features(
        &mut self,
        now: Now,
        namespace: Namespace,
        plan: Box<Degrader>,
    ) -> Result<Batch, NotOwned> {
        let id = degrade::id_of(&namespace);
        let mut open = self.open(now, id.slot())?;
        let known = open.cell.degradations.contains_key(&id);
        if known || !degrade::is_empty(plan.plan()) {
            if !known {
                open.cell
                    .degradations
                    .insert(id, Box::new(Degradation::new(namespace, now)));
            }
            open.hear_of_features(id, Heard::Plan(plan));
        }
        Ok(open.close(None))
    }

    pub(super) fn on_load(&mut self, now: Now, namespace: &Namespace, load: Load) -> Result<Batch, NotOwned> {
        let id = degrade::id_of(namespace);
        let mut open = self.open(now, id.slot())?;
        open.hear_of_features(id, Heard::Load(load));
        Ok(open.close(None))
    }

    pub(super) fn on_degradation(&mut self, now: Now, command: DegradationCommand) -> Result<Batch, NotOwned> {
        let id = degrade::id_of(&command.namespace);
        let mut open = self.open(now, id.slot())?;
        open.step.origin = command.origin.clone();
        open.step.needs(Durability::Flushed);
        let mut degradation = open.take_degradation(id).unwrap_or_else(|| {
            let namespace = command.namespace.clone();
            Box::new(Degradation::new(namespace, now).without_features())
        });
        let answer = degrade::obey(&mut open.step, &mut degradation, command);
        open.put_degradation(degradation);
        Ok(open.close(Some(Reply::Degradation(Box::new(answer)))))
    }
}

impl Open<'_> {
    /// Lets the degradation of a namespace hear something, if there is one.
    pub(crate) fn hear_of_features(&mut self, id: AgentId, heard: Heard) {
        if let Some(mut degradation) = self.take_degradation(id) {
            degrade::hear(&mut self.step, &mut degradation, heard);
            self.put_degradation(degradation);
        }
    }

    /// Hears how one stands that its watcher depends on; says whether the watcher is a degradation.
    pub(super) fn stands(
        &mut self,
        watcher: AgentId,
        name: &AgentName,
        standing: Option<crate::depend::Standing>,
    ) -> bool {
        let is_one = self.cell.degradations.contains_key(&watcher);
        if let (true, Some(standing)) = (is_one, standing) {
            self.hear_of_features(watcher, Heard::Stands(name.clone(), standing.serving));
        }
        is_one
    }

    fn take_degradation(&mut self, id: AgentId) -> Option<Box<Degradation>> {
        let degradation = self.cell.degradations.remove(&id)?;
        if let Some(due) = degradation.alarm {
            self.alarms.remove(&(due, id));
        }
        Some(degradation)
    }

    fn put_degradation(&mut self, degradation: Box<Degradation>) {
        let id = degradation.id();
        self.alarms.extend(degradation.alarm.map(|due| (due, id)));
        self.cell.degradations.insert(id, degradation);
    }
}

/// Has those of a slot that is taken anew go on from what is stored, by what they were told since the start of the node.
pub(super) fn carry_over(now: Now, old: &Cell, new: &mut Cell) {
    for (id, earlier) in &old.degradations {
        match new.degradations.get_mut(id) {
            Some(known) => known.follow(earlier),
            None => drop(new.degradations.insert(*id, Box::new(earlier.anew(now)))),
        }
    }
}
