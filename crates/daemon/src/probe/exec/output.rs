//! What a command says, as far as it is worth keeping.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

/// Both ends of a command; what comes is read to the end and kept up to [`KEPT`] bytes each.
pub(super) struct Output {
    stderr: End,
    stdout: End,
}

struct End {
    pipe: Option<Pin<Box<dyn AsyncRead + Send>>>,
    kept: Vec<u8>,
}

impl Output {
    /// Takes the ends of a command.
    pub(super) fn of(child: &mut Child) -> Self {
        Self {
            stderr: End::new(child.stderr.take().map(|pipe| Box::pin(pipe) as _)),
            stdout: End::new(child.stdout.take().map(|pipe| Box::pin(pipe) as _)),
        }
    }

    /// Reads until both ends are closed. Cancel safe: what was read is kept.
    pub(super) async fn read(&mut self) {
        tokio::join!(self.stderr.read(), self.stdout.read());
    }

    /// The first line with words in it, of the errors if there are any.
    pub(super) fn first_line(&self) -> Option<String> {
        [&self.stderr, &self.stdout]
            .into_iter()
            .find_map(|end| first_line(&end.kept))
    }
}

impl End {
    fn new(pipe: Option<Pin<Box<dyn AsyncRead + Send>>>) -> Self {
        Self { pipe, kept: Vec::new() }
    }

    async fn read(&mut self) {
        let mut buffer = [0; 512];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(size) => {
                    let room = KEPT.saturating_sub(self.kept.len()).min(size);
                    self.kept.extend(buffer.iter().take(room));
                }
            }
        }
    }
}

fn first_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let printable = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    Some(printable.take(SHOWN).collect())
}

/// How much of each end is kept, in bytes.
const KEPT: usize = 4 * 1024;

/// How much of a line is shown, in characters.
const SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_words_is_shown_without_what_a_terminal_would_obey() {
        assert_eq!(
            first_line(b"\n  \n no \x1b[31mroute \nmore"),
            Some("no  [31mroute".to_owned())
        );
        assert_eq!(first_line(b" \n"), None);
        assert_eq!(first_line(&[b'x'; 300]).map(|line| line.len()), Some(SHOWN));
    }
}
