//! Daemons in this process: of a fleet, of one command, or of nothing yet.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use stead_client::{Client, LogItem, LogQuery, Target, state_dir};
use stead_daemon::config::Fleet;
use stead_daemon::{
    AgentsLeft, App as Daemon, Handle, LockError, Reloader, Settings, ShutdownOrder, StartError, Token, check_limits,
};
use stead_model::{
    AgentName, AgentRef, Condition, Exit as AgentExit, Namespace, Origin, Problem, ProblemCode, Signal, Wall, Wanted,
};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{Hosting, Keeper, Restart, Run, Serve, Up};
use super::background::detach;
use super::outlook;
use crate::args::Global;
use crate::clock;
use crate::cmd::fleet::readable;
use crate::failure::{Exit, Failure, INTERRUPTED, chain};
use crate::memory;
use crate::place;
use crate::render::{self, Out, Timestamps};

/// Keeps the processes of agents. Returns once a process that is nobody's child does so.
pub(crate) fn keeper(keeper: &Keeper) -> Result<(), Failure> {
    let config = stead_keeper::Config {
        state_dir: keeper.state_dir.clone(),
        stay: stead_keeper::Stay::Background,
        cgroups: stead_keeper::Cgroups::WherePossible,
    };
    stead_keeper::run(&config).map_err(|error| Failure::new(chain(&error)))
}

