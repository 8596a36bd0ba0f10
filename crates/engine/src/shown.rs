//! An agent as it is published, and as it rests between two steps: for most agents both are the same few bytes.
//!
//! What is at work on this node stays as it is between two steps. What only reports is packed: fleets of such agents go into the
//! millions, and nearly all of them rest at any moment (`docs/adr/0009-what-rests-is-packed.md`).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::journal::{AgentRow, RecoveryRow};
use stead_model::{AgentId, AgentName, AgentSpec, AgentView, Health, Now, PhaseId, Profile, Wanted};
use stead_policy::{FrozenStreak, Intensity, Streak};

use crate::depend::Standing;
use crate::pack::{Pack, Reader, put_cause};
use crate::permit::Asked;
use crate::plan;
use crate::record::{Record, Timer};
use crate::view;

/// An agent as readers see it: as it was at one moment. Cheap to clone and to keep.
#[derive(Clone, Debug)]
pub struct Shown(Arc<Image>);

#[derive(Debug)]
enum Image {
    Whole(Box<AgentView>),
    Packed(Packed),
}

/// An agent at rest that nothing runs and nobody probes.
#[derive(Debug)]
struct Packed {
    /// What it is told to be, without labels: shared with all who are told the same.
    told: Arc<AgentSpec>,
    profile: Arc<Profile>,
    /// When it was packed.
    at: Now,
    /// What a [`Glance`] shows, then everything else.
    bytes: Box<[u8]>,
}

/// What is seen of an agent at first sight, without making its view.
#[derive(Clone, Copy, Debug)]
pub struct Glance<'s> {
    /// Its id.
    pub id: AgentId,
    /// Its namespace.
    pub namespace: &'s str,
    /// Its name.
    pub name: &'s str,
    /// Its lifecycle profile.
    pub profile: &'s str,
    /// Where it is in its life.
    pub phase: &'s str,
    /// How well it does.
    pub health: Health,
    /// What is wanted of it.
    pub intent: Wanted,
    /// Whether it has conditions.
    pub has_conditions: bool,
    /// Its process, where there is one.
    pub pid: Option<i32>,
    /// The group that it is a replica of.
    pub group: Option<&'s AgentName>,
    labels: Labels<'s>,
}

#[derive(Clone, Copy, Debug)]
enum Labels<'s> {
    Whole(&'s BTreeMap<String, String>),
    Packed(Reader<'s>),
}

impl<'s> Glance<'s> {
    /// One of its labels.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'s str> {
        match self.labels {
            Labels::Whole(labels) => labels.get(key).map(String::as_str),
            Labels::Packed(mut labels) => {
                let count = labels.read::<u64>()?;
                (0..count).find_map(|_| {
                    let (known, value) = (labels.text()?, labels.text()?);
                    (known == key).then_some(value)
                })
            }
        }
    }
}

impl From<AgentView> for Shown {
    fn from(view: AgentView) -> Self {
        Self(Arc::new(Image::Whole(Box::new(view))))
    }
}

