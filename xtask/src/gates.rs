//! Every gate of the repository, in the order in which they fail fastest.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::shell::{cargo, output, root, say, words};
use crate::tidy::metadata::Metadata;
use crate::{contract, fuzz, kubernetes, tidy};

/// Runs all gates and stops at the first that fails.
///
/// # Errors
///
/// The gate that failed.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    let mut times = Vec::new();
    for gate in gates()? {
        let name = gate.name();
        say(&format!("\n==> {name}"));
        let begun = Instant::now();
        let result = gate.run();
        times.push((name.clone(), begun.elapsed()));
        if result.is_err() {
            summary(&times, start.elapsed());
        }
        result.with_context(|| format!("gate failed: {name}"))?;
    }
    summary(&times, start.elapsed());
    Ok(())
}

enum Gate {
    Command(Command),
    Tidy,
    /// Each door is tried for a short time.
    Fuzz,
    /// The manifests are held to published schemas.
    Manifests,
    /// A daemon is asked what its description permits.
    Contract,
    /// Needs a tool that is not here: said, not hidden.
    Skipped(&'static str),
}

impl Gate {
    fn name(&self) -> String {
        match self {
            Self::Tidy => "cargo xtask tidy".to_owned(),
            Self::Manifests => "cargo xtask manifests".to_owned(),
            Self::Fuzz => format!("cargo xtask fuzz --seconds {FUZZ_SECONDS}"),
            Self::Contract => format!("cargo xtask contract --examples {CONTRACT_EXAMPLES}"),
            Self::Skipped(why) => format!("skipped: {why}"),
            Self::Command(command) => {
                let env = command.get_envs().filter_map(|(key, value)| Some((key, value?)));
                let env = env.filter(|(key, _)| *key != "CARGO_TARGET_DIR");
                let env = env.map(|(key, value)| format!("{}=\"{}\" ", key.display(), value.display()));
                env.collect::<String>() + &words(command)
            }
        }
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Command(mut command) => crate::shell::run(&mut command),
            Self::Tidy => tidy::run(),
            Self::Manifests => kubernetes::manifests(),
            Self::Contract => contract::contract(CONTRACT_EXAMPLES),
            Self::Fuzz => fuzz::fuzz(FUZZ_SECONDS).map(|told| say(&told)),
            Self::Skipped(_) => Ok(()),
        }
    }
}

fn gates() -> Result<Vec<Gate>> {
    let mut gates = vec![
        Gate::Command(cargo(&["fmt", "--all", "--check"])),
        Gate::Command(cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ])),
    ];
    gates.extend(tests().into_iter().map(Gate::Command));
    gates.extend([
        Gate::Command(cargo(&["test", "--workspace", "--all-features", "--doc", "--quiet"])),
        Gate::Command(documentation()),
        Gate::Tidy,
    ]);
    gates.push(if output(Command::new("c++").arg("--version")).is_ok() {
        Gate::Fuzz
    } else {
        Gate::Skipped("there is no C++ compiler, made-up input is not tried")
    });
    gates.push(if kubernetes::validator().is_some() {
        Gate::Manifests
    } else {
        Gate::Skipped("kubernetes-validate is not installed, the manifests are not held to the schemas")
    });
    gates.push(if contract::schemathesis().is_some() {
        Gate::Contract
    } else {
        Gate::Skipped("schemathesis is not installed, the API is not held to its description as a whole")
    });
    gates.extend(looms(&Metadata::read()?).map(Gate::Command));
    gates.push(supply_chain());
    Ok(gates)
}

/// nextest where it is installed: one process per test, and a test that hangs is ended. It builds the examples that tests start.
fn tests() -> Vec<Command> {
    if output(&mut cargo(&["nextest", "--version"])).is_ok() {
        let words = ["nextest", "run", "--workspace", "--all-features"];
        vec![cargo(&[&words[..], &["--no-fail-fast", "--no-tests", "warn"]].concat())]
    } else {
        without_nextest().into()
    }
}

/// What nextest does by itself or by `.config/nextest.toml`: the examples first, as cargo builds none for tests that are chosen by kind;
/// then the tests, those that judge processes by the dozen one at a time.
fn without_nextest() -> [Command; 3] {
    let workspace = ["--workspace", "--all-features"];
    let chosen = [
        "test",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
        "--bins",
        "--tests",
    ];
    let skipped = ALONE.map(|name| ["--skip", name]).concat();
    [
        bounded(cargo(&[&["build", "--examples"], &workspace[..]].concat())),
        bounded(cargo(&[&chosen[..], &["--lib", "--"], &skipped].concat())),
        bounded(cargo(&[&chosen[..], &["--", "--test-threads", "1"], &ALONE].concat())),
    ]
}

/// The command, ended where it takes as long as only one takes that hangs; as it is on a system without `timeout`.
fn bounded(command: Command) -> Command {
    if output(Command::new("timeout").arg("--version")).is_err() {
        return command;
    }
    let mut bounded = Command::new("timeout");
    bounded.args(["--kill-after=60", HANGS]);
    bounded.arg(command.get_program()).args(command.get_args());
    bounded.current_dir(root());
    bounded
}

/// Longer than any of them takes with all that it has to build.
const HANGS: &str = "90m";

/// Names of the tests that start and kill processes by the dozen, and judge what comes back within a bound.
const ALONE: [&str; 3] = ["e2e::", "floor::", "a_flood_delays_no_end_of_another"];

fn documentation() -> Command {
    let mut command = cargo(&["doc", "--workspace", "--all-features", "--no-deps", "--quiet"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// The loom tests of every crate that depends on loom, in a target directory of their own as all of it is built anew.
fn looms(metadata: &Metadata) -> impl Iterator<Item = Command> {
    let with_loom = metadata.packages.iter().filter(|package| package.depends_on("loom"));
    with_loom.map(|package| {
        let mut command = cargo(&["test", "--lib", "--release", "--package", &package.name, "loom"]);
        command
            .env("RUSTFLAGS", "--cfg loom")
            .env("CARGO_TARGET_DIR", root().join("target/loom"));
        command
    })
}

/// Licences, sources and banned crates, by `deny.toml`. The tool takes longer to build than all gates, so it is optional.
fn supply_chain() -> Gate {
    if output(&mut cargo(&["deny", "--version"])).is_ok() {
        Gate::Command(cargo(&["deny", "check", "bans", "licenses", "sources"]))
    } else {
        Gate::Skipped("cargo-deny is not installed, licences and sources are not checked")
    }
}

/// How long each door is tried.
const FUZZ_SECONDS: &str = "20";

/// How much is asked of each operation beside the edges of its description.
const CONTRACT_EXAMPLES: &str = "5";

fn summary(times: &[(String, Duration)], total: Duration) {
    say("");
    for (name, time) in times {
        say(&format!("{:>6.1} s  {name}", time.as_secs_f64()));
    }
    say(&format!("{:>6.1} s  in all", total.as_secs_f64()));
}
