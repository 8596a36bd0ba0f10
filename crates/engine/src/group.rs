//! One group in memory: its row, the kept revisions of its spec, and who its replicas are.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::group::{GroupPhase, GroupSpec, GroupView, RevisionView, RolloutState, RolloutStatus, RolloutView};
use stead_model::journal::{GroupRow, InstanceRow, SpecRow};
use stead_model::{AgentId, AgentName, AgentSpec, BootClock, Health, Moment, Namespace, Now, Role, Slot, Wall, Wanted};

use crate::depend::{Body, Message, Serving, Standing, Watchers};
use crate::record::Record;
use crate::step::Step;

/// How long a deadline is put off while it is not known yet what runs.
const UNSURVEYED: core::time::Duration = core::time::Duration::from_secs(1);

/// What a group is told to be.
#[derive(Clone, PartialEq, Debug)]
pub struct KnownGroup {
    /// Its id.
    pub id: AgentId,
    /// The number of its template's revision.
    pub revision: u32,
    /// The spec, secrets included: redact it before showing it.
    pub spec: GroupSpec,
    /// The template that was tried last, where that failed and another one is in force again.
    pub taken_back: Option<Arc<AgentSpec>>,
}

/// A group. Its replicas are records of their own, in the same slot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) row: GroupRow,
    pub(crate) specs: BTreeMap<u32, Arc<AgentSpec>>,
    /// Its replicas by their number, those on their way out included.
    pub(crate) members: BTreeMap<u32, AgentId>,
    /// Numbers whose names were asked for and not granted yet.
    pub(crate) claimed: BTreeSet<u32>,
    /// When its update is given up unless it gets on before.
    pub(crate) deadline: Option<Moment>,
    /// When it is looked at again by itself.
    pub(crate) alarm: Option<Moment>,
    /// It differs from its stored row.
    pub(crate) touched: bool,
    /// What was published last.
    pub(crate) shown: Option<Box<GroupView>>,
    /// What those that depend on it were told last.
    pub(crate) told: Option<Standing>,
}

/// What a group sees of one of its replicas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that hold apart from each other, side by side"
)]
pub(crate) struct Seen {
    pub(crate) ordinal: u32,
    pub(crate) id: AgentId,
    /// The revision of the group's spec that it was told last.
    pub(crate) revision: u32,
    /// It is to be gone.
    pub(crate) leaves: bool,
    /// It is wanted to run, and not down with its fleet.
    pub(crate) runs: bool,
    /// It is down with its fleet.
    pub(crate) halted: bool,
    /// It has a process.
    pub(crate) lives: bool,
    /// Its process has an older spec than it was told last, and goes on with it.
    pub(crate) stale: bool,
    /// It serves and takes work.
    pub(crate) ready: bool,
    /// When it will have been ready for long enough, if it is ready.
    pub(crate) available_from: Option<Moment>,
    /// It was available with its revision once.
    pub(crate) passed: bool,
    /// It failed with its revision before it passed.
    pub(crate) failed: bool,
    /// It has a live instance.
    pub(crate) started: bool,
    /// It ran and ended with success.
    pub(crate) completed: bool,
    /// Whether it does what features need it for.
    pub(crate) serving: Serving,
}

impl Seen {
    pub(crate) fn available(&self, now: Moment) -> bool {
        self.available_from.is_some_and(|from| from <= now)
    }
}

impl Group {
    pub(crate) fn new(row: GroupRow) -> Self {
        Self {
            row,
            specs: BTreeMap::new(),
            members: BTreeMap::new(),
            claimed: BTreeSet::new(),
            deadline: None,
            alarm: None,
            touched: false,
            shown: None,
            told: None,
        }
    }

    /// Reads what [`Group::freeze`] wrote.
    pub(crate) fn thaw(row: GroupRow, boot: &BootClock, now: Moment) -> Self {
        let deadline = row
            .rollout
            .as_ref()
            .and_then(|rollout| rollout.deadline)
            .map(|wait| boot.restore(now, wait));
        Self {
            deadline,
            ..Self::new(row)
        }
    }

    /// The row to store.
    pub(crate) fn freeze(&self, boot: &BootClock, now: Moment) -> GroupRow {
        let mut row = self.row.clone();
        if let Some(rollout) = &mut row.rollout {
            rollout.deadline = self.deadline.map(|due| boot.store(now, due));
        }
        row
    }

    /// The spec of a kept revision.
    pub(crate) fn spec(&self, revision: u32) -> Option<Arc<AgentSpec>> {
        self.specs.get(&revision).map(Arc::clone)
    }

