//! What is kept of one agent's beats: one cache line.

use core::time::Duration;

use stead_model::spec::HealthSettings;
use stead_model::{AgentId, Beat, BeatOutcome, Health, Incarnation, Role};
use stead_policy::{Beaten, Lease, Tick};

use super::class::{self, Class};
use crate::record::Record;

/// One agent.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Hot {
    pub(crate) agent: AgentId,
    pub(crate) incarnation: Incarnation,
    pub(crate) lease: Lease,
    pub(crate) generation: u32,
    pub(crate) class: u16,
    pub(crate) scopes: u16,
    flags: u16,
    /// How well it does, by its beats alone.
    pub(crate) level: Health,
    pub(crate) claim: Option<Health>,
    pub(crate) good: u8,
    bad: u8,
}

/// A bare beat changes the agent's record.
pub(crate) const COMES: u16 = 1;
/// Its silence is judged.
pub(crate) const ARMED: u16 = 1 << 1;
/// There is word about it that was not taken yet.
pub(crate) const STIRRED: u16 = 1 << 2;
/// It has beaten in this run.
pub(crate) const BEATEN: u16 = 1 << 3;
/// Its last metrics were over a threshold.
pub(crate) const OVER: u16 = 1 << 4;
/// The word is of its silence.
pub(crate) const SILENT: u16 = 1 << 5;
/// It was heard since the last word.
pub(crate) const HEARD: u16 = 1 << 6;
/// Its place is free.
pub(crate) const GONE: u16 = 1 << 7;
/// Its deadline has passed.
pub(crate) const LATE: u16 = 1 << 8;
/// It was not convicted at once, for want of a second opinion.
pub(crate) const WAITED: u16 = 1 << 9;
/// A probe says that it lives.
pub(crate) const PROBED: u16 = 1 << 10;
/// It has tasks.
pub(crate) const BUSY: u16 = 1 << 11;
/// It serves: what it says ahead of trouble counts.
pub(crate) const SERVES: u16 = 1 << 12;
/// A beat of this run had a number: those that have one must grow from here on.
pub(crate) const NUMBERED: u16 = 1 << 13;

impl Hot {
    /// An agent as its record has it.
    pub(crate) fn new(
        now: Tick,
        record: &Record,
        (generation, class, scopes): (u32, u16, u16),
        interval: Duration,
    ) -> Self {
        Self {
            agent: record.row.id,
            incarnation: record.row.incarnation,
            lease: Lease::new(now, 0, interval),
            generation,
            class,
            scopes,
            flags: flag(COMES, record.awaits_beat())
                | flag(BUSY, record.role() == Role::Busy)
                | flag(SERVES, record.role().serves() && !record.ending()),
            level: judged(record),
            claim: record.row.claim,
            good: u8::from(is_on_its_way(record)),
            bad: 0,
        }
    }

