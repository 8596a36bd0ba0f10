//! The machine: hears signals, says what is on and what is off.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;

use super::latch::{Latch, Wanted};
use super::{
    At, Cause, Degraded, Level, Load, Mode, Name, OffBecause, Plan, PlanRefused, Rule, Signal, Standing, When,
};
use crate::Criticality;

/// One change of what is on and what is off.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// When, since the caller's origin.
    pub at: Duration,
    /// The level before.
    pub from: Level,
    /// The level since.
    pub to: Level,
    /// Why the level is what it is since.
    pub cause: Cause,
    /// Features that went off.
    pub went_off: Vec<Name>,
    /// Features that came back.
    pub came_back: Vec<Name>,
}

/// What a degrader knows beside its plan: enough to go on from under the same plan or another one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Memory {
    /// Components that count as down.
    pub down: Vec<Name>,
    /// Rules about load that hold, by name; those that share a name hold together.
    pub hot: Vec<Name>,
    /// The level that is held, by whom and why.
    pub held: Option<(Level, Name, Name)>,
}

/// Decides what to give up. A plain value: it is told the time and what happened, and says what is on and what is off.
#[derive(Clone, PartialEq, Debug)]
pub struct Degrader {
    plan: Plan,
    down: BTreeMap<Name, Latch>,
    /// One for each rule about load; those of other rules stay off.
    hot: Vec<Latch>,
    wanted: Option<(Level, Name, Name)>,
    now: Degraded,
}

impl Default for Degrader {
    /// One of [`Plan::default`]: without components and features there is nothing to give up.
    fn default() -> Self {
        let plan = Plan::default();
        Self {
            down: BTreeMap::new(),
            hot: alloc::vec![Latch::Off; plan.rules.len()],
            wanted: None,
            now: well(),
            plan,
        }
    }
}

impl Degrader {
    /// A degrader for which all is well.
    ///
    /// # Errors
    ///
    /// The plan names what is not there, or a threshold that is none.
    pub fn new(plan: Plan) -> Result<Self, PlanRefused> {
        plan.validate()?;
        Ok(Self {
            down: BTreeMap::new(),
            hot: alloc::vec![Latch::Off; plan.rules.len()],
            wanted: None,
            now: well(),
            plan,
        })
    }

    /// The same plan, going on from what another degrader knew instead of what this one does. What the plan does not have is forgotten;
    /// a calm that was under way begins anew, with the next sign that its cause is gone.
    #[must_use]
    pub fn remembering(mut self, known: Memory) -> Self {
        let down = known.down.into_iter();
        let down = down.filter(|name| self.plan.components.contains_key(name));
        self.down = down.map(|name| (name, Latch::On)).collect();
        for (rule, latch) in self.plan.rules.iter().zip(&mut self.hot) {
            let holds = rule.when.is_load() && known.hot.contains(&rule.name);
            *latch = if holds { Latch::On } else { Latch::Off };
        }
        self.wanted = known.held;
        self.now = self.judge();
        self
    }

    /// What it knows beside its plan, for [`Degrader::remembering`].
    #[must_use]
    pub fn memory(&self) -> Memory {
        let rules = self.plan.rules.iter().zip(&self.hot);
        Memory {
            down: self.down.keys().cloned().collect(),
            hot: rules
                .filter(|(_, latch)| latch.is_on())
                .map(|(rule, _)| rule.name.clone())
                .collect(),
            held: self.wanted.clone(),
        }
    }

    /// What is on and what is off.
    #[must_use]
    pub const fn state(&self) -> &Degraded {
        &self.now
    }

    /// What this degrader goes by.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The feature to use where `feature` was meant: itself where it is on, or the first that does instead and is on.
    #[must_use]
    pub fn serving<'a>(&'a self, feature: &'a str) -> Option<&'a Name> {
        self.plan.chain(feature).find(|name| self.now.why_off(name).is_none())
    }

