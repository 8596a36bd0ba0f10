//! Files made ahead, while nothing else is to be done.
//!
//! Making an inode may take a file system several hundred microseconds, giving it another name takes it ten. A spawn
//! needs four: two FIFOs, a notify socket, a record. So a few of each lie ready in `DIR/spare`, and a spawn renames
//! them; where none is left, it makes its own.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::dir::make_dir;
use crate::logs::make_fifo;
use crate::{notify, record};

/// How many spawns find everything ready.
const SETS: usize = 16;

/// What lies ready.
#[derive(Debug)]
pub(crate) struct Spares {
    dir: PathBuf,
    made: u64,
    fifos: Vec<PathBuf>,
    sockets: Vec<(UnixDatagram, PathBuf)>,
    records: Vec<(File, PathBuf)>,
    /// A disk that refuses is not asked again and again; the next spawn asks it anyway.
    refused: bool,
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
            records: Vec::new(),
            refused: false,
        })
    }

    /// Whether something is to be made when there is time.
    pub(crate) fn wanting(&self) -> bool {
        !self.refused && self.records.len() < SETS
    }

    /// Makes what one more spawn needs.
    pub(crate) fn make(&mut self) {
        if let Err(error) = self.try_make() {
            self.refused = true;
            crate::note(&format!("nothing is made ahead: {error}"));
        }
    }

    fn try_make(&mut self) -> io::Result<()> {
        while self.fifos.len() < 2 * SETS && self.fifos.len() < 2 * (self.records.len() + 1) {
            let path = self.name();
            make_fifo(&path)?;
            self.fifos.push(path);
        }
        if self.sockets.len() <= self.records.len() {
            let path = self.name();
            self.sockets.push((notify::bind_at(&path, None)?, path));
        }
        let path = self.name();
        self.records.push((record::create_empty(&path)?, path));
        Ok(())
    }

    fn name(&mut self) -> PathBuf {
        self.made += 1;
        self.dir.join(self.made.to_string())
    }

    /// Puts a FIFO at `path`.
    pub(crate) fn fifo(&mut self, path: &Path) -> io::Result<()> {
        match self.fifos.pop() {
            Some(spare) => fs::rename(spare, path).or_else(|_gone| make_fifo(path)),
            None => make_fifo(path),
        }
    }

    /// Puts a bound notify socket at `path`, where nothing is.
    pub(crate) fn socket(&mut self, path: &Path, uid: Option<u32>) -> io::Result<UnixDatagram> {
        if let Some((socket, spare)) = self.sockets.pop()
            && fs::rename(&spare, path).is_ok()
        {
            if let Some(uid) = uid {
                std::os::unix::fs::chown(path, Some(uid), None)?;
            }
            return Ok(socket);
        }
        notify::bind_at(path, uid)
    }

    /// Puts an empty record at `path`, in place of one of a try that failed.
    pub(crate) fn record(&mut self, path: &Path) -> io::Result<File> {
        self.refused = false;
        if let Some((file, spare)) = self.records.pop()
            && fs::rename(&spare, path).is_ok()
        {
            return Ok(file);
        }
        record::create_empty(path)
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        // Whatever stays is removed by the next keeper.
        let _kept = fs::remove_dir_all(&self.dir);
    }
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
        assert_eq!(lying(), 4 * SETS);
        for number in 0..SETS + 2 {
            let path = |kind: &str| dir.path().join(format!("{kind}{number}"));
            spares.fifo(&path("out")).unwrap();
            spares.fifo(&path("err")).unwrap();
            let socket = spares.socket(&path("socket"), None).unwrap();
            spares.record(&path("record")).unwrap();
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
}
