//! Whose turn it is: so many of a namespace are ended and started again at once; the others wait in a row.
//!
//! What ended by itself needs no turn: starting it again takes nothing from anybody.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::{AgentId, Namespace, Role, Wanted};

use crate::plan::{self, plan};
use crate::record::{Record, Timer};
use crate::step::Step;

/// Who is being brought back, and who waits for it, of all namespaces. Known anew from the agents themselves after a start.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    namespaces: BTreeMap<Namespace, Line>,
    places: BTreeMap<AgentId, (Namespace, Stage)>,
}

#[derive(Debug, Default)]
struct Line {
    acting: BTreeSet<AgentId>,
    /// In the order in which they came, with how many may be acted upon for each to be.
    waiting: VecDeque<(AgentId, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Waits,
    Acts,
}

/// The longest wait for a turn: those before it may hang as well.
const LONGEST: Duration = Duration::from_secs(300);

impl Turns {
    /// Whether one may be ended now: there is room in its namespace, and nobody waits before it.
    pub(crate) fn has_room(&self, record: &Record) -> bool {
        self.namespaces.get(&record.row.namespace).is_none_or(|line| {
            line.acting.contains(&record.row.id)
                || line.waiting.is_empty() && fits(line.acting.len(), record.spec.recovery.at_once)
        })
    }

    /// Takes over what a step left of an agent.
    pub(crate) fn follow(&mut self, record: &Record) {
        let (id, recovery) = (record.row.id, &record.row.recovery);
        let stage = match (recovery.waits, recovery.acts) {
            _ if record.row.removed => None,
            (true, _) => Some(Stage::Waits),
            (false, true) => Some(Stage::Acts),
            (false, false) => None,
        };
        let known = self.places.get(&id);
        if known.map(|(_, stage)| *stage) == stage {
            return;
        }
        if let Some((namespace, _)) = self.places.remove(&id) {
            self.leave(&namespace, id);
        }
        let Some(stage) = stage else {
            return;
        };
        let namespace = record.row.namespace.clone();
        let line = self.namespaces.entry(namespace.clone()).or_default();
        match stage {
            Stage::Waits => line.waiting.push_back((id, record.spec.recovery.at_once)),
            Stage::Acts => drop(line.acting.insert(id)),
        }
        self.places.insert(id, (namespace, stage));
    }

    fn leave(&mut self, namespace: &Namespace, id: AgentId) {
        let Some(line) = self.namespaces.get_mut(namespace) else {
            return;
        };
        line.acting.remove(&id);
        line.waiting.retain(|(waiting, _)| *waiting != id);
        if line.acting.is_empty() && line.waiting.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// Forgets those that are not there any more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(AgentId) -> bool) {
        let gone: Vec<_> = self.places.keys().copied().filter(|id| !is_there(*id)).collect();
        for id in gone {
            if let Some((namespace, _)) = self.places.remove(&id) {
                self.leave(&namespace, id);
            }
        }
    }

    /// Whose turn has come.
    pub(crate) fn next(&self) -> Option<AgentId> {
        self.namespaces.values().find_map(|line| {
            let (id, most) = line.waiting.front()?;
            fits(line.acting.len(), *most).then_some(*id)
        })
    }
}

fn fits(acting: usize, most: u32) -> bool {
    u32::try_from(acting).is_ok_and(|acting| acting < most)
}

/// Ends one that fails, to be started again: at once where there is room, else when its turn comes.
pub(crate) fn end(step: &mut Step, record: &mut Record) {
    if !record.has_instance() || record.ending() {
        return;
    }
    step.touch();
    if step.has_room {
        act(step, record);
    } else if !record.row.recovery.waits {
        record.row.recovery.waits = true;
        record.set_timer(Timer::Deadline, Some(step.now.moment.after(LONGEST)));
    }
}

/// Its turn has come.
pub(crate) fn come(step: &mut Step, record: &mut Record) {
    if record.row.recovery.waits {
        step.touch();
        record.row.correlation_id.clone_from(&step.origin.correlation_id);
        record.set_timer(Timer::Deadline, None);
        act(step, record);
        plan(step, record);
    }
}

fn act(step: &mut Step, record: &mut Record) {
    record.row.recovery.waits = false;
    record.row.recovery.acts = true;
    plan::kill(step, record);
}

/// Gives up the place, or the turn, of one for which nothing is done any more, as a step ends.
pub(crate) fn settle(record: &mut Record) {
    let wanted = plan::wanted(record) == Wanted::Running && !record.row.removed;
    let recovery = &record.row.recovery;
    let waits = recovery.waits && wanted && record.role() == Role::Error && record.has_instance() && !record.ending();
    let up = record.role().serves() && !record.ending();
    let rests = recovery.block.is_some() || recovery.sheltered || record.timer(Timer::Restart).is_some();
    let acts = recovery.acts && wanted && !up && !rests;
    record.row.recovery.waits = waits;
    record.row.recovery.acts = acts;
}

/// What holds of turns; for the invariants.
pub(crate) fn check(record: &Record) -> Result<(), String> {
    let waits = record.row.recovery.waits;
    if waits && record.timer(Timer::Deadline).is_none() {
        return Err("it may wait for its turn for ever".into());
    }
    Ok(())
}
