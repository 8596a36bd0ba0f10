//! Erlang/OTP: a `one_for_one` supervisor of processes that each own a port, in `peers/*.erl`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Peer, debian_version};
use crate::fleet::Fleet;
use crate::tree;

/// Debian's package `erlang-base` and the two modules beside this harness.
#[derive(Debug)]
pub(crate) struct Erlang;

impl Peer for Erlang {
    fn name(&self) -> &'static str {
        "erlang"
    }

    fn delay(&self) -> &'static str {
        "none (intensity 1,000,000 in 1 s)"
    }

    fn version(&self) -> Result<String> {
        debian_version("erlang-base", "erlc")
    }

    fn start(&mut self, fleet: &Fleet) -> Result<()> {
        let log = fleet.dir.join("log");
        let supervisor = fleet.write("fleet_sup.erl", include_str!("../../peers/fleet_sup.erl"))?;
        let port = fleet.write("agent_port.erl", include_str!("../../peers/agent_port.erl"))?;
        let compile = |source: &Path, command: &mut Command| {
            tree::run(
                command.current_dir(&fleet.dir).arg("-o").arg(&fleet.dir).arg(source),
                &log,
                Duration::from_secs(60),
            )
        };
        compile(&supervisor, &mut Command::new("erlc"))?;
        compile(&port, &mut Command::new("erlc"))?;

        let mut command = Command::new("erl");
        command
            .args(["-noinput", "-start_epmd", "false", "-pa"])
            .arg(&fleet.dir);
        command
            .args(["-s", "fleet_sup", "main", "-extra"])
            .arg(&fleet.agent)
            .arg(&fleet.fifo)
            .arg(fleet.count.to_string());
        tree::start(&mut command, &log)?;
        Ok(())
    }
}
