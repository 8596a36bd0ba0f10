//! Chores and gates of the repository: `cargo xtask test` is the one command that must pass.

mod contract;
mod coverage;
mod fuzz;
mod gates;
mod generated;
mod kubernetes;
mod proof;
mod shell;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::shell::say;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["test"] => gates::run(),
        ["tidy"] => tidy::run(),
        ["generate"] => generated::write(),
        ["coverage"] => coverage::run(),
        ["crash"] => proof::crash("100"),
        ["crash", "--tries", tries] => proof::crash(tries),
        ["contract"] => contract::contract("50"),
        ["contract", "--examples", examples] => contract::contract(examples),
        ["manifests"] => kubernetes::manifests(),
        ["fuzz"] => fuzz::fuzz("600").map(|told| say(&told)),
        ["fuzz", "--seconds", seconds] => fuzz::fuzz(seconds).map(|told| say(&told)),
        ["proof", words @ ..] => proof::run(words),
        [] | ["help" | "--help" | "-h"] => {
            say(HELP);
            Ok(())
        }
        [other, ..] => bail!("no such chore: {other}\n\n{HELP}"),
    }
}

const HELP: &str = "\
cargo xtask test       every gate, in the order in which they fail fastest
cargo xtask tidy       the rules of the house: arrows, purity, sizes, words
cargo xtask generate   writes the generated files anew
cargo xtask coverage   line coverage of the pure crates, at least 90 % each
cargo xtask crash      kills daemon, keeper and agents of the release binary, 100 times each (--tries N)
cargo xtask contract   asks a real daemon what its OpenAPI document permits, with schemathesis (--examples N)
cargo xtask manifests  holds the manifests for Kubernetes to the schemas that it publishes, with kubernetes-validate
cargo xtask fuzz       tries the doors of Stead with made-up input, ten minutes each (--seconds N)
cargo xtask proof      all long tests and all benchmarks, written down in bench/proof.md; takes hours (WORD...: the steps with one of them)";
