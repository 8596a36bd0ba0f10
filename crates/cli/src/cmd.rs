//! The verbs: each asks the daemon and hands the answer to `render`.

mod act;
mod daemon;
mod doctor;
mod fleet;
mod follow;
mod list;
mod report;
mod show;
mod wait;

use std::process::ExitCode;

use clap::CommandFactory;
use stead_client::Verb;

use crate::app::App;
use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::render::{self, Out};
pub(crate) use daemon::args::{Keeper, Run, Serve, Up};
pub(crate) use daemon::keeper;

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
        _ => App::new(&global, out)?,
    };
    match command {
        Command::Down(down) => daemon::down(&mut app, &down).await?,
        Command::Ps(ps) => list::ps(&mut app, ps).await?,
        Command::Get(one) => show::get(&mut app, &one).await?,
        Command::Describe(one) => show::describe(&mut app, &one).await?,
        Command::Why(one) => show::why(&mut app, &one).await?,
        Command::History(history) => show::history(&mut app, history).await?,
        Command::Start(act) => act::lifecycle(&mut app, Verb::Start, &act).await?,
        Command::Stop(act) => act::lifecycle(&mut app, Verb::Stop, &act).await?,
        Command::Pause(act) => act::lifecycle(&mut app, Verb::Pause, &act).await?,
        Command::Resume(act) => act::lifecycle(&mut app, Verb::Resume, &act).await?,
        Command::Restart(act) => act::lifecycle(&mut app, Verb::Restart, &act).await?,
        Command::Maintenance(act) => act::lifecycle(&mut app, Verb::Maintenance, &act).await?,
        Command::Deploy(act) => act::lifecycle(&mut app, Verb::Deploy, &act).await?,
        Command::Reset(act) => act::lifecycle(&mut app, Verb::Reset, &act).await?,
        Command::Terminate(act) => act::lifecycle(&mut app, Verb::Terminate, &act).await?,
        Command::Delete(act) => act::delete(&mut app, &act).await?,
        Command::Logs(logs) => return follow::logs(&mut app, &logs).await,
        Command::Events(events) => return follow::events(&mut app, &events).await,
        Command::Top(top) => list::top(&mut app, &top).await?,
        Command::Wait(wait) => wait::wait(&mut app, &wait).await?,
        Command::Apply(apply) => fleet::apply(&mut app, &apply).await?,
        Command::Report(report) => report::report(&mut app, &report).await?,
        // Served above, or before: none of them asks a daemon.
        Command::Up(_)
        | Command::Run(_)
        | Command::Serve(_)
        | Command::Keeper(_)
        | Command::Completions(_)
        | Command::Validate(_)
        | Command::Doctor(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}