    /// The template that was tried last, where that failed and another one is in force again.
    pub(crate) fn taken_back(&self) -> Option<Arc<AgentSpec>> {
        let rollout = self.row.rollout.as_ref()?;
        match rollout.state {
            RolloutState::RollingBack | RolloutState::RolledBack => self.spec(rollout.to),
            RolloutState::Rolling | RolloutState::Completed | RolloutState::Failed | RolloutState::Superseded => None,
        }
    }

    /// Whether an update is under way, forth or back.
    pub(crate) fn rolls(&self) -> Option<RolloutState> {
        let state = self.row.rollout.as_ref()?.state;
        match state {
            RolloutState::Rolling | RolloutState::RollingBack => Some(state),
            RolloutState::Completed | RolloutState::RolledBack | RolloutState::Failed | RolloutState::Superseded => {
                None
            }
        }
    }

    /// How many replicas there may be beyond the wanted ones now.
    pub(crate) fn surge(&self) -> u32 {
        match self.rolls() {
            Some(_) if self.row.intent.wanted == Wanted::Running => {
                self.row.update.max_surge.ceil_of(self.row.replicas)
            }
            Some(_) | None => 0,
        }
    }

    /// Whether it has nobody that could show what an update is worth: it is not to run, none of its replicas is, or its fleet is down.
    pub(crate) fn rests(&self, seen: &[Seen]) -> bool {
        let mut own = seen
            .iter()
            .filter(|seen| seen.ordinal <= self.row.replicas && !seen.leaves)
            .peekable();
        self.row.intent.wanted != Wanted::Running
            || seen.iter().any(|seen| seen.halted)
            || own.peek().is_some() && own.all(|seen| !seen.runs)
    }

    /// The name of one of its replicas; nothing if it would be too long.
    pub(crate) fn name_of(&self, ordinal: u32) -> Option<AgentName> {
        format!("{}-{ordinal}", self.row.name).parse().ok()
    }

    /// Ends its part in a round: its row if it changed, its view, word to those that depend on it, its next alarm.
    pub(crate) fn settle(&mut self, step: &mut Step, seen: &[Seen], watchers: &Watchers) {
        let now = step.now;
        if core::mem::take(&mut self.touched) {
            self.row.revision = self.row.revision.next();
            step.put_group(self.freeze(&step.boot, now.moment));
        }
        if !step.surveyed && self.deadline.is_some_and(|due| due <= now.moment) {
            // The node was away; it looks first and judges then.
            self.deadline = Some(now.moment.after(UNSURVEYED));
        }
        let gate = seen
            .iter()
            .filter_map(|seen| seen.available_from)
            .filter(|from| *from > now.moment)
            .min();
        let mut expiry = self.expiry(now);
        if !step.surveyed {
            expiry = expiry.map(|due| due.max(now.moment.after(UNSURVEYED)));
        }
        self.alarm = [self.deadline, gate, expiry].into_iter().flatten().min();
        let view = self.view(seen, now);
        let standing = (!self.row.removed).then(|| self.standing(seen, &view));
        if standing != self.told {
            self.told = standing;
            step.send(watchers.tell(&self.row.namespace, &self.row.name, standing));
        }
        if self.row.removed {
            step.hide_group(view);
        } else if self.shown.as_deref() != Some(&view) {
            self.shown = Some(Box::new(view.clone()));
            step.show_group(view);
        }
    }

    /// How it stands for those that depend on it: started with one replica, healthy with as many as an update leaves.
    fn standing(&self, seen: &[Seen], view: &GroupView) -> Standing {
        let least = view
            .replicas
            .saturating_sub(self.row.update.max_unavailable.floor_of(view.replicas))
            .max(1);
        Standing {
            started: seen.iter().any(|seen| seen.started),
            healthy: view.available >= least,
            completed: view.replicas > 0 && seen.iter().all(|seen| seen.completed),
            serving: match view.replicas {
                0 => Serving::No,
                _some => Serving::of_group(seen.iter().map(|seen| seen.serving)),
            },
        }
    }

    /// When its pause is over by itself.
    pub(crate) fn expiry(&self, now: Now) -> Option<Moment> {
        let pause = (self.row.intent.wanted == Wanted::Paused).then_some(self.row.intent.pause.as_ref());
        let until = pause.flatten()?.until?;
        Some(now.moment.after(until.since(now.wall)))
    }

