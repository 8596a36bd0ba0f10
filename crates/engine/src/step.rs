//! One step at work: what it may read, and what it has decided so far.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};
use stead_model::group::GroupView;
use stead_model::journal::{Append, Change, Durability, GroupRow};
use stead_model::{
    Action, ActionId, AgentId, AgentView, BootClock, Condition, ConditionView, DegradationView, Epoch, Event, Evidence,
    Happening, Health, Incarnation, InstanceId, Now, Order, Origin, PhaseId, Position, Reason, RecoveryAttempt,
    Revision, Role, Slot, Transition,
};

use crate::batch::{Batch, Released, Reply};
use crate::depend::{Message, Standing};
use crate::group::Group;
use crate::permit::Policies;
use crate::profiles::Profiles;
use crate::record::{Record, Timer};
use crate::recovery;
use crate::shown::{Shown, Specs};
use crate::turns;
use crate::view;

/// How many runs are reserved by one sync.
pub(crate) const INCARNATION_BLOCK: u64 = 64;

/// A step of one slot. Agents are handed in one at a time, taken out of the slot.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) now: Now,
    pub(crate) boot: BootClock,
    pub(crate) profiles: Profiles,
    pub(crate) policies: Policies,
    pub(crate) slot: Slot,
    pub(crate) epoch: Epoch,
    /// The position that this step takes, if it changes anything.
    pub(crate) position: Position,
    /// Nothing of the slot may be started before it was surveyed.
    pub(crate) surveyed: bool,
    /// The agent at hand may be ended at once, to be started again.
    pub(crate) has_room: bool,
    /// Who caused it.
    pub(crate) origin: Origin,
    durability: Durability,
    changes: Vec<Change>,
    transitions: Vec<Transition>,
    events: Vec<Event>,
    orders: Vec<Order>,
    messages: Vec<Message>,
    views: Vec<Shown>,
    removed: Vec<AgentId>,
    /// The last view of one that was removed, for the answer.
    farewell: Option<AgentView>,
    groups: Vec<GroupView>,
    groups_removed: Vec<AgentId>,
    degradations: Vec<DegradationView>,
    farewell_group: Option<GroupView>,
    /// Groups to be looked at before the step ends.
    pub(crate) stirred: BTreeSet<AgentId>,
    /// Agents that this step has given a new revision already.
    revised: BTreeSet<AgentId>,
    /// The agent at hand differs from its stored row.
    touched: bool,
}

/// A place in a step, before it is known whether what follows is permitted.
#[derive(Debug)]
pub(crate) struct Mark {
    changes: usize,
    transitions: usize,
    events: usize,
    orders: usize,
    messages: usize,
    touched: bool,
}

/// Why a phase is entered.
#[derive(Debug, Clone)]
pub(crate) struct Why {
    pub(crate) reason: Reason,
    pub(crate) description: String,
    pub(crate) via: Passing,
    pub(crate) metadata: Map<String, Value>,
}

/// Whether a phase is where a walk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passing {
    /// It is.
    Stays,
    /// It is on the way.
    Via,
}

impl Why {
    pub(crate) fn new(reason: Reason, description: impl Into<String>) -> Self {
        Self {
            reason,
            description: description.into(),
            via: Passing::Stays,
            metadata: Map::new(),
        }
    }

