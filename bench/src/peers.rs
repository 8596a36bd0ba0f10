//! The systems that are compared, each behind one small trait and in a file of its own.

mod erlang;
pub(crate) mod floor;
mod pm2;
mod runit;
mod s6;
mod stead;
mod supervisord;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) use stead::Stead;

use crate::fleet::Fleet;

/// A supervisor that can run a fleet of agents. What it started is ended by [`crate::tree::sweep`].
pub(crate) trait Peer {
    /// What it is called in tables and on the command line.
    fn name(&self) -> &'static str;

    /// The delay that it is configured to leave between an agent's end and the next start: the lowest that it allows.
    fn delay(&self) -> &'static str;

    /// Which version is here.
    ///
    /// # Errors
    /// It is not installed; the error says how to get it.
    fn version(&self) -> Result<String>;

    /// Starts the supervisor with all agents of the fleet. Returns when it has been told of all of them, not when they run.
    ///
    /// # Errors
    /// It cannot run that many, or did not start.
    fn start(&mut self, fleet: &Fleet) -> Result<()>;

    /// Whether it is of interest where agents are killed one by one, and nowhere else.
    fn only_respawns(&self) -> bool {
        false
    }

    /// Ends politely what a kill would leave behind outside of its processes; most leave nothing.
    fn stop(&mut self) {}
}

/// Every system, the floor first.
pub(crate) fn all(stead: Option<&Path>, installed: Option<&Path>) -> Result<Vec<Box<dyn Peer>>> {
    let installed = installed.map_or_else(default_installed, |path| Ok(path.to_owned()))?;
    Ok(vec![
        Box::new(floor::Floor),
        Box::new(Stead::new(stead)?),
        Box::new(Stead::flushed(stead)?),
        Box::new(runit::Runit),
        Box::new(s6::S6),
        Box::new(supervisord::Supervisord::new(&installed)),
        Box::new(pm2::Pm2::new(&installed)),
        Box::new(erlang::Erlang),
    ])
}

fn default_installed() -> Result<PathBuf> {
    Ok(PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache/stead-bench"))
}

/// What a command prints when it succeeds; the error of a missing one says how to install it.
fn output_of(program: &Path, args: &[&str]) -> Result<String> {
    let output = std::process::Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("{} is not here; bench/peers/install.sh installs it", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Version of an installed Debian package.
fn debian_version(package: &str, program: &str) -> Result<String> {
    let found = env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).exists());
    anyhow::ensure!(found, "{program} is not here; bench/peers/install.sh installs it");
    output_of(Path::new("dpkg-query"), &["-W", "-f", "${Version}", package])
}

/// Lays out a directory of services, one per agent: its program `run`, and beside it where to report and as whom.
fn service_directories(fleet: &Fleet) -> Result<PathBuf> {
    use std::os::unix::fs::symlink;
    let services = fleet.dir.join("services");
    for id in fleet.ids() {
        let dir = services.join(format!("a-{id}"));
        std::fs::create_dir_all(&dir)?;
        symlink(&fleet.agent, dir.join("run"))?;
        symlink(&fleet.fifo, dir.join("report"))?;
        std::fs::write(dir.join("id"), id.to_string())?;
    }
    Ok(services)
}
