//! What a disk would hold, with the way back to what it held at the last flush.

mod outbox;

use std::collections::BTreeMap;

use stead_model::journal::{AgentRow, AnswerRow, Append, Change, DegradationRow, GroupRow, SlotState, SpecRow};
use stead_model::{
    AgentId, AgentName, AuditRow, Event, LevelChange, Namespace, ReaderName, RecoveryAttempt, Sequence, Slot,
    Transition, Wall,
};

use crate::lease::Head;
use crate::query::{LEVELS_KEPT, PageCursor};
use crate::reader::Kept;
use crate::retention::{ANSWERS_LOADED, PRUNE_ROWS, ROWS_PER_AGENT, before, history_cut};
use crate::{
    AuditPage, AuditQuery, EventCursor, EventFilter, EventPage, LevelPage, LevelQuery, Page, Pruned, ReadError,
    RecoveryPage, RecoveryQuery, Retention, StoreError, TransitionQuery,
};

type AnswerKey = (Namespace, String);
type LevelKey = (Namespace, u64);

#[derive(Default)]
pub(super) struct State {
    heads: BTreeMap<Slot, Head>,
    agents: BTreeMap<AgentId, AgentRow>,
    live: BTreeMap<(Namespace, AgentName), AgentId>,
    specs: BTreeMap<(AgentId, u32), SpecRow>,
    groups: BTreeMap<AgentId, GroupRow>,
    answers: BTreeMap<AnswerKey, (Slot, AnswerRow)>,
    audit: BTreeMap<u64, AuditRow>,
    recoveries: BTreeMap<u64, RecoveryAttempt>,
    attempts: BTreeMap<(AgentId, u64), u64>,
    degradations: BTreeMap<Namespace, DegradationRow>,
    levels: BTreeMap<LevelKey, LevelChange>,
    transitions: BTreeMap<u64, Transition>,
    numbers: BTreeMap<(AgentId, Sequence), u64>,
    events: BTreeMap<u64, (EventCursor, Event)>,
    readers: BTreeMap<ReaderName, Kept>,
    /// Rows of history that each agent keeps, once somebody told.
    history: Option<u32>,
    /// For each unflushed append, what stood before in each place that it changed.
    unflushed: Vec<Vec<Before>>,
}

/// What stood in a place before.
pub(super) enum Before {
    Head(Slot, Option<Head>),
    Agent(AgentId, Option<Box<AgentRow>>),
    Spec((AgentId, u32), Option<Box<SpecRow>>),
    Group(AgentId, Option<Box<GroupRow>>),
    Answer(AnswerKey, Option<(Slot, AnswerRow)>),
    Audit(u64, Option<Box<AuditRow>>),
    Recovery(u64, Option<Box<RecoveryAttempt>>),
    Degradation(Namespace, Option<Box<DegradationRow>>),
    Level(LevelKey, Option<Box<LevelChange>>),
    Transition(u64, Option<Box<Transition>>),
    Event(u64, Option<Box<(EventCursor, Event)>>),
    Reader(ReaderName, Option<Kept>),
}

impl State {
    pub(super) fn head(&self, slot: Slot) -> Head {
        self.heads.get(&slot).cloned().unwrap_or(Head::EMPTY)
    }

    /// Sets a head; flush before and after, since it is not undone.
    pub(super) fn put_head(&mut self, slot: Slot, head: Head) {
        self.heads.insert(slot, head);
    }

    pub(super) fn flush(&mut self) {
        self.unflushed.clear();
    }

    pub(super) fn unflushed(&self) -> usize {
        self.unflushed.len()
    }

    pub(super) fn lose_unflushed(&mut self, keep: usize) {
        let lost = self.unflushed.split_off(keep.min(self.unflushed.len()));
        lost.into_iter().rev().for_each(|step| self.undo(step));
        self.flush();
    }

    /// Writes an admitted append whole, or nothing of it.
    pub(super) fn apply(&mut self, append: &Append) -> Result<(), StoreError> {
        let mut step = Vec::new();
        match self.try_apply(append, &mut step) {
            Ok(()) => {
                self.unflushed.push(step);
                Ok(())
            }
            Err(detail) => {
                self.undo(step);
                Err(StoreError::Refused {
                    slot: append.slot,
                    detail,
                })
            }
        }
    }

