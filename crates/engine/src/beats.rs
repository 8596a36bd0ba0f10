//! Signs of life of a million agents: a dense table that each beat touches in one place, and that speaks up only when something changed.
//!
//! A beat that changes nothing of how its agent is judged ends here. What changes it, and silence, is noted, and the next tick takes
//! the agent itself out of its slot: there alone anything is decided and written.

mod class;
mod hot;
mod scopes;
mod signs;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::spec::{HealthSettings, ProbeKind};
use stead_model::{
    AgentId, Beat, BeatAnswer, BeatCounts, BeatHandle, BeatOutcome, Health, Metric, Moment, Report, Role, Slot, Span,
    Vitals,
};
use stead_policy::{Deadlines, Tick};

use crate::record::Record;
use class::Classes;
use hot::{
    ARMED, BEATEN, BUSY, COMES, GONE, HEARD, Hot, LATE, NUMBERED, OVER, PROBED, SERVES, SILENT, STIRRED, WAITED,
};
use scopes::{Scopes, Verdict};
pub(crate) use signs::News;
use signs::Signs;

/// The table.
#[derive(Debug)]
pub(crate) struct Beats {
    hot: Vec<Hot>,
    vitals: Vec<Vitals>,
    deadlines: Deadlines,
    /// Nothing is due before.
    soonest: Option<Tick>,
    classes: Classes,
    scopes: Scopes,
    signs: Signs,
    places: BTreeMap<AgentId, u32>,
    free: Vec<u32>,
    /// Agents about whom there is word.
    stirred: VecDeque<u32>,
    /// Agents whose deadline has come, to be looked at.
    due: VecDeque<u32>,
    /// What came with a word, where something did.
    reports: BTreeMap<u32, Box<Report>>,
    /// Whom somebody is silent with, where that is what is said.
    company: BTreeMap<u32, String>,
    /// Which generation a place that was never given begins with: another one each time the node starts.
    era: u32,
    armed: u32,
    counts: BeatCounts,
}

/// What the table has to say of an agent.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Word {
    /// How well it does, by its beats alone: `failed` while it is silent or on its way back.
    pub(crate) level: Health,
    /// How long it was silent, if that is what is said.
    pub(crate) silent: Option<Duration>,
    /// With whom, if many are.
    pub(crate) company: Option<String>,
    /// It was heard since the last word.
    pub(crate) heard: bool,
    /// The metric that is over its threshold, and the threshold.
    pub(crate) over: Option<(Metric, f32, f32)>,
    /// Of how many good beats that it needs it has given how many.
    pub(crate) good: (u32, u32),
    /// How far its beats lie apart.
    pub(crate) interval: Duration,
    /// What is expected of it.
    pub(crate) settings: HealthSettings,
    /// What it said beside.
    pub(crate) report: Option<Box<Report>>,
    /// What it said ahead of trouble.
    pub(crate) news: Option<News>,
}

/// How many beats a second are asked for at most, of all agents together.
const BEATS_PER_SECOND: u32 = 200_000;

/// The longest silence that an agent may announce.
const LONGEST_QUIET: Duration = Duration::from_secs(600);

/// A stall from here on is more than a hiccup: those who beat meanwhile may have given up for a while.
const LONG_STALL: Duration = Duration::from_secs(2);

impl Beats {
    /// An empty table. `era` tells its handles from those of another start of the node.
    pub(crate) fn new(era: u64) -> Self {
        let era = (era ^ (era >> 21) ^ (era >> 42)) % u64::from(BeatHandle::GENERATIONS);
        Self {
            hot: Vec::new(),
            vitals: Vec::new(),
            deadlines: Deadlines::new(),
            soonest: None,
            classes: Classes::default(),
            scopes: Scopes::default(),
            signs: Signs::default(),
            places: BTreeMap::new(),
            free: Vec::new(),
            stirred: VecDeque::new(),
            due: VecDeque::new(),
            reports: BTreeMap::new(),
            company: BTreeMap::new(),
            era: u32::try_from(era).unwrap_or(0),
            armed: 0,
            counts: BeatCounts::default(),
        }
    }

    pub(crate) const fn counts(&self) -> BeatCounts {
        self.counts
    }

    pub(crate) const fn count(&mut self, outcome: BeatOutcome) {
        self.counts.count(outcome);
    }

