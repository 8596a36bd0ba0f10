//! By when the next beat must have come: a deadline in closed form, made anew by every beat.
//!
//! A lease learns from arrival times. It keeps a line on which beats are due, how far they are off it on average, and the
//! worst of late; silence is allowed for as long as the sender promised, plus a margin made of these. The average is that
//! of Bertier, Marin and Sens ("Implementation and performance evaluation of an adaptable failure detector", DSN 2002);
//! holding the peak is what heavy tails ask for: where one beat was held up, the next ones are, too.
//!
//! ```text
//!     line     due times: moves to the next one with each beat, and by a clamped share of what the beat was off
//!     dev      mean distance from the line          peak    the latest of late, forgotten over `hold`
//!     deadline max(line, arrival) + next_in + floor + 2 dev + 0.7 peak
//! ```
//!
//! [`Missed`] is the other way, for those who want no learning: so many intervals of silence, so bad.

use core::time::Duration;

use crate::{OutOfRange, Tick};

mod missed;

pub use missed::{Missed, Silence};

/// How a [`Lease`] judges.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `floor` | 100 ms | the first stall of a quiet agent convicts it | every failure is found later by as much |
/// | `most` | 15 s | an agent with bad connections is convicted again and again | silence goes unnoticed after a bad spell |
/// | `dev` | 2 | even noise convicts | after a bad spell failures are found later |
/// | `peak` | 0.7 | the second stall of a series convicts | after one stall failures are found later |
/// | `hold` | 10 s | the peak is forgotten before the next one | one stall makes detection slow for long |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeaseConfig {
    /// The margin of a sender that is always on time.
    pub floor: Duration,
    /// The longest silence allowed beyond the promised one, whatever was learned.
    pub most: Duration,
    /// Weight of the mean distance from the line; 0 to 100.
    pub dev: f64,
    /// Weight of the peak; 0 to 100.
    pub peak: f64,
    /// The time in which a peak that does not come again loses about two thirds of its height.
    /// [`HOLD_BEATS`] beats count as no shorter time.
    pub hold: Duration,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self {
            floor: Duration::from_millis(100),
            most: Duration::from_secs(15),
            dev: 2.0,
            peak: 0.7,
            hold: Duration::from_secs(10),
        }
    }
}

impl LeaseConfig {
    /// The usual settings for beats every `interval`: a floor of half of it, at most `timeout` beyond a beat that is due.
    #[must_use]
    pub fn every(interval: Duration, timeout: Duration) -> Self {
        Self {
            floor: interval / 2,
            most: timeout,
            ..Self::default()
        }
    }
}

/// A [`LeaseConfig`] as beats are counted with: one for a class of agents.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeaseRules {
    floor: f32,
    most: f32,
    dev: f32,
    peak: f32,
    hold: f32,
}

impl TryFrom<LeaseConfig> for LeaseRules {
    type Error = OutOfRange;

    fn try_from(config: LeaseConfig) -> Result<Self, OutOfRange> {
        Ok(Self {
            floor: micros(config.floor),
            most: micros(config.most).max(micros(config.floor)),
            dev: weight("weight of the mean distance", config.dev)?,
            peak: weight("weight of the peak", config.peak)?,
            hold: micros(config.hold).max(1.0),
        })
    }
}

/// What a beat was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beaten {
    /// New; the next one must come by then.
    Fresh {
        /// By when.
        deadline: Tick,
    },
    /// Of this or an earlier number: nothing was changed.
    Stale,
}

/// What is known of one sender of beats: 32 bytes. A new incarnation gets a new one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lease {
    /// Arrival of the last beat, microseconds.
    last: u64,
    /// Its number, the low half.
    seq: u32,
    /// Microseconds from it to the next, as promised.
    gap: u32,
    /// By how much it was behind the line, microseconds.
    lag: f32,
    dev: f32,
    peak: f32,
    /// Beats counted, as far as it matters for the mean.
    seen: u32,
}

impl Lease {
    /// A sender that has not beaten yet and is to do so within `next_in`; its first beat has any number above `seq`.
    ///
    /// Registration counts as beat 0: [`Lease::deadline`] is the one by which a first beat must have come.
    #[must_use]
    pub fn new(now: Tick, seq: u64, next_in: Duration) -> Self {
        let gap = gap(next_in);
        Self {
            last: now.micros(),
            seq: low(seq),
            gap,
            lag: 0.0,
            dev: 0.0,
            // Nothing is known yet: as careful as after a stall of half an interval.
            peak: gap as f32 / 2.0,
            seen: 0,
        }
    }

    /// The same sender, of which nothing is known any more but the number of its last beat.
    #[must_use]
    pub fn anew(&self, now: Tick, next_in: Duration) -> Self {
        Self::new(now, u64::from(self.seq), next_in)
    }

    /// Counts beat number `seq`; the sender was told, or has said, that the next one comes within `next_in`.
    ///
    /// Numbers are compared in a window of 2³¹: one further back is stale. Numbers left out are beats that were lost.
    #[inline]
    pub fn beat(&mut self, rules: &LeaseRules, now: Tick, seq: u64, next_in: Duration) -> Beaten {
        let ahead = low(seq).wrapping_sub(self.seq);
        if ahead == 0 || ahead > u32::MAX / 2 {
            return Beaten::Stale;
        }
        let passed = span(now.micros().saturating_sub(self.last));
        let due = self.gap as f32;
        let since = passed - due * ahead as f32;
        self.learn(rules, since, passed, due);
        self.last = self.last.max(now.micros());
        self.seq = low(seq);
        self.gap = gap(next_in);
        Beaten::Fresh {
            deadline: self.deadline(rules),
        }
    }

