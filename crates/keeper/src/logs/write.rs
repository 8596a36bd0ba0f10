//! From FIFO to spool to lines, so that a kill between any two steps loses nothing and repeats nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FallocateFlags, FileType, Mode, OFlags, fallocate, mknodat};
use rustix::pipe::{SpliceFlags, splice};
use stead_model::Incarnation;
use stead_model::spec::LogSpec;

use super::line::{self, HEADER, MAX_LINE, Stream};

/// The log of one agent, over all its incarnations.
#[derive(Debug)]
pub(crate) struct AgentLog {
    dir: PathBuf,
    spec: LogSpec,
    /// Position of the first byte of `log`.
    base: u64,
    /// Committed length of `log`.
    len: u64,
    streams: Vec<Taken>,
}

/// How far one stream's spool is written as lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Taken {
    incarnation: Incarnation,
    stream: Stream,
    bytes: u64,
    /// Whether the spool may hold whole lines that are not written: after a kill, or when writing failed.
    behind: bool,
}

/// Whether a stream may have more at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pumped {
    /// It was empty.
    Empty,
    /// Something came; there may be more.
    Some,
}

impl AgentLog {
    /// Opens the log of the agent in `dir` and undoes what an earlier keeper had not committed.
    pub(crate) fn open(dir: PathBuf, spec: LogSpec) -> io::Result<Self> {
        let mut log = Self {
            dir,
            spec,
            base: 0,
            len: 0,
            streams: Vec::new(),
        };
        match fs::read(log.cursor_path()) {
            Ok(bytes) => log.restore(&bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                log.measure()?;
                // Before the first line, so that even of that one it is known whether it is committed.
                log.commit()?;
            }
            Err(error) => return Err(error),
        }
        log.recover()?;
        Ok(log)
    }

    /// Sets the rules of rotation, which may differ from one incarnation to the next.
    pub(crate) fn set_spec(&mut self, spec: LogSpec) {
        self.spec = spec;
    }

