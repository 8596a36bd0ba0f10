//! The verbs: each asks the daemon and hands the answer to `render`.

mod act;
mod audit;
mod capabilities;
mod config;
mod consent;
mod daemon;
mod degradation;
mod doctor;
mod fleet;
mod follow;
pub(crate) mod group;
mod health;
mod list;
mod meant;
mod orphans;
mod readers;
mod recoveries;
mod register;
mod report;
mod show;
mod spec_file;
mod subject;
mod task;
mod wait;

use std::process::ExitCode;

use clap::CommandFactory;
use stead_client::Verb;

use crate::app::App;
use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::render::{self, Out};
pub(crate) use daemon::args::{Keeper, Run, Serve, Up};
pub(crate) use daemon::{Outlook, keeper};

/// Does what the command line asks.
pub(crate) async fn run(cli: Cli, out: &mut Out) -> Result<ExitCode, Failure> {
    let Cli { global, command } = cli;
    let mut app = match &command {
        Command::Up(up) => return daemon::up(&global, up, out).await,
        Command::Run(run) => return daemon::run(&global, run, out).await,
        Command::Serve(serve) => return daemon::serve(&global, serve, out).await,
        Command::Completions(completions) => {
            render::completions(completions.shell, &mut Cli::command())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Validate(validate) => return fleet::validate(validate, out),
        Command::Doctor(doctor) => return doctor::doctor(&global, doctor, out).await,
        Command::Orphans(asked) => {
            orphans::orphans(&global, asked, out).await?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => App::new(&global, out)?,
    };
    let done = ask(&mut app, command).await;
    match done {
        Err(failure) => Err(meant::or_another(&app, failure).await),
        done => done,
    }
}

/// Asks the daemon.
async fn ask(app: &mut App<'_>, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Down(down) => daemon::down(app, &down).await?,
        Command::Ps(ps) => list::ps(app, ps).await?,
        Command::Get(get) => show::get(app, &get).await?,
        Command::Describe(one) => show::describe(app, &one).await?,
        Command::Why(one) => show::why(app, &one).await?,
        Command::History(history) => show::history(app, history).await?,
        Command::Health(asked) => health::health(app, &asked).await?,
        Command::Recoveries(asked) => recoveries::recoveries(app, asked).await?,
        Command::Audit(asked) => audit::audit(app, asked).await?,
        Command::Capabilities => capabilities::capabilities(app).await?,
        Command::Invoke(asked) => capabilities::invoke(app, &asked).await?,
        Command::Circuits(asked) => capabilities::circuits(app, &asked).await?,
        Command::Degradation(asked) => degradation::degradation(app, asked).await?,
        Command::Drain(drain) => act::drain(app, &drain).await?,
        Command::Update(update) => act::update(app, &update).await?,
        Command::Scale(scale) => act::scale(app, &scale).await?,
        Command::Rollout(rollout) => group::rollout(app, rollout).await?,
        Command::Register(register) => register::register(app, register).await?,
        Command::Start(act) => act::lifecycle(app, Verb::Start, &act).await?,
        Command::Stop(act) => act::lifecycle(app, Verb::Stop, &act).await?,
        Command::Pause(pause) => act::pause(app, &pause).await?,
        Command::Resume(act) => act::lifecycle(app, Verb::Resume, &act).await?,
        Command::Restart(act) => act::lifecycle(app, Verb::Restart, &act).await?,
        Command::Maintenance(act) => act::lifecycle(app, Verb::Maintenance, &act).await?,
        Command::Deploy(act) => act::lifecycle(app, Verb::Deploy, &act).await?,
        Command::Reset(act) => act::lifecycle(app, Verb::Reset, &act).await?,
        Command::Terminate(act) => act::lifecycle(app, Verb::Terminate, &act).await?,
        Command::Delete(act) => act::delete(app, &act).await?,
        Command::Logs(logs) => return follow::logs(app, &logs).await,
        Command::Events(events) => return follow::events(app, &events).await,
        Command::Readers(verb) => readers::readers(app, &verb).await?,
        Command::Top(top) => list::top(app, &top).await?,
        Command::Wait(wait) => wait::wait(app, &wait).await?,
        Command::Apply(apply) => fleet::apply(app, &apply).await?,
        Command::Config(verb) => config::config(app, &verb).await?,
        Command::Task(task) => task::task(app, &task).await?,
        Command::Report(report) => report::report(app, &report).await?,
        // Served above, or before: none of them asks a daemon.
        Command::Up(_)
        | Command::Run(_)
        | Command::Serve(_)
        | Command::Keeper(_)
        | Command::Completions(_)
        | Command::Validate(_)
        | Command::Doctor(_)
        | Command::Orphans(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}
