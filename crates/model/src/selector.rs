//! Label selectors in Kubernetes' grammar: `team=a, tier != b, role in (x, y), env notin (dev), gpu, !spot`.
//!
//! As there, `!=` and `notin` also hold for what has no such label at all. Unlike there, keys and values may be any words
//! without spaces and `= ! ( ) , < >`, since labels are free words here.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::serde_as_text;

/// What labels must be like; every requirement must hold, and the empty selector takes everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// What one label must be like.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    /// It is there.
    Exists,
    /// It is not there.
    Absent,
    /// It is there and one of these.
    In(BTreeSet<String>),
    /// It is not there, or none of these.
    NotIn(BTreeSet<String>),
}

impl Selector {
    /// Whether `labels` are as wanted.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.takes(|key| labels.get(key).map(String::as_str))
    }

    /// Whether labels are as wanted, each of which `label` finds.
    pub fn takes<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = label(&requirement.key);
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }

    /// Whether it takes everything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Requirement { key, test }) in self.requirements.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            match test {
                Test::Exists => f.write_str(key)?,
                Test::Absent => write!(f, "!{key}")?,
                Test::In(values) => write_set(f, key, ("=", "in"), values)?,
                Test::NotIn(values) => write_set(f, key, ("!=", "notin"), values)?,
            }
        }
        Ok(())
    }
}

fn write_set(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    (one, many): (&str, &str),
    values: &BTreeSet<String>,
) -> fmt::Result {
    if let (1, Some(value)) = (values.len(), values.first()) {
        return write!(f, "{key}{one}{value}");
    }
    write!(f, "{key} {many} (")?;
    for (place, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if place > 0 { "," } else { "" })?;
    }
    f.write_str(")")
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let mut reader = Reader::new(text);
        let mut requirements = Vec::new();
        if reader.token == Token::End {
            return Ok(Self::default());
        }
        loop {
            requirements.push(reader.requirement()?);
            if reader.take(Token::End) {
                return Ok(Self { requirements });
            }
            reader.need(Token::Comma, "`,` or the end")?;
        }
    }
}

serde_as_text!(Selector, "Selector", "^[^<>]*$");

/// What was no selector. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{text}` is no selector: {wanted} must stand at character {column}; write it as team=a,tier!=b,role in (x,y),env notin (dev),gpu,!spot"
)]
pub struct InvalidSelector {
    /// What was given.
    pub text: String,
    /// What should have been there.
    pub wanted: &'static str,
    /// Where, from 1.
    pub column: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'a> {
    Word(&'a str),
    Equals,
    Differs,
    Not,
    Comma,
    Open,
    Close,
    Stray,
    End,
}

/// Reads a text token by token, one ahead.
struct Reader<'a> {
    text: &'a str,
    token: Token<'a>,
    /// Where `token` starts, in bytes.
    start: usize,
    /// Where it ends.
    end: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = Self {
            text,
            token: Token::End,
            start: 0,
            end: 0,
        };
        reader.step();
        reader
    }

    fn requirement(&mut self) -> Result<Requirement, InvalidSelector> {
        let absent = self.take(Token::Not);
        let Some(key) = self.word() else {
            return Err(self.refuse("a label"));
        };
        let test = if absent { Test::Absent } else { self.test()? };
        Ok(Requirement { key, test })
    }

    fn test(&mut self) -> Result<Test, InvalidSelector> {
        if self.take(Token::Equals) {
            Ok(Test::In(BTreeSet::from([self.value()])))
        } else if self.take(Token::Differs) {
            Ok(Test::NotIn(BTreeSet::from([self.value()])))
        } else if self.take(Token::Word("in")) {
            self.values().map(Test::In)
        } else if self.take(Token::Word("notin")) {
            self.values().map(Test::NotIn)
        } else if matches!(self.token, Token::Comma | Token::End) {
            Ok(Test::Exists)
        } else {
            Err(self.refuse("`=`, `!=`, `in`, `notin`, `,` or the end"))
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, InvalidSelector> {
        self.need(Token::Open, "`(`")?;
        let mut values = BTreeSet::from([self.value()]);
        while !self.take(Token::Close) {
            self.need(Token::Comma, "`,` or `)`")?;
            values.insert(self.value());
        }
        Ok(values)
    }

    /// A value; where none stands, the empty one.
    fn value(&mut self) -> String {
        self.word().unwrap_or_default()
    }

    fn word(&mut self) -> Option<String> {
        let Token::Word(word) = self.token else {
            return None;
        };
        self.step();
        Some(word.to_owned())
    }

    fn need(&mut self, token: Token<'_>, wanted: &'static str) -> Result<(), InvalidSelector> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.refuse(wanted))
        }
    }

    /// Steps over the token if it is this one.
    fn take(&mut self, token: Token<'_>) -> bool {
        let found = self.token == token;
        if found {
            self.step();
        }
        found
    }

    fn step(&mut self) {
        let rest = &self.text[self.end..];
        let token = rest.trim_start();
        self.start = self.end + rest.len() - token.len();
        let word = token.find(|letter: char| letter.is_whitespace() || "=!(),<>".contains(letter));
        let word = &token[..word.unwrap_or(token.len())];
        let length;
        (self.token, length) = match (word, token.as_bytes()) {
            ("", []) => (Token::End, 0),
            ("", [b'=', b'=', ..]) => (Token::Equals, 2),
            ("", [b'=', ..]) => (Token::Equals, 1),
            ("", [b'!', b'=', ..]) => (Token::Differs, 2),
            ("", [b'!', ..]) => (Token::Not, 1),
            ("", [b',', ..]) => (Token::Comma, 1),
            ("", [b'(', ..]) => (Token::Open, 1),
            ("", [b')', ..]) => (Token::Close, 1),
            ("", [..]) => (Token::Stray, 1),
            (word, _) => (Token::Word(word), word.len()),
        };
        self.end = self.start + length;
    }

    fn refuse(&self, wanted: &'static str) -> InvalidSelector {
        let column = self.text[..self.start].chars().count() + 1;
        InvalidSelector {
            text: self.text.to_owned(),
            wanted,
            column,
        }
    }
}

#[cfg(test)]
mod tests;
