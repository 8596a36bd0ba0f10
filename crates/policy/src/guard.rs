//! When many fall silent at once, suspect the observer first.
//!
//! A guard stands over one scope (a host, a zone, a class, a namespace). While at least a quarter of the *others* in it,
//! and three of them, are overdue too, a single verdict is worth little: it is held for up to two seconds. If they come
//! back, nothing was said; if not, the scope is convicted, once. A scope that convicts one after the other asks for a
//! confirmation, too.
//!
//! ```text
//!               many overdue               still so after `hold`
//!     CALM ───────────────────► HOLDING ───────────────────────► CONVICTED
//!      ▲                           │                                 │
//!      │   `ease` is over          ▼ not so many overdue             │
//!      ├──────────────────────── EASING                              │
//!      └─────────────────────────────────────────────────────────────┘
//!                            not so many overdue
//! ```
//!
//! Those who come back after a stall do so one after the other: while it eases, verdicts are still held.

use core::time::Duration;

use crate::Tick;

/// When a guard steps in.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `share` | 25 % | two of five that hang hold each other's verdicts | a stall of half a scope convicts it one by one |
/// | `least` | 3 | small scopes are always guarded | small scopes are never guarded |
/// | `hold` | 2 s | a stall of the observer convicts the scope | a scope that is down is found late |
/// | `ease` | 250 ms | the last to come back are convicted | one that stays silent is found later by as much |
/// | `confirm` | 10 % | every conviction of a large scope waits for a second opinion | a storm is believed |
/// | `per` | 1 min | a slow storm is believed | yesterday's convictions cast doubt on today's |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuardConfig {
    /// Percent of the others that must be overdue.
    pub share: u8,
    /// And so many of them at least. As many convictions per `per` need no confirmation, however small the scope.
    pub least: u32,
    /// The longest time that verdicts are held.
    pub hold: Duration,
    /// How long verdicts are still held once not so many are overdue, within `hold`.
    pub ease: Duration,
    /// Percent of a scope that may be convicted per `per` without confirmation.
    pub confirm: u8,
    /// The time that those are counted over.
    pub per: Duration,
}

impl GuardConfig {
    /// A quarter of the others, three at least, for two seconds; more than a tenth in a minute needs a second look.
    pub const DEFAULT: Self = Self {
        share: 25,
        least: 3,
        hold: Duration::from_secs(2),
        ease: Duration::from_millis(250),
        confirm: 10,
        per: Duration::from_secs(60),
    };
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A scope as it is now, the one that is judged included.
///
/// One that was convicted for itself is no longer counted, lest the dead hold verdicts on the living; those that were
/// convicted with the scope are, as overdue, until they come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    /// Agents that are watched in it.
    pub members: u32,
    /// Those of them that are overdue: a beat is due ([`Lease::due`](crate::Lease::due)) and a share of an interval over.
    /// Their own deadlines need not have passed, or those that pass first would be judged before the others are seen.
    pub overdue: u32,
}

/// What may be done about one member that is overdue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// It may be convicted for itself; [`Guard::convicted`] then counts it.
    Alone,
    /// It may be, but so many were of late that something else must confirm it: a probe, another observer.
    Confirm,
    /// Not now: look again then, or when the census has changed.
    Hold {
        /// When the wait ends at the latest.
        until: Tick,
    },
    /// The whole scope is convicted, now, as one incident.
    Scope,
    /// The scope is convicted already; this member belongs to that incident.
    Joins,
}

/// The guard of one scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Guard {
    stand: Stand,
    /// Convictions of one by one in the period that began then, and in the one before.
    period: Tick,
    recent: u32,
    before: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stand {
    #[default]
    Calm,
    Holding {
        until: Tick,
    },
    Easing {
        over: Tick,
        /// When the hold that eases would have ended.
        until: Tick,
    },
    Convicted,
}

