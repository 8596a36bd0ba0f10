//! What a namespace gives up of its features while something that they need is down, and gives back once it is up.
//!
//! What follows from what is decided by [`stead_policy::degrade`]; here is whom it hears, and what is written and told of it. It lives in the
//! slot that is the namespace's home, watches those that features need as dependants do, and hears of them by message.

mod show;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::journal::{Change, DegradationRow};
use stead_model::{
    AgentId, AgentName, AuditKind, AuditRow, CALM, DegradationAnswer, DegradationCommand, DegradationLevel,
    DegradationRequest, DegradationView, Event, Happening, LevelChange, LevelHeld, Moment, Namespace, Now, Outcome,
    Revision, Sequence, Slot,
};
use stead_policy::degrade::{Cause, Degrader, Load, Memory, Name, Plan, Signal, Standing as Up};

use crate::depend::{Body, Message, Serving};
use crate::step::Step;
use crate::words;

/// The degradation of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Degradation {
    row: DegradationRow,
    degrader: Degrader,
    /// Those of whom it was heard that they serve.
    serve: BTreeSet<Name>,
    /// What it goes by was told since the start of the node; until then what is stored stands.
    planned: bool,
    /// When it is looked at again by itself.
    pub(crate) alarm: Option<Moment>,
    /// It differs from its stored row.
    touched: bool,
    shown: Option<DegradationView>,
}

/// Every namespace that is at home in one slot and may give something up.
pub(crate) type Degradations = BTreeMap<AgentId, Box<Degradation>>;

/// The id of a namespace's degradation, beyond those that agents get.
pub(crate) fn id_of(namespace: &Namespace) -> AgentId {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in namespace.as_str().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    AgentId::new(home_of(namespace), BEYOND | (hash >> 16))
}

/// The slot in which it is decided what a namespace gives up.
#[must_use]
pub fn home_of(namespace: &Namespace) -> Slot {
    Slot::home(namespace, HOME)
}

/// No name of an agent.
const HOME: &str = "/degradation";
/// Positions do not come so far: a billion of them a second would take as long as three months.
const BEYOND: u64 = 1 << 53;

impl Degradation {
    pub(crate) fn new(namespace: Namespace, now: Now) -> Self {
        Self::thaw(DegradationRow {
            id: id_of(&namespace),
            namespace,
            revision: Revision(0),
            sequence: Sequence(0),
            level: DegradationLevel::Full,
            cause: CALM.into(),
            rule: None,
            modes: Vec::new(),
            since: now.wall,
            down: Vec::new(),
            hot: Vec::new(),
            off: Vec::new(),
            held: None,
        })
    }

    /// Goes on from what is stored.
    pub(crate) fn thaw(row: DegradationRow) -> Self {
        Self {
            degrader: Degrader::default().remembering(memory(&row)),
            row,
            serve: BTreeSet::new(),
            planned: false,
            alarm: None,
            touched: false,
            shown: None,
        }
    }

    /// One of a namespace of which nothing is configured, but that somebody asks about.
    pub(crate) fn without_features(mut self) -> Self {
        self.planned = true;
        self
    }

    pub(crate) const fn id(&self) -> AgentId {
        self.row.id
    }

    /// Takes over from one of an earlier ownership what is not stored.
    pub(crate) fn follow(&mut self, earlier: &Self) {
        if earlier.planned {
            self.plan(earlier.degrader.clone());
            self.serve.clone_from(&earlier.serve);
        }
    }

    /// One that is not stored at all, as it was before anything happened.
    pub(crate) fn anew(&self, now: Now) -> Self {
        let mut anew = Self::new(self.row.namespace.clone(), now);
        anew.follow(self);
        anew
    }

    /// Goes by other features and rules from now on.
    fn plan(&mut self, plan: Degrader) {
        self.planned = true;
        self.degrader = plan.remembering(memory(&self.row));
        let needed = &self.degrader.plan().components;
        self.serve.retain(|name| needed.contains_key(name));
    }

    /// What it must say to hear of those that features need.
    pub(crate) fn subscriptions(&self) -> Vec<Message> {
        let needed = self.degrader.plan().components.keys();
        let watch = |name: &Name| {
            let name: AgentName = name.parse().ok()?;
            Some(Message {
                to: Slot::home(&self.row.namespace, name.as_str()),
                body: Body::Watch {
                    namespace: self.row.namespace.clone(),
                    name,
                    watcher: self.row.id,
                },
            })
        };
        needed.filter_map(watch).collect()
    }

