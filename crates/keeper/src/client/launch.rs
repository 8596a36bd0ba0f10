//! Starting a keeper where none answers.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;

use crate::dir::socket_path;
use crate::error::ClientError;
use crate::identity::is_alive;

/// How long a keeper may take to serve; it adopts whatever lives first.
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(2);

/// Whether a keeper serves `state_dir` now.
///
/// The socket alone does not say so: one that was killed while it started an agent leaves it open for a moment.
#[must_use]
pub fn answers(state_dir: &Path) -> bool {
    let Ok(stream) = UnixStream::connect(socket_path(state_dir)) else {
        return false;
    };
    socket_peercred(&stream).is_ok_and(|peer| is_alive(peer.pid.as_raw_nonzero().get()))
}

/// Makes sure that a keeper serves `state_dir`: runs `program keeper --state-dir DIR` unless one answers already, and
/// waits until it does. The keeper is nobody's child afterwards; its own log is `DIR/keeper.log`.
///
/// # Errors
///
/// The program cannot be run, or says why it cannot be the keeper, or takes longer than 20 s.
pub fn launch(program: &Path, state_dir: &Path) -> Result<(), ClientError> {
    if answers(state_dir) {
        return Ok(());
    }
    let fault = |error: std::io::Error| ClientError::Launch(format!("{}: {error}", program.display()));
    let mut child = Command::new(program)
        .arg("keeper")
        .arg("--state-dir")
        .arg(state_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(fault)?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(fault)? {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                child.kill().map_err(fault)?;
                child.wait().map_err(fault)?;
                return Err(ClientError::Launch(format!(
                    "it did not serve within {} s",
                    PATIENCE.as_secs()
                )));
            }
            None => std::thread::sleep(STEP),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said).map_err(fault)?;
    }
    let said = said.trim();
    Err(ClientError::Launch(if said.is_empty() {
        status.to_string()
    } else {
        said.to_owned()
    }))
}
