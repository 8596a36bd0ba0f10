//! A daemon that goes on behind this command.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use stead_client::{Client, PartState};
use stead_daemon::Settings;
use tokio::time::{Instant, sleep};

use crate::failure::{Exit, Failure};
use crate::render::{self, Out};

/// Starts this very command line anew, without `--detach`, in a session of its own, and waits until it is ready.
pub(super) async fn detach(settings: &Settings, out: &mut Out) -> Result<ExitCode, Failure> {
    // The log is this user's alone, as everything there is.
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.state_dir);
    made.map_err(|error| {
        let dir = settings.state_dir.display();
        Failure::new(format!("the state directory {dir} cannot be made: {error}"))
            .help("give this user a directory with --state-dir or STEAD_STATE_DIR")
    })?;
    let path = settings.state_dir.join("daemon.log");
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
    let words = std::env::args_os()
        .skip(1)
        .filter(|word| word != "--detach" && word != "-d");
    let mut command = Command::new(&settings.program);
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let mut daemon = command.process_group(0).spawn()?;
    let url = format!("http://{}", settings.listen);
    let client = Client::new(&stead_client::Settings {
        url: url.clone(),
        ..stead_client::Settings::from_env()?
    })?;
    let until = Instant::now() + PATIENCE;
    loop {
        // By its pid: another daemon may answer there while this one finds the address taken.
        if let Ok(view) = client.daemon().await
            && view.pid == daemon.id()
        {
            if view.status.ready() {
                out.note(&render::detached(daemon.id(), &url, &path))?;
                return Ok(ExitCode::SUCCESS);
            }
            if let PartState::Away { detail, .. } = &view.status.store {
                return Err(Failure::new(format!(
                    "the daemon (process {}) is up, but {detail}",
                    daemon.id()
                )));
            }
        }
        if let Some(status) = daemon.try_wait()? {
            let said = std::fs::read_to_string(&path).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(12).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            return Err(Failure::new(format!(
                "the daemon did not start ({status}):\n{}",
                last.join("\n")
            )));
        }
        if Instant::now() > until {
            let message = format!(
                "the daemon (process {}) was not ready within {} s",
                daemon.id(),
                PATIENCE.as_secs()
            );
            return Err(Failure::with(Exit::Timeout, message).help(format!("its log is {}", path.display())));
        }
        sleep(LOOK).await;
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);