    /// Counts a beat that has no number of its own: it is new, and those that have one count on from where they were.
    #[inline]
    pub fn beat_unnumbered(&mut self, rules: &LeaseRules, now: Tick, next_in: Duration) {
        let seq = self.seq;
        self.beat(rules, now, u64::from(seq.wrapping_add(1)), next_in);
        self.seq = seq;
    }

    /// Has the next beat be fresh whatever is before it: its number follows this one.
    pub const fn number_from(&mut self, seq: u64) {
        self.seq = low(seq);
    }

    /// By when the next beat must have come.
    #[inline]
    #[must_use]
    pub fn deadline(&self, rules: &LeaseRules) -> Tick {
        let ahead = (-self.lag).max(0.0);
        let wait = whole(ahead + self.margin(rules));
        Tick::from_micros(self.last.saturating_add(u64::from(self.gap)).saturating_add(wait))
    }

    /// When the last beat came.
    #[must_use]
    pub const fn last(&self) -> Tick {
        Tick::from_micros(self.last)
    }

    /// When the next one is due, without any margin.
    #[must_use]
    pub const fn due(&self) -> Tick {
        Tick::from_micros(self.last.saturating_add(self.gap as u64))
    }

    /// How much silence is allowed beyond a beat that is due.
    #[must_use]
    pub fn allowed(&self, rules: &LeaseRules) -> Duration {
        Duration::from_micros(whole(self.margin(rules)))
    }

    /// Takes an announced silence: the next beat is due `silence` after `now`, or `cap` after it if that is sooner, and no
    /// sooner than it was. Returns the deadline.
    pub fn expect_silence(&mut self, rules: &LeaseRules, now: Tick, silence: Duration, cap: Duration) -> Tick {
        let until = now.after(silence.min(cap)).micros();
        let gap = u32::try_from(until.saturating_sub(self.last)).unwrap_or(u32::MAX);
        self.gap = self.gap.max(gap);
        self.deadline(rules)
    }

    /// Gives credit for `stall`, a time in which the observer itself did not look: it never was.
    pub fn shift(&mut self, stall: Duration) {
        self.last = self.last.saturating_add(Tick::from(stall).micros());
    }

    /// How suspicious `now` is, for people only: decades of improbability as in the phi accrual detector of Hayashibara and
    /// others (SRDS 2004), with an exponential tail of what this lease allows; 1 at a third of the margin beyond the due time.
    #[must_use]
    pub fn phi(&self, rules: &LeaseRules, now: Tick) -> f32 {
        let over = span(now.micros().saturating_sub(self.due().micros()));
        3.0 * over / self.margin(rules).max(1.0)
    }

    #[inline]
    fn margin(&self, rules: &LeaseRules) -> f32 {
        (rules.floor + rules.dev * self.dev + rules.peak * self.peak).min(rules.most)
    }

    #[inline]
    /// Learns from a beat that was off by `since`, counted from the one before, `passed` after it.
    fn learn(&mut self, rules: &LeaseRules, since: f32, passed: f32, due: f32) {
        let late = self.lag + since;
        // What lies beyond all bounds is no jitter: it was down, or paused, or came back from a silence before time.
        if late > rules.most.max(due) || late < -due * EARLY {
            self.lag = 0.0;
            return;
        }
        self.seen = (self.seen + 1).min(MEAN_OVER);
        self.lag = if since.abs() * 4.0 < late.abs() || late < 0.0 {
            // Off the line, but on time after the last: its rhythm is its own, and this beat is the better line.
            late / 2.0
        } else {
            late - (late * LINE_SHARE).min(due * LINE_CLAMP)
        };
        self.dev += (late.abs() - self.dev) / self.seen as f32;
        // x / (1 + t/hold) in small steps comes near an exponential function, and costs a division.
        let hold = rules.hold.max(due * HOLD_BEATS);
        let rest = hold / (hold + passed);
        self.peak = (self.peak * rest).max(late);
    }
}

fn weight(what: &'static str, value: f64) -> Result<f32, OutOfRange> {
    if (0.0..=100.0).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "0 to 100, and two digits of it matter")]
        return Ok(value as f32);
    }
    Err(OutOfRange::Adaptive {
        what,
        value,
        low: 0.0,
        high: 100.0,
    })
}

fn micros(span: Duration) -> f32 {
    self::span(Tick::from(span).micros())
}

/// Microseconds as a number; exact to a fifteenth of a millionth, which no deadline notices.
#[inline]
const fn span(micros: u64) -> f32 {
    micros as f32
}

/// The number as microseconds; less than none is none.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates at both ends, and a fraction of a microsecond is nothing"
)]
const fn whole(micros: f32) -> u64 {
    micros as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is compared")]
const fn low(seq: u64) -> u32 {
    seq as u32
}

#[inline]
fn gap(next_in: Duration) -> u32 {
    u32::try_from(Tick::from(next_in).micros()).unwrap_or(u32::MAX)
}

/// Beats that the mean goes over.
const MEAN_OVER: u32 = 64;
/// The share of what a beat was off by which the line follows it,
const LINE_SHARE: f32 = 1.0 / 8.0;
/// and the most of an interval that it moves at once: clocks that run apart are far slower than that.
const LINE_CLAMP: f32 = 1.0 / 64.0;
/// The share of an interval before the line from which on a beat is not one of this rhythm.
const EARLY: f32 = 0.25;
/// A peak is held for so many beats, however rarely they come: stalls of one connection are that far apart.
pub const HOLD_BEATS: f32 = 300.0;

#[cfg(test)]
mod tests;
