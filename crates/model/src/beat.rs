//! Signs of life: what an agent says each few seconds, and what it is answered.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::words;
use crate::{AgentId, AgentRef, Health, Incarnation, Namespace, Span};

/// A sign of life, with what the agent says of itself. Small: batches hold many thousands.
#[derive(Clone, PartialEq, Debug)]
pub struct Beat {
    /// Whose.
    pub of: BeatOf,
    /// The run that it believes to be; another one than the present is fenced.
    pub incarnation: Option<Incarnation>,
    /// Its number, which grows from beat to beat within a run; one that does not is stale.
    pub sequence: Option<u64>,
    /// How it says that it does: may worsen what is seen of it, never better it.
    pub claim: Option<Health>,
    /// What it measured.
    pub vitals: Vitals,
    /// A counter of useful work, which only grows.
    pub progress: Option<u64>,
    /// For how long it will be silent from here, at most as its timeout permits.
    pub expect_silence: Option<Span>,
    /// What few beats have.
    pub more: Option<Box<BeatMore>>,
}

impl Beat {
    /// A bare sign of life.
    #[must_use]
    pub const fn bare(of: BeatOf) -> Self {
        Self {
            of,
            incarnation: None,
            sequence: None,
            claim: None,
            vitals: Vitals::NONE,
            progress: None,
            expect_silence: None,
            more: None,
        }
    }
}

/// Whose a beat is.
#[derive(Clone, PartialEq, Debug)]
pub enum BeatOf {
    /// As an earlier answer called it: the quickest.
    Handle(BeatHandle),
    /// By id.
    Id(AgentId),
    /// By name or id, as people write it.
    Named(Box<(Namespace, AgentRef)>),
}

/// What a beat may say beside.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BeatMore {
    /// What it does.
    pub activity: Option<Activity>,
    /// Something for people.
    pub detail: Option<String>,
    /// Gauges under names of its own, `active_streams tokens_used cost_usd` among them.
    pub gauges: BTreeMap<String, f64>,
}

/// What an agent is at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// What sort of thing.
    pub kind: ActivityKind,
    /// For how long so far.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// A hash of the tool and its arguments: the same call has the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<u64>,
}

words! {
    /// What an agent may be at.
    ActivityKind {
        /// It waits for a model.
        LlmCall = "llm_call",
        /// It waits for a tool.
        Tool = "tool",
        /// It waits for somebody's input.
        WaitingInput = "waiting_input",
        /// It has nothing to do.
        Idle = "idle",
    }
}

/// How an agent is called in beats: given with the first answer, good until it or the daemon is gone.
///
/// A place in a table and how often that place was given: below 2^53, so that JSON of any language holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BeatHandle(pub u64);

impl BeatHandle {
    /// How many generations are told apart.
    pub const GENERATIONS: u32 = 1 << 21;

    /// Puts a handle together.
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> Self {
        Self(((generation % Self::GENERATIONS) as u64) << 32 | index as u64)
    }

    /// The place in the table.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// How often the place was given.
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

words! {
    /// What an agent measures of itself under a name that everybody knows.
    Metric {
        /// Share of the processors that it may use.
        CpuUsage = "cpu_usage",
        /// Share of the memory that it may use.
        MemoryUsage = "memory_usage",
        /// Share of its work that fails.
        ErrorRate = "error_rate",
        /// Milliseconds that a request takes.
        RequestLatency = "request_latency",
        /// Requests in a second.
        Throughput = "throughput",
    }
}

impl Metric {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether it is a share, from 0.0 to 1.0.
    #[must_use]
    pub const fn is_ratio(self) -> bool {
        match self {
            Self::CpuUsage | Self::MemoryUsage | Self::ErrorRate => true,
            Self::RequestLatency | Self::Throughput => false,
        }
    }
}

/// The known metrics of one beat; those that it does not have are left out.
#[derive(Clone, Copy, Debug)]
pub struct Vitals([f32; Metric::COUNT]);

impl Vitals {
    /// None at all.
    pub const NONE: Self = Self([f32::NAN; Metric::COUNT]);

    /// One of them, if it was given.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<f32> {
        Some(self.0[metric as usize]).filter(|value| !value.is_nan())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|value| value.is_nan())
    }

    /// Sets one.
    ///
    /// # Errors
    /// [`InvalidMetric`] for a share outside 0.0 to 1.0, or what is negative or no number. Nothing was changed.
    #[expect(clippy::cast_possible_truncation, reason = "six digits are enough for a gauge")]
    pub fn set(&mut self, metric: Metric, value: f64) -> Result<(), InvalidMetric> {
        let fits = value.is_finite() && value >= 0.0 && (!metric.is_ratio() || value <= 1.0);
        if !fits {
            return Err(InvalidMetric { metric, value });
        }
        self.0[metric as usize] = value as f32;
        Ok(())
    }

    /// Those that were given.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f32)> + '_ {
        Metric::ALL
            .iter()
            .filter_map(|metric| self.get(*metric).map(|value| (*metric, value)))
    }

    /// Takes over what was given in a later beat; the rest stays.
    pub fn update(&mut self, later: &Self) {
        for (known, new) in self.0.iter_mut().zip(later.0) {
            if !new.is_nan() {
                *known = new;
            }
        }
    }
}

