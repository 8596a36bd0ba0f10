//! A step under way, with the slot that it works on.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;

use stead_model::group::{GroupAnswer, GroupCommand, GroupRequest};
use stead_model::journal::{AnswerRow, Change, MemberRow};
use stead_model::{
    AgentId, AgentName, AgentRef, AgentSpec, Answer, Command, Moment, Namespace, Outcome, Refusal, Request, Wanted,
};
use stead_model::{AuditKind, AuditRow};

use crate::answers::Answers;
use crate::batch::{Batch, Reply};
use crate::beats::Beats;
use crate::command;
use crate::group::Group;
use crate::plan;
use crate::record::Record;
use crate::rollout;
use crate::shown::Specs;
use crate::slot::Cell;
use crate::step::Step;
use crate::turns::Turns;
use crate::view;

/// How often groups are looked at in one step; what they decide stirs them again, and comes to rest at once.
const MOST_ROUNDS: usize = 64;

/// A step under way. Agents and groups are taken out of the slot while they are worked on.
pub(crate) struct Open<'e> {
    pub(crate) step: Step,
    pub(crate) cell: &'e mut Cell,
    pub(crate) alarms: &'e mut BTreeSet<(Moment, AgentId)>,
    pub(crate) answers: &'e mut Answers,
    pub(crate) specs: &'e mut Specs,
    pub(crate) beats: &'e mut Beats,
    pub(crate) turns: &'e mut Turns,
}