    fn hear(&mut self, now: Now, signal: Signal) {
        self.degrader.hear(now.moment.since_start(), signal);
    }

    /// Hears how one stands that features need.
    fn heard(&mut self, now: Now, name: &AgentName, serving: Serving) {
        let name: Name = name.as_str().into();
        let standing = match serving {
            Serving::Yes => Up::Up,
            Serving::No => Up::Down,
            Serving::Open => return,
        };
        match standing {
            Up::Up => self.serve.insert(name.clone()),
            Up::Down => self.serve.remove(&name),
        };
        self.hear(now, Signal::Component(name, standing));
    }

    /// Carries out what somebody asks.
    fn obey(&mut self, step: &Step, request: &DegradationRequest, reason: Option<String>) -> Outcome {
        let (actor, now) = (step.origin.actor.clone(), step.now);
        let wanted = match request {
            DegradationRequest::Release => None,
            DegradationRequest::Hold { level, lasts } => Some(LevelHeld {
                level: *level,
                actor,
                reason,
                since: now.wall,
                until: lasts.map(|span| now.wall.after(span.0)),
            }),
        };
        // What ends by itself is held anew: its end moves.
        let same = match (&self.row.held, &wanted) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                let ends = one.until.is_some() || other.until.is_some();
                !ends && (one.level, &one.reason) == (other.level, &other.reason)
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        if same {
            return Outcome::Already;
        }
        self.hold(now, wanted);
        Outcome::Accepted
    }

    fn hold(&mut self, now: Now, held: Option<LevelHeld>) {
        self.touched = true;
        let signal = held.as_ref().map_or(Signal::Release, |held| Signal::Override {
            level: words::level(held.level),
            by: held.actor.as_str().into(),
            why: held.reason.as_deref().unwrap_or_default().into(),
        });
        self.row.held = held;
        self.hear(now, signal);
    }

    /// Ends what was held only until now.
    fn expire(&mut self, now: Now) {
        let over = |held: &LevelHeld| held.until.is_some_and(|until| until <= now.wall);
        if self.row.held.as_ref().is_some_and(over) {
            self.hold(now, None);
        }
    }

    /// Ends its part in a step: its row, history and view where something changed, its next alarm.
    fn settle(&mut self, step: &mut Step) {
        let now = step.now;
        if self.planned {
            self.expire(now);
            self.hear(now, Signal::Tick);
        }
        if self.planned || self.touched {
            self.take_over(step);
        }
        self.set_alarm(now);
        let view = self.view();
        if self.shown.as_ref() != Some(&view) {
            self.shown = Some(view.clone());
            step.show_degradation(view);
        }
    }

    /// Finds when it is to be looked at by itself: where what it goes by is known.
    pub(crate) fn set_alarm(&mut self, now: Now) {
        let calm = self.degrader.next_deadline().map(Moment::at);
        let held = self.row.held.as_ref().and_then(|held| held.until);
        let until = held.map(|until| now.moment.after(until.since(now.wall)));
        self.alarm = [calm, until].into_iter().flatten().min().filter(|_| self.planned);
    }

    /// Writes what is so now, and tells it where it was not so before.
    fn take_over(&mut self, step: &mut Step) {
        let state = self.degrader.state();
        let names = |names: &[Name]| names.iter().filter_map(|name| name.parse().ok()).collect();
        let off: Vec<AgentName> = state.off.iter().filter_map(|(name, _)| name.parse().ok()).collect();
        let row = DegradationRow {
            level: words::of_level(state.level),
            cause: self.cause(),
            rule: match &state.cause {
                Cause::Rule(name) => Some(name.to_string()),
                Cause::Calm | Cause::Override { .. } => None,
            },
            modes: state.modes.iter().map(|mode| words::of_mode(*mode)).collect(),
            down: names(&state.down),
            hot: self.degrader.memory().hot.iter().map(ToString::to_string).collect(),
            off,
            ..self.row.clone()
        };
        let told = |row: &DegradationRow| {
            let DegradationRow {
                level,
                cause,
                rule,
                modes,
                down,
                off,
                ..
            } = row.clone();
            (level, cause, rule, modes, down, off)
        };
        let is_news = told(&row) != told(&self.row);
        if row == self.row && !core::mem::take(&mut self.touched) {
            return;
        }
        self.touched = false;
        let before = core::mem::replace(&mut self.row, row);
        self.row.revision = before.revision.next();
        if is_news {
            self.row.sequence = before.sequence.next();
            self.row.since = step.now.wall;
            self.tell(step, &before);
        }
        step.put(Change::Degradation(Box::new(self.row.clone())));
    }

