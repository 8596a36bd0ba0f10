//! So many, or such a share of them.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of replicas, or a share of those that are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// Such a share, in percent, at most 100.
    Percent(u8),
}

impl Amount {
    /// How many of `whole` that is, a share rounded down.
    #[must_use]
    pub fn floor_of(self, whole: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(whole, percent, 0),
        }
    }

    /// How many of `whole` that is, a share rounded up.
    #[must_use]
    pub fn ceil_of(self, whole: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(whole, percent, 99),
        }
    }

    /// Whether it is none, whatever the whole.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

fn share(whole: u32, percent: u8, rounding: u64) -> u32 {
    let hundredths = u64::from(whole) * u64::from(percent) + rounding;
    u32::try_from(hundredths / 100).unwrap_or(u32::MAX)
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Amount {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let read = match text.strip_suffix('%') {
            Some(digits) => digits.parse().ok().filter(|percent| *percent <= 100).map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        read.ok_or_else(|| InvalidAmount(text.to_string()))
    }
}

/// What was no amount. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no amount: write a number such as 2, or a share of at most 100 % such as \"25%\"")]
pub struct InvalidAmount(pub String);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl serde::de::Visitor<'_> for Reader {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of replicas such as 2, or a share such as \"25%\"")
            }

            fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Amount, E> {
                u32::try_from(count)
                    .map(Amount::Count)
                    .map_err(|_beyond| E::custom(InvalidAmount(count.to_string())))
            }

            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Amount, E> {
                u32::try_from(count)
                    .map(Amount::Count)
                    .map_err(|_beyond| E::custom(InvalidAmount(count.to_string())))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 },
                { "type": "string", "pattern": "^(100|[0-9]{1,2})%$" }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_for_those_that_may_be_missing_and_up_for_those_that_may_be_too_many() {
        for (percent, whole, floor, ceil) in [(25, 10, 2, 3), (0, 7, 0, 0), (100, 7, 7, 7), (1, 3, 0, 1)] {
            let share = Amount::Percent(percent);
            assert_eq!(
                (share.floor_of(whole), share.ceil_of(whole)),
                (floor, ceil),
                "{share} of {whole}"
            );
        }
        assert_eq!((Amount::Count(3).floor_of(2), Amount::Count(3).ceil_of(2)), (3, 3));
    }

    #[test]
    fn an_amount_is_read_as_it_is_written_and_nothing_else_is() {
        for (json, amount) in [("2", Amount::Count(2)), ("\"25%\"", Amount::Percent(25))] {
            assert_eq!(serde_json::from_str::<Amount>(json).unwrap(), amount);
            assert_eq!(serde_json::to_string(&amount).unwrap(), json);
        }
        for wrong in ["\"101%\"", "\"x\"", "-1", "4294967296", "1.5", "\"-1%\"", "null"] {
            assert!(serde_json::from_str::<Amount>(wrong).is_err(), "{wrong}");
        }
    }
}
