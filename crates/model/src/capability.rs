//! Capabilities as they are shown: what can be asked of a fleet, and who provides it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{AgentName, Span, Wall};

/// How much a provider is preferred: the highest that can be asked is asked. `primary` is 100, `fallback` 50, `emergency` 10.
///
/// Written as one of these words or as a number from 1 to 1,000; always shown as the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Level(u16);

impl Level {
    /// What is asked while all is well.
    pub const PRIMARY: Self = Self(100);
    /// What is asked where the primary gives no answer.
    pub const FALLBACK: Self = Self(50);
    /// What is asked where nothing else is left.
    pub const EMERGENCY: Self = Self(10);

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The word for it, if there is one.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        WORDS.iter().find(|(_, level)| *level == self).map(|(word, _)| *word)
    }
}

const WORDS: [(&str, Level); 3] = [
    ("primary", Level::PRIMARY),
    ("fallback", Level::FALLBACK),
    ("emergency", Level::EMERGENCY),
];
const MOST: u16 = 1000;

impl Default for Level {
    fn default() -> Self {
        Self::PRIMARY
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.write_str(word),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.0)
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl Visitor<'_> for Reading {
    type Value = Level;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"primary\", \"fallback\", \"emergency\" or a number from 1 to 1000")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Level, E> {
        let known = WORDS.iter().find(|(word, _)| *word == text).map(|(_, level)| *level);
        // A number that came by way of the environment is a text.
        let number = || {
            text.parse()
                .ok()
                .filter(|number| (1..=MOST).contains(number))
                .map(Level)
        };
        known
            .or_else(number)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Level, E> {
        let level = u16::try_from(number).ok().filter(|number| (1..=MOST).contains(number));
        level
            .map(Level)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Level, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_negative) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }
}

impl JsonSchema for Level {
    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({
            "description": "How much a provider is preferred: `primary` (100), `fallback` (50), `emergency` (10), or a number.",
            "anyOf": [
                { "type": "string", "enum": words },
                { "type": "integer", "minimum": 1, "maximum": MOST },
            ],
        })
    }
}

/// A capability: something that can be asked of the fleet, whoever provides it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CapabilityView {
    /// Its name.
    pub name: AgentName,
    /// What it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of what it is asked with; absent: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<serde_json::Value>,
    /// How long an answer may take, all providers together.
    pub deadline: Span,
    /// Whether any provider would be asked now.
    pub available: bool,
    /// Who provides it, the most preferred first.
    pub providers: Vec<ProviderView>,
}

/// One provider of a capability.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProviderView {
    /// Its name.
    pub name: AgentName,
    /// How much it is preferred.
    pub level: Level,
    /// Where it is asked, without the query.
    pub url: String,
    /// The agent, component or group that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The phase of that agent or group; absent while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why it would not be asked now; absent where it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// The circuit that calls to it go through.
    pub circuit: String,
    /// The state of that circuit.
    pub circuit_state: String,
}

/// A circuit: what keeps calls away from a provider that fails.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CircuitView {
    /// Its name. Providers that name the same circuit share it.
    pub name: String,
    /// `closed`, `open`, `half_open`, `recovering`, `isolated`, `forced_open`, `forced_closed` or `disabled`.
    pub state: String,
    /// In how long a call may be let through again; absent where none is kept away, and where somebody must act first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<Span>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<CircuitFailure>,
    /// Who goes through it, each as `capability/provider`.
    pub providers: Vec<String>,
    /// How often its state changed.
    pub changes: u64,
    /// Calls that it kept away.
    pub rejected: u64,
    /// Failures that it counted.
    pub failed: u64,
}

/// What went wrong at a provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CircuitFailure {
    /// When.
    pub at: Wall,
    /// At whom, as `capability/provider`.
    pub provider: String,
    /// What.
    pub detail: String,
}

/// What can be done to a circuit by hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CircuitVerb {
    /// No call goes through, until a reset.
    ForceOpen,
    /// Every call goes through and none counts, until a reset.
    ForceClose,
    /// Closed, with nothing counted.
    Reset,
}

impl CircuitVerb {
    /// Every verb.
    pub const ALL: &[Self] = &[Self::ForceOpen, Self::ForceClose, Self::Reset];

    /// As it stands in paths, on the command line and in the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForceOpen => "force-open",
            Self::ForceClose => "force-close",
            Self::Reset => "reset",
        }
    }
}

impl core::str::FromStr for CircuitVerb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|verb| verb.as_str() == text);
        known
            .copied()
            .ok_or_else(|| format!("`{text}` is not force-open, force-close or reset"))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_level_is_a_word_or_a_number_and_is_shown_as_the_number() {
        for (written, level, shown) in [
            ("\"primary\"", 100, "primary"),
            ("\"fallback\"", 50, "fallback"),
            ("\"emergency\"", 10, "emergency"),
            ("70", 70, "70"),
            ("\"70\"", 70, "70"),
            ("1000", 1000, "1000"),
        ] {
            let read: Level = serde_json::from_str(written).unwrap();
            assert_eq!((read.get(), read.to_string().as_str()), (level, shown));
            assert_eq!(serde_json::to_string(&read).unwrap(), level.to_string());
        }
        for written in ["0", "1001", "-1", "\"last\"", "\"\"", "1.5", "null"] {
            let refused = serde_json::from_str::<Level>(written).unwrap_err().to_string();
            assert!(refused.contains("from 1 to 1000"), "{written}: {refused}");
        }
    }

    #[test]
    fn a_verb_is_read_as_it_is_written() {
        for verb in CircuitVerb::ALL {
            assert_eq!(verb.as_str().parse(), Ok(*verb));
        }
        assert!("open".parse::<CircuitVerb>().unwrap_err().contains("force-open"));
    }
}
