//! Benchmarks side by side with peers: how fast a killed agent runs again, alone and by the thousand, what a fleet at rest
//! costs, and how fast a killed daemon has its agents back. `README.md` beside this package has method and figures.

mod agent;
mod cases;
mod clock;
mod fleet;
mod http;
mod peers;
mod procfs;
mod report;
mod roster;
mod stats;
mod tree;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};

use crate::cases::Setup;
use crate::peers::Peer;
use crate::report::Report;

/// Benchmarks of Stead side by side with peers.
#[derive(Parser, Debug)]
#[command(name = "stead-bench")]
struct Args {
    /// What to measure.
    case: Case,
    /// Who takes part, by name, separated by commas [default: all that are installed].
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Kills per system (respawn), masses killed (mass), daemons killed per fleet (adopt) [default: 200, 5, 10; short: 20, 1, 2].
    #[arg(long)]
    samples: Option<u32>,
    /// Agents per system [default: 20 in respawn, 1000 in mass and idle, 100 and then 1000 in adopt].
    #[arg(long)]
    agents: Option<u32>,
    /// Fewer samples and 30 s instead of five minutes of idling: to see that it works, not to quote.
    #[arg(long)]
    short: bool,
    /// Where the result goes as JSON; the tables go to stdout.
    #[arg(long)]
    json: Option<PathBuf>,
    /// The binary of Stead [default: `stead` beside this program].
    #[arg(long, env = "STEAD_BIN")]
    stead: Option<PathBuf>,
    /// Where `peers/install.sh` put what it got from pip and npm [default: ~/.cache/stead-bench].
    #[arg(long, env = "STEAD_BENCH_PEERS")]
    installed: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Case {
    /// kill -9 of an agent to its replacement's first instruction.
    Respawn,
    /// All agents killed at once, until all are back.
    Mass,
    /// Memory and CPU of the supervisor with agents at rest.
    Idle,
    /// kill -9 of Stead's daemon, from exec of the next to ready with all agents adopted.
    Adopt,
    /// Transitions by HTTP that are on the disk when they are answered.
    Transitions,
    /// A million agents: memory, start, reads. Takes some minutes, and is no part of `all`.
    Million,
    /// A million agents that beat: what it costs to hear them, and how soon silence is found. Takes some minutes, and is no part of `all`.
    Beats,
    /// All of them.
    All,
}

fn main() -> Result<()> {
    if let Some(arguments) = peers::floor::arguments() {
        return peers::floor::run(&arguments);
    }
    let args = Args::parse();
    tree::prepare()?;
    let setup = Setup::new(&args)?;
    let mut peers = peers::all(args.stead.as_deref(), args.installed.as_deref())?;
    if let Some(unknown) = args
        .peers
        .iter()
        .find(|name| peers.iter().all(|peer| peer.name() != **name))
    {
        let known: Vec<_> = peers.iter().map(|peer| peer.name()).collect();
        bail!("no peer is called {unknown}; there are {}", known.join(", "));
    }
    peers.retain(|peer| args.peers.is_empty() || args.peers.iter().any(|name| name == peer.name()));

    let mut report = Report::new(&peers, args.short);
    let result = measure(&args, &setup, &mut peers, &mut report);
    tree::sweep();
    report.print();
    if let Some(path) = &args.json {
        report.write_json(path)?;
    }
    result
}

fn measure(args: &Args, setup: &Setup, peers: &mut [Box<dyn Peer>], report: &mut Report) -> Result<()> {
    let wanted = |case| args.case == case || args.case == Case::All;
    if wanted(Case::Respawn) {
        report.add(cases::respawn::measure(setup, peers)?);
    }
    if wanted(Case::Mass) {
        report.add(cases::mass::measure(setup, peers)?);
    }
    if wanted(Case::Idle) {
        report.add(cases::idle::measure(setup, peers)?);
    }
    if wanted(Case::Adopt) {
        report.add(cases::adopt::measure(setup, peers)?);
    }
    if wanted(Case::Transitions) {
        report.add(cases::transitions::measure(setup, peers)?);
    }
    if args.case == Case::Million {
        report.add(cases::million::measure(setup, peers)?);
    }
    if args.case == Case::Beats {
        report.add(cases::beats::measure(setup, peers)?);
    }
    Ok(())
}