    fn try_apply(&mut self, append: &Append, step: &mut Vec<Before>) -> Result<(), String> {
        let head = Head {
            position: append.position,
            ..self.head(append.slot)
        };
        step.push(Before::Head(append.slot, self.heads.insert(append.slot, head)));
        for change in &append.changes {
            match change {
                Change::Agent(row) => self.put_agent(row, step)?,
                Change::Spec(row) => {
                    let key = (row.agent, row.revision);
                    let before = self.specs.insert(key, SpecRow::clone(row));
                    step.push(Before::Spec(key, before.map(Box::new)));
                }
                Change::Group(row) => {
                    let before = self.groups.insert(row.id, GroupRow::clone(row));
                    step.push(Before::Group(row.id, before.map(Box::new)));
                }
                Change::Answer(row) => {
                    let key = (row.namespace.clone(), row.key.clone());
                    let before = self.answers.insert(key.clone(), (append.slot, row.clone()));
                    step.push(Before::Answer(key, before));
                }
                Change::Recovery(row) => step.push(self.put_recovery(row)),
                Change::Degradation(row) => {
                    let before = self
                        .degradations
                        .insert(row.namespace.clone(), DegradationRow::clone(row));
                    step.push(Before::Degradation(row.namespace.clone(), before.map(Box::new)));
                }
                Change::Level(row) => self.put_level(row, step),
                Change::Audit(row) => step.push(self.put_audit(AuditRow::clone(row))),
            }
        }
        for row in &append.transitions {
            self.put_transition(row, step)?;
        }
        for event in &append.events {
            let id = self.events.last_key_value().map_or(1, |(id, _)| id + 1);
            let cursor = EventCursor::new(id, append.slot, append.epoch, append.position);
            self.events.insert(id, (cursor, event.clone()));
            step.push(Before::Event(id, None));
        }
        Ok(())
    }

    fn put_agent(&mut self, row: &AgentRow, step: &mut Vec<Before>) -> Result<(), String> {
        let name = (row.namespace.clone(), row.name.clone());
        if !row.removed && self.live.get(&name).is_some_and(|other| *other != row.id) {
            return Err("a live name twice in a namespace".to_owned());
        }
        let before = self.set_agent(row.id, Some(row.clone()));
        step.push(Before::Agent(row.id, before.map(Box::new)));
        Ok(())
    }

    fn set_agent(&mut self, id: AgentId, row: Option<AgentRow>) -> Option<AgentRow> {
        let before = self.agents.remove(&id);
        if let Some(before) = before.as_ref().filter(|before| !before.removed) {
            self.live.remove(&(before.namespace.clone(), before.name.clone()));
        }
        if let Some(row) = row {
            if !row.removed {
                self.live.insert((row.namespace.clone(), row.name.clone()), id);
            }
            self.agents.insert(id, row);
        }
        before
    }

    fn put_transition(&mut self, row: &Transition, step: &mut Vec<Before>) -> Result<(), String> {
        if self.numbers.contains_key(&(row.agent, row.sequence)) {
            return Err("a transition's number twice".to_owned());
        }
        let id = self.transitions.last_key_value().map_or(1, |(id, _)| id + 1);
        self.set_transition(id, Some(row.clone()));
        step.push(Before::Transition(id, None));
        if let Some(cut) = history_cut(row.sequence, self.history.unwrap_or(ROWS_PER_AGENT)) {
            let old: Vec<u64> = self
                .numbers
                .range((row.agent, Sequence(0))..=(row.agent, cut))
                .map(|(_, id)| *id)
                .collect();
            for id in old {
                let before = self.set_transition(id, None);
                step.push(Before::Transition(id, before.map(Box::new)));
            }
        }
        Ok(())
    }

    fn set_transition(&mut self, id: u64, row: Option<Transition>) -> Option<Transition> {
        let before = self.transitions.remove(&id);
        if let Some(before) = &before {
            self.numbers.remove(&(before.agent, before.sequence));
        }
        if let Some(row) = row {
            self.numbers.insert((row.agent, row.sequence), id);
            self.transitions.insert(id, row);
        }
        before
    }