/// Runs a fleet.
pub(crate) async fn up(global: &Global, up: &Up, out: &mut Out) -> Result<ExitCode, Failure> {
    readable(&up.file)?;
    let fleet = Fleet::read(&up.file, &|name| std::env::var(name).ok()).map_err(|problems| invalid(&problems))?;
    let file = &fleet.daemon;
    let settings = settings(
        global,
        &up.hosting,
        file.listen,
        file.state_dir.as_deref(),
        file.token_file.as_deref(),
    )?;
    let settings = Settings {
        hosts: file.hosts.clone(),
        ..settings
    };
    // Before anything runs that would have to end again.
    check_limits(fleet.processes()).map_err(|error| Problem::new(ProblemCode::LimitReached, error.to_string()))?;
    if up.detach {
        settings.check().map_err(|error| unstarted(&error, Some(&up.file)))?;
        return detach(&settings, Some(up.timeout), out).await;
    }
    log_to_stderr();
    let mut daemon = start(&settings, Some(&up.file))?;
    let handle = daemon.handle().clone();
    let looks_on = daemon.damage().is_some() || daemon.away().is_some();
    if let Some(damage) = daemon.damage() {
        out.note(&render::looking_on(daemon.listen(), damage))?;
    } else if let Some(away) = daemon.away() {
        daemon.apply_when_back(fleet, origin("stead up"));
        out.note(&render::hosting_away(daemon.listen(), &away))?;
    } else {
        let agents = fleet.count();
        let overruled;
        (daemon, overruled) = put_in_force(daemon, fleet, "stead up").await?;
        if !overruled.is_empty() {
            out.note(&render::overruled(&overruled))?;
        }
        daemon.lift(origin("stead up")).await;
        out.note(&render::hosting(daemon.listen(), agents))?;
    }
    let leave = leave_or_stop(daemon.reloader());
    let mut serving = pin!(daemon.serve(leave));
    if !looks_on {
        tokio::select! {
            biased;
            served = &mut serving => return Ok(served.map(|()| ExitCode::SUCCESS)?),
            outlook = outlook::watch(&handle, up.timeout.0) => out.note(&render::settled(&outlook))?,
        }
        memory::give_back();
    }
    serving.await?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a daemon that has no fleet yet.
pub(crate) async fn serve(global: &Global, serve: &Serve, out: &mut Out) -> Result<ExitCode, Failure> {
    let settings = settings(global, &serve.hosting, None, None, None)?;
    if serve.detach {
        settings.check().map_err(|error| unstarted(&error, None))?;
        return detach(&settings, None, out).await;
    }
    log_to_stderr();
    let daemon = start(&settings, None)?;
    if let Some(damage) = daemon.damage() {
        out.note(&render::looking_on(daemon.listen(), damage))?;
    } else if let Some(away) = daemon.away() {
        out.note(&render::hosting_away(daemon.listen(), &away))?;
    } else {
        daemon.lift(origin("stead serve")).await;
        out.note(&render::hosting(daemon.listen(), daemon.handle().views().count()))?;
        memory::give_back();
    }
    let leave = leave_or_stop(daemon.reloader());
    daemon.serve(leave).await?;
    Ok(ExitCode::SUCCESS)
}

/// Runs one command; ends with its code when its policy asks for no more.
pub(crate) async fn run(global: &Global, run: &Run, out: &mut Out) -> Result<ExitCode, Failure> {
    let name = run.name.clone().map_or_else(|| name_of(&run.command), Ok)?;
    let fleet = fleet_of_one(&name, run)?;
    let mut settings = settings(global, &run.hosting, None, None, None)?;
    // A store of its own: what another daemon keeps in this directory is not of this command's fleet.
    settings.state_dir = settings.state_dir.join("run").join(name.as_str());
    log_to_stderr();
    let daemon = match start(&settings, None) {
        // Another daemon may have the usual port; this one is found by the address that it tells.
        Err(_taken) if run.hosting.listen.is_none() && is_taken(settings.listen) => start(
            &Settings {
                listen: ANY_PORT,
                ..settings.clone()
            },
            None,
        ),
        started => started,
    }?;
    if let Some(damage) = daemon.damage() {
        return Err(Failure::new(damage));
    }
    let begun = clock::now();
    let (daemon, _overruled) = put_in_force(daemon, fleet, "stead run").await?;
    daemon.lift(origin("stead run")).await;
    out.note(&render::hosting(daemon.listen(), 1))?;
    let client = Client::new(&stead_client::Settings {
        url: format!("http://{}", daemon.listen()),
        ..crate::app::settings(global)?
    })?;
    let target = Target::new(Namespace::default(), AgentRef::Name(name.clone()));
    let (ended, code) = tokio::sync::oneshot::channel();
    let (listening, listened) = tokio::sync::oneshot::channel();
    let handle = daemon.handle().clone();
    let signalled = stop_on_signals();
    let leave = async move {
        tokio::select! {
            order = signalled => order,
            code = end_of(&handle, &name) => {
                // A stream of its output that is open drains to the end; one that is not open yet would find nobody.
                let _open = tokio::time::timeout(OPENING, listened).await;
                // Nobody waits where the daemon ended first.
                let _gone = ended.send(code);
                order(AgentsLeft::Stop)
            }
        }
    };
    // The output ends with the daemon: what was printed last is shown, too.
    let (served, shown) = tokio::join!(
        daemon.serve(leave),
        show_output(&client, &target, begun, listening, out)
    );
    served?;
    shown?;
    Ok(code.await.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// Applies a fleet, and says whose changes by hand it overruled; a daemon that cannot goes, with all that it started.
async fn put_in_force(daemon: Daemon, fleet: Fleet, actor: &str) -> Result<(Daemon, Vec<AgentName>), Failure> {
    match daemon.apply(fleet, origin(actor)).await {
        Ok(applied) => Ok((daemon, applied.overruled)),
        Err(problem) => {
            daemon.withdraw().await;
            Err(problem.into())
        }
    }
}

fn start(settings: &Settings, fleet: Option<&Path>) -> Result<Daemon, Failure> {
    Daemon::start(settings.clone()).map_err(|error| unstarted(&error, fleet))
}

/// What to do about a daemon that did not start.
fn unstarted(error: &StartError, fleet: Option<&Path>) -> Failure {
    match error {
        StartError::Lock(LockError::Held { holder, .. }) => {
            let at = holder.as_ref().and_then(|holder| holder.listen.as_ref());
            let url = at.map(|listen| format!(" --url http://{listen}")).unwrap_or_default();
            let apply =
                fleet.map(|file| format!("`stead apply{url} {}` puts this file in force there; ", file.display()));
            let help = format!(
                "{}`stead down{url}` ends it; --state-dir runs another beside it",
                apply.unwrap_or_default()
            );
            Failure::with(Exit::Refused, chain(error)).help(help)
        }
        StartError::Lock(LockError::Unusable { path, source }) => {
            Failure::new(chain(error)).help(place::help(path, source))
        }
        StartError::Listen { .. } => {
            Failure::new(chain(error)).help("--listen takes another address; `stead doctor` says who answers there")
        }
        StartError::Store(_) | StartError::Load(_) => Failure::new(chain(error))
            .help("agents that run are left alone; look at the files of the state directory, its backups among them"),
        StartError::Open(_)
        | StartError::Unthawable(_)
        | StartError::LongPath(_)
        | StartError::Keeper(_)
        | StartError::System { .. } => Failure::new(chain(error)),
        StartError::Durability(_) => Failure::with(Exit::Usage, chain(error)),
    }
}

/// What the command line says, else the fleet file, else the defaults. A file `token` in the state directory is the token.
fn settings(
    global: &Global,
    hosting: &Hosting,
    listen: Option<SocketAddr>,
    dir: Option<&str>,
    token_file: Option<&str>,
) -> Result<Settings, Failure> {
    let dir = hosting
        .state_dir
        .clone()
        .filter(|dir| !dir.as_os_str().is_empty())
        .or_else(|| dir.map(PathBuf::from))
        .unwrap_or_else(state_dir);
    let kept = dir.join("token");
    let token_file = token_file.map(PathBuf::from).or_else(|| kept.exists().then_some(kept));
    let said = global.token.clone().or_else(|| std::env::var("STEAD_TOKEN").ok());
    let token = match (said.filter(|token| !token.is_empty()), &token_file) {
        (Some(token), _) => Some(token),
        (None, Some(file)) => Some(read_token(file)?),
        (None, None) => None,
    };
    let token = token
        .map(|token| Token::new(token.trim()))
        .transpose()
        .map_err(|error| Failure::with(Exit::Usage, error.to_string()))?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(format!("this program cannot be found again: {error}")))?;
    Ok(Settings {
        state_dir: std::path::absolute(dir)?,
        listen: hosting.listen.or(listen).unwrap_or(DEFAULT_LISTEN),
        token,
        token_file,
        hosts: Vec::new(),
        program,
    })
}

fn read_token(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("the token file {} cannot be read: {error}", file.display())))
}

