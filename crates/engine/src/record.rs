//! One agent in memory: what is stored of it, and what is only known while the node runs.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::time::Duration;

use stead_model::journal::{AgentRow, Block, BlockKind, RecoveryRow};
use stead_model::spec::{BackoffSpec, ProbeKind, ProcessSpec, ReadinessSource, RecoveryMode, RestartSpec, WarningStep};
use stead_model::{
    AgentName, AgentSpec, BootClock, Condition, Driver, FailureKind, Health, Incarnation, InstanceId, Moment, Now,
    PhaseId, Profile, Role, Span, Wanted,
};
use stead_policy::{
    Backoff, Factor, First, FrozenStreak, Growth, Intensity, IntensityLimit, Jitter, Spread, StableReset, Streak,
};

use crate::abstain;
use crate::depend::Standing;
use crate::permit::Asked;
use crate::plan::{self, KILL_AGAIN};
use crate::profiles::Profiles;
use crate::shown::Shown;

/// An agent. Waits live in [`Timer`]s here and as stored waits in the row.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) row: AgentRow,
    pub(crate) spec: Arc<AgentSpec>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) phase: PhaseId,
    pub(crate) timers: [Option<Moment>; TIMERS],
    pub(crate) streak: Streak,
    pub(crate) intensity: Intensity,
    /// The order to start its instance was given by this node, so it may be on its way while an inventory does not show it.
    pub(crate) ordered: bool,
    /// How many in a row each probe succeeded (positive) or failed (negative).
    pub(crate) probes: [i32; 3],
    /// How many times in a row it was found that the cause is gone for which it is held.
    pub(crate) cleared: u32,
    /// How those it depends on stand, as far as it was told; nothing where there is no such agent.
    pub(crate) standings: BTreeMap<AgentName, Option<Standing>>,
    /// Runs that should not be there and are being ended; none is started beside them.
    pub(crate) strays: BTreeSet<Incarnation>,
    /// Which of its runs is probed though nothing runs it here, or which one was the last of one that is held, and by which spec.
    pub(crate) watched: Option<(Incarnation, Arc<AgentSpec>)>,
    /// It said something that is not published yet.
    pub(crate) unpublished: bool,
    /// Requests that moved it lately.
    pub(crate) asked: Asked,
    /// Since when it is ready, as far as this node saw.
    pub(crate) ready_since: Option<Moment>,
    /// It is one that nothing runs, up, and its last sign of life is fresh.
    pub(crate) heard: bool,
    /// What the watchers were told last.
    pub(crate) told: Option<Standing>,
    /// How it rested before this step, or, once the step has settled, how it will rest: nothing if it stays as it is.
    pub(crate) image: Option<Shown>,
}

/// What an agent may be waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// Its phase must have ended.
    Deadline,
    /// It may be started again.
    Restart,
    /// It was asked to end and is made to.
    Kill,
    /// It has lived for long enough to count as healthy.
    Settle,
    /// It has been silent for too long.
    Silence,
    /// What it says of itself may be published again.
    Word,
    /// Its tasks have had their time; it is stopped.
    Drain,
    /// Its pause is over by itself.
    Expiry,
    /// It must have been seen that the attempt to bring it back helped.
    Attempt,
}

const TIMERS: usize = 9;

impl Timer {
    pub(crate) const ALL: [Self; TIMERS] = [
        Self::Deadline,
        Self::Restart,
        Self::Kill,
        Self::Settle,
        Self::Silence,
        Self::Word,
        Self::Drain,
        Self::Expiry,
        Self::Attempt,
    ];
}

impl Record {
    /// A new agent in its profile's initial state.
    pub(crate) fn new(row: AgentRow, spec: Arc<AgentSpec>, profile: Arc<Profile>) -> Self {
        Self {
            phase: profile.initial(),
            row,
            spec,
            profile,
            timers: [None; TIMERS],
            streak: Streak::new(),
            intensity: Intensity::new(),
            ordered: false,
            probes: [0; 3],
            cleared: 0,
            standings: BTreeMap::new(),
            strays: BTreeSet::new(),
            watched: None,
            unpublished: false,
            asked: Asked::default(),
            ready_since: None,
            heard: false,
            told: None,
            image: None,
        }
    }

    /// Takes up its profile as it is among others, unless it has no such state there.
    pub(crate) fn follow(&mut self, profiles: &Profiles) {
        if let Some(profile) = profiles.get(&self.row.profile)
            && let Some(phase) = profile.phase(self.profile.name_of(self.phase))
        {
            self.profile = profile;
            self.phase = phase;
        }
    }

