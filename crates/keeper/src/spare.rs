//! Files made ahead, while nothing else is to be done, and those of dead instances for the next.
//!
//! Making an inode may take a file system several hundred microseconds, the more so where many were just removed;
//! giving it another name takes it ten. A spawn needs three, unless the run before left its own: two FIFOs and a notify socket. So a few
//! of each lie ready in `DIR/spare`, and a spawn renames them; where none is left, it makes its own.
//!
//! FIFOs come back when an agent is over, and only if nobody has them open any more: what a straggler prints is never
//! taken for another's. Sockets do not come back: nobody can tell who is connected to one.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::dir::make_dir;
use crate::logs::{make_fifo, open_fifo};
use crate::notify;

/// How many spawns find everything ready.
const SETS: usize = 16;
/// How many sets of dead instances are kept: names in a directory, no descriptors.
const KEPT: usize = 1024;

/// What lies ready.
#[derive(Debug)]
pub(crate) struct Spares {
    dir: PathBuf,
    made: u64,
    fifos: Vec<(Ends, PathBuf)>,
    sockets: Vec<(UnixDatagram, PathBuf)>,
    used_fifos: Vec<PathBuf>,
    /// A disk that refuses is not asked again and again; the next spawn asks it anyway.
    refused: bool,
}

/// Both ends of a FIFO: reading ours never waits, writing theirs may.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) ours: OwnedFd,
    pub(crate) theirs: OwnedFd,
}

impl Spares {
    /// Begins with none; removes those of an earlier keeper.
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let dir = dir.join("spare");
        make_dir(&dir, 0o700)?;
        for entry in fs::read_dir(&dir)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Self {
            dir,
            made: 0,
            fifos: Vec::new(),
            sockets: Vec::new(),
            used_fifos: Vec::new(),
            refused: false,
        })
    }

    /// Whether something is to be made when there is time.
    pub(crate) fn wanting(&self) -> bool {
        !self.refused && (self.sockets.len() < SETS || self.fifos.len() < 2 * SETS)
    }

    /// Makes what one more spawn needs.
    pub(crate) fn make(&mut self) {
        if let Err(error) = self.try_make() {
            self.refused = true;
            crate::note(&format!("nothing is made ahead: {error}"));
        }
    }

    fn try_make(&mut self) -> io::Result<()> {
        if self.sockets.len() < SETS {
            let path = self.name();
            self.sockets.push((notify::bind_at(&path, None)?, path));
        }
        for _ in 0..2 {
            if self.fifos.len() < 2 * SETS {
                let path = self.used_fifos.pop().unwrap_or_else(|| self.name());
                self.fifos.push((open(&path)?, path));
            }
        }
        Ok(())
    }

    fn name(&mut self) -> PathBuf {
        self.made += 1;
        self.dir.join(self.made.to_string())
    }

    /// Puts a FIFO at `path` and opens it; one that a failed try left there is taken.
    pub(crate) fn fifo(&mut self, path: &Path) -> io::Result<Ends> {
        self.refused = false;
        if let Some((ends, spare)) = self.fifos.pop()
            && fs::rename(spare, path).is_ok()
        {
            return Ok(ends);
        }
        if let Some(used) = self.used_fifos.pop() {
            // What is not there any more is made below.
            let _gone = fs::rename(used, path);
        }
        open(path)
    }

    /// Takes the FIFO of an instance that is over, which the keeper has closed; removes it if it cannot be another's.
    pub(crate) fn take_fifo(&mut self, path: &Path) {
        let spare = self.name();
        if self.used_fifos.len() < 2 * KEPT && is_unused(path).unwrap_or(false) && fs::rename(path, &spare).is_ok() {
            self.used_fifos.push(spare);
        } else {
            // Somebody may have removed it.
            let _absent = fs::remove_file(path);
        }
    }

    /// Puts a bound notify socket at `path`, where nothing is.
    pub(crate) fn socket(&mut self, path: &Path) -> io::Result<UnixDatagram> {
        if let Some((socket, spare)) = self.sockets.pop()
            && fs::rename(&spare, path).is_ok()
        {
            return Ok(socket);
        }
        notify::bind_at(path, None)
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        // Whatever stays is removed by the next keeper.
        let _kept = fs::remove_dir_all(&self.dir);
    }
}

fn open(path: &Path) -> io::Result<Ends> {
    make_fifo(path)?;
    Ok(Ends {
        ours: open_fifo(path, OFlags::NONBLOCK)?,
        theirs: open_fifo(path, OFlags::empty())?,
    })
}

/// Whether nobody has a FIFO open, for reading or for writing, and nobody else may open it.
fn is_unused(path: &Path) -> io::Result<bool> {
    let open = |options: &mut OpenOptions| options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path);
    match open(OpenOptions::new().write(true)) {
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {}
        Ok(_) | Err(_) => return Ok(false),
    }
    let mut reader = open(OpenOptions::new().read(true))?;
    let own = reader.metadata()?.uid() == rustix::process::geteuid().as_raw();
    // With a writer it would have to be waited for.
    Ok(own && matches!(reader.read(&mut [0]), Ok(0)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileTypeExt;

    use super::*;

    #[test]
    fn what_was_made_ahead_is_given_away_once_and_then_made_on_demand() {
        let dir = tempfile::tempdir().unwrap();
        let mut spares = Spares::new(dir.path()).unwrap();
        while spares.wanting() {
            spares.make();
        }
        let lying = || fs::read_dir(dir.path().join("spare")).unwrap().count();
        assert_eq!(lying(), 3 * SETS);
        for number in 0..SETS + 2 {
            let path = |kind: &str| dir.path().join(format!("{kind}{number}"));
            let _ends = (spares.fifo(&path("out")).unwrap(), spares.fifo(&path("err")).unwrap());
            let socket = spares.socket(&path("socket")).unwrap();
            assert!(fs::metadata(path("err")).unwrap().file_type().is_fifo());
            UnixDatagram::unbound()
                .unwrap()
                .send_to(b"READY=1", path("socket"))
                .unwrap();
            assert!(notify::receive(&socket).unwrap().is_some());
        }
        assert_eq!(lying(), 0);
        assert!(spares.wanting());
    }

    #[test]
    fn spares_of_an_earlier_keeper_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut spares = Spares::new(dir.path()).unwrap();
        spares.make();
        std::mem::forget(spares);
        let _next = Spares::new(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("spare")).unwrap().count(), 0);
    }

    #[test]
    fn a_fifo_comes_back_only_when_nobody_has_it_open() {
        let dir = tempfile::tempdir().unwrap();
        let mut spares = Spares::new(dir.path()).unwrap();
        let path = dir.path().join("out");
        let Ends { ours, theirs } = spares.fifo(&path).unwrap();
        drop(ours);
        let straggler = theirs;
        spares.take_fifo(&path);
        assert!(!path.exists() && spares.used_fifos.is_empty());
        drop(straggler);

        drop(spares.fifo(&path).unwrap());
        let inode = fs::metadata(&path).unwrap().ino();
        spares.take_fifo(&path);
        assert!(!path.exists());
        let next = dir.path().join("next");
        drop(spares.fifo(&next).unwrap());
        assert_eq!(fs::metadata(&next).unwrap().ino(), inode);
    }
}
