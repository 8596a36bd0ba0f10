//! The form of one line.

use stead_model::{Incarnation, Wall};

/// The longest text of one line in bytes; longer ones are split.
pub const MAX_LINE: usize = 64 * 1024;

/// Which of the two streams.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::Out, Self::Err];

    /// `out` or `err`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
        }
    }
}

/// One line that an agent printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// Position of its first byte.
    pub position: u64,
    /// When the keeper took it.
    pub at: Wall,
    /// Which run printed it.
    pub incarnation: Incarnation,
    /// Where to.
    pub stream: Stream,
    /// Whether the line was longer than [`MAX_LINE`] and goes on in the stream's next one.
    pub continued: bool,
    /// What it printed; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// The first bytes of a log file that begins at position `base`.
pub(super) fn header(base: u64) -> String {
    format!("#stead-log 1 base={base:020}\n")
}

/// Length of every header.
pub(super) const HEADER: usize = 39;

/// Reads a header.
pub(super) fn parse_header(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes.get(..HEADER)?).ok()?;
    text.strip_prefix("#stead-log 1 base=")?
        .strip_suffix('\n')?
        .parse()
        .ok()
}

/// What lines of one turn have in common: all before the mark of a split line.
pub(super) fn prefix(at: &str, incarnation: Incarnation, stream: Stream) -> String {
    format!("{at} {incarnation} {}", stream.as_str())
}

/// Appends a line.
pub(super) fn write(out: &mut Vec<u8>, prefix: &str, ends: bool, text: &[u8]) {
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(if ends { b" " } else { b"+ " });
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// Reads a line without its line break; none for headers and what is damaged.
pub(super) fn parse(position: u64, bytes: &[u8]) -> Option<LogLine> {
    let mut fields = bytes.splitn(4, |byte| *byte == b' ');
    let mut field = || std::str::from_utf8(fields.next()?).ok();
    let at = field()?.parse().ok()?;
    let incarnation = Incarnation(field()?.parse().ok()?);
    let (stream, continued) = match field()? {
        "out" => (Stream::Out, false),
        "err" => (Stream::Err, false),
        "out+" => (Stream::Out, true),
        "err+" => (Stream::Err, true),
        _ => return None,
    };
    Some(LogLine {
        position,
        at,
        incarnation,
        stream,
        continued,
        text: String::from_utf8_lossy(fields.next()?).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_with_its_blanks_and_whatever_is_no_text() {
        let mut out = Vec::new();
        let prefix = prefix("2026-11-22T03:10:27.123Z", Incarnation(3), Stream::Err);
        write(&mut out, &prefix, false, b" a  b\xff ");
        let line = parse(7, out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(
            (line.text.as_str(), line.continued, line.position),
            (" a  b\u{fffd} ", true, 7)
        );
        assert_eq!((line.stream, line.incarnation), (Stream::Err, Incarnation(3)));
        assert_eq!(line.at.to_string(), "2026-11-22T03:10:27.123Z");
    }

    #[test]
    fn headers_have_one_length_and_are_no_lines() {
        for base in [0, u64::MAX] {
            let header = header(base);
            assert_eq!((header.len(), parse_header(header.as_bytes())), (HEADER, Some(base)));
            assert_eq!(parse(0, header.trim().as_bytes()), None);
        }
    }
}
