//! The keeper alone: `stead-keeper-alone keeper --state-dir DIR [--foreground] [--no-cgroups]`. Tests and measurements run it in
//! place of the hidden subcommand of the whole binary.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use stead_keeper::{Cgroups, Config, Stay, run};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let mut state_dir = None;
    let mut stay = Stay::Background;
    let mut cgroups = Cgroups::WherePossible;
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("keeper") => {}
            Some("--state-dir") => state_dir = args.next().map(PathBuf::from),
            Some("--no-cgroups") => cgroups = Cgroups::Never,
            Some("--foreground") => stay = Stay::Foreground,
            Some(_) | None => {
                return fail("usage: stead-keeper-alone keeper --state-dir DIR [--foreground] [--no-cgroups]");
            }
        }
    }
    let Some(state_dir) = state_dir else {
        return fail("--state-dir is missing");
    };
    match run(&Config {
        state_dir,
        stay,
        cgroups,
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(why: &str) -> ExitCode {
    // Without an error output the code alone has to say it.
    let _unsaid = writeln!(std::io::stderr(), "{why}");
    ExitCode::FAILURE
}