impl Default for Vitals {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for Vitals {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A number that a metric cannot be. The beat was not taken.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("`{metric}` of {value} is no {}", if metric.is_ratio() { "share: it must be from 0.0 to 1.0" } else { "measure: it must be a number from 0" })]
pub struct InvalidMetric {
    /// Which.
    pub metric: Metric,
    /// What it was said to be.
    pub value: f64,
}

words! {
    /// What became of a beat.
    BeatOutcome {
        /// It was taken.
        Accepted = "accepted",
        /// Its number is not beyond that of the last: it changed nothing.
        Stale = "stale",
        /// It is of another run than the present one: it changed nothing.
        Fenced = "fenced",
        /// There is no such agent, or its handle is of an earlier time: ask again by name.
        Unknown = "unknown",
        /// It cannot be understood.
        Malformed = "malformed",
    }
}

/// The answer to one beat.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BeatAnswer {
    /// What became of it.
    pub outcome: BeatOutcome,
    /// How the agent is called from now on; nothing where it is not known.
    pub handle: Option<BeatHandle>,
    /// Its present run.
    pub incarnation: Incarnation,
    /// When the next one is expected.
    pub next_in: Span,
}

impl BeatAnswer {
    /// The answer to a beat of somebody who is not known.
    #[must_use]
    pub const fn refused(outcome: BeatOutcome) -> Self {
        Self {
            outcome,
            handle: None,
            incarnation: Incarnation(0),
            next_in: Span(core::time::Duration::ZERO),
        }
    }
}

/// How many beats came to which end since the daemon started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BeatCounts {
    /// Taken.
    pub accepted: u64,
    /// Of an old number.
    pub stale: u64,
    /// Of another run.
    pub fenced: u64,
    /// Of nobody.
    pub unknown: u64,
    /// Not understood.
    pub malformed: u64,
}

impl BeatCounts {
    /// Counts one more.
    pub const fn count(&mut self, outcome: BeatOutcome) {
        let counter = match outcome {
            BeatOutcome::Accepted => &mut self.accepted,
            BeatOutcome::Stale => &mut self.stale,
            BeatOutcome::Fenced => &mut self.fenced,
            BeatOutcome::Unknown => &mut self.unknown,
            BeatOutcome::Malformed => &mut self.malformed,
        };
        *counter = counter.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_share_above_one_and_a_negative_latency_are_refused() {
        let mut vitals = Vitals::NONE;
        assert!(vitals.set(Metric::CpuUsage, 0.5).is_ok());
        for (metric, value) in [
            (Metric::CpuUsage, 90.0),
            (Metric::MemoryUsage, -0.1),
            (Metric::ErrorRate, f64::NAN),
            (Metric::RequestLatency, -1.0),
            (Metric::Throughput, f64::INFINITY),
        ] {
            assert!(vitals.set(metric, value).is_err(), "{metric} {value}");
        }
        assert_eq!(vitals.iter().collect::<Vec<_>>(), [(Metric::CpuUsage, 0.5)]);
        assert_eq!(
            vitals.set(Metric::CpuUsage, 90.0).unwrap_err().to_string(),
            "`cpu_usage` of 90 is no share: it must be from 0.0 to 1.0"
        );
    }

    #[test]
    fn what_a_later_beat_leaves_out_stays_as_it_was() {
        let mut known = Vitals::NONE;
        known.set(Metric::CpuUsage, 0.5).unwrap();
        known.set(Metric::RequestLatency, 20.0).unwrap();
        let mut later = Vitals::NONE;
        later.set(Metric::CpuUsage, 0.7).unwrap();
        known.update(&later);
        let kept: Vec<_> = known.iter().collect();
        assert_eq!(kept, [(Metric::CpuUsage, 0.7), (Metric::RequestLatency, 20.0)]);
    }

    #[test]
    fn a_handle_is_a_place_and_how_often_it_was_given() {
        let handle = BeatHandle::new(7, BeatHandle::GENERATIONS + 3);
        assert_eq!((handle.index(), handle.generation()), (7, 3));
        assert!(BeatHandle::new(u32::MAX, BeatHandle::GENERATIONS - 1).0 < 1 << 53);
    }
}