impl Shown {
    /// The agent as the API shows it.
    #[must_use]
    pub fn view(&self) -> AgentView {
        match &*self.0 {
            Image::Whole(view) => AgentView::clone(view),
            Image::Packed(packed) => view::agent(&packed.wake(), packed.at),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> AgentId {
        match &*self.0 {
            Image::Whole(view) => view.id,
            Image::Packed(packed) => packed.head().0,
        }
    }

    /// Its namespace and name, by which lists are ordered.
    #[must_use]
    pub fn place(&self) -> (&str, &str) {
        match &*self.0 {
            Image::Whole(view) => (view.namespace.as_str(), view.name.as_str()),
            Image::Packed(packed) => packed.head().1,
        }
    }

    /// Where it is in its life.
    #[must_use]
    pub fn phase(&self) -> &str {
        self.glance().phase
    }

    /// What is seen of it at first sight.
    #[must_use]
    pub fn glance(&self) -> Glance<'_> {
        match &*self.0 {
            Image::Whole(view) => Glance {
                id: view.id,
                namespace: view.namespace.as_str(),
                name: view.name.as_str(),
                profile: &view.profile,
                phase: &view.phase,
                health: view.health,
                intent: view.intent,
                has_conditions: !view.conditions.is_empty(),
                pid: view.pid,
                group: view.group.as_ref(),
                labels: Labels::Whole(&view.labels),
            },
            Image::Packed(packed) => packed.glance(),
        }
    }

    /// Whether it is packed, and down with its whole fleet.
    pub(crate) fn is_halted(&self) -> bool {
        match &*self.0 {
            Image::Whole(_) => false,
            Image::Packed(packed) => packed.standing().0,
        }
    }

    /// Whether it is packed, and up or on its way: signs of life are waited for.
    pub(crate) fn waits(&self) -> bool {
        match &*self.0 {
            Image::Whole(_) => false,
            Image::Packed(packed) => {
                let (_, has_deadline, phase) = packed.standing();
                has_deadline || packed.profile.role(phase).is_up()
            }
        }
    }

    /// Its profile and its phase, if it is packed.
    pub(crate) fn phase_id(&self) -> Option<(&Profile, PhaseId)> {
        match &*self.0 {
            Image::Whole(_) => None,
            Image::Packed(packed) => Some((&packed.profile, packed.standing().2)),
        }
    }

    /// An agent as it is after a step, if it is one that rests packed.
    pub(crate) fn of_resting(record: &Record, specs: &mut Specs, now: Now) -> Option<Self> {
        if !rests(record) {
            return None;
        }
        let before = record.image.as_ref().and_then(|image| match &*image.0 {
            Image::Whole(_) => None,
            Image::Packed(packed) => Some(packed),
        });
        let told = specs.share(&record.spec, before.map(|packed| &packed.told));
        specs.scratch.clear();
        write(record, &mut specs.scratch);
        Some(Self(Arc::new(Image::Packed(Packed {
            told,
            profile: Arc::clone(&record.profile),
            at: now,
            bytes: specs.scratch.as_slice().into(),
        }))))
    }

    /// Whether both are packed from the same state, at whichever moment.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&*self.0, &*other.0) {
            (Image::Packed(one), Image::Packed(other)) => {
                Arc::ptr_eq(&one.told, &other.told)
                    && Arc::ptr_eq(&one.profile, &other.profile)
                    && one.bytes == other.bytes
            }
            (Image::Whole(_) | Image::Packed(_), Image::Whole(_)) | (Image::Whole(_), Image::Packed(_)) => false,
        }
    }

    /// The agent itself, if this is how it rests.
    pub(crate) fn wake(&self) -> Option<Record> {
        match &*self.0 {
            Image::Whole(_) => None,
            Image::Packed(packed) => {
                let mut record = packed.wake();
                record.image = Some(self.clone());
                Some(record)
            }
        }
    }
}

/// Specs that are shared by those who are told the same.
#[derive(Debug, Default)]
pub(crate) struct Specs {
    known: Vec<Arc<AgentSpec>>,
    /// Where agents are written before it is known how long they are.
    scratch: Vec<u8>,
}

/// How many different specs are remembered for sharing. Fleets are made from few templates.
const MOST_SPECS: usize = 64;

impl Specs {
    /// A spec without its labels: that of `before`, of another agent, or a new one.
    fn share(&mut self, spec: &AgentSpec, before: Option<&Arc<AgentSpec>>) -> Arc<AgentSpec> {
        let known = before
            .into_iter()
            .chain(&self.known)
            .find(|known| known.is_but_for_labels(spec));
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let told = Arc::new(AgentSpec {
            labels: BTreeMap::new(),
            ..spec.clone()
        });
        if self.known.len() == MOST_SPECS {
            self.known.remove(0);
        }
        self.known.push(Arc::clone(&told));
        told
    }
}

/// Whether an agent is packed between two steps: nothing runs it, nobody looks at it from outside, it depends on nobody, and nothing
/// is to be done about it before something happens.
fn rests(record: &Record) -> bool {
    let row = &record.row;
    let alone = record.process().is_none() && !record.is_watched() && record.spec.depends_on.is_empty();
    let never_ran = row.instance.is_none() && row.last_exit.is_none() && record.watched.is_none() && !record.ordered;
    let bare = record.strays.is_empty() && record.standings.is_empty() && record.intensity == Intensity::new();
    let recovery = &row.recovery;
    let unharmed = recovery.failure.is_none() && recovery.attempts == 0 && recovery.open.is_none();
    alone
        && never_ran
        && unharmed
        && bare
        && row.member.is_none()
        && !row.removed
        && !row.frozen
        && row.word.is_none()
        && record.told == Some(Standing::of(record))
        && plan::is_done(record)
}

