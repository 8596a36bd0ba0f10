//! Stead keeps fleets of AI agents and other long-running components steady: the one binary.
//!
//! A thin skin: `args` says what can be asked, `cmd` asks it of the daemon, `render` shows the answer. Nothing else prints.

mod app;
mod args;
mod clock;
mod cmd;
mod failure;
mod render;
mod settle;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::failure::Failure;
use crate::render::Out;

// The keeper must be dispatched before anything else here: it must not inherit threads, and none exist up to the runtime.
fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return render::usage(&usage),
    };
    let mut out = Out::new(cli.global.output, cli.global.color);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(cmd::run(cli, &mut out)),
        Err(error) => Err(Failure::new(format!("no runtime can be made: {error}"))),
    };
    match done {
        Ok(code) => code,
        Err(failure) => out.failure(&failure),
    }
}
