//! Words and numbers of requests that are valid once they exist.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use stead_model::{Span, Wall};

/// Text of 1 to `MOST` bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::api) struct Text<const MOST: usize>(pub(in crate::api) String);

impl<'de, const MOST: usize> Deserialize<'de> for Text<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if (1..=MOST).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom(format!(
                "must be 1 to {MOST} bytes long, not {}",
                text.len()
            )))
        }
    }
}

impl<const MOST: usize> JsonSchema for Text<MOST> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Text{MOST}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MOST })
    }
}

/// How many items a page has at most: 1 to 1,000, 100 unless given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "usize")]
pub(in crate::api) struct Limit(pub(in crate::api) usize);

impl TryFrom<usize> for Limit {
    type Error = &'static str;

    fn try_from(limit: usize) -> Result<Self, &'static str> {
        if (1..=1000).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err("must be from 1 to 1000")
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 })
    }
}

/// A time, or how long ago it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::api) enum When {
    At(Wall),
    Ago(Span),
}

impl When {
    pub(in crate::api) fn resolve(self, now: Wall) -> Wall {
        match self {
            Self::At(at) => at,
            Self::Ago(Span(ago)) => {
                let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
                Wall::from_unix_millis(now.unix_millis().saturating_sub(ago))
            }
        }
    }
}

impl FromStr for When {
    type Err = InvalidWhen;

    fn from_str(text: &str) -> Result<Self, InvalidWhen> {
        // In a query a `+` that was not escaped arrives as a space: `…T12:00:00 02:00`.
        let at = || text.replace(' ', "+").parse().map(Self::At);
        text.parse()
            .map(Self::Ago)
            .or_else(|_no_span| at())
            .map_err(|_no_time| InvalidWhen(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for When {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "When".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["2026-01-31T12:00:00Z", "15m"] })
    }
}

/// What was no time.
#[derive(Debug)]
pub(in crate::api) struct InvalidWhen(String);

impl fmt::Display for InvalidWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no time: write 2026-01-31T12:00:00Z, or how long ago it was, such as 15m",
            self.0
        )
    }
}

/// Adds to what a deserializer said of an unknown field or variant which known one is close to it.
pub(in crate::api) fn suggest(said: &str) -> String {
    let mut quoted = said.split('`').skip(1).step_by(2);
    let unknown = said.contains("unknown field") || said.contains("unknown variant");
    let nearest = quoted
        .next()
        .filter(|word| unknown && word.len() <= 64)
        .and_then(|word| {
            let distance = |known: &&str| strsim::osa_distance(word, known);
            quoted
                .filter(|known| distance(known) <= (word.len() / 3).max(1))
                .min_by_key(distance)
        });
    match nearest {
        Some(nearest) => format!("{}; did you mean `{nearest}`?", plain(said)),
        None => plain(said),
    }
}

/// Says in words of JSON what a deserializer says in words of Rust.
fn plain(said: &str) -> String {
    let misfit = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|start| said.split_once(start));
    if let Some((before, misfit)) = misfit
        && let Some((found, expected)) = misfit.split_once(", expected ")
    {
        return format!("{before}expected {}, found {}", wanted(expected), found_in_json(found));
    }
    said.replace("unknown variant", "unknown value")
        .replace("invalid digit found in string", "expected a whole number")
        .replace(
            "cannot parse integer from empty string",
            "expected a whole number, found nothing",
        )
        .replace(
            "provided string was not `true` or `false`",
            "expected `true` or `false`",
        )
}

fn wanted(expected: &str) -> String {
    let whole = |most: u64| format!("a whole number from 0 to {most}");
    match expected {
        "a string" | "str" | "a borrowed string" => "a text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" => "a whole number, not negative".to_owned(),
        "i32" | "i64" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        of_rust if of_rust.starts_with("struct ") => "an object".to_owned(),
        of_rust if of_rust.starts_with("enum ") || of_rust.starts_with("variant ") => "a text".to_owned(),
        plain => plain.strip_prefix("expected ").unwrap_or(plain).to_owned(),
    }
}

fn found_in_json(found: &str) -> String {
    let number = found
        .strip_prefix("integer ")
        .or_else(|| found.strip_prefix("floating point "));
    match (found, number) {
        (_, Some(number)) => format!("the number {number}"),
        ("null" | "unit" | "Option value", _) => "`null`".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        ("map", _) => "an object".to_owned(),
        (other, _) => match (other.strip_prefix("string "), other.strip_prefix("boolean ")) {
            (Some(text), _) => format!("the text {text}"),
            (None, Some(truth)) => truth.to_owned(),
            (None, None) => other.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_how_long_ago() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        for (text, at) in [
            ("15m", "2026-11-22T11:45:00.000Z"),
            ("1h 30m", "2026-11-22T10:30:00.000Z"),
            ("2026-11-22T11:00:00Z", "2026-11-22T11:00:00.000Z"),
            ("2026-11-22T11:00:00 01:00", "2026-11-22T10:00:00.000Z"),
        ] {
            assert_eq!(text.parse::<When>().unwrap().resolve(now).to_string(), at, "{text}");
        }
        for text in ["", "yesterday", "-5m", "12"] {
            assert!(
                text.parse::<When>().unwrap_err().to_string().contains("such as 15m"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_told_in_words_of_json() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only read")]
        struct Form {
            port: u16,
            words: Vec<String>,
            on: bool,
        }
        for (body, said) in [
            ("null", "expected an object, found `null`"),
            ("7", "expected an object, found the number `7`"),
            (
                r#"{"port":"x"}"#,
                "expected a whole number from 0 to 65535, found the text \"x\"",
            ),
            (
                r#"{"port":70000}"#,
                "expected a whole number from 0 to 65535, found the number `70000`",
            ),
            (r#"{"words":{}}"#, "expected a list, found an object"),
            (r#"{"words":[true]}"#, "expected a text, found `true`"),
            (r#"{"on":1.5}"#, "expected `true` or `false`, found the number `1.5`"),
        ] {
            let error = serde_json::from_str::<Form>(body).unwrap_err().to_string();
            let told = suggest(error.split(" at line").next().unwrap());
            assert_eq!(told, said, "{body}");
        }
    }

    #[test]
    fn the_known_word_that_is_close_is_suggested() {
        let said = "unknown field `comand`, expected one of `command`, `dir`";
        assert_eq!(suggest(said), format!("{said}; did you mean `command`?"));
        let said = "unknown field `replicas`, expected one of `command`, `dir`";
        assert_eq!(suggest(said), said);
        let said = "missing field `name`";
        assert_eq!(suggest(said), said);
    }
}
