//! Runs commands from the root of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Says a line to whoever runs the chore.
pub(crate) fn say(line: &str) {
    #[expect(clippy::print_stdout, reason = "chores speak to people, and only here")]
    {
        println!("{line}");
    }
}

/// The `cargo` that runs us, at the root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(args);
    command
}

/// Where a tool is, if it is anywhere: named by a variable, in the environment that `.ci/run` makes, or installed.
pub(crate) fn tool(variable: &str, name: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let made = root().join("target/venv/bin").join(name);
    let candidates = [named, Some(made), Some(PathBuf::from(name))];
    let works = |program: &PathBuf| output(Command::new(program).arg("--version")).is_ok();
    candidates.into_iter().flatten().find(works)
}

/// Runs `command` with its output going where ours goes.
///
/// # Errors
///
/// It could not be started, or it failed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", words(command)))?;
    ensure!(status.success(), "{} failed: {status}", words(command));
    Ok(())
}

/// Runs `command` and takes what it writes to stdout.
///
/// # Errors
///
/// It could not be started, it failed, or its output is not UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", words(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}\n{}",
            words(command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("output of {}", words(command)))
}

/// What `command` would look like if typed.
pub(crate) fn words(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
