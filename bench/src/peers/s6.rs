//! s6: `s6-svscan` with one `s6-supervise` per agent.

use std::fs;
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
        "none for a service that said it was ready, as these do (else 1 s, fixed)"
    }

    fn version(&self) -> Result<String> {
        debian_version("s6", "s6-svscan")
    }

    fn start(&mut self, fleet: &Fleet) -> Result<()> {
        let services = service_directories(fleet)?;
        for id in fleet.ids() {
            fs::write(services.join(format!("a-{id}/notification-fd")), "3")?;
        }
        let most = fleet.count.max(4).to_string();
        tree::start(
            Command::new("s6-svscan").args(["-c", &most]).arg(services),
            &fleet.dir.join("log"),
        )?;
        Ok(())
    }
}