/// Writes an agent that [`rests`].
fn write(record: &Record, to: &mut Vec<u8>) {
    let Record {
        row,
        spec,
        profile: _,
        phase: _,
        timers,
        streak,
        intensity: _,
        ordered: _,
        probes,
        cleared: _,
        standings: _,
        strays: _,
        watched: _,
        unpublished,
        asked,
        ready_since,
        heard,
        told: _,
        image: _,
    } = record;
    let AgentRow {
        id,
        namespace,
        name,
        boot,
        // The record has it.
        profile: _,
        revision,
        phase: _,
        phase_since,
        sequence,
        intent,
        health,
        claim,
        vital,
        health_since,
        ready,
        conditions,
        evidence,
        spec_revision,
        incarnation,
        incarnations_reserved,
        instance: _,
        last_exit: _,
        restarts,
        restart_wanted,
        halted,
        halt_reason,
        // It is started again, so it does not rest.
        renewal: _,
        // All but the block is made of the record's timers when the row is.
        recovery: RecoveryRow { block, .. },
        deadline: _,
        tasks,
        correlation_id,
        expiry: _,
        frozen: _,
        word: _,
        asked: _,
        member: _,
        draining,
        drain: _,
        removed: _,
    } = row;
    id.pack(to);
    namespace.pack(to);
    name.pack(to);
    let waits = [*halted, record.timer(Timer::Deadline).is_some()];
    waits.iter().for_each(|wait| wait.pack(to));
    put_standing(record, to);
    (!conditions.is_empty()).pack(to);
    spec.labels.pack(to);

    boot.pack(to);
    revision.pack(to);
    phase_since.pack(to);
    sequence.pack(to);
    intent.pack(to);
    health.pack(to);
    claim.pack(to);
    vital.pack(to);
    health_since.pack(to);
    ready.pack(to);
    conditions.pack(to);
    evidence.pack(to);
    spec_revision.pack(to);
    incarnation.pack(to);
    incarnations_reserved.pack(to);
    restarts.pack(to);
    restart_wanted.pack(to);
    halt_reason.pack(to);
    block.pack(to);
    tasks.pack(to);
    put_own_cause(correlation_id, &intent.correlation_id, to);
    draining.pack(to);
    timers.iter().for_each(|timer| timer.pack(to));
    put_streak(streak, to);
    probes.iter().for_each(|probe| probe.pack(to));
    unpublished.pack(to);
    asked.0.pack(to);
    ready_since.pack(to);
    heard.pack(to);
}

/// Writes where it is, how well it does and what is wanted of it.
fn put_standing(record: &Record, to: &mut Vec<u8>) {
    (record.phase.index() as u64).pack(to);
    record.health().pack(to);
    record.row.intent.wanted.pack(to);
}

fn put_streak(streak: &Streak, to: &mut Vec<u8>) {
    let streak = streak.freeze(ORIGIN);
    streak.attempts.pack(to);
    streak.steady_in.pack(to);
}

/// Writes a cause unless it is the one of the intent.
fn put_own_cause(cause: &str, intended: &str, to: &mut Vec<u8>) {
    let own = cause != intended;
    own.pack(to);
    if own {
        put_cause(cause, to);
    }
}

