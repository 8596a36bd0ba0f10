//! The exec probe: a command that exits with 0.
//!
//! It runs in a process group of its own, which is killed whole when the command ends, is late or is no longer wanted.
//! The group is only ever signalled while its leader is not reaped, so that its number is nobody else's.

mod exit;
mod output;
mod user;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use stead_model::spec::{EnvValue, ExecAction};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::ExecContext;
use super::attempt::Fault;
use exit::Exit;
use output::Output;

/// Runs the command to its end. Dropping this kills its whole process group.
pub(super) async fn run(action: &ExecAction, context: &ExecContext) -> Result<(), Fault> {
    let mut command = command(action, context).await?;
    let mut group = Group::start(&mut command).map_err(|error| not_run(&command, context, &error))?;
    let mut output = Output::of(&mut group.child);
    let status = group
        .end(&mut output)
        .await
        .map_err(|error| Fault::of(&error, "cannot wait for the command"))?;
    if status.success() {
        return Ok(());
    }
    // What it said last may still be in the pipes; whoever left the group must not hold them open for long.
    let _late = timeout(LAST_WORDS, output.read()).await;
    Err(Fault::Seen(verdict(status, output.first_line())))
}

/// A process group with its leader.
struct Group {
    child: Child,
    /// Until the group is killed; the leader is not reaped before that.
    leader: Option<Pid>,
}

impl Group {
    fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, leader })
    }

    /// Listens until the leader has ended, kills what is left of the group, then reaps the leader.
    async fn end(&mut self, output: &mut Output) -> io::Result<ExitStatus> {
        let leader = self.leader.ok_or_else(|| io::Error::other("it has no process id"))?;
        let exit = Exit::of(leader)?;
        tokio::select! {
            ended = exit.come() => ended?,
            // Both ends are closed, which does not mean that it has ended.
            () = output.read() => exit.come().await?,
        }
        self.kill();
        self.child.wait().await
    }

    fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            // Nobody left to kill is what is wanted.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn command(action: &ExecAction, context: &ExecContext) -> Result<Command, Fault> {
    let (program, arguments) = action
        .command
        .split_first()
        .ok_or_else(|| Fault::seen("there is no command"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(
            std::env::vars_os()
                .filter(|(name, _)| !name.as_bytes().starts_with(b"STEAD_") && !is_mark(name.as_bytes())),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(dir) = &context.dir {
        command.current_dir(dir);
    }
    if let Some(user) = &context.user {
        user::become_user(&mut command, user).await?;
    }
    command.envs(environment(&context.env).await?);
    Ok(command)
}

async fn environment(given: &BTreeMap<String, EnvValue>) -> Result<Vec<(OsString, OsString)>, Fault> {
    let mut environment = Vec::with_capacity(given.len());
    for (name, value) in given.iter().filter(|(name, _)| !is_mark(name.as_bytes())) {
        let value = match value {
            EnvValue::Plain(text) | EnvValue::Secret { secret: text } => OsString::from(text),
            EnvValue::File { file } => {
                let read = tokio::fs::read(file).await;
                let mut bytes = read.map_err(|error| Fault::of(&error, &format!("env.{name}: cannot read {file}")))?;
                if bytes.last() == Some(&b'\n') {
                    bytes.pop();
                }
                OsString::from_vec(bytes)
            }
        };
        environment.push((name.into(), value));
    }
    Ok(environment)
}

/// Whether a variable says that its process is the agent.
fn is_mark(name: &[u8]) -> bool {
    matches!(name, b"STEAD_INSTANCE" | b"NOTIFY_SOCKET")
}

fn not_run(command: &Command, context: &ExecContext, error: &io::Error) -> Fault {
    match &context.dir {
        Some(dir) if error.kind() == io::ErrorKind::NotFound && !dir.is_dir() => {
            Fault::Seen(format!("there is no directory {}", dir.display()))
        }
        _ => {
            let program = command.as_std().get_program().to_string_lossy();
            Fault::of(error, &format!("cannot run `{program}`"))
        }
    }
}

fn verdict(status: ExitStatus, line: Option<String>) -> String {
    let signal = status
        .signal()
        .and_then(|signal| stead_model::Signal::try_from(u8::try_from(signal).ok()?).ok());
    let ended = match (status.code(), signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("killed by {signal}"),
        (None, None) => status.to_string(),
    };
    match line {
        Some(line) => format!("{ended}: {line}"),
        None => ended,
    }
}

/// How long is waited for the pipes of a command that has ended.
const LAST_WORDS: Duration = Duration::from_millis(100);
