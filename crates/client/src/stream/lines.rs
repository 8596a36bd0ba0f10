//! Cuts a stream of bytes into lines, whatever the pieces that it comes in.

/// Bytes that came, and how far they were looked at.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    searched: usize,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line without its end; what is not yet whole stays.
    pub(super) fn next(&mut self) -> Option<String> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(offset) = found else {
            self.searched = self.buffer.len();
            return None;
        };
        let line: Vec<u8> = self.buffer.drain(..=self.searched + offset).collect();
        self.searched = 0;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(String::from_utf8_lossy(line).into_owned())
    }

    /// Forgets a part of a line that will never be whole.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.searched = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let text = "one\r\nzwei ü\n\nfour";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                lines.push(piece);
                while let Some(line) = lines.next() {
                    found.push(line);
                }
            }
            assert_eq!(found, ["one", "zwei ü", ""], "in pieces of {size}");
            assert_eq!(lines.len(), 4);
        }
    }
}