    /// Reads what [`Record::freeze`] wrote. A profile or phase that is no longer known is refused.
    pub(crate) fn thaw(
        row: AgentRow,
        spec: Arc<AgentSpec>,
        profiles: &Profiles,
        boot: &BootClock,
        now: Moment,
    ) -> Result<Self, Box<AgentRow>> {
        let known = profiles
            .get(&row.profile)
            .and_then(|profile| profile.phase(&row.phase).map(|phase| (profile, phase)));
        let Some((profile, phase)) = known else {
            return Err(Box::new(row));
        };
        let recovery = &row.recovery;
        let limit = intensity_limit(&spec.restart);
        let left = |wait: &stead_model::StoredWait| boot.restore(now, *wait).since(now);
        let intensity = Intensity::from_waits(&limit, now.since_start(), recovery.recent.iter().map(left));
        let streak = Streak::thaw(
            &FrozenStreak {
                attempts: recovery.attempt,
                steady_in: recovery.stable.as_ref().map(left),
            },
            now.since_start(),
        );
        let mut timers = [None; TIMERS];
        timers[Timer::Deadline as usize] = row.deadline.map(|wait| boot.restore(now, wait));
        timers[Timer::Expiry as usize] = row.expiry.map(|wait| boot.restore(now, wait));
        timers[Timer::Restart as usize] = recovery.due.map(|wait| boot.restore(now, wait));
        timers[Timer::Drain as usize] = row.drain.map(|wait| boot.restore(now, wait));
        timers[Timer::Attempt as usize] = recovery.verify.map(|wait| boot.restore(now, wait));
        let mut row = row;
        if row.boot != boot.boot {
            // A power cut may have taken rows of starts with it.
            row.incarnation = row.incarnation.max(row.incarnations_reserved);
        }
        if row.instance.is_none() {
            // Whatever was left of an earlier boot is settled.
            row.boot = boot.boot;
        }
        let mut record = Self {
            timers,
            streak,
            intensity,
            phase,
            asked: Asked(row.asked.iter().map(|wait| boot.restore(now, *wait)).collect()),
            ready_since: row.ready.then_some(now),
            ..Self::new(row, spec, profile)
        };
        if record.ending() {
            record.set_timer(Timer::Kill, Some(now.after(KILL_AGAIN)));
        }
        record.forgive_silence();
        record.told = Some(Standing::of(&record));
        Ok(record)
    }

