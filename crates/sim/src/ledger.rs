//! What the world remembers of what was decided, written and acknowledged, to hold the daemon to it.

use std::collections::BTreeMap;

use stead_model::group::GroupAnswer;
use stead_model::journal::{AgentRow, Append, Change, GroupRow};
use stead_model::profile::{agent, component};
use stead_model::{
    AgentId, AgentView, Event, InstanceId, Outcome, Position, Profile, Revision, Slot, Transition, Wanted,
};

mod groups;

use groups::Groups;

/// What one append says, kept when the append itself is gone into the store.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) slot: Slot,
    pub(crate) position: Position,
    pub(crate) rows: Vec<AgentRow>,
    pub(crate) groups: Vec<GroupRow>,
    pub(crate) events: Vec<Event>,
}

/// The world's own account, told as it happens. Every check says what is wrong.
#[derive(Debug)]
pub(crate) struct Ledger {
    profiles: [Profile; 2],
    /// Decided, not known to be written.
    pending: Vec<Facts>,
    decided: BTreeMap<AgentId, AgentRow>,
    committed: BTreeMap<AgentId, AgentRow>,
    flushed: BTreeMap<AgentId, AgentRow>,
    history: BTreeMap<AgentId, Vec<Transition>>,
    acknowledged: BTreeMap<AgentId, Revision>,
    groups: Groups,
}

