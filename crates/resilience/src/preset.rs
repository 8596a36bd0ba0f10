//! How often, and how far apart, to try again what is called.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use stead_policy::{Backoff, Factor, First, Growth, Jitter, Spread};

/// Settings of a retry that suit what is called. Waits double; the first attempt is the call itself.
///
/// | preset | attempts | first wait | longest wait | jitter |
/// |---|---|---|---|---|
/// | `network` | 5 | 1 s | 30 s | 0.2 |
/// | `service` | 3 | 2 s | 60 s | 0.1 |
/// | `database` | 4 | 0.5 s | 10 s | none |
/// | `api` | 3 | 1 s | 20 s | 0.3 |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Connections over a network that loses some.
    Network,
    /// Another service, which may take a while to come back.
    Service,
    /// A database: few clients, short interruptions.
    Database,
    /// A public API with quotas: many clients, so the spread is wide.
    Api,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Network, Self::Service, Self::Database, Self::Api];

    /// As it is written in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Service => "service",
            Self::Database => "database",
            Self::Api => "api",
        }
    }

    /// How many calls are made at most, the first one included.
    #[must_use]
    pub const fn attempts(self) -> u32 {
        match self {
            Self::Network => 5,
            Self::Database => 4,
            Self::Service | Self::Api => 3,
        }
    }

    /// How long to wait between them.
    #[must_use]
    pub fn backoff(self) -> Backoff {
        let (initial, max, jitter) = match self {
            Self::Network => (1000, 30, Jitter::Proportional(Spread::percent(20))),
            Self::Service => (2000, 60, Jitter::Proportional(Spread::percent(10))),
            Self::Database => (500, 10, Jitter::None),
            Self::Api => (1000, 20, Jitter::Proportional(Spread::percent(30))),
        };
        Backoff {
            first: First::Waits,
            initial: Duration::from_millis(initial),
            growth: Growth::Exponential(Factor::DOUBLE),
            max: Duration::from_secs(max),
            jitter,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no preset of this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no preset is called {0:?}; there are network, service, database and api")]
pub struct UnknownPreset(String);

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        let named = |preset: &Self| preset.as_str() == name;
        Self::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| UnknownPreset(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use proptest::prelude::*;
    use stead_policy::{Backoff, First, Jitter};

    use super::Preset;

    fn settings(preset: Preset) -> (u32, f64, f64, f64) {
        let Backoff {
            initial, max, jitter, ..
        } = preset.backoff();
        let share = match jitter {
            Jitter::Proportional(share) => share.get(),
            Jitter::None => 0.0,
            Jitter::Full | Jitter::Equal | Jitter::Decorrelated => panic!("{jitter:?}"),
        };
        (preset.attempts(), initial.as_secs_f64(), max.as_secs_f64(), share)
    }

    #[test]
    fn presets_are_what_they_are_said_to_be() {
        assert_eq!(settings(Preset::Network), (5, 1.0, 30.0, 0.2));
        assert_eq!(settings(Preset::Service), (3, 2.0, 60.0, 0.1));
        assert_eq!(settings(Preset::Database), (4, 0.5, 10.0, 0.0));
        assert_eq!(settings(Preset::Api), (3, 1.0, 20.0, 0.3));
    }

    #[test]
    fn waits_double_from_the_first_one_on() {
        let waits: Vec<_> = (0..7)
            .map(|n| Preset::Database.backoff().delay(n, 7).as_millis())
            .collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    }

    #[test]
    fn presets_are_found_by_their_names() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
            assert_eq!(serde_json::to_value(preset).unwrap(), preset.as_str());
        }
        let refusal = "netwrok".parse::<Preset>().unwrap_err().to_string();
        assert_eq!(
            refusal,
            r#"no preset is called "netwrok"; there are network, service, database and api"#
        );
    }

    proptest! {
        #[test]
        fn waits_stay_within_the_spread_of_the_preset(seed: u64, n in 0_u32..100, preset in prop::sample::select(Preset::ALL.to_vec())) {
            let exact = Backoff { jitter: Jitter::None, ..preset.backoff() }.delay(n, 0);
            let (_, _, _, share) = settings(preset);
            let wait = preset.backoff().delay(n, seed);
            let reach = exact.mul_f64(share) + Duration::from_nanos(1);
            prop_assert!(wait + reach >= exact && wait <= exact + reach);
            prop_assert_eq!(preset.backoff().first, First::Waits);
        }
    }
}