impl Packed {
    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.bytes)
    }

    fn head(&self) -> (AgentId, (&str, &str)) {
        let mut from = self.reader();
        sound(|| Some((from.read()?, (from.text()?, from.text()?))))
    }

    /// Whether it is halted, whether its phase has a deadline, and the phase.
    fn standing(&self) -> (bool, bool, PhaseId) {
        let mut from = self.reader();
        sound(|| {
            let (_id, _place): (AgentId, _) = (from.read()?, (from.text()?, from.text()?));
            Some((from.read()?, from.read()?, read_phase(&mut from, &self.profile)?))
        })
    }

    fn glance(&self) -> Glance<'_> {
        let mut from = self.reader();
        sound(|| {
            Some(Glance {
                id: from.read()?,
                namespace: from.text()?,
                name: from.text()?,
                profile: self.profile.name(),
                phase: {
                    let (_halted, _has_deadline): (bool, bool) = (from.read()?, from.read()?);
                    self.profile.name_of(read_phase(&mut from, &self.profile)?)
                },
                health: from.read()?,
                intent: from.read()?,
                has_conditions: from.read()?,
                pid: None,
                group: None,
                labels: Labels::Packed(from),
            })
        })
    }

    fn wake(&self) -> Record {
        let mut from = self.reader();
        sound(|| {
            let record = self.read(&mut from)?;
            from.is_done().then_some(record)
        })
    }

    /// Reads what [`write`] wrote.
    fn read(&self, from: &mut Reader<'_>) -> Option<Record> {
        let (id, namespace, name) = (from.read()?, from.read()?, from.read()?);
        let (halted, _has_deadline): (bool, bool) = (from.read()?, from.read()?);
        let phase = read_phase(from, &self.profile)?;
        let (_shown, _wanted): (Health, Wanted) = (from.read()?, from.read()?);
        let _has_conditions: bool = from.read()?;
        let labels: BTreeMap<String, String> = from.read()?;
        let spec = if labels.is_empty() {
            Arc::clone(&self.told)
        } else {
            Arc::new(AgentSpec {
                labels,
                ..AgentSpec::clone(&self.told)
            })
        };
        let mut row = AgentRow {
            id,
            namespace,
            name,
            boot: from.read()?,
            profile: self.profile.name().to_string(),
            revision: from.read()?,
            phase: self.profile.name_of(phase).to_string(),
            phase_since: from.read()?,
            sequence: from.read()?,
            intent: from.read()?,
            health: from.read()?,
            claim: from.read()?,
            vital: from.read()?,
            health_since: from.read()?,
            ready: from.read()?,
            conditions: from.read()?,
            evidence: from.read()?,
            spec_revision: from.read()?,
            incarnation: from.read()?,
            incarnations_reserved: from.read()?,
            instance: None,
            last_exit: None,
            restarts: from.read()?,
            restart_wanted: from.read()?,
            halted,
            halt_reason: from.read()?,
            renewal: None,
            recovery: RecoveryRow {
                block: from.read()?,
                ..RecoveryRow::default()
            },
            deadline: None,
            tasks: from.read()?,
            correlation_id: String::new(),
            expiry: None,
            frozen: false,
            word: None,
            asked: Vec::new(),
            member: None,
            draining: false,
            drain: None,
            removed: false,
        };
        row.correlation_id = if from.read()? {
            from.cause()?
        } else {
            row.intent.correlation_id.clone()
        };
        row.draining = from.read()?;
        let mut record = Record::new(row, spec, Arc::clone(&self.profile));
        record.phase = phase;
        for timer in Timer::ALL {
            record.set_timer(timer, from.read()?);
        }
        let streak = FrozenStreak {
            attempts: from.read()?,
            steady_in: from.read()?,
        };
        record.streak = Streak::thaw(&streak, ORIGIN);
        for probe in &mut record.probes {
            *probe = from.read()?;
        }
        record.unpublished = from.read()?;
        record.asked = Asked(from.read()?);
        record.ready_since = from.read()?;
        record.heard = from.read()?;
        record.told = Some(Standing::of(&record));
        Some(record)
    }
}

fn read_phase(from: &mut Reader<'_>, profile: &Profile) -> Option<PhaseId> {
    let index = usize::try_from(from.read::<u64>()?).ok()?;
    profile.phases().nth(index)
}

/// Reads bytes that were written here and are handed out to nobody.
fn sound<T>(read: impl FnOnce() -> Option<T>) -> T {
    #[expect(
        clippy::expect_used,
        reason = "bytes in memory are as they were written, and every agent is read back in tests"
    )]
    read().expect("a packed agent is read as it was written")
}

/// The streak is packed by the node's own clock, which goes on.
const ORIGIN: Duration = Duration::ZERO;

#[cfg(test)]
mod tests;