    /// The last metrics of those that told any and are not late.
    pub(crate) fn vitals(&self) -> impl Iterator<Item = (AgentId, Vitals)> + '_ {
        let told = self.hot.iter().zip(&self.vitals);
        told.filter(|(hot, vitals)| !hot.is(GONE) && !hot.is(LATE) && !vitals.is_empty())
            .map(|(hot, vitals)| (hot.agent, *vitals))
    }

    /// When an agent beat last in this run, how far its beats lie apart, and after how long a silence it is missed.
    pub(crate) fn rhythm(&self, id: AgentId, now: Moment) -> Option<(Duration, Duration, Duration)> {
        let hot = self.hot.get(self.by_id(id)? as usize).filter(|hot| hot.is(BEATEN))?;
        let last = hot.lease.last();
        let missed = hot.first(&self.classes.get(hot.class)).since(last);
        Some((tick(now).since(last), hot.interval(), missed))
    }

    /// Whether the silence of anybody is judged.
    pub(crate) const fn listens(&self) -> bool {
        self.armed > 0
    }

    /// The place of an agent by a handle that was given to it.
    pub(crate) fn by_handle(&self, handle: BeatHandle) -> Option<u32> {
        let hot = self.hot.get(handle.index() as usize)?;
        (hot.generation == handle.generation() && !hot.is(GONE)).then_some(handle.index())
    }

    pub(crate) fn by_id(&self, id: AgentId) -> Option<u32> {
        self.places.get(&id).copied()
    }

    /// When somebody has to be looked at.
    pub(crate) fn next(&self) -> Option<Moment> {
        if self.stirred.is_empty() && self.due.is_empty() {
            self.soonest.map(|soonest| Moment::at(soonest.into()))
        } else {
            Some(Moment::START)
        }
    }

    /// Takes in one beat. Nothing that it changes is written here.
    pub(crate) fn hear(&mut self, now: Moment, place: u32, beat: &Beat) -> BeatAnswer {
        let answer = self.take(tick(now), place, beat);
        self.counts.count(answer.outcome);
        answer
    }

    fn take(&mut self, now: Tick, place: u32, beat: &Beat) -> BeatAnswer {
        let (at, spread) = (place as usize, self.spread());
        let (Some(hot), Some(vitals)) = (self.hot.get_mut(at), self.vitals.get_mut(at)) else {
            return BeatAnswer::refused(BeatOutcome::Unknown);
        };
        let class = self.classes.get(hot.class);
        let next_in = hot::next_in(now, class.settings.interval.max(spread), hot.agent);
        let outcome = hot.count(&class, now, beat, next_in);
        let answer = BeatAnswer {
            outcome,
            handle: Some(BeatHandle::new(place, hot.generation)),
            incarnation: hot.incarnation,
            next_in: Span(next_in),
        };
        if outcome != BeatOutcome::Accepted {
            return answer;
        }
        if let (Some(quiet), Some(rules)) = (beat.expect_silence, class.rules()) {
            hot.lease.expect_silence(rules, now, quiet.0, LONGEST_QUIET);
        }
        let mut tells = !hot.is(BEATEN) && !hot.is(ARMED) || hot.is(COMES) && hot.level != Health::Failed;
        hot.set(BEATEN | HEARD, true);
        if !beat.vitals.is_empty() {
            vitals.update(&beat.vitals);
            hot.set(OVER, class.worst(vitals).is_some());
        }
        tells |= hot.judge(&class.settings, class.worst(&beat.vitals).is_some());
        if hot.is(SERVES) {
            let busy = hot.is(BUSY);
            tells |= self.signs.feed(now, (place, &class, hot.class), beat, (vitals, busy));
        }
        // What it claims is told where it changes something, or comes with what does.
        let mut claimed = tells && hot.is(COMES) && beat.claim.is_some();
        if let Some(claim) = beat.claim {
            let bad = matches!(claim, Health::Degraded | Health::Critical | Health::Failed);
            let claim = Some(claim).filter(|_| bad);
            claimed |= claim != hot.claim;
            hot.claim = claim;
        }
        tells |= claimed;
        let detail = beat.more.as_ref().and_then(|more| more.detail.clone());
        tells |= detail.is_some();
        if claimed || detail.is_some() {
            let report = Report {
                incarnation: None,
                health: beat.claim,
                detail,
            };
            self.reports.insert(place, Box::new(report));
        }
        if hot.is(ARMED) {
            let first = hot.first(&class);
            self.deadlines.set(at, first);
            self.soonest = Some(self.soonest.map_or(first, |soonest| soonest.min(first)));
        }
        if hot.is(LATE) {
            hot.set(LATE, false);
            self.scopes.overdue(now, hot.scopes, false);
        }
        if tells {
            if !hot.is(STIRRED) {
                self.stirred.push_back(place);
            }
            hot.set(STIRRED, true);
            hot.set(SILENT, false);
        }
        answer
    }

    /// Takes out one agent about whom there is word: what it said, or that it is silent.
    pub(crate) fn stirred(&mut self, now: Moment) -> Option<(AgentId, Word)> {
        let now = tick(now);
        while let Some(place) = self.stirred.pop_front() {
            // Whoever was asked about meanwhile, or is gone, has none any more.
            let waits = self.hot.get(place as usize).is_some_and(|hot| hot.is(STIRRED));
            if waits && let Some(word) = self.word(now, place) {
                return Some(word);
            }
        }
        if self.soonest.is_some_and(|soonest| soonest <= now) {
            self.gather(now);
        }
        while let Some(place) = self.due.pop_front() {
            if self.overdue(now, place)
                && let Some(word) = self.word(now, place)
            {
                return Some(word);
            }
        }
        None
    }

    /// Finds all whose deadline has come, and counts them before any of them is judged.
    fn gather(&mut self, now: Tick) {
        let (due, hot, scopes) = (&mut self.due, &mut self.hot, &mut self.scopes);
        self.deadlines.due(now, |place| {
            let Some(hot) = hot.get_mut(place).filter(|hot| hot.is(ARMED)) else {
                return;
            };
            if !hot.is(LATE) {
                hot.set(LATE, true);
                scopes.overdue(now, hot.scopes, true);
            }
            due.extend(u32::try_from(place).ok());
        });
        self.soonest = self.deadlines.next();
    }

    /// What there is to say of one agent, ahead of all others.
    pub(crate) fn word_of(&mut self, now: Moment, place: u32) -> Option<(AgentId, Word)> {
        let waits = self.hot.get(place as usize).is_some_and(|hot| hot.is(STIRRED));
        if waits { self.word(tick(now), place) } else { None }
    }

    /// A deadline has come: whether that changes how the agent is judged.
    fn overdue(&mut self, now: Tick, place: u32) -> bool {
        // Whoever was heard since it came is not late any more.
        let known = self.hot.get_mut(place as usize);
        let Some(hot) = known.filter(|hot| hot.is(ARMED) && hot.is(LATE)) else {
            return false;
        };
        let class = self.classes.get(hot.class);
        let (mut level, mut next) = hot.silence(&class, now);
        if level == Health::Failed && hot.level != Health::Failed {
            match self.scopes.rule(now, hot.scopes, hot.is(WAITED)) {
                Verdict::Alone => {}
                Verdict::Together(company) => drop(self.company.insert(place, company)),
                Verdict::Later(until) => {
                    hot.set(WAITED, true);
                    (level, next) = (Health::Degraded, Some(until));
                }
            }
        }
        if let Some(next) = next {
            self.deadlines.set(place as usize, next);
            self.soonest = Some(self.soonest.map_or(next, |soonest| soonest.min(next)));
        }
        let worse = level > hot.level && hot.level != Health::Failed;
        if worse {
            hot.level = level;
            hot.good = 0;
            hot.set(SILENT, true);
            if level == Health::Failed {
                // Whoever comes back may count anew.
                hot.set(BEATEN | NUMBERED | WAITED, false);
            }
        }
        worse
    }

    fn word(&mut self, now: Tick, place: u32) -> Option<(AgentId, Word)> {
        let hot = self.hot.get_mut(place as usize).filter(|hot| !hot.is(GONE))?;
        let silent = hot.is(SILENT).then(|| now.since(hot.lease.last()));
        let heard = hot.is(HEARD);
        hot.set(STIRRED | SILENT | HEARD, false);
        let class = self.classes.get(hot.class);
        let vitals = self.vitals.get(place as usize)?;
        Some((
            hot.agent,
            Word {
                level: hot.level,
                silent,
                company: self.company.remove(&place),
                heard,
                over: class.worst(vitals),
                good: (u32::from(hot.good), class.settings.recovery_threshold),
                interval: hot.interval(),
                settings: class.settings,
                report: self.reports.remove(&place),
                news: self.signs.take(place),
            },
        ))
    }

    /// Takes over what a step left of an agent: its run, what is expected of it, how it is judged.
    pub(crate) fn follow(&mut self, now: Moment, record: &Record) {
        if record.row.removed {
            self.forget(now, record.row.id);
            return;
        }
        let place = match self.by_id(record.row.id) {
            Some(place) => place,
            None if record.expects_beats() => self.enter(now, record),
            None => return,
        };
        let (at, now) = (place as usize, tick(now));
        let (index, scopes) = (self.classes.of(&record.spec), self.scopes.of(record));
        let class = self.classes.get(index);
        let interval = class.settings.interval.max(self.spread());
        let Some(hot) = self.hot.get_mut(at) else {
            return;
        };
        hot.class = index;
        if hot.incarnation != record.row.incarnation {
            hot.begin(now, record.row.incarnation, interval);
            if let Some(vitals) = self.vitals.get_mut(at) {
                *vitals = Vitals::NONE;
            }
            self.signs.forget(place);
        }
        if !hot.is(STIRRED) {
            hot.see(record);
        }
        hot.claim = record.row.claim;
        hot.set(COMES, record.awaits_beat());
        hot.set(BUSY, record.role() == Role::Busy);
        hot.set(SERVES, record.role().serves() && !record.ending());
        if !hot.is(STIRRED) {
            self.signs.follow(place, record);
        }
        hot.set(PROBED, record.probes[ProbeKind::Liveness as usize] > 0);
        let (was, armed) = (hot.is(ARMED), record.expects_beats());
        if was && (!armed || hot.scopes != scopes) {
            self.scopes.watch(hot.scopes, false);
            if hot.is(LATE) {
                self.scopes.overdue(now, hot.scopes, false);
                hot.set(LATE, false);
            }
            hot.set(ARMED, false);
            self.armed = self.armed.saturating_sub(1);
            self.deadlines.clear(at);
        }
        hot.scopes = scopes;
        if armed && !hot.is(ARMED) {
            // From here on, whatever was before.
            hot.lease = hot.lease.anew(now, interval);
            hot.set(ARMED, true);
            self.armed += 1;
            self.scopes.watch(scopes, true);
            let first = hot.first(&class);
            self.deadlines.set(at, first);
            self.soonest = Some(self.soonest.map_or(first, |soonest| soonest.min(first)));
        }
    }

    /// Gives an agent a place.
    pub(crate) fn enter(&mut self, now: Moment, record: &Record) -> u32 {
        let (class, scopes) = (self.classes.of(&record.spec), self.scopes.of(record));
        let interval = self.classes.get(class).settings.interval;
        let fresh = |generation| Hot::new(tick(now), record, (generation, class, scopes), interval);
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(hot) = self.hot.get_mut(place as usize) {
                    *hot = fresh((hot.generation + 1) % BeatHandle::GENERATIONS);
                }
                place
            }
            None => {
                let place = u32::try_from(self.hot.len()).unwrap_or(u32::MAX);
                self.hot.push(fresh(self.era));
                self.vitals.push(Vitals::NONE);
                self.deadlines.resize(self.hot.len());
                place
            }
        };
        self.places.insert(record.row.id, place);
        self.signs.follow(place, record);
        place
    }

    fn forget(&mut self, now: Moment, id: AgentId) {
        let Some(place) = self.places.remove(&id) else {
            return;
        };
        let at = place as usize;
        self.deadlines.clear(at);
        self.reports.remove(&place);
        self.company.remove(&place);
        self.signs.forget(place);
        if let Some(hot) = self.hot.get_mut(at) {
            if hot.is(ARMED) {
                self.armed = self.armed.saturating_sub(1);
                self.scopes.watch(hot.scopes, false);
            }
            if hot.is(LATE) {
                self.scopes.overdue(tick(now), hot.scopes, false);
            }
            hot.retire();
        }
        if let Some(vitals) = self.vitals.get_mut(at) {
            *vitals = Vitals::NONE;
        }
        self.free.push(place);
    }

    /// The agents of a slot that have a place.
    pub(crate) fn of_slot(&self, slot: Slot) -> Vec<AgentId> {
        let (first, last) = (AgentId::new(slot, 0), AgentId::new(slot, u64::MAX));
        self.places.range(first..=last).map(|(id, _)| *id).collect()
    }

    /// Lets agents go that are no longer there.
    pub(crate) fn keep(&mut self, now: Moment, ids: Vec<AgentId>, is_there: impl Fn(AgentId) -> bool) {
        let gone = ids.into_iter().filter(|id| !is_there(*id));
        gone.for_each(|id| self.forget(now, id));
    }

    /// The node itself was away: its own absence is nobody's silence. After a long one everybody gets a fresh start.
    pub(crate) fn credit(&mut self, now: Moment, stalled: Duration) {
        let now = tick(now);
        self.deadlines.shift(stalled);
        self.scopes.shift(stalled);
        for (place, hot) in self.hot.iter_mut().enumerate().filter(|(_, hot)| hot.is(ARMED)) {
            if stalled < LONG_STALL {
                hot.lease.shift(stalled);
                continue;
            }
            hot.lease.shift(now.since(hot.lease.last()));
            self.deadlines.set(place, hot.first(&self.classes.get(hot.class)));
        }
        self.soonest = self.deadlines.next();
    }

    /// Has what is counted of an agent's beats begin anew, as after the node was away.
    pub(crate) fn begin_anew(&mut self, record: &Record) {
        let place = self.by_id(record.row.id);
        if let Some(hot) = place.and_then(|place| self.hot.get_mut(place as usize)) {
            hot.forgive(record);
        }
    }

    /// How far beats lie apart at least, so that all of them together stay under the rate.
    fn spread(&self) -> Duration {
        if self.armed < BEATS_PER_SECOND {
            return Duration::ZERO;
        }
        Duration::from_secs(1).saturating_mul(self.armed) / BEATS_PER_SECOND
    }
}

fn tick(moment: Moment) -> Tick {
    Tick::from(moment.since_start())
}
