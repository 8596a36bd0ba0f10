//! runit: `runsvdir` with one `runsv` per agent.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{Peer, debian_version, service_directories};
use crate::fleet::Fleet;
use crate::tree;

/// Debian's package `runit`.
#[derive(Debug)]
pub(crate) struct Runit;

impl Peer for Runit {
    fn name(&self) -> &'static str {
        "runit"
    }

    fn delay(&self) -> &'static str {
        "1 s between two starts (fixed), none after longer runs"
    }

    fn version(&self) -> Result<String> {
        debian_version("runit", "runsvdir")
    }

    fn start(&mut self, fleet: &Fleet) -> Result<()> {
        ensure!(fleet.count <= 1000, "runsvdir runs 1,000 services at most");
        let services = service_directories(fleet)?;
        tree::start(Command::new("runsvdir").arg("-P").arg(services), &fleet.dir.join("log"))?;
        Ok(())
    }
}