    fn undo(&mut self, step: Vec<Before>) {
        for before in step.into_iter().rev() {
            match before {
                Before::Head(slot, head) => put(&mut self.heads, slot, head),
                Before::Agent(id, row) => drop(self.set_agent(id, row.map(|row| *row))),
                Before::Spec(key, row) => put(&mut self.specs, key, row.map(|row| *row)),
                Before::Group(id, row) => put(&mut self.groups, id, row.map(|row| *row)),
                Before::Answer(key, row) => put(&mut self.answers, key, row),
                Before::Recovery(id, row) => drop(self.set_recovery(id, row.map(|row| *row))),
                Before::Degradation(namespace, row) => put(&mut self.degradations, namespace, row.map(|row| *row)),
                Before::Level(key, row) => put(&mut self.levels, key, row.map(|row| *row)),
                Before::Audit(id, row) => put(&mut self.audit, id, row.map(|row| *row)),
                Before::Transition(id, row) => drop(self.set_transition(id, row.map(|row| *row))),
                Before::Event(id, event) => put(&mut self.events, id, event.map(|event| *event)),
                Before::Reader(name, kept) => put(&mut self.readers, name, kept),
            }
        }
    }

    pub(super) fn slot(&self, slot: Slot) -> SlotState {
        let head = self.head(slot);
        let agents: Vec<AgentRow> = self
            .agents
            .values()
            .filter(|row| row.id.slot() == slot && !row.removed)
            .cloned()
            .collect();
        let groups: Vec<GroupRow> = self
            .groups
            .values()
            .filter(|row| row.id.slot() == slot && !row.removed)
            .cloned()
            .collect();
        let of_agents = agents
            .iter()
            .filter_map(|row| self.specs.get(&(row.id, row.spec_revision)));
        let of_groups = groups
            .iter()
            .flat_map(|row| self.specs.range((row.id, row.oldest())..=(row.id, u32::MAX)))
            .map(|(_, spec)| spec);
        let of_slot = self.degradations.values().filter(|row| row.id.slot() == slot);
        SlotState {
            slot,
            epoch: head.epoch,
            position: head.position,
            specs: of_agents.chain(of_groups).cloned().collect(),
            agents,
            groups,
            answers: self.newest_answers(slot),
            degradations: of_slot.cloned().collect(),
        }
    }

    fn newest_answers(&self, slot: Slot) -> Vec<AnswerRow> {
        let of_slot = self.answers.values().filter(|(home, _)| *home == slot);
        let mut rows: Vec<AnswerRow> = of_slot.map(|(_, row)| row.clone()).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        rows.truncate(ANSWERS_LOADED as usize);
        rows
    }

    /// Writes a row behind the last; gives what stood there before: nothing.
    pub(super) fn put_audit(&mut self, row: AuditRow) -> Before {
        let id = self.audit.last_key_value().map_or(0, |(last, _)| *last) + 1;
        self.audit.insert(id, row);
        Before::Audit(id, None)
    }

    /// Writes an attempt where it stands already, else behind the last; gives what stood there before.
    fn put_recovery(&mut self, row: &RecoveryAttempt) -> Before {
        let next = self.recoveries.last_key_value().map_or(0, |(last, _)| *last) + 1;
        let id = self.attempts.get(&(row.agent, row.number)).copied().unwrap_or(next);
        let before = self.set_recovery(id, Some(row.clone()));
        Before::Recovery(id, before.map(Box::new))
    }

    fn set_recovery(&mut self, id: u64, row: Option<RecoveryAttempt>) -> Option<RecoveryAttempt> {
        let before = self.recoveries.remove(&id);
        if let Some(before) = &before {
            self.attempts.remove(&(before.agent, before.number));
        }
        if let Some(row) = row {
            self.attempts.insert((row.agent, row.number), id);
            self.recoveries.insert(id, row);
        }
        before
    }

