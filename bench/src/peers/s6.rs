//! s6: `s6-svscan` with one `s6-supervise` per agent.

use std::process::Command;

use anyhow::Result;

use super::{Peer, debian_version, service_directories};
use crate::fleet::Fleet;
use crate::tree;

/// Debian's package `s6`.
#[derive(Debug)]
pub(crate) struct S6;

impl Peer for S6 {
    fn name(&self) -> &'static str {
        "s6"
    }

    fn delay(&self) -> &'static str {
        "1 s between two starts (fixed), none after longer runs"
    }

    fn version(&self) -> Result<String> {
        debian_version("s6", "s6-svscan")
    }

    fn start(&mut self, fleet: &Fleet) -> Result<()> {
        let services = service_directories(fleet)?;
        let most = fleet.count.max(4).to_string();
        tree::start(
            Command::new("s6-svscan").args(["-c", &most]).arg(services),
            &fleet.dir.join("log"),
        )?;
        Ok(())
    }
}