    /// The row to store.
    pub(crate) fn freeze(&self, boot: &BootClock, now: Moment) -> AgentRow {
        let at = |timer: Timer| self.timers[timer as usize].map(|due| boot.store(now, due));
        let origin = now.since_start();
        let streak = self.streak.freeze(origin);
        let store = |wait: Duration| boot.store(now, now.after(wait));
        AgentRow {
            phase: self.phase_name(),
            deadline: at(Timer::Deadline),
            expiry: at(Timer::Expiry),
            asked: self.asked.0.iter().map(|due| boot.store(now, *due)).collect(),
            drain: at(Timer::Drain),
            recovery: RecoveryRow {
                attempt: streak.attempts,
                recent: self
                    .intensity
                    .waits(&intensity_limit(&self.spec.restart), origin)
                    .map(store)
                    .collect(),
                due: at(Timer::Restart),
                stable: streak.steady_in.map(store),
                verify: at(Timer::Attempt),
                ..self.row.recovery.clone()
            },
            ..self.row.clone()
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.profile.role(self.phase)
    }

    /// The group that it is a replica of.
    pub(crate) fn group_name(&self) -> Option<AgentName> {
        let member = self.row.member.as_ref();
        member.map(|member| member.group_name.clone())
    }

    pub(crate) fn process(&self) -> Option<&ProcessSpec> {
        match &self.spec.driver {
            Driver::None => None,
            Driver::Process(process) => Some(process),
        }
    }

    /// Whether there is an instance that would have to be ended. What nothing runs has none.
    pub(crate) const fn has_instance(&self) -> bool {
        self.row.instance.is_some()
    }

    /// Whether it is one that nothing runs and whose last report is fresh, or whose probes find it up.
    pub(crate) fn reports(&self) -> bool {
        let seen = self.is_watched() && self.role().is_up();
        self.process().is_none() && (seen || self.heard)
    }

    /// Whether it is one that nothing runs and that is looked at from outside; its own reports then only worsen what is seen.
    pub(crate) fn is_watched(&self) -> bool {
        self.process().is_none() && self.spec.probes.look_at_runs()
    }

    /// The node's own absence is not the silence of one that nothing runs here.
    pub(crate) fn forgive_silence(&mut self) {
        self.heard |= self.spec.driver == Driver::None && self.role().is_up() && !self.is_watched();
    }

    /// How well it does: as seen from outside, or worse if it says so itself, or does not get on.
    pub(crate) fn health(&self) -> Health {
        let (role, seen) = (self.role(), self.row.health);
        let claim = self.row.claim.filter(|_| role.serves());
        let vital = self.row.vital.filter(|_| role.is_up());
        let doubted = self.is_doubted().then_some(Health::Degraded).filter(|_| role.serves());
        claim.into_iter().chain(vital).chain(doubted).fold(seen, Ord::max)
    }

    /// Whether something that its beats tell ahead of trouble counts against it.
    fn is_doubted(&self) -> bool {
        let warns = self.spec.health.on_warning == Some(WarningStep::Degrade);
        self.row.conditions.iter().any(|held| match held.condition {
            Condition::Stuck | Condition::Looping => true,
            Condition::Warning => warns,
            Condition::Suspect
            | Condition::Flapping
            | Condition::Held
            | Condition::Quarantined
            | Condition::HealthyBusy
            | Condition::WaitingApproval
            | Condition::Unverified => false,
        })
    }

    /// Whether it is asked from outside whether the cause is gone for which it is held. Not where an answer would change nothing:
    /// with `recovery.mode = "observe"` it is left as it is.
    pub(crate) fn awaits_clearance(&self) -> bool {
        let acts = self.spec.recovery.mode == RecoveryMode::Act;
        let failure = self.row.recovery.failure.as_ref();
        let beyond_restart = failure.is_some_and(|failure| !failure.restart_helps);
        let held = self.block_kind() == Some(BlockKind::Held) && beyond_restart;
        let down = self.process().is_some() && !self.has_instance() && !self.row.removed;
        acts && held && down && self.spec.probes.clear.is_some() && plan::wanted(self) == Wanted::Running
    }

    /// Whether its silence is judged. A process need not beat, unless it is told to or this run of it has begun to.
    pub(crate) fn expects_beats(&self) -> bool {
        match self.process() {
            None => self.role().is_up() && !self.is_watched(),
            Some(_) => self.beats() && self.role().serves() && !self.ending() && !self.row.frozen,
        }
    }

    fn beats(&self) -> bool {
        let begun = self.row.instance.as_ref().is_some_and(|instance| instance.beats);
        begun || self.spec.health.expected == Some(true)
    }

    /// Whether a bare sign of life changes it.
    pub(crate) fn awaits_beat(&self) -> bool {
        let (role, row) = (self.role(), &self.row);
        let unverified = || {
            row.conditions
                .iter()
                .any(|held| held.condition == Condition::Unverified)
        };
        match self.process() {
            None if self.is_watched() => false,
            None => {
                let comes = plan::awaits_report(role) && plan::wanted(self) == Wanted::Running;
                let rises = !row.ready && !row.draining || row.health != Health::Healthy;
                comes
                    || matches!(role, Role::Updating | Role::Scaling)
                    || role.is_up() && !self.heard
                    || role.serves() && rises
            }
            Some(_) if abstain::is_left(self, FailureKind::HeartbeatTimeout) => true,
            Some(_) => {
                role.serves()
                    && !self.ending()
                    && self.spec.readiness() == ReadinessSource::Spawn
                    && (matches!(row.health, Health::Unknown | Health::Recovering) || unverified())
            }
        }
    }

    pub(crate) fn instance_id(&self) -> Option<InstanceId> {
        self.row.instance.as_ref().map(|instance| InstanceId {
            agent: self.row.id,
            incarnation: instance.incarnation,
        })
    }

    /// How long it may be silent while it serves: as it said itself, else as it is told.
    pub(crate) fn watchdog(&self) -> Option<Span> {
        let said = self.row.instance.as_ref().and_then(|instance| instance.watchdog);
        said.or_else(|| self.process()?.watchdog)
            .filter(|silence| *silence > Span::default())
    }

    pub(crate) fn is_current(&self, incarnation: Incarnation) -> bool {
        self.row
            .instance
            .as_ref()
            .is_some_and(|instance| instance.incarnation == incarnation)
    }

    /// Whether its last run ended while nobody watched: that says nothing of how it does.
    pub(crate) fn ended_unseen(&self) -> bool {
        let last = self.row.last_exit.as_ref();
        last.is_some_and(|last| last.exit == stead_model::Exit::Unknown && last.incarnation == self.row.incarnation)
    }

    pub(crate) fn ending(&self) -> bool {
        self.row.instance.as_ref().is_some_and(|instance| instance.ending)
    }

    pub(crate) fn block_kind(&self) -> Option<BlockKind> {
        self.row.recovery.block.as_ref().map(|block| block.kind)
    }

    pub(crate) fn set_timer(&mut self, timer: Timer, due: Option<Moment>) {
        self.timers[timer as usize] = due;
    }

    /// Lets a wait that is under way end no sooner than `until`.
    pub(crate) fn put_off(&mut self, timer: Timer, until: Moment) {
        if self.timer(timer).is_some_and(|due| due < until) {
            self.set_timer(timer, Some(until));
        }
    }

    pub(crate) const fn timer(&self, timer: Timer) -> Option<Moment> {
        self.timers[timer as usize]
    }

    pub(crate) fn next_timer(&self) -> Option<Moment> {
        self.timers.iter().flatten().min().copied()
    }

    /// Forgets failures, as on a person's word or for a new spec.
    pub(crate) fn forgive(&mut self) -> Option<Block> {
        self.streak = Streak::new();
        self.intensity.clear();
        self.set_timer(Timer::Restart, None);
        self.row.recovery.failure = None;
        self.row.recovery.sheltered = false;
        self.row.recovery.block.take()
    }

    /// Counts a probe's result; says how many of its sort came in a row.
    pub(crate) fn count_probe(&mut self, kind: ProbeKind, good: bool) -> u32 {
        let streak = &mut self.probes[kind as usize];
        *streak = match (good, *streak > 0) {
            (true, true) => streak.saturating_add(1),
            (true, false) => 1,
            (false, true) => -1,
            (false, false) => streak.saturating_sub(1),
        };
        streak.unsigned_abs()
    }

    /// What happens to the next start after a failure at `now`: the wait, or nothing when too many failed.
    pub(crate) fn schedule(&mut self, now: Now) -> Option<Duration> {
        let origin = now.moment.since_start();
        let verdict = self.intensity.record(&intensity_limit(&self.spec.restart), origin);
        match verdict {
            stead_policy::Verdict::Exceeded { .. } => None,
            stead_policy::Verdict::Within { .. } => {
                let attempt = self.streak.next_attempt(origin);
                Some(backoff(&self.spec.restart.backoff).delay(attempt, self.row.id.to_bits()))
            }
        }
    }

    /// How long it may take to come up.
    pub(crate) fn time_to_start(&self) -> Duration {
        let starts = matches!(self.role(), Role::Starting | Role::Restarting);
        let named = self.spec.deadlines.states.get(self.profile.name_of(self.phase));
        let told = named.filter(|_| starts).copied().or(self.spec.deadlines.starting);
        let profile = || self.profile.deadline(self.phase).filter(|_| starts);
        told.map(|span| span.0)
            .or_else(|| profile().map(|deadline| deadline.after))
            .unwrap_or_default()
    }

    pub(crate) fn stable_reset(&self) -> StableReset {
        StableReset {
            after: self.spec.restart.stable.0,
        }
    }

    /// Restarts that still count, at `now`.
    pub(crate) fn restarts_used(&self, now: Moment) -> u32 {
        let limit = intensity_limit(&self.spec.restart);
        limit
            .restarts
            .saturating_sub(self.intensity.left(&limit, now.since_start()))
    }

    /// The name of its phase.
    pub(crate) fn phase_name(&self) -> String {
        self.profile.name_of(self.phase).to_string()
    }
}

fn intensity_limit(restart: &RestartSpec) -> IntensityLimit {
    IntensityLimit {
        restarts: restart.intensity.max,
        period: restart.intensity.period.0,
    }
}

fn backoff(spec: &BackoffSpec) -> Backoff {
    let jitter = Spread::try_from(spec.jitter.get()).map_or(Jitter::None, Jitter::Proportional);
    Backoff {
        first: First::AtOnce,
        initial: spec.initial.0,
        growth: Factor::try_from(spec.factor.get()).map_or(Growth::Fixed, Growth::Exponential),
        max: spec.max.0,
        jitter,
    }
}
