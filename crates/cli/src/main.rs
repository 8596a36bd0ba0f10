//! Stead keeps fleets of AI agents and other long-running components steady: the one binary.
//!
//! A thin skin: `args` says what can be asked, `cmd` asks it of the daemon, `render` shows the answer. Nothing else prints.

mod app;
mod args;
mod clock;
mod cmd;
mod failure;
mod memory;
mod place;
mod render;
mod settle;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::render::Out;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return render::usage(&usage),
    };
    let mut out = Out::new(cli.global.output, cli.global.color);
    // Up to here there is one thread: the keeper must not inherit others.
    if let Command::Keeper(keeper) = &cli.command {
        return match cmd::keeper(keeper) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => out.failure(&failure),
        };
    }
    memory::share_one_arena();
    // Those who host a daemon serve many; the others ask one.
    let hosts = matches!(cli.command, Command::Up(_) | Command::Run(_) | Command::Serve(_));
    let mut runtime = if hosts {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    let runtime = runtime.worker_threads(SERVERS).enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(cmd::run(cli, &mut out)),
        Err(error) => Err(Failure::new(format!("no runtime can be made: {error}"))),
    };
    match done {
        Ok(code) => code,
        Err(failure) => out.failure(&failure),
    }
}

/// Threads that serve the API of a daemon in this process.
const SERVERS: usize = 2;
