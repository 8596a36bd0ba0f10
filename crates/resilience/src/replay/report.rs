//! What a replay came to.

use core::fmt;
use core::time::Duration;

use stead_policy::CircuitState;

use super::hindsight::Outage;
use super::is_tripped;
use super::trace::{Call, Ended};

/// One time that the breaker would have opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trip {
    /// When, since the origin of the trace.
    pub at: Duration,
    /// When calls were admitted freely again; `None` where the trace ends before.
    pub closed_at: Option<Duration>,
    /// Which outage it was in, by its place in [`Replay::outages`]; `None`: it tripped falsely.
    pub outage: Option<usize>,
}

/// What the breaker would have made of one outage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutageSeen {
    /// When it was.
    pub outage: Outage,
    /// How long after its beginning the breaker tripped; `None`: it never did.
    pub late: Option<Duration>,
    /// Failing calls that it let through.
    pub failed: u64,
}

/// What a breaker of some settings would have made of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// Calls that were asked for.
    pub calls: u64,
    /// Calls that were rejected when they were recorded: what they would have come to is not known.
    pub unknown: u64,
    /// Failing calls that would have been refused: what the breaker is for.
    pub spared: u64,
    /// Successful calls that would have been refused: what it costs.
    pub denied: u64,
    /// Failing calls that would have been let through.
    pub failed: u64,
    /// Each time that it would have opened after having been closed.
    pub trips: Vec<Trip>,
    /// What it would have made of each outage.
    pub outages: Vec<OutageSeen>,
}

impl Replay {
    pub(super) fn new(outages: Vec<Outage>) -> Self {
        let seen = |outage| OutageSeen {
            outage,
            late: None,
            failed: 0,
        };
        Self {
            calls: 0,
            unknown: 0,
            spared: 0,
            denied: 0,
            failed: 0,
            trips: Vec::new(),
            outages: outages.into_iter().map(seen).collect(),
        }
    }

    /// Trips while the service was not out.
    #[must_use]
    pub fn false_trips(&self) -> usize {
        self.trips.iter().filter(|trip| trip.outage.is_none()).count()
    }

    /// Outages in which it would not have tripped.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.outages.iter().filter(|seen| seen.late.is_none()).count()
    }

    /// The latest that it would have tripped in any outage.
    #[must_use]
    pub fn latest(&self) -> Option<Duration> {
        self.outages.iter().filter_map(|seen| seen.late).max()
    }

    pub(super) fn admitted(&mut self, call: &Call) {
        if is_failure(call) {
            self.failed += 1;
            if let Some(seen) = self.outages.iter_mut().find(|seen| seen.outage.contains(call.at)) {
                seen.failed += 1;
            }
        }
    }

    pub(super) fn refused(&mut self, call: &Call) {
        if is_failure(call) {
            self.spared += 1;
        } else if call.outcome == Ended::Success {
            self.denied += 1;
        }
    }

    /// Hears the state after each step.
    pub(super) fn state(&mut self, now: Duration, state: CircuitState) {
        let open = self.trips.last_mut().filter(|trip| trip.closed_at.is_none());
        match (open, is_tripped(state)) {
            (Some(trip), false) => trip.closed_at = Some(now),
            (None, true) => self.trip(now),
            (Some(trip), true) => {
                // It stays open into the next outage: it would have been in time for that.
                let next = self.outages.iter_mut().find(|seen| seen.outage.contains(now));
                if let Some(seen) = next.filter(|seen| seen.outage.begins >= trip.at) {
                    seen.late.get_or_insert(Duration::ZERO);
                }
            }
            (None, false) => {}
        }
    }

    fn trip(&mut self, at: Duration) {
        let outage = self.outages.iter().position(|seen| seen.outage.contains(at));
        if let Some(seen) = outage.and_then(|index| self.outages.get_mut(index)) {
            seen.late.get_or_insert(at.saturating_sub(seen.outage.begins));
        }
        self.trips.push(Trip {
            at,
            closed_at: None,
            outage,
        });
    }
}

const fn is_failure(call: &Call) -> bool {
    match call.outcome {
        Ended::Failure | Ended::Terminal => true,
        Ended::Success | Ended::Ignored | Ended::Abandoned | Ended::Rejected => false,
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} calls: {} failing ones refused, {} let through; {} good ones refused; {} unknown",
            self.calls, self.spared, self.failed, self.denied, self.unknown
        )?;
        for Trip { at, closed_at, outage } in &self.trips {
            let word = if outage.is_some() { "tripped" } else { "tripped falsely" };
            match closed_at {
                Some(closed) => writeln!(f, "  {at:.3?} {word}, closed at {closed:.3?}")?,
                None => writeln!(f, "  {at:.3?} {word}, not closed since")?,
            }
        }
        for OutageSeen { outage, late, failed } in &self.outages {
            let begins = outage.begins;
            match late {
                Some(late) => writeln!(
                    f,
                    "  outage at {begins:.3?}: tripped {late:.3?} late, {failed} failed first"
                )?,
                None => writeln!(f, "  outage at {begins:.3?}: missed, {failed} failed")?,
            }
        }
        Ok(())
    }
}