impl Open<'_> {
    /// Works on one agent that was taken out of the slot, and notes what came of it.
    pub(crate) fn work<T>(&mut self, record: &mut Record, work: impl FnOnce(&mut Step, &mut Record) -> T) -> T {
        let before = record.next_timer();
        self.step.has_room = self.turns.has_room(record);
        let result = work(&mut self.step, record);
        plan::reflect(&mut self.step, record);
        self.settle(record, before);
        result
    }

    pub(crate) fn settle(&mut self, record: &mut Record, before: Option<Moment>) {
        let id = record.row.id;
        if let Some(due) = before {
            self.alarms.remove(&(due, id));
        }
        self.step.finish(record, &self.cell.watchers, self.specs);
        self.beats.follow(self.step.now.moment, record);
        self.turns.follow(record);
        if let Some(member) = &record.row.member {
            self.step.stirred.insert(member.group);
        }
        if !record.row.removed {
            self.alarms.extend(record.next_timer().map(|due| (due, id)));
        }
    }

    pub(crate) fn put_back(&mut self, record: Box<Record>) {
        if record.row.removed {
            self.cell.agents.forget(&record);
            let claim = self.cell.claims.get(&record.row.namespace, &record.row.name);
            if let Some(claim) = claim.filter(|claim| claim.member.is_none()) {
                // A group waits for the name.
                self.step.send([claim.granted()]);
            }
        } else {
            self.cell.agents.put(record);
        }
    }

    pub(crate) fn carry_out(&mut self, command: Command) -> Result<(Outcome, AgentId), Refusal> {
        match (self.cell.find(&command.namespace, &command.agent), command) {
            (
                Err(Refusal::Unknown(_)),
                Command {
                    agent: AgentRef::Name(name),
                    namespace,
                    reason,
                    request: Request::Register { spec, wanted },
                    ..
                },
            ) => {
                if let Some(id) = self.cell.taken(&namespace, &name) {
                    return Err(Refusal::Duplicate { name, id });
                }
                let mut record =
                    command::register(&mut self.step, self.cell, (namespace, name), spec, wanted, reason, None)?;
                let id = record.row.id;
                self.settle(&mut record, None);
                self.put_back(record);
                Ok((Outcome::Created, id))
            }
            (Err(refusal), _) => Err(refusal),
            (Ok(id), command) => {
                let outcome = self.with_agent(id, |step, record| obey(step, record, command));
                outcome.unwrap_or(Err(Refusal::Gone(id))).map(|outcome| (outcome, id))
            }
        }
    }

    /// Makes a replica known; its group has the name.
    pub(crate) fn register_member(
        &mut self,
        namespace: Namespace,
        name: AgentName,
        spec: Box<AgentSpec>,
        wanted: Wanted,
        member: MemberRow,
    ) -> Result<AgentId, Refusal> {
        let mut record = command::register(
            &mut self.step,
            self.cell,
            (namespace, name),
            spec,
            wanted,
            None,
            Some(member),
        )?;
        let id = record.row.id;
        self.settle(&mut record, None);
        self.put_back(record);
        Ok(id)
    }

    /// Works on one agent, if it is there.
    pub(crate) fn with_agent<T>(&mut self, id: AgentId, work: impl FnOnce(&mut Step, &mut Record) -> T) -> Option<T> {
        let mut record = self.cell.agents.take(id)?;
        let result = self.work(&mut record, work);
        self.put_back(record);
        Some(result)
    }

    /// Asks something of one replica, on behalf of whoever asked it of the group.
    pub(crate) fn ask_member(
        &mut self,
        id: AgentId,
        request: Request,
        reason: Option<String>,
    ) -> Result<Outcome, Refusal> {
        let asked = self.with_agent(id, |step, record| {
            let command = of_member(step, record, request, reason);
            obey(step, record, command)
        });
        asked.unwrap_or(Err(Refusal::Gone(id)))
    }

    /// Whether a policy stands against what `lead` would lead one replica to, on a copy: nothing is changed.
    pub(crate) fn permits_member(
        &mut self,
        id: AgentId,
        reason: Option<&str>,
        lead: impl FnOnce(&mut Step, &mut Record),
    ) -> Result<(), Refusal> {
        let Some(record) = self.cell.agents.get(id) else {
            return Ok(());
        };
        if !self.step.policies.bind(&record) {
            return Ok(());
        }
        let mut trial = Record::clone(&record);
        let mark = self.step.mark();
        lead(&mut self.step, &mut trial);
        let (led_to, origin, now) = (self.step.since(&mark), &self.step.origin, self.step.now.moment);
        let permitted = self.step.policies.permit(&record, led_to, origin, reason, now);
        self.step.take_back(mark);
        permitted
    }

    /// Carries out a request about a group.
    pub(crate) fn carry_out_for_group(&mut self, command: GroupCommand) -> Result<(Outcome, AgentId), Refusal> {
        let known = self.cell.find_group(&command.namespace, &command.group);
        match (known, &command.group, &command.request) {
            (Err(Refusal::UnknownGroup(_)), AgentRef::Name(name), GroupRequest::Create { spec, wanted }) => {
                if let Some(id) = self.cell.taken(&command.namespace, name) {
                    return Err(Refusal::Duplicate { name: name.clone(), id });
                }
                let group = command::create_group(self, name.clone(), &command, spec, *wanted)?;
                let id = group.row.id;
                self.step.stirred.insert(id);
                self.cell.groups.insert(id, group);
                Ok((Outcome::Created, id))
            }
            (Err(refusal), _, _) => Err(refusal),
            (Ok(id), _, _) => {
                let Some(mut group) = self.cell.groups.remove(&id) else {
                    return Err(Refusal::Gone(id));
                };
                let outcome = command::group_command(self, &mut group, command);
                self.step.stirred.insert(id);
                self.cell.groups.insert(id, group);
                outcome.map(|outcome| (outcome, id))
            }
        }
    }

    /// Works on one group, if it is there.
    pub(crate) fn with_group(&mut self, id: AgentId, work: impl FnOnce(&mut Self, &mut Group)) {
        if let Some(mut group) = self.cell.groups.remove(&id) {
            work(self, &mut group);
            self.step.stirred.insert(id);
            self.cell.groups.insert(id, group);
        }
    }

    /// Has every group go on whose replicas, row or time were stirred by this step.
    pub(crate) fn drive_groups(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let Some(id) = self.step.stirred.pop_first() else {
                return;
            };
            if let Some(mut group) = self.cell.groups.remove(&id) {
                if let Some(due) = group.alarm {
                    self.alarms.remove(&(due, id));
                }
                if self.step.surveyed {
                    rollout::drive(self, &mut group);
                }
                self.settle_group(group);
            }
        }
    }

    /// Ends a group's part in a round: its row if it changed, its view, its next alarm.
    fn settle_group(&mut self, mut group: Box<Group>) {
        let seen = rollout::see(self, &group);
        group.settle(&mut self.step, &seen, &self.cell.watchers);
        if !group.row.removed {
            self.alarms.extend(group.alarm.map(|due| (due, group.row.id)));
            self.cell.groups.insert(group.row.id, group);
        }
    }

    pub(crate) fn answer_for_group(&self, outcome: Outcome, id: AgentId) -> Result<Box<GroupAnswer>, Refusal> {
        let shown = self
            .cell
            .groups
            .get(&id)
            .and_then(|group| group.shown.as_deref().cloned());
        match shown.or_else(|| self.step.farewell_of_group(id)) {
            Some(group) => Ok(Box::new(GroupAnswer {
                outcome,
                group,
                correlation_id: self.step.origin.correlation_id.clone(),
            })),
            None => Err(Refusal::Gone(id)),
        }
    }

    pub(crate) fn answer(&self, outcome: Outcome, id: AgentId) -> Result<Box<Answer>, Refusal> {
        let view = self.step.view_of(id).or_else(|| {
            let known = self.cell.agents.get(id);
            known.map(|record| view::agent(&record, self.step.now))
        });
        match view {
            Some(agent) => Ok(Box::new(Answer {
                outcome,
                agent,
                correlation_id: self.step.origin.correlation_id.clone(),
            })),
            None => Err(Refusal::Gone(id)),
        }
    }

    /// Writes down who asked for a change, with the change itself. What was so before is none.
    pub(crate) fn audit(&mut self, verb: &'static str, reason: Option<String>, changed: Changed<'_>) {
        let (kind, outcome, namespace, id, name, revision) = match changed {
            Changed::Agent(answer) => {
                let of = &answer.agent;
                (
                    AuditKind::Agent,
                    answer.outcome,
                    &of.namespace,
                    of.id,
                    &of.name,
                    of.revision,
                )
            }
            Changed::Group(answer) => {
                let of = &answer.group;
                (
                    AuditKind::Group,
                    answer.outcome,
                    &of.namespace,
                    of.id,
                    &of.name,
                    of.revision,
                )
            }
        };
        if outcome == Outcome::Already {
            return;
        }
        let origin = self.step.origin.clone();
        self.step.put(Change::Audit(Box::new(AuditRow {
            at: self.step.now.wall,
            actor: origin.actor,
            role: origin.role,
            namespace: namespace.clone(),
            kind,
            id: Some(id),
            name: name.as_str().into(),
            verb: verb.into(),
            outcome,
            revision,
            reason,
            correlation_id: origin.correlation_id,
            trace_id: origin.trace_id,
        })));
    }

    pub(crate) fn keep(
        &mut self,
        namespace: Namespace,
        key: stead_model::IdempotencyKey,
        agent: AgentId,
        answer: &impl serde::Serialize,
    ) {
        let Ok(text) = serde_json::to_string(answer) else {
            return;
        };
        let row = AnswerRow {
            namespace,
            key: key.key,
            fingerprint: key.fingerprint,
            at: self.step.now.wall,
            agent,
            answer: text,
        };
        self.step.put(Change::Answer(row.clone()));
        self.answers.keep(row, self.step.now.wall);
    }

    pub(crate) fn close(mut self, reply: Option<Reply>) -> Batch {
        self.drive_groups();
        let batch = self.step.into_batch(reply);
        self.cell.position = batch.position();
        batch
    }
}

