//! The format of a trace; see the [module](super).

use core::time::Duration;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::hindsight::{Hindsight, Outage};

/// How a recorded call ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The service did what it was asked.
    Success,
    /// The service failed.
    Failure,
    /// The service refuses until somebody acts.
    Terminal,
    /// Says nothing about the service.
    Ignored,
    /// Nobody waited for the end.
    Abandoned,
    /// A policy refused it: it was never made.
    Rejected,
}

/// One recorded call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// When it began, since the origin of the trace.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: Ended,
    /// When it was told to come back, from its end on.
    pub retry_after: Option<Duration>,
}

/// Recorded calls, in the order in which they began. Holds all of them in memory, 64 bytes each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    service: Option<String>,
    calls: Vec<Call>,
    told: Vec<Outage>,
    lost: u64,
}

/// A trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceRefused {
    /// It could not be read from where it lies.
    #[error("line {line} cannot be read")]
    Read {
        /// Counted from 1.
        line: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is no JSON object of this format.
    #[error("line {line} is not a line of a trace")]
    Json {
        /// Counted from 1.
        line: usize,
        /// What was found instead.
        #[source]
        source: serde_json::Error,
    },
    /// A line says what makes no sense.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What, and what to do.
        why: &'static str,
    },
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outage: Option<Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Ended>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    Begins,
    Ends,
}

impl Trace {
    /// A trace of calls in any order.
    #[must_use]
    pub fn of(mut calls: Vec<Call>) -> Self {
        calls.sort_by_key(|call| call.at);
        Self {
            calls,
            ..Self::default()
        }
    }

    /// Reads a trace.
    ///
    /// # Errors
    ///
    /// It cannot be read, is of another version, or has a line that makes no sense; which one, and why.
    pub fn read(lines: impl BufRead) -> Result<Self, TraceRefused> {
        let (mut trace, mut marks) = (Self::default(), Vec::new());
        for (index, text) in lines.lines().enumerate() {
            let line = index + 1;
            let text = text.map_err(|source| TraceRefused::Read { line, source })?;
            if text.trim().is_empty() {
                continue;
            }
            let fields = serde_json::from_str(&text).map_err(|source| TraceRefused::Json { line, source })?;
            let taken = match index {
                0 => trace.begin(fields),
                _ => trace.take(fields, &mut marks),
            };
            taken.map_err(|why| TraceRefused::Line { line, why })?;
        }
        trace.calls.sort_by_key(|call| call.at);
        trace.told = outages(marks);
        Ok(trace)
    }

    /// Writes it as it is read.
    ///
    /// # Errors
    ///
    /// It could not be written.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        write_line(&mut to, &header(self.service.clone()))?;
        for outage in &self.told {
            for (mark, at) in [(Mark::Begins, outage.begins), (Mark::Ends, outage.ends)] {
                let (outage, at) = (Some(mark), Some(at.as_secs_f64()));
                write_line(
                    &mut to,
                    &Line {
                        outage,
                        at,
                        ..Line::default()
                    },
                )?;
            }
        }
        if self.lost > 0 {
            write_line(&mut to, &lost(self.lost))?;
        }
        self.calls.iter().try_for_each(|call| write_line(&mut to, &line(call)))
    }

    /// Whose calls these are, where it was said.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// The calls, in the order in which they began.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Calls that the recorder had no room for.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// When the service was out: as somebody said in the trace, or else as it looks with hindsight.
    #[must_use]
    pub fn outages(&self, hindsight: &Hindsight) -> Vec<Outage> {
        if self.told.is_empty() {
            hindsight.outages(&self.calls)
        } else {
            self.told.clone()
        }
    }

    fn begin(&mut self, fields: Line) -> Result<(), &'static str> {
        if fields.trace != Some(VERSION) {
            return Err("the first line must be {\"trace\":1}; other versions cannot be read");
        }
        self.service = fields.service;
        Ok(())
    }

    fn take(&mut self, fields: Line, marks: &mut Vec<(Duration, Mark)>) -> Result<(), &'static str> {
        if fields.trace.is_some() || fields.service.is_some() {
            return Err("only the first line has `trace` and `service`: read one trace at a time");
        }
        if let Some(lost) = fields.lost {
            self.lost = self.lost.saturating_add(lost);
            return Ok(());
        }
        let at = span(fields.at.ok_or("`at` is missing")?)?;
        match (fields.outage, fields.outcome) {
            (Some(mark), None) => marks.push((at, mark)),
            (None, Some(outcome)) => self.calls.push(Call {
                at,
                took: span(fields.took.unwrap_or(0.0))?,
                outcome,
                retry_after: fields.retry_after.map(span).transpose()?,
            }),
            (Some(_), Some(_)) => return Err("has both `outcome` and `outage`; write two lines"),
            (None, None) => return Err("`outcome` is missing"),
        }
        Ok(())
    }
}

/// The first line of a trace.
pub(super) fn header(service: Option<String>) -> Line {
    Line {
        trace: Some(VERSION),
        service,
        ..Line::default()
    }
}

/// The line of one call.
pub(super) fn line(call: &Call) -> Line {
    Line {
        at: Some(call.at.as_secs_f64()),
        took: Some(call.took.as_secs_f64()),
        outcome: Some(call.outcome),
        retry_after: call.retry_after.map(|wait| wait.as_secs_f64()),
        ..Line::default()
    }
}

/// The line that says how many calls are not there.
pub(super) fn lost(calls: u64) -> Line {
    Line {
        lost: Some(calls),
        ..Line::default()
    }
}

pub(super) fn write_line(to: &mut impl Write, line: &Line) -> io::Result<()> {
    let text = serde_json::to_string(line).map_err(io::Error::other)?;
    writeln!(to, "{text}")
}

fn span(seconds: f64) -> Result<Duration, &'static str> {
    Duration::try_from_secs_f64(seconds).map_err(|_range| "a time is negative, no number, or too large")
}

/// Pairs each beginning with the next end. An outage that was not seen to end goes on; an end alone is none.
fn outages(mut marks: Vec<(Duration, Mark)>) -> Vec<Outage> {
    marks.sort_by_key(|(at, _)| *at);
    let mut outages: Vec<Outage> = Vec::new();
    for (at, mark) in marks {
        let open = outages.last_mut().filter(|outage| outage.ends == Duration::MAX);
        match (mark, open) {
            (Mark::Begins, None) => outages.push(Outage {
                begins: at,
                ends: Duration::MAX,
            }),
            (Mark::Ends, Some(outage)) => outage.ends = at,
            (Mark::Begins, Some(_)) | (Mark::Ends, None) => {}
        }
    }
    outages
}

/// The version of the format that is read and written.
const VERSION: u32 = 1;