/// What ended the life of what was in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// The daemon, or one slot of it: what was written stays.
    Death,
    /// The machine: what was flushed stays.
    PowerCut,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            profiles: [agent(), component()],
            pending: Vec::new(),
            decided: BTreeMap::new(),
            committed: BTreeMap::new(),
            flushed: BTreeMap::new(),
            history: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            groups: Groups::default(),
        }
    }

    /// Notes what a step decided. Phases change along edges alone, numbers are contiguous, and only a command changes an intent.
    pub(crate) fn decide(&mut self, append: &Append, by_command: bool) -> Result<(), String> {
        for row in &append.transitions {
            self.follow(row)?;
        }
        let (mut rows, mut groups) = (Vec::new(), Vec::new());
        for change in &append.changes {
            if let Change::Group(row) = change {
                self.groups.decide(row, by_command)?;
                groups.push(GroupRow::clone(row));
            }
            let Change::Agent(row) = change else { continue };
            let history = self.history.get(&row.id).map_or(&[][..], Vec::as_slice);
            let (last, to) = history
                .last()
                .map_or((0, None), |last| (last.sequence.0, Some(&last.to)));
            if row.sequence.0 != last || to.is_some_and(|to| **to != *row.phase) {
                return Err(format!(
                    "{} is stored as {} without a row of history",
                    row.name, row.phase
                ));
            }
            if let Some(before) = self.decided.get(&row.id) {
                if row.revision.0 != before.revision.0 + 1 {
                    return Err(format!(
                        "{} went from revision {} to {}",
                        row.name, before.revision, row.revision
                    ));
                }
                let by_group = row.member.is_some() && row.intent.wanted == Wanted::Deleted;
                let over = before.intent.pause.as_ref().is_some_and(|pause| pause.until.is_some());
                if before.intent != row.intent && !by_command && !by_group && !over {
                    return Err(format!("the intent of {} was changed by nobody", row.name));
                }
                if row.incarnation < before.incarnation {
                    return Err(format!("{} went back to run {}", row.name, row.incarnation));
                }
            }
            self.decided.insert(row.id, AgentRow::clone(row));
            rows.push(AgentRow::clone(row));
        }
        let (slot, position, events) = (append.slot, append.position, append.events.clone());
        self.pending.push(Facts {
            slot,
            position,
            rows,
            groups,
            events,
        });
        Ok(())
    }

    fn follow(&mut self, row: &Transition) -> Result<(), String> {
        let history = self.history.entry(row.agent).or_default();
        let wrong = |what: &str| Err(format!("{}: {} -> {} {what}", row.name, row.from, row.to));
        if row.sequence.0 != history.last().map_or(1, |last| last.sequence.0 + 1) {
            return wrong("has a number out of order");
        }
        if history.last().is_some_and(|last| last.to != row.from) {
            return wrong("does not begin where the last one ended");
        }
        let on_edge = self.profiles.iter().any(|profile| {
            let ends = profile.phase(&row.from).zip(profile.phase(&row.to));
            ends.is_some_and(|(from, to)| profile.has_edge(from, to))
        });
        if !on_edge {
            return wrong("is no edge of a profile");
        }
        history.push(row.clone());
        Ok(())
    }

    /// Notes that everything of a slot up to a position is written; gives the events that readers see from now on.
    pub(crate) fn commit(&mut self, slot: Slot, position: Position, flushed: bool) -> Vec<Event> {
        let mut seen = Vec::new();
        self.pending.retain_mut(|facts| {
            let written = facts.slot == slot && facts.position <= position;
            if written {
                for row in &facts.rows {
                    self.committed.insert(row.id, row.clone());
                }
                facts.groups.iter().for_each(|row| self.groups.commit(row));
                seen.append(&mut facts.events);
            }
            !written
        });
        if flushed {
            self.flush();
        }
        seen
    }

    fn flush(&mut self) {
        self.flushed = self.committed.clone();
        self.groups.flush();
    }

    /// Notes an answer that somebody got: from now on it must not be forgotten.
    pub(crate) fn acknowledge(&mut self, outcome: Outcome, view: &AgentView) {
        match outcome {
            Outcome::Created | Outcome::Accepted => {
                let known = self.acknowledged.entry(view.id).or_default();
                *known = view.revision.max(*known);
            }
            Outcome::Already => {}
        }
    }

    /// Notes an answer about a group in the same way.
    pub(crate) fn acknowledge_group(&mut self, answer: &GroupAnswer) {
        self.groups.acknowledge(answer);
    }

    /// Compares the groups of a slot in the same way; before its agents.
    pub(crate) fn reload_groups(&mut self, slot: Slot, found: &[GroupRow], after: After) -> Result<(), String> {
        self.groups.reload(slot, found, after)
    }

    /// Compares a slot as it was loaded, its tombstones too, with what was written, acknowledged and decided before.
    pub(crate) fn reload(&mut self, slot: Slot, found: Vec<AgentRow>, after: After) -> Result<(), String> {
        let safe = match after {
            After::Death => &self.committed,
            After::PowerCut => &self.flushed,
        };
        let lost = |row: &&AgentRow| row.id.slot() == slot && !found.iter().any(|found| found.id == row.id);
        if let Some(row) = safe.values().find(lost) {
            return Err(format!("{} was lost", row.name));
        }
        for row in &found {
            let Some(decided) = self.decided.get(&row.id) else {
                return Err(format!("{} was invented", row.name));
            };
            let least = safe.get(&row.id).map_or(Revision(0), |row| row.revision);
            let least = least.max(self.acknowledged.get(&row.id).copied().unwrap_or_default());
            if row.revision < least {
                return Err(format!("{} is at {}, but {least} was written", row.name, row.revision));
            }
            if row.revision > decided.revision {
                return Err(format!("{} is at {}, which nobody decided", row.name, row.revision));
            }
        }
        self.forget(slot, &found);
        Ok(())
    }

    /// What was decided and not written did not happen.
    fn forget(&mut self, slot: Slot, found: &[AgentRow]) {
        self.pending.retain(|facts| facts.slot != slot);
        for rows in [&mut self.decided, &mut self.committed, &mut self.flushed] {
            rows.retain(|id, _| id.slot() != slot);
            rows.extend(found.iter().map(|row| (row.id, row.clone())));
        }
        self.history.retain(|id, history| {
            let Some(row) = self.decided.get(id) else { return false };
            if id.slot() == slot {
                history.retain(|transition| transition.sequence <= row.sequence);
            }
            true
        });
    }

    /// Every agent of a slot that was ever decided on.
    pub(crate) fn ever(&self, slot: Slot) -> impl Iterator<Item = AgentId> + '_ {
        self.decided.keys().copied().filter(move |id| id.slot() == slot)
    }

    /// Whether an exit may be forgotten by the keeper: only once its row is written.
    pub(crate) fn may_forget(&self, instance: InstanceId) -> Result<(), String> {
        let row = self.committed.get(&instance.agent);
        let runs = row.and_then(|row| row.instance.as_ref());
        if runs.is_some_and(|run| run.incarnation == instance.incarnation) {
            return Err(format!("the exit of {instance} is acknowledged before it is written"));
        }
        Ok(())
    }

    /// Whether a run may be begun: only once it is written.
    pub(crate) fn may_begin(&self, instance: InstanceId) -> Result<(), String> {
        let row = self.committed.get(&instance.agent);
        if row.is_none_or(|row| row.incarnation < instance.incarnation) {
            return Err(format!("{instance} is started before that is written"));
        }
        Ok(())
    }

    /// Every row of history that should be found, by agent.
    pub(crate) const fn history(&self) -> &BTreeMap<AgentId, Vec<Transition>> {
        &self.history
    }

    /// Agents as last decided.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &AgentRow> {
        self.decided.values().filter(|row| !row.removed)
    }
}