    /// What it sees of a replica.
    pub(crate) fn see(&self, record: &Record) -> Option<Seen> {
        let member = record.row.member.as_ref()?;
        let ready =
            record.role().serves() && record.row.ready && !matches!(record.health(), Health::Failed | Health::Critical);
        let troubled = matches!(record.role(), Role::Error | Role::Failed | Role::TimedOut) && !record.ended_unseen();
        let blocked = record
            .block_kind()
            .is_some_and(|kind| kind != stead_model::journal::BlockKind::Completed);
        Some(Seen {
            ordinal: member.ordinal,
            id: record.row.id,
            revision: member.revision,
            leaves: record.row.intent.wanted == Wanted::Deleted,
            runs: record.row.intent.wanted == Wanted::Running && !record.row.halted,
            halted: record.row.halted,
            lives: record.has_instance(),
            stale: is_stale(record),
            ready,
            available_from: record
                .ready_since
                .filter(|_| ready)
                .map(|since| since.after(self.row.update.min_ready.0)),
            passed: member.passed,
            started: record.told.is_some_and(|told| told.started),
            completed: record.told.is_some_and(|told| told.completed),
            serving: record.told.map(|told| told.serving).unwrap_or_default(),
            failed: !member.passed && (troubled || blocked || record.row.restarts > member.restarts),
        })
    }

    /// What to say to the slots of its replicas' names: whose they are.
    pub(crate) fn naming(&self, ordinal: u32, member: Option<AgentId>) -> Option<Message> {
        let name = self.name_of(ordinal)?;
        Some(Message {
            to: Slot::home(&self.row.namespace, name.as_str()),
            body: Body::Claim {
                namespace: self.row.namespace.clone(),
                name,
                group: self.row.id,
                ordinal,
                member,
            },
        })
    }

    /// What to say to the slot of a name that is no longer needed.
    pub(crate) fn releasing(&self, ordinal: u32) -> Option<Message> {
        let name = self.name_of(ordinal)?;
        Some(Message {
            to: Slot::home(&self.row.namespace, name.as_str()),
            body: Body::Release {
                namespace: self.row.namespace.clone(),
                name,
                group: self.row.id,
            },
        })
    }

    /// The group as the API shows it.
    pub(crate) fn view(&self, seen: &[Seen], now: Now) -> GroupView {
        let row = &self.row;
        let count = |test: &dyn Fn(&Seen) -> bool| {
            u32::try_from(seen.iter().filter(|seen| test(seen)).count()).unwrap_or(u32::MAX)
        };
        let mut view = GroupView {
            id: row.id,
            name: row.name.clone(),
            namespace: row.namespace.clone(),
            phase: GroupPhase::Online,
            summary: String::new(),
            intent: row.intent.wanted,
            pause: row.intent.shown_pause(),
            replicas: row.replicas,
            present: count(&|_| true),
            ready: count(&|seen| seen.ready),
            available: count(&|seen| seen.available(now.moment)),
            updated: count(&|seen| seen.revision == row.target && seen.ordinal <= row.replicas && !seen.leaves),
            revision: row.revision,
            spec_revision: row.target,
            good_revision: row.good,
            update: row.update.clone(),
            labels: self
                .spec(row.target)
                .map(|spec| spec.labels.clone())
                .unwrap_or_default(),
            rollout: row.rollout.as_ref().map(|rollout| RolloutView {
                state: rollout.state,
                from: rollout.from,
                to: rollout.to,
                began: rollout.began,
                ended: rollout.ended,
                deadline: self.deadline.map(|due| crate::view::wall(now, due)),
                actor: rollout.actor.clone(),
                why: rollout.why.clone(),
            }),
            members: self
                .members
                .keys()
                .filter_map(|ordinal| self.name_of(*ordinal))
                .collect(),
        };
        view.phase = self.phase(&view);
        view.summary = summary(&view, self.rests(seen));
        view
    }

    /// What it showed last, with the revisions that it can go back to.
    pub(crate) fn status(&self) -> Option<RolloutStatus> {
        let revisions = self.row.revisions.iter().map(|row| RevisionView {
            number: row.number,
            actor: row.actor.clone(),
            at: row.at,
            reason: row.reason.clone(),
            failed: row.failed,
        });
        Some(RolloutStatus {
            group: GroupView::clone(self.shown.as_deref()?),
            revisions: revisions.collect(),
        })
    }

    fn phase(&self, view: &GroupView) -> GroupPhase {
        match (self.row.intent.wanted, self.rolls()) {
            (Wanted::Deleted, _) => GroupPhase::Deleting,
            (Wanted::Running, Some(RolloutState::RollingBack)) => GroupPhase::RollingBack,
            (Wanted::Running, Some(_)) => GroupPhase::Updating,
            (_, _) if view.present != view.replicas => GroupPhase::Scaling,
            (Wanted::Running, None) if view.available < view.replicas => GroupPhase::Degraded,
            (Wanted::Running, None) => GroupPhase::Online,
            (Wanted::Paused | Wanted::Maintenance | Wanted::Stopped | Wanted::Terminated, _) => GroupPhase::Resting,
        }
    }
}