    pub(crate) const fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub(crate) const fn set(&mut self, flag: u16, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    /// Frees its place.
    pub(crate) const fn retire(&mut self) {
        self.flags = GONE;
    }

    /// Another run begins.
    pub(crate) fn begin(&mut self, now: Tick, incarnation: Incarnation, interval: Duration) {
        self.incarnation = incarnation;
        self.lease = Lease::new(now, 0, interval);
        self.level = Health::Healthy;
        (self.good, self.bad) = (0, 0);
        self.set(BEATEN | NUMBERED | OVER | WAITED, false);
    }

    /// Takes over how it is judged.
    pub(crate) fn see(&mut self, record: &Record) {
        let level = judged(record);
        if self.level != level {
            self.level = level;
            self.good = 0;
        }
    }

    /// Has what is counted begin anew.
    pub(crate) fn forgive(&mut self, record: &Record) {
        (self.good, self.bad) = (u8::from(is_on_its_way(record)), 0);
    }

    /// How far its beats lie apart.
    pub(crate) fn interval(&self) -> Duration {
        self.lease.due().since(self.lease.last())
    }

    /// Counts a beat, unless it is old.
    pub(crate) fn count(&mut self, class: &Class, now: Tick, beat: &Beat, next_in: Duration) -> BeatOutcome {
        if beat.incarnation.is_some_and(|run| run != self.incarnation) {
            return BeatOutcome::Fenced;
        }
        if !self.is(BEATEN) {
            self.lease = Lease::new(now, 0, next_in);
        }
        let Some(rules) = class.rules() else {
            return BeatOutcome::Accepted;
        };
        let Some(sequence) = beat.sequence else {
            self.lease.beat_unnumbered(rules, now, next_in);
            return BeatOutcome::Accepted;
        };
        if !self.is(NUMBERED) {
            // The first number of a run may be any.
            self.lease.number_from(sequence.wrapping_sub(1));
            self.set(NUMBERED, true);
        }
        match self.lease.beat(rules, now, sequence, next_in) {
            Beaten::Stale => BeatOutcome::Stale,
            Beaten::Fresh { .. } => BeatOutcome::Accepted,
        }
    }

    /// By when it must be heard before its silence means anything.
    pub(crate) fn first(&self, class: &Class) -> Tick {
        match class.adaptive() {
            Some(rules) => self.lease.deadline(rules),
            None => {
                let [(first, _), ..] = class.missed.steps(self.lease.last(), self.interval());
                first
            }
        }
    }

    /// How bad its silence is, and when it gets worse.
    pub(crate) fn silence(&self, class: &Class, now: Tick) -> (Health, Option<Tick>) {
        let (missed, next) = class.missed.judge(self.lease.last(), self.interval(), now);
        match class.adaptive() {
            None => (class::level(missed), next),
            Some(rules) => {
                let deadline = self.lease.deadline(rules);
                if now < deadline {
                    (Health::Healthy, Some(deadline))
                } else if self.is(PROBED) {
                    (class::level(missed).max(Health::Degraded), next)
                } else {
                    (Health::Failed, None)
                }
            }
        }
    }

    /// Counts a beat for or against it; says whether that changes how it is judged.
    pub(crate) fn judge(&mut self, settings: &HealthSettings, says_so: bool) -> bool {
        if self.is(OVER) {
            if !says_so {
                // It says nothing of what was too much before.
                return false;
            }
            self.good = 0;
            self.bad = self.bad.saturating_add(1);
            let bad = u32::from(self.bad) >= settings.bad_beats && self.level != Health::Degraded;
            if bad {
                self.level = Health::Degraded;
            }
            return bad;
        }
        self.bad = 0;
        if self.level <= Health::Healthy {
            return false;
        }
        self.good = self.good.saturating_add(1);
        if u32::from(self.good) >= settings.recovery_threshold {
            self.level = Health::Healthy;
            self.good = 0;
            return true;
        }
        // That it is on its way back is told once.
        self.level == Health::Failed && self.good == 1
    }
}

/// A flag, if it is set.
const fn flag(flag: u16, on: bool) -> u16 {
    if on { flag } else { 0 }
}

/// How well a record says that its agent does, by its beats.
fn judged(record: &Record) -> Health {
    match record.row.health {
        // What never came up comes by its first beat.
        Health::Failed if record.role() == Role::Error => Health::Failed,
        Health::Recovering if is_on_its_way(record) => Health::Failed,
        Health::Unknown
        | Health::Healthy
        | Health::Degraded
        | Health::Critical
        | Health::Failed
        | Health::Recovering => record.row.vital.unwrap_or(Health::Healthy),
    }
}

/// Whether it is one that nothing runs, failed, and beats again: not yet often enough.
fn is_on_its_way(record: &Record) -> bool {
    record.row.health == Health::Recovering && record.role() == Role::Error && record.process().is_none()
}

/// When the next beat is wished for: an interval from now, a little sooner or later, so that everybody's beats come to lie where a
/// stable hash of the id has them.
pub(crate) fn next_in(now: Tick, interval: Duration, id: AgentId) -> Duration {
    let whole = u64::try_from(interval.as_micros())
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 48);
    let hash = id.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let place = (whole >> 16).saturating_mul(hash);
    let far = (now.micros() % whole + whole - place) % whole;
    let most = whole / 8;
    Duration::from_micros(if far <= whole / 2 {
        whole - far.min(most)
    } else {
        whole + (whole - far).min(most)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_beats_take_one_cache_line() {
        assert_eq!(size_of::<Hot>(), 64);
    }

    #[test]
    fn wherever_it_began_an_agent_comes_to_beat_where_its_id_has_it() {
        let interval = Duration::from_secs(10);
        let settle = |id: u64, start: u64| {
            let mut now = Tick::from(Duration::from_millis(start));
            for _ in 0..8 {
                let wait = next_in(now, interval, AgentId::from_bits(id));
                assert!(wait >= interval * 7 / 8 && wait <= interval * 9 / 8, "{wait:?}");
                now = now.after(wait);
            }
            now.micros() % 10_000_000
        };
        let places: Vec<u64> = (1..=8).map(|id| settle(id, 0)).collect();
        for (id, place) in (1..).zip(&places) {
            assert_eq!(settle(id, 7_777), *place, "{id}");
        }
        let early = places.iter().filter(|place| **place < 5_000_000).count();
        assert!((1..8).contains(&early), "they are spread: {places:?}");
    }
}