    /// When time alone may change something: tick then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let latches = self.down.values().chain(&self.hot);
        latches.filter_map(|latch| latch.ends_at()).min()
    }

    /// Hears one signal and says what it changed, if anything. Times must not go back.
    pub fn hear(&mut self, now: Duration, signal: Signal) -> Option<Change> {
        for latch in self.down.values_mut().chain(&mut self.hot) {
            latch.settle(now);
        }
        match signal {
            Signal::Component(name, standing) => self.component(now, name, standing),
            Signal::Load(load) => self.load(now, load),
            Signal::Override { level, by, why } => self.wanted = Some((level, by, why)),
            Signal::Release => self.wanted = None,
            Signal::Tick => {}
        }
        self.down.retain(|_, latch| latch.is_on());
        self.turn(now)
    }

    fn component(&mut self, now: At, name: Name, standing: Standing) {
        if !self.plan.components.contains_key(&name) {
            return;
        }
        let wanted = match standing {
            Standing::Up => Wanted::Off,
            Standing::Down => Wanted::On,
        };
        let calm = self.plan.calm.components;
        self.down.entry(name).or_default().want(wanted, now, calm);
    }

    fn load(&mut self, now: At, load: Load) {
        let calm = self.plan.calm;
        for (rule, latch) in self.plan.rules.iter().zip(&mut self.hot) {
            let (value, threshold) = match rule.when {
                When::CpuOver(threshold) => (load.cpu, threshold),
                When::MemoryOver(threshold) => (load.memory, threshold),
                When::AllDown(_) | When::Down { .. } | When::AnyDown => continue,
            };
            if value.is_nan() {
                continue;
            }
            let wanted = if value > threshold {
                Wanted::On
            } else if value > threshold - calm.margin {
                Wanted::Stay
            } else {
                Wanted::Off
            };
            latch.want(wanted, now, calm.load);
        }
    }

    fn turn(&mut self, at: At) -> Option<Change> {
        let next = self.judge();
        if next == self.now {
            return None;
        }
        let before = core::mem::replace(&mut self.now, next);
        let differs = |one: &Degraded, other: &Degraded| -> Vec<Name> {
            let only = one.off.iter().filter(|(name, _)| other.why_off(name).is_none());
            only.map(|(name, _)| name.clone()).collect()
        };
        Some(Change {
            at,
            from: before.level,
            to: self.now.level,
            cause: self.now.cause.clone(),
            went_off: differs(&self.now, &before),
            came_back: differs(&before, &self.now),
        })
    }

    fn judge(&self) -> Degraded {
        let applying: Vec<&Rule> = self.applying();
        // Of equals the first counts, and `max_by_key` would take the last.
        let deciding = applying
            .iter()
            .rev()
            .copied()
            .max_by_key(|rule| (rule.priority, rule.level));
        let (level, cause) = match (&self.wanted, deciding) {
            (Some((level, by, why)), _) => (
                *level,
                Cause::Override {
                    by: by.clone(),
                    why: why.clone(),
                },
            ),
            (None, Some(rule)) => (rule.level, Cause::Rule(rule.name.clone())),
            (None, None) => (Level::Full, Cause::Calm),
        };
        let mut modes: Vec<Mode> = applying.iter().filter_map(|rule| rule.mode).collect();
        modes.sort_unstable();
        modes.dedup();
        let disabling = deciding.filter(|_| self.wanted.is_none());
        let off = self.off(level, disabling);
        Degraded {
            level,
            cause,
            modes,
            down: self.down.keys().cloned().collect(),
            features_off: share(off.len() as u64, self.plan.features.len() as u64),
            impact: self.impact(&off),
            off,
        }
    }

    fn applying(&self) -> Vec<&Rule> {
        let rules = self.plan.rules.iter().zip(&self.hot);
        rules
            .filter(|(rule, hot)| self.applies(&rule.when, **hot))
            .map(|(rule, _)| rule)
            .collect()
    }

    fn applies(&self, when: &When, hot: Latch) -> bool {
        match when {
            When::AllDown(components) => components.iter().all(|name| self.down.contains_key(name)),
            When::Down { criticality, count } => self.down_of(*criticality) >= *count as usize,
            When::AnyDown => !self.down.is_empty(),
            When::CpuOver(_) | When::MemoryOver(_) => hot.is_on(),
        }
    }

    fn down_of(&self, criticality: Criticality) -> usize {
        let of = |name: &&Name| self.plan.components.get(*name) == Some(&criticality);
        self.down.keys().filter(of).count()
    }

    /// Features that are off, with the reason that is hardest to change.
    fn off(&self, level: Level, disabling: Option<&Rule>) -> Vec<(Name, OffBecause)> {
        let why = |name: &Name| {
            let feature = self.plan.features.get(name)?;
            let needs = feature
                .requires
                .iter()
                .find(|component| self.down.contains_key(*component));
            let rule = disabling.filter(|rule| rule.disable.contains(name));
            let shed = level.sheds().filter(|up_to| feature.importance <= *up_to);
            needs
                .map(|component| OffBecause::Needs(component.clone()))
                .or_else(|| rule.map(|rule| OffBecause::Rule(rule.name.clone())))
                .or_else(|| shed.map(|_| OffBecause::Shed(level)))
        };
        let names = self.plan.features.keys();
        names.filter_map(|name| Some((name.clone(), why(name)?))).collect()
    }

    fn impact(&self, off: &[(Name, OffBecause)]) -> f64 {
        let weight = |name: &Name| {
            self.plan
                .features
                .get(name)
                .map_or(0, |feature| u64::from(feature.weight()))
        };
        share(
            off.iter().map(|(name, _)| weight(name)).sum(),
            self.plan.features.keys().map(weight).sum(),
        )
    }
}

const fn well() -> Degraded {
    Degraded {
        level: Level::Full,
        cause: Cause::Calm,
        modes: Vec::new(),
        down: Vec::new(),
        off: Vec::new(),
        features_off: 0.0,
        impact: 0.0,
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