fn summary(view: &GroupView, rests: bool) -> String {
    let mut said = format!(
        "{} is {}: {} of {} available",
        view.name, view.phase, view.available, view.replicas
    );
    if let Some(rollout) = &view.rollout {
        let to = rollout.to;
        let until = match view.intent {
            Wanted::Running => "its replicas run again",
            Wanted::Paused | Wanted::Maintenance => "it is resumed",
            Wanted::Stopped | Wanted::Terminated | Wanted::Deleted => "it is started",
        };
        said += &match rollout.state {
            RolloutState::Rolling if rests => format!("; revision {to} waits until {until}"),
            RolloutState::RollingBack if rests => {
                format!("; revision {to} failed, and is taken back when {until}")
            }
            RolloutState::Rolling => format!("; revision {to} has reached {} of {}", view.updated, view.replicas),
            RolloutState::RollingBack => format!(
                "; revision {to} failed and is being taken back, {} of {} are at revision {} again",
                view.updated, view.replicas, view.spec_revision
            ),
            RolloutState::Completed => format!("; revision {to} is in force"),
            RolloutState::RolledBack => format!("; revision {to} failed and was taken back to {}", view.spec_revision),
            RolloutState::Failed => format!("; revision {to} failed"),
            RolloutState::Superseded => String::new(),
        };
        if let (Some(why), RolloutState::RollingBack | RolloutState::RolledBack | RolloutState::Failed) =
            (&rollout.why, rollout.state)
        {
            said += ": ";
            said += why;
        }
    }
    said
}

/// Whether its process goes on with an older spec than it was told last.
fn is_stale(record: &Record) -> bool {
    let old = |instance: &InstanceRow| instance.spec_revision != record.row.spec_revision && !instance.ending;
    let goes_on = match record.role() {
        Role::Ready | Role::Idle | Role::Busy | Role::Impaired | Role::Starting | Role::Restarting | Role::Scaling => {
            !record.row.draining && !record.row.restart_wanted
        }
        Role::Initial
        | Role::Preparing
        | Role::Prepared
        | Role::Updating
        | Role::Suspended
        | Role::Maintenance
        | Role::Stopping
        | Role::Offline
        | Role::Error
        | Role::TimedOut
        | Role::Failed
        | Role::Retired
        | Role::Gone => false,
    };
    goes_on && record.row.instance.as_ref().is_some_and(old)
}

/// Puts the kept revisions of specs with their groups; the rest are those of agents. A store gives all from the oldest kept one on, also
/// those between that were forgotten.
pub(crate) fn sort_specs(
    groups: &mut BTreeMap<AgentId, Box<Group>>,
    specs: Vec<SpecRow>,
) -> BTreeMap<AgentId, Arc<AgentSpec>> {
    let mut of_agents = BTreeMap::new();
    for row in specs {
        match groups.get_mut(&row.agent) {
            Some(group) if group.row.revisions.iter().any(|kept| kept.number == row.revision) => {
                group.specs.insert(row.revision, Arc::new(row.spec));
            }
            Some(_) => {}
            None => drop(of_agents.insert(row.agent, Arc::new(row.spec))),
        }
    }
    of_agents
}

/// Names that groups asked for, by the slot that is their home.
#[derive(Debug, Default)]
pub(crate) struct Claims(BTreeMap<(Namespace, AgentName), Claim>);

/// A name that a group wants for a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) group: AgentId,
    pub(crate) ordinal: u32,
    /// The replica, once it is there.
    pub(crate) member: Option<AgentId>,
}

impl Claim {
    /// What to say to its group: the name is theirs.
    pub(crate) const fn granted(self) -> Message {
        Message {
            to: self.group.slot(),
            body: Body::Granted {
                group: self.group,
                ordinal: self.ordinal,
            },
        }
    }
}

impl Claims {
    /// Notes a claim, unless another group has the name; says whose it is now.
    pub(crate) fn put(&mut self, namespace: Namespace, name: AgentName, claim: Claim) -> Claim {
        let held = self.0.entry((namespace, name)).or_insert(claim);
        if held.group == claim.group {
            *held = claim;
        }
        *held
    }

    pub(crate) fn get(&self, namespace: &Namespace, name: &AgentName) -> Option<Claim> {
        self.0.get(&(namespace.clone(), name.clone())).copied()
    }

    pub(crate) fn release(&mut self, namespace: Namespace, name: AgentName, group: AgentId) {
        let key = (namespace, name);
        if self.0.get(&key).is_some_and(|claim| claim.group == group) {
            self.0.remove(&key);
        }
    }
}

/// The end of an update, for its row.
pub(crate) fn ended(rollout: &mut stead_model::journal::RolloutRow, state: RolloutState, at: Wall) {
    rollout.state = state;
    rollout.ended = Some(at);
}