    /// Adds to the history, and tells everybody.
    fn tell(&self, step: &mut Step, before: &DegradationRow) {
        let row = &self.row;
        let only = |one: &DegradationRow, other: &DegradationRow| -> Vec<AgentName> {
            one.off
                .iter()
                .filter(|name| !other.off.contains(name))
                .cloned()
                .collect()
        };
        let (went_off, came_back) = (only(row, before), only(before, row));
        let impact = self.degrader.state().impact;
        step.put(Change::Level(Box::new(LevelChange {
            sequence: row.sequence,
            namespace: row.namespace.clone(),
            at: step.now.wall,
            from: before.level,
            to: row.level,
            cause: row.cause.clone(),
            rule: row.rule.clone(),
            down: row.down.clone(),
            went_off: went_off.clone(),
            came_back: came_back.clone(),
            impact,
            actor: step.origin.actor.clone(),
            correlation_id: step.origin.correlation_id.clone(),
        })));
        // Names of namespaces and of agents follow the same rule.
        let Ok(name) = row.namespace.as_str().parse() else {
            return;
        };
        step.tell(Event {
            at: step.now.wall,
            namespace: row.namespace.clone(),
            agent: row.id,
            name,
            group: None,
            revision: row.revision,
            actor: step.origin.actor.clone(),
            correlation_id: step.origin.correlation_id.clone(),
            trace_id: step.origin.trace_id.clone(),
            what: Happening::DegradationChanged {
                sequence: row.sequence,
                from: before.level,
                to: row.level,
                cause: row.cause.clone(),
                modes: row.modes.clone(),
                went_off,
                came_back,
                impact,
            },
        });
    }

    fn audit(&self, step: &mut Step, verb: &str, reason: Option<String>) {
        let origin = step.origin.clone();
        step.put(Change::Audit(Box::new(AuditRow {
            at: step.now.wall,
            actor: origin.actor,
            role: origin.role,
            namespace: self.row.namespace.clone(),
            kind: AuditKind::Degradation,
            id: None,
            name: self.row.namespace.to_string(),
            verb: verb.into(),
            outcome: Outcome::Accepted,
            revision: self.row.revision,
            reason,
            correlation_id: origin.correlation_id,
            trace_id: origin.trace_id,
        })));
    }
}

/// What is heard of the degradation of a namespace.
#[derive(Debug)]
pub(crate) enum Heard {
    Plan(Box<Degrader>),
    Load(Load),
    Stands(AgentName, Serving),
    /// Nothing, but time has passed.
    Nothing,
}

/// Hears something, and lets follow from it what does.
pub(crate) fn hear(step: &mut Step, degradation: &mut Degradation, heard: Heard) {
    let now = step.now;
    match heard {
        Heard::Plan(plan) => {
            degradation.plan(*plan);
            step.send(degradation.subscriptions());
        }
        Heard::Load(load) => degradation.hear(now, Signal::Load(load)),
        Heard::Stands(name, serving) => degradation.heard(now, &name, serving),
        Heard::Nothing => {}
    }
    degradation.settle(step);
}

/// Carries out a request.
pub(crate) fn obey(step: &mut Step, degradation: &mut Degradation, command: DegradationCommand) -> DegradationAnswer {
    let verb = command.request.verb();
    let outcome = degradation.obey(step, &command.request, command.reason.clone());
    degradation.settle(step);
    if outcome != Outcome::Already {
        degradation.audit(step, verb, command.reason);
    }
    DegradationAnswer {
        outcome,
        degradation: degradation.view(),
    }
}

/// Whether a plan is about anything at all.
pub(crate) fn is_empty(plan: &Plan) -> bool {
    plan.features.is_empty() && plan.components.is_empty()
}

fn memory(row: &DegradationRow) -> Memory {
    Memory {
        down: row.down.iter().map(|name| name.as_str().into()).collect(),
        hot: row.hot.iter().map(|name| Arc::from(name.as_str())).collect(),
        held: row.held.as_ref().map(|held| {
            let why = held.reason.as_deref().unwrap_or_default();
            (words::level(held.level), held.actor.as_str().into(), why.into())
        }),
    }
}

/// Some names as people say them.
fn listed<'n>(names: impl Iterator<Item = &'n Name>) -> String {
    let names: Vec<&str> = names.map(|name| &**name).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("{one} is down"),
        [first @ .., last] => format!("{} and {last} are down", first.join(", ")),
    }
}
