//! Spans of time as people write them in files: `"250ms"`, `"1m 30s"`. For `#[serde(with = "…")]`.

use alloc::format;
use core::fmt;
use core::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// Writes a span as text.
///
/// # Errors
///
/// Those of the format.
pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    match jiff::SignedDuration::try_from(*span) {
        Ok(span) => serializer.collect_str(&format!("{span:#}")),
        Err(_too_long) => serializer.collect_str(&format!("{}s", span.as_secs())),
    }
}

/// Reads a span from text with units; a bare number, a negative span and nonsense are refused.
///
/// # Errors
///
/// Says what was found and what is meant.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(Text)
}

/// The same for a span that may be missing.
pub mod optional {
    use super::{Duration, Text};
    use serde::{Deserializer, Serializer};

    /// Writes the span, or nothing.
    ///
    /// # Errors
    ///
    /// Those of the format.
    pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => super::serialize(span, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a span where there is one.
    ///
    /// # Errors
    ///
    /// As [`super::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        deserializer.deserialize_option(Maybe)
    }

    struct Maybe;

    impl<'de> serde::de::Visitor<'de> for Maybe {
        type Value = Option<Duration>;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            serde::de::Visitor::expecting(&Text, f)
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a span of time with its unit, such as \"250ms\" or \"1m 30s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        let refused = || {
            E::custom(format!(
                "`{text}` is no span of time: write \"250ms\", \"30s\" or \"1m 30s\""
            ))
        };
        let span: jiff::SignedDuration = text.parse().map_err(|_unreadable| refused())?;
        Duration::try_from(span).map_err(|_negative| refused())
    }
}