/// What a request changed.
pub(crate) enum Changed<'a> {
    Agent(&'a Answer),
    Group(&'a GroupAnswer),
}

/// A request about a replica, from whoever asked it of its group.
pub(crate) fn of_member(step: &Step, record: &Record, request: Request, reason: Option<String>) -> Command {
    Command {
        origin: step.origin.clone(),
        namespace: record.row.namespace.clone(),
        agent: AgentRef::Id(record.row.id),
        expected: None,
        idempotency: None,
        reason,
        request,
    }
}

/// Carries out a request about a known agent, unless a policy stands against what it would lead to: then nothing was changed.
pub(crate) fn obey(step: &mut Step, record: &mut Record, command: Command) -> Result<Outcome, Refusal> {
    if !step.policies.bind(record) {
        return command::command(step, record, command);
    }
    let before = record.clone();
    let mark = step.mark();
    let (origin, reason) = (command.origin.clone(), command.reason.clone());
    let outcome = command::command(step, record, command)?;
    let led_to = step.since(&mark);
    match step
        .policies
        .permit(&before, led_to, &origin, reason.as_deref(), step.now.moment)
    {
        Ok(()) => {
            if !led_to.is_empty() && step.policies.count(&before) {
                record.asked.note(step.now.moment);
            }
            Ok(outcome)
        }
        Err(refusal) => {
            *record = before;
            step.take_back(mark);
            Err(refusal)
        }
    }
}
