//! Line coverage of the pure crates, measured with what rustc and LLVM bring along.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::shell::{cargo, output, root, run as run_command, say};

/// The crates that are measured, by their folders.
const MEASURED: &[&str] = &["model", "policy", "engine"];

/// The packages whose tests count: those of the crates themselves and of the simulator, which drives them all.
const TESTED: &[&str] = &["stead-model", "stead-policy", "stead-engine", "stead-sim"];

/// At least so many of a hundred lines.
const PERCENT: f64 = 90.0;

/// Runs the tests of the pure crates, instrumented, and says how many lines each crate's tests reach.
///
/// # Errors
///
/// A test failed, LLVM's tools are missing, or a crate stays below the bound.
pub(crate) fn run() -> Result<()> {
    let tools = Tools::find()?;
    let folder = root().join("target/coverage");
    let profiles = folder.join("profiles");
    if profiles.exists() {
        std::fs::remove_dir_all(&profiles).context("cannot remove old profiles")?;
    }
    let tests = build(&folder)?;
    for test in &tests {
        run_command(
            Command::new(test)
                .current_dir(root())
                .arg("--quiet")
                .env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw")),
        )?;
    }
    let lines = tools.count(&profiles, &tests)?;
    report(&lines)
}

/// Lines of one crate.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Lines {
    all: u64,
    reached: u64,
}

/// Builds the instrumented tests and returns their binaries.
fn build(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut build = cargo(&[
        "test",
        "--no-run",
        "--lib",
        "--tests",
        "--message-format",
        "json-render-diagnostics",
    ]);
    build.args(TESTED.iter().flat_map(|package| ["--package", package]));
    // Build scripts are instrumented too: without a place for their profiles they litter the tree.
    build.env("LLVM_PROFILE_FILE", folder.join("build-%p-%m.profraw"));
    build
        .env("RUSTFLAGS", "-C instrument-coverage")
        .env("CARGO_TARGET_DIR", folder);
    let messages = output(&mut build)?;
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect())
}

/// LLVM's own tools, of a version that reads what rustc writes.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    /// Looks in the toolchain (component `llvm-tools`), then for a distribution's LLVM 19 or later.
    fn find() -> Result<Self> {
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let version = output(Command::new("rustc").arg("-vV"))?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("rustc names no host")?;
        let bin = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin");
        let own = Self {
            profdata: bin.join("llvm-profdata"),
            cov: bin.join("llvm-cov"),
        };
        let packaged = (19..=25).rev().map(|n| Self {
            profdata: format!("llvm-profdata-{n}").into(),
            cov: format!("llvm-cov-{n}").into(),
        });
        let works = |tools: &Self| output(Command::new(&tools.cov).arg("--version")).is_ok();
        match std::iter::once(own).chain(packaged).find(works) {
            Some(tools) => Ok(tools),
            None => bail!("LLVM's tools are missing: `rustup component add llvm-tools`, or `apt-get install llvm-19`"),
        }
    }

    fn count(&self, profiles: &Path, tests: &[PathBuf]) -> Result<BTreeMap<String, Lines>> {
        let merged = profiles.join("all.profdata");
        run_command(
            Command::new(&self.profdata)
                .args(["merge", "-sparse", "-o"])
                .arg(&merged)
                .arg(profiles),
        )?;
        let mut export = Command::new(&self.cov);
        export.args(["export", "-summary-only", "-instr-profile"]).arg(&merged);
        export.args(tests.iter().flat_map(|test| [Path::new("-object"), test]));
        count(&serde_json::from_str(&output(&mut export)?)?)
    }
}

/// Sums up LLVM's export by crate. What tests consist of does not count.
fn count(export: &Value) -> Result<BTreeMap<String, Lines>> {
    let files = export["data"][0]["files"]
        .as_array()
        .context("llvm-cov names no files")?;
    let mut crates = BTreeMap::<String, Lines>::new();
    for file in files {
        let path = file["filename"].as_str().unwrap_or_default();
        let Some((name, inside)) = path
            .rsplit_once("crates/")
            .and_then(|(_, path)| path.split_once("/src/"))
        else {
            continue;
        };
        if inside.ends_with("tests.rs") || inside.contains("tests/") || !MEASURED.contains(&name) {
            continue;
        }
        let lines = &file["summary"]["lines"];
        let sum = crates.entry(name.to_owned()).or_default();
        sum.all += lines["count"].as_u64().context("llvm-cov counts no lines")?;
        sum.reached += lines["covered"].as_u64().context("llvm-cov covers no lines")?;
    }
    Ok(crates)
}

fn report(crates: &BTreeMap<String, Lines>) -> Result<()> {
    let mut below = Vec::new();
    for name in MEASURED {
        let lines = crates.get(*name).copied().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 lines")]
        let percent = 100.0 * lines.reached as f64 / lines.all.max(1) as f64;
        say(&format!(
            "{name:<8} {percent:>6.2} %  {} of {} lines",
            lines.reached, lines.all
        ));
        if percent < PERCENT {
            below.push(*name);
        }
    }
    ensure!(
        below.is_empty(),
        "less than {PERCENT} % of the lines are reached in {}",
        below.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, all: u64, reached: u64) -> Value {
        serde_json::json!({"filename": path, "summary": {"lines": {"count": all, "covered": reached}}})
    }

    #[test]
    fn lines_are_summed_up_by_crate_without_tests_and_strangers() {
        let export = serde_json::json!({"data": [{"files": [
            file("/a/crates/model/src/id.rs", 10, 9),
            file("/a/crates/model/src/spec/probe.rs", 10, 10),
            file("/a/crates/model/src/id/tests.rs", 50, 50),
            file("/a/crates/store/src/lib.rs", 50, 50),
            file("/b/serde/src/lib.rs", 50, 0),
        ]}]});
        assert_eq!(
            count(&export).unwrap(),
            [("model".to_owned(), Lines { all: 20, reached: 19 })].into()
        );
    }

    #[test]
    fn a_crate_below_the_bound_or_without_lines_fails() {
        let enough = Lines { all: 10, reached: 9 };
        let full = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), enough)).collect();
        assert!(report(&full(MEASURED)).is_ok());
        assert!(report(&full(&["model", "policy"])).is_err());
        let low = Lines { all: 100, reached: 89 };
        assert!(report(&MEASURED.iter().map(|name| ((*name).to_owned(), low)).collect()).is_err());
    }
}