    /// Writes a change of what a namespace has given up, and forgets what is too old.
    fn put_level(&mut self, row: &LevelChange, step: &mut Vec<Before>) {
        let key = (row.namespace.clone(), row.sequence.0);
        let before = self.levels.insert(key.clone(), row.clone());
        step.push(Before::Level(key, before.map(Box::new)));
        let last = row.sequence.0.saturating_sub(LEVELS_KEPT);
        let old: Vec<LevelKey> = self
            .levels
            .range((row.namespace.clone(), 0)..=(row.namespace.clone(), last))
            .map(|(key, _)| key.clone())
            .collect();
        for key in old {
            let before = self.levels.remove(&key);
            step.push(Before::Level(key, before.map(Box::new)));
        }
    }

    pub(super) fn levels(&self, query: &LevelQuery) -> LevelPage {
        let below = query.below.unwrap_or(u64::MAX);
        let of = |sequence| (query.namespace.clone(), sequence);
        let rows = self.levels.range(of(0)..of(below)).rev();
        let rows = rows.filter(|(_, row)| query.matches(row));
        let limit = query.rows();
        let found = rows.take(limit + 1).map(|((_, number), row)| (*number, row.clone()));
        LevelPage::cut(found.collect(), limit)
    }

    pub(super) fn recoveries(&self, query: &RecoveryQuery) -> RecoveryPage {
        let below = query.below.unwrap_or(u64::MAX);
        let rows = self.recoveries.range(..below).rev();
        let rows = rows.filter(|(_, row)| query.matches(row));
        let limit = query.rows();
        RecoveryPage::cut(
            rows.take(limit + 1).map(|(id, row)| (*id, row.clone())).collect(),
            limit,
        )
    }

    pub(super) fn audit(&self, query: &AuditQuery) -> AuditPage {
        let below = query.below.unwrap_or(u64::MAX);
        let rows = self.audit.range(..below).rev().filter(|(_, row)| query.matches(row));
        let limit = query.rows();
        AuditPage::cut(
            rows.take(limit + 1).map(|(id, row)| (*id, row.clone())).collect(),
            limit,
        )
    }

    pub(super) fn transitions(&self, query: &TransitionQuery) -> Result<Page, ReadError> {
        let below = query.below()?.unwrap_or(u64::MAX);
        let number = |id: u64, row: &Transition| match query.cursor_at(id, row) {
            PageCursor::Sequence(number) | PageCursor::Row(number) => number,
        };
        let mut found: Vec<(u64, &Transition)> = self
            .transitions
            .iter()
            .filter(|(id, row)| query.matches(row) && number(**id, row) < below)
            .map(|(id, row)| (number(*id, row), row))
            .collect();
        found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let more = found.len() > query.rows();
        found.truncate(query.rows());
        let next = found
            .last()
            .filter(|_| more)
            .map(|(number, row)| query.cursor_at(*number, row));
        let items = found.into_iter().map(|(_, row)| row.clone()).collect();
        Ok(Page { items, next })
    }

    pub(super) fn last_event(&self) -> Option<EventCursor> {
        self.events.last_key_value().map(|(_, (cursor, _))| *cursor)
    }

