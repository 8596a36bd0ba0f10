//! A daemon that goes on behind this command.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use stead_client::{Client, PartState};
use stead_daemon::Settings;
use stead_model::Span;
use tokio::time::{Instant, sleep};

use super::outlook;
use crate::failure::{Exit, Failure};
use crate::place;
use crate::render::{self, Out};

/// Starts this very command line anew, without `--detach`, in a session of its own, and waits until it is ready; with a limit also
/// until its fleet is up, for so long at most.
pub(super) async fn detach(settings: &Settings, fleet: Option<Span>, out: &mut Out) -> Result<ExitCode, Failure> {
    // The log is this user's alone, as everything there is.
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.state_dir);
    made.map_err(|error| {
        let dir = settings.state_dir.display();
        Failure::new(format!("the state directory {dir} cannot be made: {error}"))
            .help(place::help(&settings.state_dir, &error))
    })?;
    let path = settings.state_dir.join("daemon.log");
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let log = opened.map_err(|error| {
        Failure::new(format!("the log {} cannot be written: {error}", path.display()))
            .help(place::help(&settings.state_dir, &error))
    })?;
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
    let own = stead_client::Settings::from_env()?;
    let client = Client::new(&stead_client::Settings {
        url: url.clone(),
        token: token(settings).or(own.token.clone()),
        ..own
    })?;
    let until = Instant::now() + PATIENCE;
    loop {
        // By its pid: another daemon may answer there while this one finds the address taken.
        if let Ok(view) = client.daemon().await
            && view.pid == daemon.id()
        {
            if view.status.ready() {
                out.note(&render::detached(daemon.id(), &url, &path))?;
                return match fleet {
                    Some(limit) => {
                        let config = client.config().await?;
                        if !config.overruled.is_empty() {
                            out.note(&render::overruled(&config.overruled))?;
                        }
                        settled(&client, limit, out).await
                    }
                    None => Ok(ExitCode::SUCCESS),
                };
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
            // It says in its log what a command in the foreground would have said.
            let exit = match status.code() {
                Some(code) if code == i32::from(Exit::Refused.code()) => Exit::Refused,
                Some(_) | None => Exit::Failure,
            };
            return Err(Failure::with(
                exit,
                format!("the daemon did not start ({status}):\n{}", last.join("\n")),
            ));
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

/// The token that the daemon in the background asks for, where a file holds it.
fn token(settings: &Settings) -> Option<String> {
    let text = std::fs::read_to_string(settings.token_file.as_ref()?).ok()?;
    Some(text.trim().to_owned())
}

/// Waits until the fleet is up. The daemon goes on, however that ends.
async fn settled(client: &Client, limit: Span, out: &mut Out) -> Result<ExitCode, Failure> {
    let outlook = outlook::ask(client, Instant::now() + limit.0).await?;
    let who = outlook.troubled.first().map(|(name, _)| name.clone());
    let who = who.or_else(|| outlook.underway.first().cloned());
    let exit = match (outlook.troubled.is_empty(), outlook.underway.is_empty()) {
        (true, true) => {
            out.note(&render::settled(&outlook))?;
            return Ok(ExitCode::SUCCESS);
        }
        (false, _) => Exit::Failure,
        (true, false) => Exit::Timeout,
    };
    let help = format!(
        "`stead why {}` says more; the daemon goes on, and `stead down` ends it",
        who.unwrap_or_default()
    );
    Err(Failure::with(exit, render::settled(&outlook)).help(help))
}

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);