fn invalid(problems: &[stead_daemon::config::Diagnostic]) -> Failure {
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    };
    let message = format!(
        "the fleet file has {count}; nothing was started\n\n{}",
        told.join("\n").trim_end()
    );
    Failure::with(Exit::Refused, message)
}

/// The command as a fleet file of one agent.
fn fleet_of_one(name: &AgentName, run: &Run) -> Result<Fleet, Failure> {
    let policy = match run.restart {
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::Never => "never",
    };
    let words: Vec<String> = run.command.iter().map(|word| word.replace('$', "$$")).collect();
    let command = serde_json::to_string(&words).map_err(|error| Failure::new(error.to_string()))?;
    let text = format!(
        "[agents.\"{name}\"]\ncommand = {command}\nrestart = {{ policy = \"{policy}\" }}\nlabels = {{ \"stead/run\" = \"yes\" }}\n"
    );
    Fleet::parse(&text, "stead-run.toml".as_ref(), &|_| None).map_err(|problems| invalid(&problems))
}

fn name_of(command: &[String]) -> Result<AgentName, Failure> {
    let program = command
        .first()
        .map(Path::new)
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    program.parse().map_err(|error: stead_model::InvalidId| {
        Failure::with(Exit::Usage, error.to_string()).help("--name gives another name")
    })
}

/// Waits until the agent has ended and nothing will start it again; gives its exit code as shells do.
async fn end_of(handle: &Handle, name: &AgentName) -> u8 {
    let mut commits = handle.committed();
    loop {
        let why = handle.explain(Namespace::default(), AgentRef::Name(name.clone())).await;
        if let Ok(why) = &why
            && why
                .agent
                .conditions
                .iter()
                .any(|held| held.condition == Condition::Held)
            && why.last_exit.is_none()
        {
            tracing::error!("{}", why.verdict);
            return CANNOT_START;
        }
        if let Ok(why) = why
            && let (None, Wanted::Running, true, Some(last)) =
                (why.agent.pid, why.agent.intent, why.next.is_empty(), &why.last_exit)
            && last.incarnation == why.agent.incarnation
        {
            return code_of(last.exit);
        }
        if commits.changed().await.is_err() {
            return 1;
        }
    }
}

/// What shells answer for a command that ended so.
fn code_of(exit: AgentExit) -> u8 {
    match exit {
        AgentExit::Code { code } => u8::try_from(code).unwrap_or(1),
        AgentExit::Signal { signal, .. } => signal.number().saturating_add(128),
        // It is by SIGKILL that the kernel makes room.
        AgentExit::OutOfMemory => Signal::KILL.number().saturating_add(128),
        AgentExit::Unknown => 1,
    }
}

/// How long the stream of a command's output may take to open.
const OPENING: std::time::Duration = std::time::Duration::from_secs(5);

/// What shells answer for a command that is not there.
const CANNOT_START: u8 = 127;

/// Shows what the agent prints from a time on, until the daemon ends.
async fn show_output(
    client: &Client,
    target: &Target,
    since: Wall,
    listening: tokio::sync::oneshot::Sender<()>,
    out: &mut Out,
) -> Result<(), Failure> {
    let query = LogQuery {
        tail: Some(MOST_LINES),
        since: Some(since.to_string()),
        follow: true,
        ..LogQuery::default()
    };
    let mut stream = client.logs(target, query).await?;
    // Nobody waits for this unless the command has ended.
    let _unheard = listening.send(());
    // The daemon is this very process: a stream that breaks off ends with it.
    while let Some(LogItem::Line(line)) = stream.next().await? {
        out.show_next(&line, |line| render::log_line(line, Timestamps::Hidden))?;
    }
    Ok(())
}

