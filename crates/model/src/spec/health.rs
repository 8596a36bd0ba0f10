//! How it is judged how well an agent does: how often it beats, and which of its metrics are too much.

use core::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InvalidSpec;
use crate::beat::Metric;
use crate::state::words;
use crate::{Ratio, Span};

/// What is expected of an agent's signs of life. What is absent takes the default of its type.
///
/// | setting | default |
/// |---|---|
/// | interval | 5 s; `database` 3, `api` 5, `worker` 10, `ui` 15; at least 100 ms |
/// | timeout | 15 s, or 3 intervals if longer |
/// | missed_threshold | 3 |
/// | adaptive_timeout | true |
/// | recovery_threshold | 2 good beats |
/// | bad_beats | 3 |
/// | on_warning | alert |
/// | stuck_after | 10 min, then learnt for what it says that it is at |
/// | loop_rounds | 5 |
/// | thresholds | cpu .90, memory .85, error rate .10, latency 2 s; `compute` cpu .95, memory .90; `database` .80/.80; `api` latency 1 s, errors .05; `web` latency 3 s, errors .15 |
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSpec {
    /// Whether a process is expected to beat from its start on. Default: once a run has beaten, it is expected to go on. What
    /// nothing runs here is always expected to, unless it is probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
    /// How often it beats. Too short costs work, too long finds failures late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// How long it may be silent before it has failed; longer than `interval`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How many intervals of silence are a failure, where those are longer than `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_threshold: Option<u32>,
    /// Whether the timeout is learnt from when its beats come, and `timeout` bounds what is learnt. Default true; false counts missed
    /// beats: degraded one interval beyond the expected beat, critical two, failed after `missed_threshold` and `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_timeout: Option<bool>,
    /// How many good beats in a row bring it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_threshold: Option<u32>,
    /// How many beats in a row must be over a threshold until it is degraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_beats: Option<u32>,
    /// What is done when its metrics say that trouble is coming: `nothing`, `alert` (default), `degrade`, or `drain`: it finishes its
    /// tasks and is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_warning: Option<WarningStep>,
    /// How long work in flight may make no progress before it is stuck and degraded; three times that is a failure. Counted only for
    /// one that says how far it is (`progress`) or what it is at (`activity`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stuck_after: Option<Span>,
    /// The same calls so many times in a row, with no progress between, are a loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_rounds: Option<u32>,
    /// What is too much: strictly more degrades.
    #[serde(skip_serializing_if = "ThresholdsSpec::is_empty")]
    pub thresholds: ThresholdsSpec,
}

words! {
    /// What is done when metrics say that trouble is coming.
    WarningStep {
        /// They are not watched for that.
        Nothing = "nothing",
        /// It is told.
        Alert = "alert",
        /// It counts as degraded meanwhile.
        Degrade = "degrade",
        /// It finishes its tasks and is started again.
        Drain = "drain",
    }
}

/// What each metric may be at most.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThresholdsSpec {
    /// Share of the processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_usage: Option<Ratio>,
    /// Share of the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_usage: Option<Ratio>,
    /// Share of failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Ratio>,
    /// Time that a request takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_latency: Option<Span>,
}

impl ThresholdsSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl HealthSpec {
    /// The shortest interval.
    pub const LEAST_INTERVAL: Duration = Duration::from_millis(100);

