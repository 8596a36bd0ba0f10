//! Quantities that are valid once they exist.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::serde_as_text;

/// A share between 0.0 and 1.0, both included.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Ratio(f64);

impl Ratio {
    /// The share as a number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Ratio {
    type Error = OutOfRange;

    fn try_from(value: f64) -> Result<Self, OutOfRange> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(OutOfRange::Ratio(value))
        }
    }
}

impl JsonSchema for Ratio {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Ratio".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0.0, "maximum": 1.0 })
    }
}

impl From<Ratio> for f64 {
    fn from(ratio: Ratio) -> Self {
        ratio.0
    }
}

/// By how much each wait is longer than the one before: at least 1.0, at most 100.0.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Factor(f64);

impl Factor {
    /// Twice as long each time.
    pub const DOUBLE: Self = Self(2.0);

    /// The factor as a number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Factor {
    type Error = OutOfRange;

    fn try_from(value: f64) -> Result<Self, OutOfRange> {
        if (1.0..=100.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(OutOfRange::Factor(value))
        }
    }
}

impl JsonSchema for Factor {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Factor".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 1.0, "maximum": 100.0 })
    }
}

impl From<Factor> for f64 {
    fn from(factor: Factor) -> Self {
        factor.0
    }
}

/// Seconds as Kubernetes writes them: a number; a text with a unit (`"500ms"`) is taken too. Up to a year.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Seconds(Duration);

impl Seconds {
    /// A whole number of seconds.
    #[must_use]
    pub const fn new(secs: u32) -> Self {
        Self(Duration::from_secs(secs as u64))
    }

    /// A tenth of a second.
    #[must_use]
    pub const fn tenth() -> Self {
        Self(Duration::from_millis(100))
    }

    /// The span.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

const YEAR: f64 = 366.0 * 86_400.0;

impl TryFrom<f64> for Seconds {
    type Error = OutOfRange;

    fn try_from(value: f64) -> Result<Self, OutOfRange> {
        if (0.0..=YEAR).contains(&value) {
            Ok(Self(Duration::from_secs_f64(value)))
        } else {
            Err(OutOfRange::Seconds(value))
        }
    }
}

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.0.as_secs_f64())
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Seconds;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds as a number, or a duration such as \"500ms\"")
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Seconds, E> {
                Seconds::try_from(value).map_err(E::custom)
            }
            #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 it is refused anyway")]
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Seconds, E> {
                self.visit_f64(value as f64)
            }
            #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 it is refused anyway")]
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Seconds, E> {
                self.visit_f64(value as f64)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Seconds, E> {
                text.parse::<crate::Span>()
                    .map(|span| Seconds(span.0))
                    .map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Seconds".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["number", "string"], "minimum": 0 })
    }
}

/// A size in bytes, read as `10MiB`, `1GB` or a plain number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Bytes(pub u64);

impl Bytes {
    /// A number of mebibytes.
    #[must_use]
    pub const fn mib(mebibytes: u64) -> Self {
        Self(mebibytes * 1024 * 1024)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only a unit that divides the size evenly reads back as the same size.
        let units = [
            (1_u64 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ];
        match units
            .iter()
            .find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl FromStr for Bytes {
    type Err = OutOfRange;

    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) => Ok(Self(size.as_u64())),
            Err(_) => Err(OutOfRange::Bytes(text.to_string())),
        }
    }
}

serde_as_text!(Bytes, "Bytes", "^[0-9.]+ ?[kKMGTP]?i?B?$");

/// A signal by its Linux number; written as `SIGTERM`, read with or without `SIG`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Signal(u8);

impl Signal {
    /// Ends what does not listen.
    pub const KILL: Self = Self(9);
    /// Asks to end.
    pub const TERM: Self = Self(15);