    pub(super) fn events(
        &self,
        after: Option<EventCursor>,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<EventPage, ReadError> {
        let kept = self.events.first_key_value().zip(self.events.last_key_value());
        if let Some(cursor) = after {
            let found = self.events.get(&cursor.id()).map(|(cursor, _)| *cursor);
            cursor.check(kept.map(|((oldest, _), (newest, _))| (*oldest, *newest)), found)?;
        }
        let behind = after.map_or(0, EventCursor::id);
        let items: Vec<(EventCursor, Event)> = self
            .events
            .range(behind + 1..)
            .filter(|(_, (_, event))| filter.matches(event))
            .take(limit)
            .map(|(_, entry)| entry.clone())
            .collect();
        let next = if items.len() == limit {
            items.last().map(|(cursor, _)| *cursor)
        } else {
            self.last_event()
        };
        Ok(EventPage { items, next })
    }

    pub(super) fn tombstone(&self, agent: AgentId) -> Option<AgentRow> {
        self.agents.get(&agent).filter(|row| row.removed).cloned()
    }

    pub(super) fn removed(&self, namespace: &Namespace, name: &AgentName) -> Vec<AgentRow> {
        self.agents
            .values()
            .rev()
            .filter(|row| row.removed && row.namespace == *namespace && row.name == *name)
            .take(crate::query::MAX_REMOVED)
            .cloned()
            .collect()
    }

    pub(super) fn specs(&self, agent: AgentId, limit: usize) -> Vec<SpecRow> {
        self.specs
            .range((agent, 0)..=(agent, u32::MAX))
            .rev()
            .take(limit)
            .map(|(_, row)| row.clone())
            .collect()
    }

    pub(super) fn is_removed_group(&self, group: AgentId) -> bool {
        self.groups.get(&group).is_some_and(|row| row.removed)
    }

    pub(super) fn answer(&self, namespace: &Namespace, key: &str) -> Option<AnswerRow> {
        let found = self.answers.get(&(namespace.clone(), key.to_owned()));
        found.map(|(_, row)| row.clone())
    }

    pub(super) fn prune(&mut self, retention: &Retention, now: Wall) -> Pruned {
        let mut step = Vec::new();
        self.history = Some(retention.transition_rows);
        let cutoff = before(now, retention.transitions);
        let old: Vec<u64> = select(self.transitions.iter().filter(|(_, row)| row.at < cutoff));
        for id in &old {
            let before = self.set_transition(*id, None);
            step.push(Before::Transition(*id, before.map(Box::new)));
        }
        let (events, lost) = self.prune_events(retention, now, &mut step);
        let cutoff = before(now, retention.answers);
        let mut newest: Vec<Wall> = self.answers.values().map(|(_, row)| row.at).collect();
        newest.sort_by_key(|at| std::cmp::Reverse(*at));
        let kept = usize::try_from(retention.answer_rows).unwrap_or(usize::MAX);
        let surplus = newest.get(kept).copied();
        let beyond = |row: &AnswerRow| row.at < cutoff || surplus.is_some_and(|at| row.at <= at);
        let answers: Vec<AnswerKey> = select(self.answers.iter().filter(|(_, (_, row))| beyond(row)));
        for key in &answers {
            let before = self.answers.remove(key);
            step.push(Before::Answer(key.clone(), before));
        }
        let cutoff = before(now, retention.recoveries);
        let newest = self.recoveries.last_key_value().map_or(0, |(last, _)| *last);
        let beyond = (newest + 1).saturating_sub(retention.recovery_rows.max(1));
        let old_rows = self.recoveries.iter().take(PRUNE_ROWS as usize);
        let recoveries: Vec<u64> = old_rows
            .filter(|(id, row)| (row.began < cutoff || **id < beyond) && **id < newest)
            .map(|(id, _)| *id)
            .collect();
        for id in &recoveries {
            let before = self.set_recovery(*id, None);
            step.push(Before::Recovery(*id, before.map(Box::new)));
        }
        let cutoff = before(now, retention.audit);
        let newest = self.audit.last_key_value().map_or(0, |(last, _)| *last);
        let beyond = (newest + 1).saturating_sub(retention.audit_rows.max(1));
        let old_rows = self.audit.iter().take(PRUNE_ROWS as usize);
        let audit: Vec<u64> = old_rows
            .filter(|(id, row)| (row.at < cutoff || **id < beyond) && **id < newest)
            .map(|(id, _)| *id)
            .collect();
        for id in &audit {
            let before = self.audit.remove(id);
            step.push(Before::Audit(*id, before.map(Box::new)));
        }
        self.unflushed.push(step);
        Pruned {
            transitions: old.len() as u64,
            events,
            lost,
            answers: answers.len() as u64,
            recoveries: recoveries.len() as u64,
            audit: audit.len() as u64,
            more: events == u64::from(PRUNE_ROWS)
                || [old.len(), answers.len(), recoveries.len(), audit.len()].contains(&(PRUNE_ROWS as usize)),
        }
    }
}

fn select<'a, K: Clone + 'a, V: 'a>(rows: impl Iterator<Item = (&'a K, &'a V)>) -> Vec<K> {
    rows.take(PRUNE_ROWS as usize).map(|(key, _)| key.clone()).collect()
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}