    pub(crate) fn via(mut self) -> Self {
        self.via = Passing::Via;
        self
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

impl Step {
    pub(crate) fn new(
        now: Now,
        boot: BootClock,
        (profiles, policies): (Profiles, Policies),
        slot: Slot,
        epoch: Epoch,
        last: Position,
        surveyed: bool,
    ) -> Self {
        let position = last.next();
        let origin = Origin::engine(alloc::format!("c-{slot}-{epoch}-{position}"));
        Self {
            now,
            boot,
            profiles,
            policies,
            slot,
            epoch,
            position,
            surveyed,
            has_room: true,
            origin,
            durability: Durability::Written,
            changes: Vec::new(),
            transitions: Vec::new(),
            events: Vec::new(),
            orders: Vec::new(),
            messages: Vec::new(),
            views: Vec::new(),
            removed: Vec::new(),
            farewell: None,
            groups: Vec::new(),
            groups_removed: Vec::new(),
            degradations: Vec::new(),
            farewell_group: None,
            stirred: BTreeSet::new(),
            revised: BTreeSet::new(),
            touched: false,
        }
    }

    /// Where the step stands, to go back there.
    pub(crate) const fn mark(&self) -> Mark {
        Mark {
            changes: self.changes.len(),
            transitions: self.transitions.len(),
            events: self.events.len(),
            orders: self.orders.len(),
            messages: self.messages.len(),
            touched: self.touched,
        }
    }

    /// The rows of history since then.
    pub(crate) fn since(&self, mark: &Mark) -> &[Transition] {
        self.transitions.get(mark.transitions..).unwrap_or_default()
    }

    /// Takes back what was decided about the agent at hand since then.
    pub(crate) fn take_back(&mut self, mark: Mark) {
        self.changes.truncate(mark.changes);
        self.transitions.truncate(mark.transitions);
        self.events.truncate(mark.events);
        self.orders.truncate(mark.orders);
        self.messages.truncate(mark.messages);
        self.touched = mark.touched;
    }

    /// Says that the agent at hand differs from its stored row.
    pub(crate) const fn touch(&mut self) {
        self.touched = true;
    }

    pub(crate) fn needs(&mut self, durability: Durability) {
        self.durability = self.durability.max(durability);
    }

    pub(crate) fn put(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.orders.push(order);
    }

    pub(crate) fn send(&mut self, messages: impl IntoIterator<Item = Message>) {
        self.messages.extend(messages);
    }

    pub(crate) fn event(&mut self, record: &Record, what: Happening) {
        self.touch();
        self.events.push(Event {
            at: self.now.wall,
            namespace: record.row.namespace.clone(),
            agent: record.row.id,
            name: record.row.name.clone(),
            group: record.group_name(),
            revision: if self.revised.contains(&record.row.id) {
                record.row.revision
            } else {
                record.row.revision.next()
            },
            actor: self.origin.actor.clone(),
            correlation_id: record.row.correlation_id.clone(),
            trace_id: self.origin.trace_id.clone(),
            what,
        });
    }

    /// Tells what happened to a group.
    pub(crate) fn group_event(&mut self, group: &mut Group, what: Happening) {
        group.touched = true;
        self.events.push(Event {
            at: self.now.wall,
            namespace: group.row.namespace.clone(),
            agent: group.row.id,
            name: group.row.name.clone(),
            group: Some(group.row.name.clone()),
            revision: group.row.revision.next(),
            actor: self.origin.actor.clone(),
            correlation_id: group.row.correlation_id.clone(),
            trace_id: self.origin.trace_id.clone(),
            what,
        });
    }

    /// Tells what concerns no agent or group.
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Shows what a namespace has given up.
    pub(crate) fn show_degradation(&mut self, view: DegradationView) {
        self.degradations.retain(|known| known.namespace != view.namespace);
        self.degradations.push(view);
    }

    /// Writes how an attempt ended; one that began in this step is written once.
    pub(crate) fn put_recovery(&mut self, attempt: RecoveryAttempt) {
        let key = (attempt.agent, attempt.number);
        self.changes
            .retain(|change| !matches!(change, Change::Recovery(known) if (known.agent, known.number) == key));
        self.put(Change::Recovery(Box::new(attempt)));
    }

    /// Writes a group's row.
    pub(crate) fn put_group(&mut self, row: GroupRow) {
        let id = row.id;
        self.changes
            .retain(|change| !matches!(change, Change::Group(known) if known.id == id));
        self.put(Change::Group(Box::new(row)));
    }

    /// Shows a group as it is now.
    pub(crate) fn show_group(&mut self, view: GroupView) {
        self.groups.retain(|known| known.id != view.id);
        self.groups.push(view);
    }

    /// Shows a group no longer.
    pub(crate) fn hide_group(&mut self, last: GroupView) {
        self.groups.retain(|known| known.id != last.id);
        self.groups_removed.push(last.id);
        self.farewell_group = Some(last);
    }

    /// The last view of a group that this step removed.
    pub(crate) fn farewell_of_group(&self, id: AgentId) -> Option<GroupView> {
        self.farewell_group.clone().filter(|view| view.id == id)
    }

    /// Enters the first phase of a role that may follow; says whether there is one. The table decides, nothing else.
    pub(crate) fn hop(&mut self, record: &mut Record, role: Role, why: Why) -> bool {
        match record.profile.hop(record.phase, role) {
            Some(to) => {
                self.enter(record, to, why);
                true
            }
            None => false,
        }
    }

    /// Enters a phase that may follow. Every change of phase of every agent comes through here.
    pub(crate) fn enter(&mut self, record: &mut Record, to: PhaseId, why: Why) {
        debug_assert!(record.profile.has_edge(record.phase, to), "callers look the edge up");
        let from = record.profile.label(record.phase);
        let label = record.profile.label(to);
        record.row.sequence = record.row.sequence.next();
        self.event(
            record,
            Happening::PhaseChanged {
                sequence: record.row.sequence,
                from: from.clone(),
                to: label.clone(),
                reason: why.reason,
                description: why.description.clone(),
                via: why.via == Passing::Via,
            },
        );
        self.transitions.push(Transition {
            sequence: record.row.sequence,
            agent: record.row.id,
            namespace: record.row.namespace.clone(),
            name: record.row.name.clone(),
            group: record.group_name(),
            incarnation: record.row.incarnation,
            from,
            to: label,
            at: self.now.wall,
            reason: why.reason,
            description: why.description,
            triggered_by: self.origin.actor.clone(),
            via: why.via == Passing::Via,
            correlation_id: record.row.correlation_id.clone(),
            trace_id: self.origin.trace_id.clone(),
            metadata: why.metadata,
        });
        record.phase = to;
        record.row.phase_since = self.now.wall;
        self.set_deadline(record);
        if !record.role().is_up() {
            record.set_timer(Timer::Silence, None);
            record.heard = false;
        }
        if !record.role().serves() {
            record.row.draining = false;
            record.set_timer(Timer::Drain, None);
            record.set_timer(Timer::Settle, None);
            self.ready(record, false, "it does not serve");
            for condition in [Condition::Warning, Condition::Stuck, Condition::Looping] {
                self.clear(record, condition);
            }
        }
    }

    /// Gives its phase the whole time that it may last, from now on.
    pub(crate) fn set_deadline(&self, record: &mut Record) {
        let phase = record.phase;
        let deadline = record
            .profile
            .deadline(phase)
            .map(|deadline| self.now.moment.after(span_of(record, phase).unwrap_or(deadline.after)));
        record.set_timer(Timer::Deadline, deadline);
    }

    /// Notes how well an agent does, as seen from outside.
    pub(crate) fn health(&mut self, record: &mut Record, to: Health, detail: &str) {
        let from = record.health();
        if record.row.health != to {
            record.row.health = to;
            self.touch();
        }
        self.tell_health(record, from, detail);
    }

    /// Notes how bad an agent says that it is; nothing takes that back.
    pub(crate) fn claim(&mut self, record: &mut Record, claim: Option<Health>, detail: &str) {
        let from = record.health();
        if record.row.claim != claim {
            record.row.claim = claim;
            self.touch();
        }
        self.tell_health(record, from, detail);
    }

    /// Notes how bad its beats are found to be; nothing takes that back.
    pub(crate) fn vital(&mut self, record: &mut Record, vital: Option<Health>, detail: &str) {
        let from = record.health();
        if record.row.vital != vital {
            record.row.vital = vital;
            self.touch();
        }
        self.tell_health(record, from, detail);
    }

    fn tell_health(&mut self, record: &mut Record, from: Health, detail: &str) {
        let to = record.health();
        if from == to {
            return;
        }
        record.row.health_since = self.now.wall;
        let origin = self.now.moment.since_start();
        if to == Health::Healthy {
            record.streak.healthy(&record.stable_reset(), origin);
        } else {
            record.streak.unhealthy(origin);
            self.clear(record, Condition::Unverified);
        }
        self.event(
            record,
            Happening::HealthChanged {
                from,
                to,
                detail: detail.into(),
            },
        );
        recovery::look(self, record, detail);
    }

    /// Notes whether an agent takes work.
    pub(crate) fn ready(&mut self, record: &mut Record, ready: bool, detail: &str) {
        let ready = ready && !record.row.draining;
        if record.row.ready != ready {
            record.row.ready = ready;
            record.ready_since = ready.then_some(self.now.moment);
            self.event(
                record,
                Happening::ReadinessChanged {
                    ready,
                    detail: detail.into(),
                },
            );
        }
    }

    /// Raises a condition, or renews what is said of it.
    pub(crate) fn raise(&mut self, record: &mut Record, condition: Condition, detail: String) {
        match record
            .row
            .conditions
            .iter_mut()
            .find(|known| known.condition == condition)
        {
            Some(known) => known.detail = detail,
            None => {
                self.event(
                    record,
                    Happening::ConditionRaised {
                        condition,
                        detail: detail.clone(),
                    },
                );
                record.row.conditions.push(ConditionView {
                    condition,
                    since: self.now.wall,
                    detail,
                });
            }
        }
    }

    /// Raises a condition that may count against its health.
    pub(crate) fn doubt(&mut self, record: &mut Record, condition: Condition, detail: String) {
        let from = record.health();
        self.touch();
        self.raise(record, condition, detail.clone());
        self.tell_health(record, from, &detail);
    }

    /// Clears a condition that may have counted against its health.
    pub(crate) fn trust(&mut self, record: &mut Record, condition: Condition, detail: &str) {
        let from = record.health();
        self.clear(record, condition);
        self.tell_health(record, from, detail);
    }

    /// Clears a condition, if it holds.
    pub(crate) fn clear(&mut self, record: &mut Record, condition: Condition) {
        let before = record.row.conditions.len();
        record.row.conditions.retain(|known| known.condition != condition);
        if record.row.conditions.len() != before {
            self.event(record, Happening::ConditionCleared { condition });
        }
    }

    /// Notes an observation; the newest of each kind is kept.
    pub(crate) fn evidence(&mut self, record: &mut Record, kind: &'static str, source: &'static str, detail: String) {
        record.row.evidence.retain(|known| known.kind != kind);
        record.row.evidence.push(Evidence {
            kind: kind.into(),
            observed_at: self.now.wall,
            source: source.into(),
            detail,
        });
    }

    /// Forgets observations of an instance that is no longer there.
    pub(crate) fn forget_evidence(record: &mut Record, stays: &[&str]) {
        record.row.evidence.retain(|known| stays.contains(&known.kind.as_ref()));
    }

    /// Gives the next run its number. Of what is reserved half stays ahead, so that the row that reserves more is synced long before
    /// it is needed, and no start waits for that.
    pub(crate) fn next_incarnation(&mut self, record: &mut Record) -> Incarnation {
        let next = record.row.incarnation.next();
        let ahead = record.row.incarnations_reserved.0.checked_sub(next.0);
        if ahead.is_none() {
            self.needs(Durability::Flushed);
        }
        if ahead.is_none_or(|ahead| ahead < INCARNATION_BLOCK / 2) {
            record.row.incarnations_reserved = Incarnation(next.0.saturating_add(INCARNATION_BLOCK - 1));
        }
        record.row.incarnation = next;
        next
    }

    /// Ends an agent's part in this step: if it changed, a new revision of its row, its view, word to those who watch it. Finds how it
    /// is to rest.
    pub(crate) fn finish(&mut self, record: &mut Record, watchers: &crate::depend::Watchers, specs: &mut Specs) {
        if !core::mem::take(&mut self.touched) {
            // What readers see is kept, if it is still so: then there is one of it.
            let now = Shown::of_resting(record, specs, self.now);
            let before = record.image.take();
            record.image = match (now, before) {
                (Some(now), Some(before)) if now.is_same(&before) => Some(before),
                (now, _) => now,
            };
            return;
        }
        recovery::overtaken(self, record);
        turns::settle(record);
        self.touched = false;
        let id = record.row.id;
        if self.revised.insert(id) {
            record.row.revision = Revision(record.row.revision.0.saturating_add(1));
        } else {
            self.changes
                .retain(|change| !matches!(change, Change::Agent(row) if row.id == id));
            self.views.retain(|view| view.id() != id);
        }
        let standing = (!record.row.removed).then(|| Standing::of(record));
        if standing != record.told {
            record.told = standing;
            self.messages
                .extend(watchers.tell(&record.row.namespace, &record.row.name, standing));
        }
        self.put(Change::Agent(Box::new(record.freeze(&self.boot, self.now.moment))));
        record.image = Shown::of_resting(record, specs, self.now);
        if record.row.removed {
            self.removed.push(record.row.id);
            self.farewell = Some(view::agent(record, self.now));
        } else {
            let shown = record.image.clone();
            self.views
                .push(shown.unwrap_or_else(|| view::agent(record, self.now).into()));
        }
    }

    /// Whether anything was decided that must be written down.
    pub(crate) fn changed(&self) -> bool {
        !(self.changes.is_empty() && self.transitions.is_empty() && self.events.is_empty())
    }

    /// Makes the batch.
    pub(crate) fn into_batch(self, reply: Option<Reply>) -> Batch {
        let changed = self.changed();
        let position = if changed {
            self.position
        } else {
            Position(self.position.0 - 1)
        };
        let id = |index: usize| ActionId {
            slot: self.slot,
            epoch: self.epoch,
            position: self.position,
            index: u16::try_from(index).unwrap_or(u16::MAX),
        };
        let actions = self
            .orders
            .into_iter()
            .enumerate()
            .map(|(index, order)| Action { id: id(index), order })
            .collect();
        Batch {
            slot: self.slot,
            epoch: self.epoch,
            position,
            needs: if changed { self.durability } else { Durability::Written },
            append: changed.then_some(Append {
                slot: self.slot,
                epoch: self.epoch,
                first: position,
                position,
                durability: self.durability,
                changes: self.changes,
                transitions: self.transitions,
                events: self.events,
            }),
            content: Released {
                actions,
                views: self.views,
                removed: self.removed,
                groups: self.groups,
                groups_removed: self.groups_removed,
                degradations: self.degradations,
                messages: self.messages,
                reply,
            },
        }
    }

    /// The view that this step made of an agent, also of one that it removed.
    pub(crate) fn view_of(&self, id: AgentId) -> Option<AgentView> {
        let shown = self.views.iter().find(|shown| shown.id() == id).map(Shown::view);
        shown.or_else(|| self.farewell.clone().filter(|view| view.id == id))
    }

    /// Whether an instance is the agent's current one.
    pub(crate) fn is_current(record: &Record, instance: InstanceId) -> bool {
        record.is_current(instance.incarnation)
    }
}

/// How long the spec lets a phase last, where it says so.
fn span_of(record: &Record, phase: PhaseId) -> Option<core::time::Duration> {
    let deadlines = &record.spec.deadlines;
    if let Some(span) = deadlines.states.get(record.profile.name_of(phase)) {
        return Some(span.0);
    }
    match record.profile.role(phase) {
        Role::Preparing => deadlines.deploying.map(|span| span.0),
        Role::Starting | Role::Restarting => deadlines.starting.map(|span| span.0),
        Role::Stopping => deadlines.stopping.map(|span| span.0).or_else(|| {
            record
                .process()
                .map(|process| process.stop.grace.0.saturating_add(STOP_MARGIN))
        }),
        Role::Updating => deadlines.updating.map(|span| span.0),
        Role::Scaling => deadlines.scaling.map(|span| span.0),
        Role::Initial
        | Role::Prepared
        | Role::Ready
        | Role::Busy
        | Role::Idle
        | Role::Impaired
        | Role::Error
        | Role::Failed
        | Role::TimedOut
        | Role::Maintenance
        | Role::Suspended
        | Role::Offline
        | Role::Retired
        | Role::Gone => None,
    }
}

/// How long after its grace a stopping agent may take until that is an error.
const STOP_MARGIN: core::time::Duration = core::time::Duration::from_secs(10);
