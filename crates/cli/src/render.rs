//! How answers look. The only place that prints: commands hand values in, this decides where and how they are shown.

mod actions;
mod age;
mod agent;
mod audit;
mod capabilities;
mod checks;
mod config;
mod degradation;
mod events;
mod fleet;
mod group;
mod health;
mod history;
mod hosting;
mod orphans;
mod paint;
mod pause;
mod progress;
mod readers;
mod recoveries;
mod table;
mod why;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::json;

use crate::args::{Color, Format};
use crate::failure::{Exit, Failure};

pub(crate) use actions::{acted, refused_one};
pub(crate) use agent::{Columns, agents, describe, get, summary};
pub(crate) use audit::audit;
pub(crate) use capabilities::{capabilities, circuits, invoked};
pub(crate) use checks::{Check, Verdict, checks};
pub(crate) use config::{DIFFERS, config, config_revisions, in_force, text_diff};
pub(crate) use degradation::{degradation, levels};
pub(crate) use events::{Timestamps, event, gap, interrupted, log_line, no_lines, other_event};
pub(crate) use fleet::{applied, invalid, overruled, valid};
pub(crate) use group::{describe_group, group, group_acted, groups, revisions, rollout, why_group};
pub(crate) use health::health_summary;
pub(crate) use history::{Whose, transitions};
pub(crate) use hosting::{detached, hosting, hosting_away, looking_on, settled, store_away};
pub(crate) use orphans::{advice, costs, ended, orphans, size};
pub(crate) use paint::role;
pub(crate) use progress::Board;
pub(crate) use readers::{reader_removed, readers};
pub(crate) use recoveries::{foresight, recoveries};
pub(crate) use why::why;

/// Standard output and error, in the format that was asked for.
#[derive(Debug)]
pub(crate) struct Out {
    format: Format,
    color: anstream::ColorChoice,
    documents: u64,
}

impl Out {
    pub(crate) fn new(format: Format, color: Color) -> Self {
        let color = match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        Self {
            format,
            color,
            documents: 0,
        }
    }

    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Shows a value: as `text` makes it for people, or as it is for programs.
    pub(crate) fn show<T: Serialize>(
        &mut self,
        value: &T,
        text: impl FnOnce(&T, Format) -> String,
    ) -> Result<(), Failure> {
        let shown = match self.format {
            Format::Table | Format::Wide => text(value, self.format),
            Format::Json => serde_json::to_string_pretty(value).map_err(unwritable)? + "\n",
            Format::Yaml => yaml(value)?,
        };
        self.print(&shown)
    }

    /// Shows one of many values that come one by one: a line of JSON, a document of YAML.
    pub(crate) fn show_next<T: Serialize>(
        &mut self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let shown = match self.format {
            Format::Table | Format::Wide => text(value),
            Format::Json => serde_json::to_string(value).map_err(unwritable)? + "\n",
            Format::Yaml if self.documents == 0 => yaml(value)?,
            Format::Yaml => format!("---\n{}", yaml(value)?),
        };
        self.documents += 1;
        self.print(&shown)
    }

    /// Clears the terminal and shows text from its top.
    pub(crate) fn repaint(&mut self, text: &str) -> Result<(), Failure> {
        self.print(&format!("\x1b[H\x1b[2J{text}"))
    }

    /// Whether somebody watches.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide) && io::stdout().is_terminal()
    }

    /// Shows how long work goes; silent for programs.
    pub(crate) fn board(&self) -> Board {
        match self.format {
            Format::Table | Format::Wide => Board::new(io::stderr().is_terminal(), self.color),
            Format::Json | Format::Yaml => Board::silent(),
        }
    }

    /// Asks people something; anything but a yes is a no.
    pub(crate) fn ask(&mut self, question: &str) -> Result<bool, Failure> {
        let mut stream = AutoStream::new(io::stderr(), self.color);
        write!(stream, "{question} [y/N] ")?;
        stream.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
    }

    /// Whether somebody is there to be asked.
    pub(crate) fn can_ask(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide) && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Tells people something beside the answer.
    pub(crate) fn note(&mut self, text: &str) -> Result<(), Failure> {
        let mut stream = AutoStream::new(io::stderr(), self.color);
        writeln!(stream, "{text}").map_err(Failure::from)
    }

    /// Tells a failure and gives its exit code.
    pub(crate) fn failure(&mut self, failure: &Failure) -> ExitCode {
        if failure.exit != Exit::Enough {
            let text = match self.format {
                Format::Table | Format::Wide => failure_text(failure),
                Format::Json | Format::Yaml => failure_json(failure),
            };
            // Where even the error cannot be told, the exit code still is.
            let _untold = self.note(&text);
        }
        ExitCode::from(failure.exit.code())
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        let mut stream = AutoStream::new(io::stdout(), self.color);
        stream.write_all(text.as_bytes())?;
        stream.flush()?;
        Ok(())
    }
}

/// Shows what is wrong with the command line, or the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe behind `--help` is nobody's fault.
    let _untold = error.print();
    ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { 0 })
}

/// Writes the completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell, command: &mut clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "stead", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}

fn failure_text(failure: &Failure) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{} {}", "error:".red().bold(), failure.message);
    let faults = failure.problem.iter().flat_map(|problem| &problem.errors);
    for fault in faults {
        let _infallible = write!(text, "\n  - {}", fault.replace('\n', "\n    "));
    }
    if let Some(help) = &failure.help {
        let _infallible = write!(text, "\n{} {help}", "help:".cyan());
    }
    text
}

fn failure_json(failure: &Failure) -> String {
    let mut value = match &failure.problem {
        Some(problem) => json!(problem),
        None => {
            let code = match failure.exit {
                Exit::Unreachable => "unreachable",
                Exit::Timeout => "timeout",
                Exit::NotFound => "not-found",
                Exit::Refused => "refused",
                Exit::Unavailable => "unavailable",
                Exit::Usage => "usage",
                Exit::Failure | Exit::Enough => "failed",
            };
            json!({ "type": format!("urn:stead:problem:{code}"), "code": code, "detail": failure.message })
        }
    };
    if let Some(object) = value.as_object_mut() {
        object.extend(failure.help.iter().map(|help| ("help".to_owned(), json!(help))));
        object.insert("exit_code".to_owned(), json!(failure.exit.code()));
    }
    value.to_string()
}

/// A value in the form that commands take.
pub(crate) fn json(value: &impl Serialize) -> String {
    // What comes here has text for its keys: it always is JSON.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_saphyr::to_string(value).map_err(unwritable)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("the answer cannot be written in this format: {error}"))
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