    /// The number that the kernel knows it by.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Linux's numbers on every architecture that Stead is built for.
const SIGNALS: [(u8, &str); 29] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (16, "SIGSTKFLT"),
    (17, "SIGCHLD"),
    (18, "SIGCONT"),
    (19, "SIGSTOP"),
    (20, "SIGTSTP"),
    (21, "SIGTTIN"),
    (22, "SIGTTOU"),
    (23, "SIGURG"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (26, "SIGVTALRM"),
    (28, "SIGWINCH"),
    (30, "SIGPWR"),
    (31, "SIGSYS"),
];

impl TryFrom<u8> for Signal {
    type Error = OutOfRange;

    fn try_from(number: u8) -> Result<Self, OutOfRange> {
        if (1..=64).contains(&number) {
            Ok(Self(number))
        } else {
            Err(OutOfRange::Signal(number.to_string()))
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIGNALS.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Signal {
    type Err = OutOfRange;

    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        if let Ok(number) = text.parse::<u8>() {
            return Self::try_from(number);
        }
        let bare = text.strip_prefix("SIG").unwrap_or(text);
        match SIGNALS.iter().find(|(_, name)| name.strip_prefix("SIG") == Some(bare)) {
            Some((number, _)) => Ok(Self(*number)),
            None => Err(OutOfRange::Signal(text.to_string())),
        }
    }
}

serde_as_text!(Signal, "Signal", "^(SIG)?[A-Z0-9]+$");

/// A quantity outside its range. Nothing was changed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum OutOfRange {
    /// Not a share.
    #[error("{0} is no ratio: write a number from 0.0 to 1.0")]
    Ratio(f64),
    /// Not a factor.
    #[error("{0} is no factor: write a number from 1.0 to 100.0")]
    Factor(f64),
    /// Not a number of seconds.
    #[error("{0} is no number of seconds: write one from 0 to a year's")]
    Seconds(f64),
    /// Not a size.
    #[error("`{0}` is no size: write a number and a unit, such as 512KiB or 10MiB")]
    Bytes(String),
    /// Not a signal.
    #[error("`{0}` is no signal: write a name such as SIGTERM or a number from 1 to 64")]
    Signal(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_a_number_minus_one_and_ninety_are_no_ratios() {
        for value in [f64::NAN, -1.0, 90.0, f64::INFINITY] {
            assert!(Ratio::try_from(value).is_err(), "{value}");
        }
        assert!((f64::from(Ratio::try_from(0.9).unwrap()) - 0.9).abs() < f64::EPSILON);
    }

    #[test]
    fn a_factor_below_one_would_shorten_waits_and_is_refused() {
        assert!(Factor::try_from(0.5).is_err());
        assert!(f64::from(Factor::try_from(1.5).unwrap()) > 1.4);
    }

    #[test]
    fn seconds_are_numbers_or_texts_with_a_unit() {
        let read = |text: &str| serde_json::from_str::<Seconds>(text);
        assert_eq!(read("10").unwrap().duration(), Duration::from_secs(10));
        assert_eq!(read("0.25").unwrap().duration(), Duration::from_millis(250));
        assert_eq!(read("\"500ms\"").unwrap().duration(), Duration::from_millis(500));
        for text in ["-1", "1e12", "\"soon\"", "true"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&Seconds::new(3)).unwrap(), "3");
        assert_eq!(serde_json::to_string(&Seconds::try_from(0.5).unwrap()).unwrap(), "0.5");
    }

    #[test]
    fn sizes_read_back_from_their_text() {
        for (text, size) in [
            ("10MiB", Bytes::mib(10)),
            ("1500", Bytes(1500)),
            ("1kB", Bytes(1000)),
            ("0", Bytes(0)),
        ] {
            assert_eq!(text.parse::<Bytes>().unwrap(), size);
            assert_eq!(size.to_string().parse::<Bytes>().unwrap(), size);
        }
        assert!("lots".parse::<Bytes>().is_err());
    }

    #[test]
    fn signals_are_known_by_name_and_number() {
        for text in ["SIGTERM", "TERM", "15"] {
            assert_eq!(text.parse::<Signal>().unwrap(), Signal::TERM);
        }
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!("40".parse::<Signal>().unwrap().to_string(), "40");
        for text in ["0", "65", "SIGNOPE", ""] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }
}
