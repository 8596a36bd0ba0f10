//! What is expected of beats: shared by all who are told the same.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::spec::{HealthSettings, HealthSpec, WarningStep};
use stead_model::{AgentSpec, Health, Metric, Vitals};
use stead_policy::{LeaseConfig, LeaseRules, Missed, PaceConfig, RoundsConfig, Silence};

/// The settings of a table's agents, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    known: Vec<Class>,
    places: BTreeMap<Key, u16>,
}

/// What is expected, ready to be counted with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    pub(crate) settings: HealthSettings,
    /// There always are some: their weights are the usual ones.
    rules: Option<LeaseRules>,
    pub(crate) missed: Missed,
}

/// Settings, to be looked up by.
type Key = ([bool; 2], [Duration; 3], [u32; 4], [u32; 4], WarningStep);

impl Class {
    fn new(settings: HealthSettings) -> Self {
        Self {
            settings,
            rules: LeaseConfig::every(settings.interval, settings.timeout).try_into().ok(),
            missed: Missed {
                timeout: settings.timeout,
                threshold: settings.missed_threshold,
            },
        }
    }

    /// By what leases are counted.
    pub(crate) const fn rules(&self) -> Option<&LeaseRules> {
        self.rules.as_ref()
    }

    /// By what silence is judged, where that is learnt.
    pub(crate) const fn adaptive(&self) -> Option<&LeaseRules> {
        if self.settings.adaptive { self.rules() } else { None }
    }

    /// When an operation takes too long.
    pub(crate) fn pace(&self) -> PaceConfig {
        PaceConfig {
            unknown: self.settings.stuck_after,
            ..PaceConfig::default()
        }
    }

    /// When calls go round.
    pub(crate) fn rounds(&self) -> RoundsConfig {
        RoundsConfig {
            times: u16::try_from(self.settings.loop_rounds).unwrap_or(u16::MAX),
        }
    }

    /// The metric that is over its threshold by the largest share, and the threshold. Strictly over.
    pub(crate) fn worst(&self, vitals: &Vitals) -> Option<(Metric, f32, f32)> {
        vitals
            .iter()
            .filter_map(|(metric, value)| Some((metric, value, self.settings.most(metric)?)))
            .filter(|(_, value, most)| value > most)
            .max_by(|one, other| (one.1 / one.2).total_cmp(&(other.1 / other.2)))
    }
}

impl Classes {
    /// Finds or adds the settings of a spec. Beyond the most that are told apart, the last ones are shared.
    pub(crate) fn of(&mut self, spec: &AgentSpec) -> u16 {
        let settings = spec.health.of(&spec.kind);
        let HealthSettings {
            expected,
            adaptive,
            interval,
            timeout,
            missed_threshold,
            recovery_threshold,
            bad_beats,
            on_warning,
            stuck_after,
            loop_rounds,
            cpu_usage,
            memory_usage,
            error_rate,
            request_latency,
        } = settings;
        let key = (
            [expected, adaptive],
            [interval, timeout, stuck_after],
            [missed_threshold, recovery_threshold, bad_beats, loop_rounds],
            [cpu_usage, memory_usage, error_rate, request_latency].map(f32::to_bits),
            on_warning,
        );
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        match u16::try_from(self.known.len()) {
            Ok(place) => {
                self.known.push(Class::new(settings));
                self.places.insert(key, place);
                place
            }
            Err(_full) => u16::MAX,
        }
    }

    pub(crate) fn get(&self, place: u16) -> Class {
        let known = self.known.get(usize::from(place)).copied();
        known.unwrap_or_else(|| Class::new(HealthSpec::default().of("")))
    }
}

/// How bad a silence is, as health.
pub(crate) const fn level(silence: Silence) -> Health {
    match silence {
        Silence::Fine => Health::Healthy,
        Silence::Degraded => Health::Degraded,
        Silence::Critical => Health::Critical,
        Silence::Failed => Health::Failed,
    }
}