    /// What holds for an agent of a type.
    #[must_use]
    pub fn of(&self, kind: &str) -> HealthSettings {
        let interval = self.interval.unwrap_or_else(|| default_interval(kind)).0;
        let missed = self.missed_threshold.unwrap_or(MISSED);
        let most = default_thresholds(kind);
        let given = &self.thresholds;
        let ratio = |given: Option<Ratio>, default: f64| narrow(given.map_or(default, Ratio::get));
        HealthSettings {
            expected: self.expected.unwrap_or(false),
            adaptive: self.adaptive_timeout.unwrap_or(true),
            interval,
            timeout: self
                .timeout
                .map_or_else(|| TIMEOUT.max(interval.saturating_mul(3)), |timeout| timeout.0),
            missed_threshold: missed,
            recovery_threshold: self.recovery_threshold.unwrap_or(RECOVERY),
            bad_beats: self.bad_beats.unwrap_or(BAD_BEATS),
            on_warning: self.on_warning.unwrap_or(WarningStep::Alert),
            stuck_after: self
                .stuck_after
                .map_or_else(|| STUCK_AFTER.max(interval.saturating_mul(3)), |after| after.0),
            loop_rounds: self.loop_rounds.unwrap_or(LOOP_ROUNDS),
            cpu_usage: ratio(given.cpu_usage, most.0),
            memory_usage: ratio(given.memory_usage, most.1),
            error_rate: ratio(given.error_rate, most.2),
            request_latency: narrow(
                given
                    .request_latency
                    .map_or(most.3, |span| span.0.as_secs_f64() * 1000.0),
            ),
        }
    }

    pub(super) fn check(&self, kind: &str) -> Result<(), InvalidSpec> {
        let zero = [
            ("health.missed_threshold", self.missed_threshold),
            ("health.recovery_threshold", self.recovery_threshold),
            ("health.bad_beats", self.bad_beats),
            ("health.loop_rounds", self.loop_rounds),
        ];
        if let Some((field, _)) = zero.iter().find(|(_, given)| *given == Some(0)) {
            return Err(InvalidSpec::Zero(field));
        }
        let many = zero
            .iter()
            .find(|(_, given)| given.is_some_and(|given| given > MOST_BEATS));
        if let Some((field, _)) = many {
            return Err(InvalidSpec::TooMany(field));
        }
        if self.loop_rounds == Some(1) {
            return Err(InvalidSpec::OneRound);
        }
        let settings = self.of(kind);
        if settings.stuck_after <= settings.interval {
            return Err(InvalidSpec::ShortStuck {
                after: Span(settings.stuck_after),
                interval: Span(settings.interval),
            });
        }
        if settings.interval < Self::LEAST_INTERVAL {
            return Err(InvalidSpec::ShortInterval(Span(settings.interval)));
        }
        if settings.interval > MOST_INTERVAL || settings.timeout > MOST_INTERVAL.saturating_mul(3) {
            return Err(InvalidSpec::LongInterval);
        }
        if settings.interval >= settings.timeout {
            return Err(InvalidSpec::IntervalNotBelowTimeout {
                interval: Span(settings.interval),
                timeout: Span(settings.timeout),
            });
        }
        Ok(())
    }
}

/// What holds for one agent, all defaults filled in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HealthSettings {
    /// Whether a process must beat from its start on.
    pub expected: bool,
    /// Whether the timeout is learnt.
    pub adaptive: bool,
    /// How often it beats.
    pub interval: Duration,
    /// How long it may be silent.
    pub timeout: Duration,
    /// How many intervals of silence are a failure, where those are longer.
    pub missed_threshold: u32,
    /// How many good beats bring it back.
    pub recovery_threshold: u32,
    /// How many bad beats degrade it.
    pub bad_beats: u32,
    /// What is done when its metrics say that trouble is coming.
    pub on_warning: WarningStep,
    /// How long work in flight may make no progress.
    pub stuck_after: Duration,
    /// How often the same calls may come in a row.
    pub loop_rounds: u32,
    /// What it may be at most.
    pub cpu_usage: f32,
    /// What it may be at most.
    pub memory_usage: f32,
    /// What it may be at most.
    pub error_rate: f32,
    /// What it may be at most, in milliseconds.
    pub request_latency: f32,
}

