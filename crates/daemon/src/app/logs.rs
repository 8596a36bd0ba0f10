//! What agents wrote, out of the files that the keeper writes.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use stead_keeper::agent_dir;
use stead_keeper::logs::{self, From, Stream};

use crate::api::{LogLine, LogReader, LogRequest, LogSource, LogStream};

/// The logs under a state directory.
#[derive(Debug)]
pub(super) struct KeptLogs {
    state_dir: PathBuf,
}

impl KeptLogs {
    pub(super) const fn new(state_dir: PathBuf) -> Self {
        Self { state_dir }
    }
}

impl LogSource for KeptLogs {
    fn open(&self, request: &LogRequest) -> io::Result<Box<dyn LogReader>> {
        let from = match (request.since, request.stream) {
            (Some(since), _) => From::Since(since),
            (None, None) => From::Tail(request.tail),
            // How far back the last lines of one stream lie is known only after reading.
            (None, Some(_)) => From::Start,
        };
        let mut reader = KeptLog {
            dir: agent_dir(&self.state_dir, request.agent),
            from,
            stream: request.stream,
            ready: VecDeque::new(),
        };
        reader.collect_tail(request.tail)?;
        Ok(Box::new(reader))
    }
}

/// One log, read on and on.
#[derive(Debug)]
struct KeptLog {
    dir: PathBuf,
    from: From,
    stream: Option<LogStream>,
    /// Lines that were read ahead.
    ready: VecDeque<LogLine>,
}

impl KeptLog {
    /// Reads what is there, keeping the last lines alone.
    fn collect_tail(&mut self, tail: usize) -> io::Result<()> {
        loop {
            let lines = self.page(PAGE)?;
            let Some(lines) = lines else { return Ok(()) };
            self.ready.extend(lines);
            let surplus = self.ready.len().saturating_sub(tail);
            self.ready.drain(..surplus);
        }
    }

    /// The next lines of the stream that is wanted; nothing at the end of what is there.
    fn page(&mut self, most: usize) -> io::Result<Option<Vec<LogLine>>> {
        let page = logs::read(&self.dir, self.from, most)?;
        self.from = From::Position(page.next);
        if page.lines.is_empty() {
            return Ok(None);
        }
        let shown = page
            .lines
            .into_iter()
            .map(show)
            .filter(|line| self.stream.is_none_or(|wanted| wanted == line.stream));
        Ok(Some(shown.collect()))
    }
}

impl LogReader for KeptLog {
    fn read(&mut self, most: usize) -> io::Result<Vec<LogLine>> {
        if self.ready.is_empty() {
            // A page may hold lines of the other stream alone.
            while let Some(lines) = self.page(most)? {
                if !lines.is_empty() {
                    return Ok(lines);
                }
            }
        }
        let count = most.min(self.ready.len());
        Ok(self.ready.drain(..count).collect())
    }
}

fn show(line: logs::LogLine) -> LogLine {
    let stream = match line.stream {
        Stream::Out => LogStream::Stdout,
        Stream::Err => LogStream::Stderr,
    };
    LogLine {
        at: line.at,
        stream,
        incarnation: line.incarnation,
        line: line.text,
    }
}

/// How many lines are read at once.
const PAGE: usize = 10_000;
