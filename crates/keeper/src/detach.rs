//! Leaving the process that started the keeper: it learns whether the keeper serves, and is then rid of it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::Error;
use crate::sys;

/// What the new process says when it serves.
const SERVES: &str = "serves";
/// Size from which the keeper's own log is begun anew.
const MAX_LOG: u64 = 1 << 20;

/// Makes a keeper in another process and returns once it serves, or with what kept it from that. In that other
/// process it returns when the keeper leaves.
pub(crate) fn into_background<K>(
    make: impl FnOnce() -> Result<K, Error>,
    log: impl FnOnce(&K) -> std::io::Result<()>,
    serve: impl FnOnce(K) -> Result<(), Error>,
) -> Result<(), Error> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::system("make a pipe"))?;
    if let Some(pid) = sys::fork().map_err(Error::system("make a process"))? {
        drop(writer);
        return hear(File::from(reader), pid);
    }
    drop(reader);
    let mut writer = File::from(writer);
    let made = make().and_then(|keeper| {
        log(&keeper).map_err(Error::system("open its log"))?;
        Ok(keeper)
    });
    match made {
        Ok(keeper) => {
            // Whoever started it may be gone; the keeper serves all the same.
            let _alone = writer.write_all(SERVES.as_bytes());
            drop(writer);
            serve(keeper)
        }
        Err(error) => {
            let _alone = writer.write_all(describe(&error).as_bytes());
            Err(error)
        }
    }
}

/// Turns input and output of this process to nothing and to the log.
pub(crate) fn log_to(path: &Path) -> std::io::Result<()> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_LOG) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    sys::redirect(&null, 0)?;
    sys::redirect(&log, 1)?;
    sys::redirect(&log, 2)
}

fn hear(mut reader: File, pid: i32) -> Result<(), Error> {
    let mut said = String::new();
    reader
        .read_to_string(&mut said)
        .map_err(Error::system("hear from the new keeper"))?;
    if said == SERVES {
        return Ok(());
    }
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // It has said why and ends; there is nothing else to learn.
        let _ended = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
    Err(Error::Background {
        detail: if said.is_empty() {
            String::from("it ended without a word")
        } else {
            said
        },
    })
}

/// An error with all its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
