//! What takes too long for every change: crash tests in their long forms, many simulated lives, all benchmarks; and the page that tells
//! how they went.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::shell::{cargo, output, root, say, words};

/// Where the last proof lies.
const PAGE: &str = "bench/proof.md";

/// Lives of the simulator in a proof.
const LIVES: &str = "100000";

/// Benchmarks of a proof: all cases; beside the peers that take part in each within minutes.
const BENCHES: &[&[&str]] = &[
    &["respawn", "--samples", "100"],
    &["mass", "--samples", "5"],
    &["adopt"],
    &["transitions"],
    &["idle", "--peers", "stead"],
    &["million"],
    &["beats"],
];

/// Kills daemon, keeper and agents of the release binary, `tries` times each. The figures are among what is printed.
///
/// # Errors
///
/// A test failed; its last seed is printed before it.
pub(crate) fn crash(tries: &str) -> Result<()> {
    let step = crashes(tries)?;
    step.take().map(drop)
}

/// Runs everything, or the steps whose command has one of the `words`, and writes down how it went, with the commands, the time and
/// the shape of the machine. What the page says of the other steps stays.
///
/// # Errors
///
/// No step has such a word, or something failed; the page is written all the same and says so.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let steps = steps()?;
    let lines: Vec<String> = steps.iter().map(Step::line).collect();
    for word in words {
        ensure!(
            lines.iter().any(|line| line.contains(word)),
            "no step of a proof has `{word}` in it; they are:\n{}",
            lines.join("\n")
        );
    }
    let page = root().join(PAGE);
    let mut sections = sections(&std::fs::read_to_string(&page).unwrap_or_default(), &lines);
    let mut failed = Vec::new();
    for (step, line) in steps.into_iter().zip(&lines) {
        if !words.is_empty() && !words.iter().any(|word| line.contains(word)) {
            continue;
        }
        let (shape, begun) = (shape(), Instant::now());
        let (verdict, told) = match step.take() {
            Ok(told) => ("passed", told),
            Err(error) => {
                failed.push(line.clone());
                ("FAILED", format!("{error:#}"))
            }
        };
        let lasted = begun.elapsed().as_secs_f64();
        let told = told.trim();
        let section = format!("{shape}\n\n{verdict} in {lasted:.0} s\n\n```text\n{told}\n```\n\n");
        sections.insert(line.clone(), section);
        std::fs::write(&page, written(&sections, &lines)?).with_context(|| format!("cannot write {PAGE}"))?;
    }
    say(&format!("wrote {PAGE}"));
    ensure!(failed.is_empty(), "failed: {}", failed.join("; "));
    Ok(())
}

/// All that a proof consists of.
fn steps() -> Result<Vec<Step>> {
    let mut steps = vec![crashes("100")?];
    steps.push(tried("1", "e2e::rollout"));
    steps.push(tried("1", "e2e::example"));
    steps.push(Step {
        env: &[("STEAD_RUNS", LIVES)],
        ..Step::new(&[
            "test",
            "--release",
            "-p",
            "stead-sim",
            "--test",
            "it",
            "--",
            "--nocapture",
            "crashes",
        ])
    });
    steps.push(Step {
        tries: Some("100".to_owned()),
        ..Step::new(&[
            "test",
            "--release",
            "-p",
            "stead-store",
            "--test",
            "it",
            "--",
            "--nocapture",
        ])
    });
    steps.push(Step::new(&["xtask", "fuzz", "--seconds", "600"]));
    steps.push(Step::new(&["xtask", "contract", "--examples", "100"]));
    steps.push(Step::new(&["build", "--release", "-p", "stead-agent", "--examples"]));
    steps.push(Step::new(&["bench", "-q", "-p", "stead-agent", "--bench", "figures"]));
    steps.push(Step::new(&["build", "--release", "-p", "stead"]));
    for case in BENCHES {
        let bench = ["run", "--release", "-p", "stead-bench", "--"];
        steps.push(Step::new(&[&bench, *case].concat()));
    }
    Ok(steps)
}

/// What the page says of each of these commands.
fn sections(page: &str, lines: &[String]) -> BTreeMap<String, String> {
    let said = page
        .split("\n## `")
        .skip(1)
        .filter_map(|section| section.split_once("`\n\n"));
    said.filter(|(line, _)| lines.iter().any(|known| known == line))
        .map(|(line, told)| (line.to_owned(), format!("{}\n\n", told.trim_end())))
        .collect()
}

/// The page, its steps in their order.
fn written(sections: &BTreeMap<String, String>, lines: &[String]) -> Result<String> {
    let mut page =
        "# The last proof\n\nWritten by `cargo xtask proof`; each step says when and of which commit it ran.\n\n"
            .to_owned();
    for line in lines {
        if let Some(section) = sections.get(line) {
            write!(page, "## `{line}`\n\n{section}")?;
        }
    }
    Ok(page.trim_end().to_owned() + "\n")
}

