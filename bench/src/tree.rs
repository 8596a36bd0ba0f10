//! Everything that the harness starts, and its certain end: supervisors that lose their parent fall to the harness, which
//! is their subreaper, so that the descendants of this process are all there is to end.

use std::fs;
use std::io::Read;
use std::os::fd::IntoRawFd;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getrlimit, kill_process, set_child_subreaper, setrlimit, wait,
};
use tempfile::TempDir;

use crate::clock::Instant;
use crate::procfs;

/// Held while something is started; taken for good by the end on a signal.
static STARTING: Mutex<()> = Mutex::new(());
/// Writing end of the pipe to the thread that ends everything.
static SIGNALLED: AtomicI32 = AtomicI32::new(-1);
/// What a signal removes.
static SCRATCH: OnceLock<PathBuf> = OnceLock::new();

/// Makes this process the one that ends what it started: on return of `main`, on a panic, on Ctrl-C.
pub(crate) fn prepare() -> Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?;
    end_on_signals()
}

/// Scratch directory of a run. Dropping it ends everything that was started and removes it.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("stead-bench-").tempdir()?;
        SCRATCH.get_or_init(|| dir.path().to_owned());
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        sweep();
    }
}

/// Starts a program with a process group of its own, no input, and no output but into `log`.
pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    let log = fs::File::options().create(true).append(true).open(log)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    command
        .spawn()
        .with_context(|| format!("starting {}", command.get_program().display()))
}

/// Starts a program, waits for its end, and complains unless it succeeded in time.
pub(crate) fn run(command: &mut Command, log: &Path, patience: Duration) -> Result<()> {
    let name = command.get_program().display().to_string();
    let mut child = start(command, log)?;
    let until = Instant::now().after(patience);
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{name} ended with {status}: {}", tail(log)),
            None if Instant::now() > until => bail!("{name} did not end within {patience:?}"),
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The processes of supervisors: all descendants that do not run the agent's program.
pub(crate) fn supervisors(agent: &Path) -> Vec<i32> {
    let mut found = procfs::descendants(process::id().cast_signed());
    found.retain(|&pid| !procfs::runs(pid, agent));
    found
}

/// Ends every descendant and reaps it. Parents first, so that few are started anew; again until none is left.
pub(crate) fn sweep() {
    loop {
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        let found = procfs::descendants(process::id().cast_signed());
        if found.is_empty() {
            return;
        }
        for pid in found.into_iter().filter_map(Pid::from_raw) {
            let _already_gone = kill_process(pid, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The last lines of a log, for errors.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// Has a thread end everything when a signal asks this process to end. Handlers, not a blocked mask: children would inherit that.
#[expect(unsafe_code, reason = "neither std nor rustix catches signals")]
fn end_on_signals() -> Result<()> {
    let (mut reader, writer) = std::io::pipe()?;
    SIGNALLED.store(writer.into_raw_fd(), Ordering::Relaxed);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut signal = [0; size_of::<i32>()];
        if reader.read_exact(&mut signal).is_ok() {
            end(i32::from_ne_bytes(signal));
        }
    })?;
    let handler = on_signal as extern "C" fn(i32);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler does nothing but a write, which is safe in a handler.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
    Ok(())
}

#[expect(unsafe_code, reason = "what a handler may call")]
extern "C" fn on_signal(signal: i32) {
    let number = signal.to_ne_bytes();
    // SAFETY: the bytes live across the call; a bad descriptor is only an error.
    unsafe { libc::write(SIGNALLED.load(Ordering::Relaxed), number.as_ptr().cast(), number.len()) };
}

#[expect(clippy::exit, reason = "a signal ends the harness wherever it is")]
fn end(signal: i32) -> ! {
    let _nothing_starts_any_more = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    sweep();
    if let Some(path) = SCRATCH.get() {
        let _best_effort = fs::remove_dir_all(path);
    }
    process::exit(128 + signal)
}