impl HealthSettings {
    /// What a metric may be at most, where there is such a bound.
    #[must_use]
    pub const fn most(&self, metric: Metric) -> Option<f32> {
        match metric {
            Metric::CpuUsage => Some(self.cpu_usage),
            Metric::MemoryUsage => Some(self.memory_usage),
            Metric::ErrorRate => Some(self.error_rate),
            Metric::RequestLatency => Some(self.request_latency),
            Metric::Throughput => None,
        }
    }
}

fn default_interval(kind: &str) -> Span {
    Span::secs(match kind {
        "database" => 3,
        "worker" => 10,
        "ui" => 15,
        _other => 5,
    })
}

/// Processors, memory, errors, and latency in milliseconds.
fn default_thresholds(kind: &str) -> (f64, f64, f64, f64) {
    match kind {
        "compute" => (0.95, 0.90, 0.10, 2000.0),
        "database" => (0.80, 0.80, 0.10, 2000.0),
        "api" => (0.90, 0.85, 0.05, 1000.0),
        "web" => (0.90, 0.85, 0.15, 3000.0),
        _other => (0.90, 0.85, 0.10, 2000.0),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "metrics are compared as they are kept, in 32 bits"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}

const TIMEOUT: Duration = Duration::from_secs(15);
const MISSED: u32 = 3;
const RECOVERY: u32 = 2;
const BAD_BEATS: u32 = 3;
const STUCK_AFTER: Duration = Duration::from_secs(600);
const LOOP_ROUNDS: u32 = 5;
/// Counted in a byte.
const MOST_BEATS: u32 = 100;
/// Beyond a week nobody is watched.
const MOST_INTERVAL: Duration = Duration::from_secs(7 * 86_400);

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn each_type_has_its_defaults() {
        let of = |kind| HealthSpec::default().of(kind);
        let waits: Vec<_> = ["database", "api", "worker", "ui", "compute", "web", "mine"]
            .into_iter()
            .map(|kind| (of(kind).interval.as_secs(), of(kind).timeout.as_secs()))
            .collect();
        assert_eq!(waits, [(3, 15), (5, 15), (10, 30), (15, 45), (5, 15), (5, 15), (5, 15)]);
        let most = |kind| {
            let it = of(kind);
            let most = [it.cpu_usage, it.memory_usage, it.error_rate, it.request_latency];
            alloc::format!("{most:?}")
        };
        assert_eq!(most("mine"), "[0.9, 0.85, 0.1, 2000.0]");
        assert_eq!(most("compute"), "[0.95, 0.9, 0.1, 2000.0]");
        assert_eq!(most("database"), "[0.8, 0.8, 0.1, 2000.0]");
        assert_eq!(most("api"), "[0.9, 0.85, 0.05, 1000.0]");
        assert_eq!(most("web"), "[0.9, 0.85, 0.15, 3000.0]");
    }

    #[test]
    fn settings_that_do_not_fit_together_are_refused_with_what_to_do() {
        let refused = |text: &str| {
            let spec: HealthSpec = serde_json::from_str(text).unwrap();
            spec.check("api").unwrap_err().to_string()
        };
        insta::assert_snapshot!(refused(r#"{"interval":"15s"}"#.replace("15s", "50ms").as_str()), @"`health.interval` of 50ms is shorter than 100ms, the shortest that is taken");
        insta::assert_snapshot!(refused(r#"{"timeout":"5s"}"#), @"`health.interval` of 5s must be less than `health.timeout` of 5s: one late beat is no failure");
        insta::assert_snapshot!(refused(r#"{"recovery_threshold":0}"#), @"`health.recovery_threshold` must be at least 1");
        insta::assert_snapshot!(refused(r#"{"loop_rounds":1}"#), @"`health.loop_rounds` must be at least 2: a call that is made once is no loop");
        insta::assert_snapshot!(refused(r#"{"stuck_after":"2s"}"#), @"`health.stuck_after` of 2s must be longer than `health.interval` of 5s: progress is told with beats");
        insta::assert_snapshot!(refused(r#"{"bad_beats":101}"#), @"`health.bad_beats` must be at most 100");
    }
}