impl Guard {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stand: Stand::Calm,
            period: Tick::from_micros(0),
            recent: 0,
            before: 0,
        }
    }

    /// Rules on one member that is overdue, for whom `census` counts.
    pub fn rule(&mut self, config: &GuardConfig, now: Tick, census: Census) -> Ruling {
        self.look(config, now, census);
        match self.stand {
            Stand::Holding { until } if until <= now => {
                self.stand = Stand::Convicted;
                Ruling::Scope
            }
            Stand::Holding { until } | Stand::Easing { over: until, .. } => Ruling::Hold { until },
            Stand::Convicted => Ruling::Joins,
            Stand::Calm => {
                if self.of_late(config, now) < allowance(config, census) {
                    Ruling::Alone
                } else {
                    Ruling::Confirm
                }
            }
        }
    }

    /// Takes note of a census: begins to hold where many are overdue, and ends where they are not. To be called when
    /// the census changes, so that a scope that recovers is calm before its next fault.
    pub fn look(&mut self, config: &GuardConfig, now: Tick, census: Census) {
        self.stand = match (many(config, census), self.stand) {
            (false, Stand::Calm | Stand::Convicted) => Stand::Calm,
            (false, Stand::Holding { until }) => {
                let over = until.min(now.after(config.ease));
                Stand::Easing { over, until }.ended(now)
            }
            (false, stand @ Stand::Easing { .. }) => stand.ended(now),
            (true, Stand::Calm) => Stand::Holding {
                until: now.after(config.hold),
            },
            (true, Stand::Easing { until, .. }) => Stand::Holding { until },
            (true, stand @ (Stand::Holding { .. } | Stand::Convicted)) => stand,
        };
    }

    /// When a hold ends at the latest, if there is one.
    #[must_use]
    pub const fn holds_until(&self) -> Option<Tick> {
        match self.stand {
            Stand::Holding { until } | Stand::Easing { over: until, .. } => Some(until),
            Stand::Calm | Stand::Convicted => None,
        }
    }

    /// Counts a conviction of one for itself.
    pub fn convicted(&mut self, config: &GuardConfig, now: Tick) {
        self.turn(config, now);
        self.recent = self.recent.saturating_add(1);
    }

    /// Gives credit for a time in which the observer did not look.
    pub fn shift(&mut self, stall: Duration) {
        match &mut self.stand {
            Stand::Holding { until } => *until = until.after(stall),
            Stand::Easing { over, until } => (*over, *until) = (over.after(stall), until.after(stall)),
            Stand::Calm | Stand::Convicted => {}
        }
        self.period = self.period.after(stall);
    }

    /// Convictions of late: all of this period, and of the one before the share that `per` still reaches.
    fn of_late(&mut self, config: &GuardConfig, now: Tick) -> u32 {
        self.turn(config, now);
        let per = config.per.as_micros().max(1);
        let rest = per.saturating_sub(now.since(self.period).as_micros());
        let before = u128::from(self.before) * rest / per;
        self.recent.saturating_add(u32::try_from(before).unwrap_or(u32::MAX))
    }

    fn turn(&mut self, config: &GuardConfig, now: Tick) {
        let passed = now.since(self.period);
        if passed < config.per {
            return;
        }
        self.before = if passed < config.per.saturating_mul(2) {
            self.recent
        } else {
            0
        };
        self.recent = 0;
        self.period = if self.before > 0 {
            self.period.after(config.per)
        } else {
            now
        };
    }
}

impl Stand {
    /// Calm, if it is over with the easing.
    fn ended(self, now: Tick) -> Self {
        match self {
            Self::Easing { over, .. } if over <= now => Self::Calm,
            Self::Calm | Self::Holding { .. } | Self::Easing { .. } | Self::Convicted => self,
        }
    }
}

fn many(config: &GuardConfig, census: Census) -> bool {
    let others = u64::from(census.members.saturating_sub(1));
    let overdue = census.overdue.saturating_sub(1);
    overdue >= config.least && u64::from(overdue) * 100 >= others * u64::from(config.share)
}

fn allowance(config: &GuardConfig, census: Census) -> u32 {
    let share = u64::from(census.members) * u64::from(config.confirm) / 100;
    u32::try_from(share).unwrap_or(u32::MAX).max(config.least)
}

#[cfg(test)]
mod tests;
