//! What is wrong with a fleet file, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use super::source::{Bounds, Source, secrets_in};

/// One problem of a fleet file. Its `Display` shows the line with the place marked; secrets in it are masked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Diagnostic {
    /// The file, as it was given.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line as it is shown, and which of its characters are marked; none where the file could not be read.
    #[serde(skip)]
    excerpt: Option<(String, Range<usize>)>,
}

impl Diagnostic {
    /// A problem with the file as a whole.
    pub(super) fn of_file(file: &str, message: String, help: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 1,
            column: 1,
            message,
            help: Some(help.to_owned()),
            excerpt: None,
        }
    }

    /// Shows all problems, one after the other, and how many there are.
    #[must_use]
    pub fn render_all(problems: &[Self]) -> String {
        let mut text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        if let Some(first) = problems.first() {
            let count = match problems.len() {
                1 => "1 problem".to_owned(),
                number => format!("{number} problems"),
            };
            text.push_str(&format!("{}: {count}; nothing was changed\n", first.file));
        }
        text
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = " ".repeat(self.line.to_string().len());
        writeln!(f, "error: {}", self.message)?;
        match &self.excerpt {
            Some((line, mark)) => {
                writeln!(f, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
                writeln!(f, "{gutter} |")?;
                writeln!(f, "{} | {line}", self.line)?;
                writeln!(f, "{gutter} | {}{}", " ".repeat(mark.start), "^".repeat(mark.len()))?;
            }
            None => writeln!(f, "{gutter}--> {}", self.file)?,
        }
        match &self.help {
            Some(help) => writeln!(f, "{gutter} = help: {help}"),
            None => Ok(()),
        }
    }
}

/// A problem on its way to becoming a [`Diagnostic`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    pub(super) at: Bounds,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Finding {
    pub(super) fn new(at: Bounds, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Collects problems, each once, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Further problems of one file are not told.
    pub(super) const MOST: usize = 1000;

    pub(super) fn add(&mut self, finding: Finding) {
        if !self.is_full() {
            self.0.push(finding);
        }
    }

    pub(super) fn extend(&mut self, others: Self) {
        others.0.into_iter().for_each(|finding| self.add(finding));
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the problems in the order of the file. `hidden` are the places whose text nobody may see.
    pub(super) fn into_diagnostics(
        mut self,
        file: &str,
        source: &Source<'_>,
        mut hidden: Vec<Bounds>,
    ) -> Vec<Diagnostic> {
        // Defaults are read once for each agent, so that one mistake of theirs is found many times.
        self.0
            .sort_by(|a, b| (a.at.start, &a.message).cmp(&(b.at.start, &b.message)));
        self.0.dedup();
        hidden.extend(secrets_in(source.text));
        let show = |finding: Finding| {
            let place = source.place(finding.at.start);
            Diagnostic {
                file: file.to_owned(),
                line: place.line,
                column: place.column,
                message: finding.message,
                help: finding.help,
                excerpt: Some(excerpt(source, &finding.at, &hidden)),
            }
        };
        self.0.into_iter().map(show).collect()
    }
}

/// Longest part of a line that is shown, in characters.
const WIDEST: usize = 120;

/// How much of a long line is shown before the place in it.
const BEFORE: usize = 40;

/// The line of a place, masked, without tabs and not too long, and which of its characters are to be marked.
fn excerpt(source: &Source<'_>, at: &Bounds, hidden: &[Bounds]) -> (String, Range<usize>) {
    let bounds = source.line(at.start);
    let line = source.text.get(bounds.clone()).unwrap_or_default();
    let column = line
        .char_indices()
        .take_while(|(index, _)| bounds.start + index < at.start)
        .count();
    let skipped = if column > WIDEST - BEFORE { column - BEFORE } else { 0 };
    let shown: String = line
        .char_indices()
        .skip(skipped)
        .take(WIDEST)
        .map(|(index, character)| match character {
            _ if hidden.iter().any(|secret| secret.contains(&(bounds.start + index))) => '*',
            control if control.is_control() => ' ',
            visible => visible,
        })
        .collect();
    let until_end = source.text.get(at.start..at.end.min(bounds.end)).unwrap_or_default();
    let start = column - skipped;
    let room = shown.chars().count().saturating_sub(start);
    let length = until_end.chars().count().min(room).max(1);
    (shown, start..start + length)
}
