//! Detection side by side with rivals, on real series; prints a report as Markdown.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "statistics over series whose sizes are known"
)]

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};

mod constants;
mod cost;
mod data;
mod jumpstarter;
mod nab;
mod repair;
mod report;
mod silence;

/// Measures detection on series in a folder, beside rivals.
#[derive(Parser)]
struct Arguments {
    /// The folder with `hbtrace`, `netlatency`, `nab` and `jumpstarter`.
    data: PathBuf,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Silence,
    Nab,
    Jumpstarter,
    Repair,
    Cost,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    println!("Constants {:016x}.\n", report::hash(CONSTANTS));
    for part in Part::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(part) {
            continue;
        }
        let (title, text) = match part {
            Part::Silence => ("Silence", silence::run(&arguments.data)?),
            Part::Nab => ("NAB", nab::run(&arguments.data)?),
            Part::Jumpstarter => ("JumpStarter", jumpstarter::run(&arguments.data)?),
            Part::Repair => ("Repair", repair::run()),
            Part::Cost => ("Cost", cost::run()?),
        };
        println!("## {title}\n\n{text}");
    }
    Ok(())
}

/// Where numbers were chosen by looking at data: those of the harness, and those that are part of a policy.
const CONSTANTS: &str = concat!(
    include_str!("constants.rs"),
    include_str!("../../../crates/policy/src/lease.rs"),
    include_str!("../../../crates/policy/src/guard.rs"),
    include_str!("../../../crates/policy/src/warning.rs"),
    include_str!("../../../crates/policy/src/warning/range.rs"),
    include_str!("../../../crates/policy/src/warning/season.rs"),
    include_str!("../../../crates/policy/src/learned.rs"),
);
