//! How long work goes: a line for each agent on a terminal, plain lines elsewhere, nothing for programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anstream::AutoStream;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;

/// Where progress is shown, on standard error.
pub(crate) enum Board {
    /// Lines that change in place.
    Live {
        bars: MultiProgress,
        lines: BTreeMap<String, ProgressBar>,
    },
    /// A line for each change.
    Plain {
        color: anstream::ColorChoice,
        last: BTreeMap<String, String>,
    },
    /// None.
    Silent,
}

/// More lines than this do not fit; the others are watched without one.
const MOST_LINES: usize = 24;

impl Board {
    pub(super) fn new(terminal: bool, color: anstream::ColorChoice) -> Self {
        if terminal {
            Self::Live {
                bars: MultiProgress::new(),
                lines: BTreeMap::new(),
            }
        } else {
            Self::Plain {
                color,
                last: BTreeMap::new(),
            }
        }
    }

    pub(super) const fn silent() -> Self {
        Self::Silent
    }

    /// Says where something stands now.
    pub(crate) fn now(&mut self, name: &str, state: &str) {
        match self {
            Self::Live { bars, lines } => {
                if !lines.contains_key(name) && lines.len() >= MOST_LINES {
                    return;
                }
                let line = lines.entry(name.to_owned()).or_insert_with(|| {
                    let bar = bars.add(ProgressBar::new_spinner());
                    bar.set_style(ProgressStyle::default_spinner());
                    bar.enable_steady_tick(Duration::from_millis(100));
                    bar
                });
                line.set_message(format!("{name}: {state}"));
            }
            Self::Plain { color, last } => {
                if last.get(name).is_none_or(|known| known != state) {
                    // Progress that cannot be shown is no reason to stop working.
                    let _untold = writeln!(AutoStream::new(std::io::stderr(), *color), "{name}: {state}");
                    last.insert(name.to_owned(), state.to_owned());
                }
            }
            Self::Silent => {}
        }
    }

    /// Says that something is done.
    pub(crate) fn done(&mut self, name: &str, state: &str) {
        match self {
            Self::Live { lines, .. } => {
                if let Some(line) = lines.get(name) {
                    line.finish_with_message(format!("{} {name}: {state}", "✓".green()));
                }
            }
            Self::Plain { .. } => self.now(name, state),
            Self::Silent => {}
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if let Self::Live { lines, .. } = self {
            lines
                .values()
                .filter(|line| !line.is_finished())
                .for_each(ProgressBar::abandon);
        }
    }
}
