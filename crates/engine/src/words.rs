//! Words about degradation that the model and the policies both have, one for the other.

use stead_model::{Criticality, DegradationLevel, WorkMode};
use stead_policy::Criticality as Weighs;
use stead_policy::degrade::{Level, Mode};

/// A level as policies have it.
#[must_use]
pub const fn level(level: DegradationLevel) -> Level {
    match level {
        DegradationLevel::Full => Level::Full,
        DegradationLevel::Minor => Level::Minor,
        DegradationLevel::Moderate => Level::Moderate,
        DegradationLevel::Severe => Level::Severe,
        DegradationLevel::Minimal => Level::Minimal,
        DegradationLevel::Emergency => Level::Emergency,
    }
}

/// A way to work as policies have it.
#[must_use]
pub const fn mode(mode: WorkMode) -> Mode {
    match mode {
        WorkMode::Simplified => Mode::Simplified,
        WorkMode::Batch => Mode::Batch,
        WorkMode::Offline => Mode::Offline,
    }
}

/// A criticality as policies have it.
#[must_use]
pub const fn criticality(criticality: Criticality) -> Weighs {
    match criticality {
        Criticality::Optional => Weighs::Optional,
        Criticality::Important => Weighs::Important,
        Criticality::Critical => Weighs::Critical,
        Criticality::Essential => Weighs::Essential,
    }
}

pub(crate) const fn of_level(level: Level) -> DegradationLevel {
    match level {
        Level::Full => DegradationLevel::Full,
        Level::Minor => DegradationLevel::Minor,
        Level::Moderate => DegradationLevel::Moderate,
        Level::Severe => DegradationLevel::Severe,
        Level::Minimal => DegradationLevel::Minimal,
        Level::Emergency => DegradationLevel::Emergency,
    }
}

pub(crate) const fn of_mode(mode: Mode) -> WorkMode {
    match mode {
        Mode::Simplified => WorkMode::Simplified,
        Mode::Batch => WorkMode::Batch,
        Mode::Offline => WorkMode::Offline,
    }
}

pub(crate) const fn of_criticality(criticality: Weighs) -> Criticality {
    match criticality {
        Weighs::Optional => Criticality::Optional,
        Weighs::Important => Criticality::Important,
        Weighs::Critical => Criticality::Critical,
        Weighs::Essential => Criticality::Essential,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_the_same_place_on_both_sides() {
        for (one, other) in Level::ALL.into_iter().zip(DegradationLevel::ALL) {
            assert_eq!((of_level(one), level(other)), (other, one));
            assert_eq!(one.as_str(), other.as_str());
        }
        for one in Weighs::ALL {
            assert_eq!(criticality(of_criticality(one)), one);
        }
        for one in [Mode::Simplified, Mode::Batch, Mode::Offline] {
            assert_eq!(mode(of_mode(one)), one);
        }
    }
}