    /// Takes what the FIFO holds, at most one pipe's worth, and writes the whole lines of it with the time `at`.
    ///
    /// # Errors
    ///
    /// The disk is full or refuses. Nothing is lost: it stays in the spool or in the FIFO.
    pub(crate) fn pump(
        &mut self,
        incarnation: Incarnation,
        stream: Stream,
        fifo: BorrowedFd<'_>,
        at: &str,
    ) -> io::Result<Pumped> {
        let waiting = rustix::io::ioctl_fionread(fifo)? > 0;
        if !waiting && !self.taken(incarnation, stream).behind {
            return Ok(Pumped::Empty);
        }
        let spool = match self.spool(incarnation, stream, waiting) {
            Ok(spool) => spool,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Pumped::Empty),
            Err(error) => return Err(error),
        };
        if waiting {
            let mut end = spool.metadata()?.len();
            splice(fifo, None, &spool, Some(&mut end), TURN, SpliceFlags::NONBLOCK)?;
        }
        let written = self.write_lines(incarnation, stream, &spool, at, Rest::Keep);
        self.taken(incarnation, stream).behind = written.is_err();
        written.map(|()| if waiting { Pumped::Some } else { Pumped::Empty })
    }

    /// Writes what is left of an incarnation that prints no more, a last line without an end included, and forgets it. Its FIFOs are left
    /// to whoever made them.
    pub(crate) fn finish(&mut self, incarnation: Incarnation, at: &str) -> io::Result<()> {
        for stream in Stream::BOTH {
            match self.spool(incarnation, stream, false) {
                Ok(spool) => self.write_lines(incarnation, stream, &spool, at, Rest::Write)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        for stream in Stream::BOTH {
            remove(&self.spool_path(incarnation, stream))?;
        }
        self.streams.retain(|taken| taken.incarnation != incarnation);
        Ok(())
    }

    fn write_lines(
        &mut self,
        incarnation: Incarnation,
        stream: Stream,
        spool: &File,
        at: &str,
        rest: Rest,
    ) -> io::Result<()> {
        let end = spool.metadata()?.len();
        let mut taken = self.taken(incarnation, stream).bytes.min(end);
        let prefix = line::prefix(at, incarnation, stream);
        let mut chunk = Vec::new();
        while taken < end {
            let wanted = usize::try_from(end - taken).unwrap_or(usize::MAX).min(TURN);
            chunk.resize(wanted, 0);
            spool.read_exact_at(&mut chunk, taken)?;
            let last = taken + chunk.len() as u64 == end && rest == Rest::Write;
            let (used, lines) = form(&chunk, &prefix, last);
            if used == 0 {
                break;
            }
            taken += used as u64;
            self.append(&lines)?;
            self.taken(incarnation, stream).bytes = taken;
            self.commit()?;
            self.rotate_if_full()?;
        }
        if taken >= PUNCH {
            // What is written as lines need not lie on the disk twice. A file system without holes keeps it a while.
            let _unpunched = fallocate(
                spool,
                FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
                0,
                taken & !(PUNCH - 1),
            );
        }
        Ok(())
    }

    /// Writes behind the committed length; a failure leaves the committed part as it was.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let log = options().write(true).create(true).open(self.log_path())?;
        if self.len == 0 {
            log.write_all_at(line::header(self.base).as_bytes(), 0)?;
            self.len = HEADER as u64;
        }
        let written = log.write_all_at(lines, self.len);
        match written {
            Ok(()) => self.len += lines.len() as u64,
            // Readers should not see half of it; the next try writes over it in any case.
            Err(_) => drop(log.set_len(self.len)),
        }
        written
    }

    fn rotate_if_full(&mut self) -> io::Result<()> {
        if self.len < self.spec.max_size.0.max(HEADER as u64 + 1) {
            return Ok(());
        }
        let oldest = self.spec.files.saturating_sub(1);
        // A kill in between leaves a gap in the numbers, which the next rotation closes; positions tell the order.
        remove(&self.rotated_path(oldest))?;
        for number in (1..oldest).rev() {
            rename(&self.rotated_path(number), &self.rotated_path(number + 1))?;
        }
        if oldest > 0 {
            rename(&self.log_path(), &self.rotated_path(1))?;
        }
        self.base += self.len;
        self.len = 0;
        self.commit()
    }

    fn taken(&mut self, incarnation: Incarnation, stream: Stream) -> &mut Taken {
        let known = |taken: &Taken| taken.incarnation == incarnation && taken.stream == stream;
        let index = match self.streams.iter().position(known) {
            Some(index) => index,
            None => {
                self.streams.push(Taken {
                    incarnation,
                    stream,
                    bytes: 0,
                    behind: true,
                });
                self.streams.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "the index was found or pushed in this call")]
        &mut self.streams[index]
    }

    /// Writes down how far everything is, in one write that a kill cannot cut in two.
    fn commit(&self) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(32 + 24 * self.streams.len());
        bytes.extend_from_slice(MAGIC);
        let count = self.streams.len() as u64;
        let fields = [self.base, self.len, count].into_iter();
        let streams = self.streams.iter().flat_map(|taken| {
            let stream = match taken.stream {
                Stream::Out => 0,
                Stream::Err => 1,
            };
            [taken.incarnation.0, stream, taken.bytes]
        });
        fields
            .chain(streams)
            .for_each(|field| bytes.extend_from_slice(&field.to_le_bytes()));
        let file = options().write(true).create(true).open(self.cursor_path())?;
        file.write_all_at(&bytes, 0)
    }

    /// Takes over what [`AgentLog::commit`] wrote; a damaged file counts as none.
    fn restore(&mut self, bytes: &[u8]) {
        let Some(bytes) = bytes.strip_prefix(MAGIC) else { return };
        let mut fields = bytes
            .chunks_exact(8)
            .filter_map(|field| Some(u64::from_le_bytes(*field.first_chunk()?)));
        let mut next = || fields.next().unwrap_or(0);
        self.base = next();
        self.len = next();
        for _ in 0..next() {
            let (incarnation, stream, bytes) = (Incarnation(next()), next(), next());
            let stream = if stream == 0 { Stream::Out } else { Stream::Err };
            // Only what still has a spool goes on.
            if self.spool_path(incarnation, stream).exists() {
                self.streams.push(Taken {
                    incarnation,
                    stream,
                    bytes,
                    behind: true,
                });
            }
        }
    }

    /// Without a cursor the log itself says how far it is.
    fn measure(&mut self) -> io::Result<()> {
        match fs::read(self.log_path()) {
            Ok(bytes) => {
                self.base = line::parse_header(&bytes).unwrap_or(0);
                self.len = bytes
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |at| at as u64 + 1);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Cuts `log` to its committed length. Where it is another file than the committed one, a rotation was cut short:
    /// the committed one lies safe under its next name, and this one begins anew.
    fn recover(&mut self) -> io::Result<()> {
        let log = match options().read(true).write(true).open(self.log_path()) {
            Ok(log) => log,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.base += self.len;
                self.len = 0;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut first = [0; HEADER];
        let header = log
            .read_exact_at(&mut first, 0)
            .ok()
            .and_then(|()| line::parse_header(&first));
        if header == Some(self.base) && log.metadata()?.len() >= self.len {
            return log.set_len(self.len);
        }
        self.base += self.len;
        self.len = 0;
        log.set_len(0)
    }

    fn spool(&self, incarnation: Incarnation, stream: Stream, create: bool) -> io::Result<File> {
        let path = self.spool_path(incarnation, stream);
        options().read(true).write(true).create(create).open(path)
    }

    fn spool_path(&self, incarnation: Incarnation, stream: Stream) -> PathBuf {
        self.dir.join(format!("{incarnation}.{}.spool", stream.as_str()))
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn rotated_path(&self, number: u32) -> PathBuf {
        match number {
            0 => self.log_path(),
            number => self.dir.join(format!("log.{number}")),
        }
    }

    fn cursor_path(&self) -> PathBuf {
        self.dir.join("cursor")
    }
}

/// What becomes of bytes behind the last line break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    Keep,
    Write,
}

/// Whether an earlier keeper may have left something of this stream to be written.
pub(crate) fn has_spool(dir: &Path, incarnation: Incarnation, stream: Stream) -> bool {
    dir.join(format!("{incarnation}.{}.spool", stream.as_str())).exists()
}

/// Where the FIFO of one stream lies.
pub(crate) fn fifo_path(dir: &Path, incarnation: Incarnation, stream: Stream) -> PathBuf {
    dir.join(format!("{incarnation}.{}", stream.as_str()))
}

/// Makes a FIFO; one that a failed try left is taken.
pub(crate) fn make_fifo(path: &Path) -> io::Result<()> {
    match mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a FIFO for reading and writing, which waits for nobody and never sees an end.
pub(crate) fn open_fifo(path: &Path, extra: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | extra;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Forms whole lines of `chunk`; returns how many bytes of it they used. `last` says that no more follow.
fn form(chunk: &[u8], prefix: &str, last: bool) -> (usize, Vec<u8>) {
    let mut out = Vec::with_capacity(chunk.len() + 64);
    let mut used = 0;
    while let Some(rest) = chunk.get(used..).filter(|rest| !rest.is_empty() && out.len() < MAX_OUT) {
        let window = rest.get(..=MAX_LINE).unwrap_or(rest);
        let (text, ends, step) = match window.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&window[..end], true, end + 1),
            None if rest.len() >= MAX_LINE => (&window[..MAX_LINE], false, MAX_LINE),
            None if last => (rest, true, rest.len()),
            None => break,
        };
        line::write(&mut out, prefix, ends, text);
        used += step;
    }
    (used, out)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // The directory is the keeper's own; a link in it would be somebody's trick.
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Bytes that one stream may take of one turn, so that a flood delays nobody: a pipe's worth.
const TURN: usize = 2 * MAX_LINE;
/// Lines are written in steps of about this size: many short ones are much longer with their times.
const MAX_OUT: usize = 256 * 1024;
/// Written parts of a spool are given back to the disk in steps of this size.
const PUNCH: u64 = 256 * 1024;
const MAGIC: &[u8; 8] = b"steadlc1";

#[cfg(test)]
mod tests;
