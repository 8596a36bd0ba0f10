//! Reading an agent's log back, over its rotated files, while the keeper goes on writing.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use stead_model::Wall;

use super::line::{self, HEADER, LogLine};

/// Where to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// With the oldest line that is kept.
    Start,
    /// With the line at this position: [`Page::next`] of the page before.
    Position(u64),
    /// With the first line of this time or later.
    Since(Wall),
    /// So that this many lines come before the end.
    Tail(usize),
}

/// Some lines in the order in which they were taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Where to go on; lines that come later begin here, also after rotations.
    pub next: u64,
    /// How many bytes between the position asked for and the first line are no longer kept.
    pub gap: u64,
}

/// Reads at most `limit` lines of the log of the agent whose directory (`stead_keeper::agent_dir`) is `dir`.
///
/// Follows a log if called again with [`From::Position`] of [`Page::next`]. An agent that never printed has an empty page.
///
/// # Errors
///
/// The files cannot be read, or are rotated faster than they can be read.
pub fn read(dir: &Path, from: From, limit: usize) -> io::Result<Page> {
    let files = open(dir)?;
    let (Some(first), Some(last)) = (files.first(), files.last()) else {
        let next = if let From::Position(position) = from {
            position
        } else {
            0
        };
        return Ok(Page {
            lines: Vec::new(),
            next,
            gap: 0,
        });
    };
    let (oldest, end) = (first.base, last.base + last.len);
    let start = match from {
        From::Start => oldest,
        From::Position(position) => position.min(end),
        From::Since(at) => begin_of(&files, at)?,
        From::Tail(lines) => tail(&files, lines)?,
    };
    let mut page = Page {
        lines: Vec::new(),
        next: start.max(oldest),
        gap: oldest.saturating_sub(start),
    };
    for file in &files {
        file.lines_from(&mut page, limit, from)?;
    }
    Ok(page)
}

/// One file: where it begins, how long it was when it was opened.
#[derive(Debug)]
struct Segment {
    file: File,
    base: u64,
    len: u64,
}

impl Segment {
    /// Adds the lines from `page.next` on.
    fn lines_from(&self, page: &mut Page, limit: usize, from: From) -> io::Result<()> {
        let mut carried: Vec<u8> = Vec::new();
        let mut position = page.next.max(self.base);
        while position < self.base + self.len && page.lines.len() < limit {
            let read_from = position + carried.len() as u64;
            let left = (self.base + self.len).saturating_sub(read_from);
            if left == 0 {
                break;
            }
            let mut block = vec![0; usize::try_from(left).unwrap_or(BLOCK).min(BLOCK)];
            self.file.read_exact_at(&mut block, read_from - self.base)?;
            carried.append(&mut block);
            let mut used = 0;
            for text in carried.split_inclusive(|byte| *byte == b'\n') {
                let Some(bare) = text.strip_suffix(b"\n") else { break };
                if page.lines.len() >= limit {
                    break;
                }
                let wanted = |line: &LogLine| !matches!(from, From::Since(at) if line.at < at);
                page.lines.extend(line::parse(position, bare).filter(wanted));
                position += text.len() as u64;
                used += text.len();
            }
            carried.drain(..used);
            page.next = position;
        }
        Ok(())
    }

    /// When its first line was taken.
    fn first_at(&self) -> io::Result<Option<Wall>> {
        let mut page = Page {
            lines: Vec::new(),
            next: self.base,
            gap: 0,
        };
        self.lines_from(&mut page, 1, From::Start)?;
        Ok(page.lines.first().map(|line| line.at))
    }

    /// The position behind the last but `lines` line breaks, and how many are missing if it has fewer.
    fn back(&self, mut lines: usize) -> io::Result<Result<u64, usize>> {
        let mut end = self.len;
        let mut at_end = true;
        while end > HEADER as u64 {
            let begin = end.saturating_sub(BLOCK as u64).max(HEADER as u64);
            let mut block = vec![0; usize::try_from(end - begin).unwrap_or(BLOCK)];
            self.file.read_exact_at(&mut block, begin)?;
            for (index, byte) in block.iter().enumerate().rev() {
                if *byte != b'\n' {
                    continue;
                }
                // The file's very last line break ends the last line and begins none.
                if at_end && begin + index as u64 + 1 == self.len {
                    at_end = false;
                } else if lines <= 1 {
                    return Ok(Ok(self.base + begin + index as u64 + 1));
                } else {
                    lines -= 1;
                }
            }
            end = begin;
        }
        let counted = usize::from(!at_end);
        Ok(Err(lines.saturating_sub(counted)))
    }
}

/// Opens all files, oldest first. Rotation renames them meanwhile: only a row without holes counts.
fn open(dir: &Path) -> io::Result<Vec<Segment>> {
    for _ in 0..ATTEMPTS {
        let mut files = Vec::new();
        for entry in match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            Err(error) => return Err(error),
        } {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let number = name.strip_prefix("log.").map(str::parse::<u32>);
            if name != "log" && !matches!(number, Some(Ok(_))) {
                continue;
            }
            match segment(&dir.join(name)) {
                Ok(segment) => files.extend(segment),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        files.sort_by_key(|file| file.base);
        files.dedup_by_key(|file| file.base);
        let whole = files
            .iter()
            .zip(files.iter().skip(1))
            .all(|(a, b)| a.base + a.len == b.base);
        if whole {
            return Ok(files);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::Interrupted,
        "the log was rotated again and again while it was opened",
    ))
}

fn segment(path: &Path) -> io::Result<Option<Segment>> {
    let file = File::open(path)?;
    let mut first = [0; HEADER];
    let base = match file.read_exact_at(&mut first, 0) {
        Ok(()) => line::parse_header(&first),
        // Just made: its header is not there yet.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(error),
    };
    let len = file.metadata()?.len();
    Ok(base.map(|base| Segment { file, base, len }))
}

fn begin_of(files: &[Segment], at: Wall) -> io::Result<u64> {
    for file in files.iter().rev() {
        if file.first_at()?.is_some_and(|first| first < at) {
            return Ok(file.base);
        }
    }
    Ok(files.first().map_or(0, |file| file.base))
}

fn tail(files: &[Segment], mut lines: usize) -> io::Result<u64> {
    if lines == 0 {
        return Ok(files.last().map_or(0, |file| file.base + file.len));
    }
    for file in files.iter().rev() {
        match file.back(lines)? {
            Ok(position) => return Ok(position),
            Err(missing) => lines = missing,
        }
        if lines == 0 {
            return Ok(file.base);
        }
    }
    Ok(files.first().map_or(0, |file| file.base))
}

const BLOCK: usize = 64 * 1024;
const ATTEMPTS: usize = 64;
