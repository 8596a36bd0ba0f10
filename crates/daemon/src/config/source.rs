//! The text of a fleet file, and what of it may be shown.

use std::ops::Range;

/// A piece of the text, in bytes.
pub(super) type Bounds = Range<usize>;

/// The text of one file with the starts of its lines.
#[derive(Debug)]
pub(super) struct Source<'t> {
    pub(super) text: &'t str,
    starts: Vec<usize>,
}

/// Where something is, as people count: from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(after_breaks.map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Finds line and column of a byte; what lies beyond the text is its end.
    pub(super) fn place(&self, at: usize) -> Place {
        let (index, line) = self.line_at(at);
        let before = self.text.get(line.start..self.inside(at)).unwrap_or_default();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place {
            line: count(index).saturating_add(1),
            column: count(before.chars().count()).saturating_add(1),
        }
    }

    /// The line around a byte, without its line break.
    pub(super) fn line(&self, at: usize) -> Bounds {
        self.line_at(at).1
    }

    fn line_at(&self, at: usize) -> (usize, Bounds) {
        let at = self.inside(at);
        let index = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        let start = self.starts.get(index).copied().unwrap_or_default();
        let next = self.starts.get(index + 1).copied();
        let line = self
            .text
            .get(start..next.unwrap_or(self.text.len()))
            .unwrap_or_default();
        (index, start..start + line.trim_end_matches(['\n', '\r']).len())
    }

    /// The nearest place at or before `at` that is between two characters of the text.
    fn inside(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

/// Finds the values of keys named `secret` in a text that may not be TOML at all.
pub(super) fn secrets_in(text: &str) -> Vec<Bounds> {
    let mut found = Vec::new();
    for (at, word) in text.match_indices("secret") {
        let after = &text[at + word.len()..];
        let key_end = after.trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t']);
        let Some(value) = key_end.strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start_matches([' ', '\t']);
        let start = text.len() - value.len();
        found.push(start..start + value_length(value));
    }
    found
}

/// How long a value is: to its closing quote, else to the end of the line (of the text, for the quotes of many lines).
fn value_length(value: &str) -> usize {
    let to_line_end = value.find('\n').unwrap_or(value.len());
    for (quote, end) in [
        ("\"\"\"", value.len()),
        ("'''", value.len()),
        ("\"", to_line_end),
        ("'", to_line_end),
    ] {
        if let Some(body) = value.strip_prefix(quote) {
            return closing(body, quote).map_or(end, |length| quote.len() + length);
        }
    }
    to_line_end
}

/// The length up to and with the closing quote; a backslash hides what follows it between double quotes.
fn closing(body: &str, quote: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = body.get(from..)?;
        let at = rest.find([quote.chars().next()?, '\\'])?;
        if rest[at..].starts_with(quote) {
            return Some(from + at + quote.len());
        }
        let hides = quote.starts_with('"') && rest[at..].starts_with('\\');
        let skipped = rest[at..].chars().take(if hides { 2 } else { 1 });
        from += at + skipped.map(char::len_utf8).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let source = Source::new("äb\r\nc");
        assert_eq!(source.place(2), Place { line: 1, column: 2 });
        assert_eq!(source.place(5), Place { line: 2, column: 1 });
        assert_eq!(source.place(99), Place { line: 2, column: 2 });
        assert_eq!(&source.text[source.line(1)], "äb");
    }

    #[test]
    fn values_of_secrets_are_found_in_any_quotes_and_without_their_end() {
        for (text, value) in [
            ("{ secret = \"a\\\"b\" }", "\"a\\\"b\""),
            ("'secret'='a\\' # '", "'a\\'"),
            ("secret = \"\"\"a\n\"b\"\"\" ", "\"\"\"a\n\"b\"\"\""),
            ("secret = \"a\nb", "\"a"),
            ("secret = '''a\nb", "'''a\nb"),
            ("secret = hunter2\nx", "hunter2"),
        ] {
            let found = secrets_in(text);
            assert_eq!(
                found.iter().map(|bounds| &text[bounds.clone()]).collect::<Vec<_>>(),
                [value]
            );
        }
        assert!(secrets_in("secret # none").is_empty());
    }
}