/// Ctrl-C stops the fleet; SIGTERM leaves it at work, so that the daemon can be replaced. A second Ctrl-C ends the daemon at once.
/// SIGHUP has the fleet file read again, unless it tells that the terminal is gone.
fn leave_or_stop(reloader: Reloader) -> impl Future<Output = ShutdownOrder> {
    let (stop, leave) = (heard(SignalKind::interrupt()), heard(SignalKind::terminate()));
    let alone = Box::pin(reload_until_alone(reloader));
    async {
        let left = tokio::select! {
            () = stop => AgentsLeft::Stop,
            () = leave => AgentsLeft::Leave,
            () = alone => AgentsLeft::Leave,
        };
        match left {
            AgentsLeft::Stop => tracing::info!("going down with all agents; Ctrl-C again leaves them at work"),
            AgentsLeft::Leave => tracing::info!("going down; agents live on, and the next daemon here adopts them"),
        }
        force_on_second();
        order(left)
    }
}

/// Has the fleet file read again at each SIGHUP; returns at the one that comes because the daemon's terminal was closed.
fn reload_until_alone(reloader: Reloader) -> impl Future<Output = ()> {
    let attached = std::io::stderr().is_terminal();
    let listening = signal(SignalKind::hangup());
    async move {
        let Ok(mut signal) = listening else {
            return std::future::pending().await;
        };
        while signal.recv().await.is_some() {
            if attached && !std::io::stderr().is_terminal() {
                return;
            }
            reloader.reload().await;
        }
        std::future::pending::<()>().await;
    }
}

/// Either signal stops the one command.
fn stop_on_signals() -> impl Future<Output = ShutdownOrder> {
    let (interrupt, terminate) = (heard(SignalKind::interrupt()), heard(SignalKind::terminate()));
    async {
        tokio::select! {
            () = interrupt => {}
            () = terminate => {}
        }
        force_on_second();
        order(AgentsLeft::Stop)
    }
}

fn force_on_second() {
    tokio::spawn(async {
        heard(SignalKind::interrupt()).await;
        #[expect(
            clippy::exit,
            reason = "the second Ctrl-C means now; agents live on and are adopted by the next daemon"
        )]
        std::process::exit(INTERRUPTED.into());
    });
}

/// Listens from now on, not from when it is first waited for: whoever sees the daemon ready may send one at once.
fn heard(kind: SignalKind) -> impl Future<Output = ()> {
    let listening = signal(kind);
    async {
        match listening {
            Ok(mut signal) => {
                signal.recv().await;
            }
            // Without a handler the signal does what it always does.
            Err(_unheard) => std::future::pending().await,
        }
    }
}

fn order(agents: AgentsLeft) -> ShutdownOrder {
    ShutdownOrder {
        agents,
        reason: None,
        origin: origin("stead"),
    }
}

fn origin(actor: &str) -> Origin {
    Origin {
        actor: actor.to_owned(),
        role: stead_model::AccessRole::Admin,
        correlation_id: uuid::Uuid::now_v7().to_string(),
        trace_id: None,
    }
}

fn is_taken(addr: SocketAddr) -> bool {
    std::net::TcpListener::bind(addr).is_err()
}

/// The daemon's own log: to standard error, as `STEAD_LOG` filters it, as JSON with `STEAD_LOG_FORMAT=json`.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("STEAD_LOG").unwrap_or_else(|_unset| "info".into());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let json = std::env::var("STEAD_LOG_FORMAT").is_ok_and(|format| format == "json");
    // A second subscriber in one process would be refused; there is one.
    let _set = if json {
        log.json().try_init()
    } else {
        log.compact().try_init()
    };
}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7878);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Lines of one run that are shown where many were printed before the output was asked for.
const MOST_LINES: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_as_many_agents_as_it_has_replicas() {
        let text = "[agents.web]\ncommand = ['web']\nreplicas = 3\n[agents.one]\ncommand = ['one']\n";
        let fleet = Fleet::parse(text, "fleet.toml".as_ref(), &|_| None).unwrap();
        assert_eq!(fleet.count(), 4);
    }

    #[test]
    fn a_command_ends_with_the_code_that_a_shell_would_give() {
        let by = |signal| AgentExit::Signal { signal, core: false };
        let ends = [
            AgentExit::Code { code: 7 },
            by(Signal::TERM),
            AgentExit::OutOfMemory,
            AgentExit::Unknown,
        ];
        assert_eq!(ends.map(code_of), [7, 143, 137, 1]);
    }
}
