//! Feeds the doors of Stead with what libFuzzer makes up, by plain `cargo build`: it takes a stable toolchain and the C++ compiler
//! that builds libFuzzer. Only our own crates tell where they have been; what they stand on is as built for the tests.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use crate::shell::{cargo, root, run, say, target, words};

/// The doors; each is a target of the crate `stead-fuzz`.
const DOORS: &[&str] = &["configuration", "api", "notify", "frames"];

/// Compiles one of our crates so that every branch tells that it was taken, and every comparison what was compared.
const COMPILER: &str = "xtask/src/fuzz/rustc.sh";

/// The most memory that one try may come to, in MiB, and the most seconds that it may take.
const MEMORY: u32 = 2048;
const PATIENCE: u32 = 25;

/// Builds the targets and tries each for so many seconds, two at a time. Gives what each came to, one line each.
///
/// # Errors
///
/// It cannot be built, or there is a finding: the input is kept below `target/fuzz/findings` and named.
pub(crate) fn fuzz(seconds: &str) -> Result<String> {
    let seconds: u32 = seconds
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0)
        .with_context(|| format!("--seconds wants a number, not {seconds}"))?;
    let begun = Instant::now();
    let programs = &build()?;
    say(&format!("built in {:.0} s", begun.elapsed().as_secs_f64()));
    let mut told = Vec::new();
    for pair in DOORS.chunks(2) {
        let together: Vec<Result<String>> = std::thread::scope(|scope| {
            let running: Vec<_> = pair
                .iter()
                .map(|door| scope.spawn(move || search(door, &programs.join(door), seconds)))
                .collect();
            let ended = running.into_iter().map(|one| one.join());
            ended
                .map(|ended| ended.unwrap_or_else(|_panicked| Err(anyhow!("a search was not watched to its end"))))
                .collect()
        });
        for one in together {
            told.push(one?);
        }
    }
    Ok(told.join("\n"))
}

/// Builds all targets; gives the folder where they lie.
fn build() -> Result<PathBuf> {
    let mut build = cargo(&["build", "--package", "stead-fuzz", "--features", "libfuzzer", "--bins"]);
    build.env("RUSTC_WORKSPACE_WRAPPER", root().join(COMPILER));
    run(&mut build)?;
    Ok(target().join("debug"))
}

/// Tries one door. What reaches new code is kept in `target/fuzz/corpus` and tried first the next time.
fn search(door: &str, program: &PathBuf, seconds: u32) -> Result<String> {
    let folder = target().join("fuzz");
    let (corpus, artifacts) = (folder.join("corpus").join(door), folder.join("findings").join(door));
    for needed in [&corpus, &artifacts] {
        std::fs::create_dir_all(needed).with_context(|| format!("cannot make {}", needed.display()))?;
    }
    let mut command = Command::new(program);
    command
        .current_dir(root())
        .arg(&corpus)
        .arg(root().join("fuzz/seeds").join(door));
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={PATIENCE}"),
        format!("-rss_limit_mb={MEMORY}"),
        format!("-artifact_prefix={}/", artifacts.display()),
        "-print_final_stats=1".to_owned(),
        "-max_len=16384".to_owned(),
    ]);
    command.stderr(Stdio::piped()).stdout(Stdio::null());
    let start = format!("cannot start {}", words(&command));
    let mut running = command.spawn().with_context(|| start.clone())?;
    let mut told = Told::default();
    for line in BufReader::new(running.stderr.take().context(start)?).lines() {
        told.hear(line?);
    }
    let status = running.wait()?;
    let last = told.last.into_iter().collect::<Vec<_>>().join("\n");
    ensure!(status.success(), "{door}: a finding ({status})\n{last}");
    ensure!(
        told.tries > told.kept,
        "{door}: nothing was made up in {seconds} s\n{last}"
    );
    Ok(format!(
        "{door}: {} tries in {seconds} s, {} of them made up, {} places reached, no finding",
        told.tries,
        told.tries.saturating_sub(told.kept),
        told.reached
    ))
}

/// What is worth keeping of what libFuzzer says.
#[derive(Default)]
struct Told {
    last: VecDeque<String>,
    tries: u64,
    /// Of those, what was kept from earlier searches and went first.
    kept: u64,
    reached: String,
}

impl Told {
    fn hear(&mut self, line: String) {
        if let Some(tries) = line.strip_prefix("stat::number_of_executed_units:") {
            self.tries = tries.trim().parse().unwrap_or(0);
        }
        if let Some((kept, _)) = line.split_once("\tINITED ") {
            self.kept = kept.trim_start_matches('#').parse().unwrap_or(0);
        }
        if let Some((_, rest)) = line.split_once(" cov: ") {
            rest.split(' ').next().unwrap_or_default().clone_into(&mut self.reached);
        }
        self.last.push_back(line);
        if self.last.len() > LINES {
            self.last.pop_front();
        }
    }
}

const LINES: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_search_came_to_is_read_from_what_it_says() {
        let mut told = Told::default();
        for line in [
            "#8\tINITED cov: 12 ft: 40 corp: 3/9b exec/s: 0 rss: 30Mb",
            "#90\tNEW    cov: 15 ft: 44 corp: 4/12b",
            "stat::number_of_executed_units: 1234",
        ] {
            told.hear(line.to_owned());
        }
        assert_eq!((told.tries, told.kept, told.reached.as_str()), (1234, 8, "15"));
    }

    #[test]
    fn seconds_are_a_number_above_nought() {
        for wrong in ["0", "-1", "long", ""] {
            assert!(fuzz(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_door_is_a_target_and_has_seeds() {
        for door in DOORS {
            for there in [format!("fuzz/targets/{door}.rs"), format!("fuzz/seeds/{door}")] {
                assert!(root().join(&there).exists(), "{there}");
            }
        }
    }
}