/// One command of a proof.
struct Step {
    words: Vec<String>,
    env: &'static [(&'static str, &'static str)],
    tries: Option<String>,
}

fn crashes(tries: &str) -> Result<Step> {
    ensure!(
        tries.parse::<u32>().is_ok_and(|tries| tries > 0),
        "--tries wants a number, not {tries}"
    );
    Ok(tried(tries, "e2e::crash"))
}

/// Tests of the release binary in their long form.
fn tried(tries: &str, tests: &str) -> Step {
    Step {
        tries: Some(tries.to_owned()),
        // One after the other: each of them wants the machine for its figures.
        ..Step::new(&[
            "test",
            "--release",
            "-p",
            "stead",
            "--test",
            "it",
            "--",
            "--nocapture",
            "--test-threads",
            "1",
            tests,
        ])
    }
}

impl Step {
    fn new(words: &[&str]) -> Self {
        Self {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            env: &[],
            tries: None,
        }
    }

    fn command(&self) -> Command {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let mut command = cargo(&words);
        command.envs(self.env.iter().copied());
        if let Some(tries) = &self.tries {
            command.env("STEAD_TRIES", tries);
        }
        command
    }

    /// As one would type it.
    fn line(&self) -> String {
        let command = self.command();
        let env = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let env = env.map(|(name, value)| format!("{}={} ", name.display(), value.display()));
        env.collect::<String>() + &words(&command)
    }

    /// Runs it, its output shown as it comes; gives what is worth keeping of it.
    fn take(&self) -> Result<String> {
        say(&format!("\n==> {}", self.line()));
        let start = || format!("cannot start {}", self.line());
        let mut running = self.command().stdout(Stdio::piped()).spawn().with_context(start)?;
        let mut told = String::new();
        for line in BufReader::new(running.stdout.take().with_context(start)?).lines() {
            let line = line?;
            say(&line);
            told.push_str(&line);
            told.push('\n');
        }
        let status = running.wait()?;
        ensure!(status.success(), "{status}\n{}", last(&told));
        Ok(worth_keeping(&told))
    }
}

/// Without the seeds of tries that went well.
fn worth_keeping(told: &str) -> String {
    let kept = told
        .lines()
        .filter(|line| !line.contains("STEAD_SEED=") && !line.trim().is_empty());
    kept.collect::<Vec<_>>().join("\n")
}

/// The last lines, which name the seed of a try that failed.
fn last(told: &str) -> String {
    let lines: Vec<&str> = told.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

const LINES: usize = 80;

/// When and on what.
fn shape() -> String {
    let says = |program: &str, arguments: &[&str]| {
        let said = output(Command::new(program).args(arguments)).unwrap_or_default();
        said.trim().to_owned()
    };
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().next().unwrap_or_default().replace("MemTotal:", "");
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "- {}\n- commit {}\n- {cpus} CPUs, {} of memory, {}\n- {}\n- load before: {}",
        says("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        says("git", &["rev-parse", "--short", "HEAD"]),
        memory.trim(),
        says("uname", &["-srm"]),
        says("rustc", &["--version"]),
        std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_reads_as_one_would_type_it() {
        let line = crashes("7").unwrap().line();
        assert_eq!(
            line,
            "STEAD_TRIES=7 cargo test --release -p stead --test it -- --nocapture --test-threads 1 e2e::crash"
        );
    }

    #[test]
    fn tries_are_a_number_above_nought() {
        for wrong in ["0", "-1", "many", ""] {
            assert!(crashes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_step_that_is_not_run_again_stays_as_it_was() {
        let lines = ["one".to_owned(), "two --x `y`".to_owned(), "three".to_owned()];
        let mut said = BTreeMap::new();
        said.insert(
            "three".to_owned(),
            "- now\n\npassed in 1 s\n\n```text\n## a table\n```\n\n".to_owned(),
        );
        said.insert(
            "one".to_owned(),
            "- then\n\nFAILED in 2 s\n\n```text\nwhy\n```\n\n".to_owned(),
        );
        let page = written(&said, &lines).unwrap();
        assert_eq!(sections(&page, &lines), said);
        assert!(page.find("FAILED") < page.find("passed"));
    }

    #[test]
    fn a_word_that_no_step_has_is_told_with_those_there_are() {
        let refused = run(&["nonsense"]).unwrap_err().to_string();
        assert!(
            refused.contains("nonsense") && refused.contains("e2e::crash"),
            "{refused}"
        );
    }

    #[test]
    fn seeds_that_went_well_are_not_kept() {
        assert_eq!(
            worth_keeping("a: STEAD_SEED=1\n\nok 1\na: STEAD_SEED=2\nok 2\n"),
            "ok 1\nok 2"
        );
    }
}
