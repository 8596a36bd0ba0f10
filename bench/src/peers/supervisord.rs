//! supervisord, with the sections of its configuration written out, one per agent.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Peer, output_of};
use crate::fleet::Fleet;
use crate::tree;

/// PyPI's package `supervisor`.
#[derive(Debug)]
pub(crate) struct Supervisord {
    program: PathBuf,
}

impl Supervisord {
    pub(crate) fn new(installed: &Path) -> Self {
        Self {
            program: installed.join("venv/bin/supervisord"),
        }
    }
}

impl Peer for Supervisord {
    fn name(&self) -> &'static str {
        "supervisord"
    }

    fn delay(&self) -> &'static str {
        "none (startsecs=0); its loop starts again one turn, up to 1 s, after it reaped"
    }

    fn version(&self) -> Result<String> {
        output_of(&self.program, &["--version"])
    }

    fn start(&mut self, fleet: &Fleet) -> Result<()> {
        let config = fleet.write("supervisord.conf", configuration(fleet)?)?;
        let mut command = Command::new(&self.program);
        command.arg("--nodaemon").arg("--configuration").arg(config);
        tree::start(&mut command, &fleet.dir.join("log"))?;
        Ok(())
    }
}

fn configuration(fleet: &Fleet) -> Result<String> {
    let (dir, agent, fifo) = (
        Fleet::text(&fleet.dir)?,
        Fleet::text(&fleet.agent)?,
        Fleet::text(&fleet.fifo)?,
    );
    let descriptors = fleet.count * 4 + 100;
    let mut text = format!(
        "[supervisord]\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\nloglevel=error\npidfile={dir}/pid\n\
         childlogdir={dir}\nminfds={descriptors}\n"
    );
    for id in fleet.ids() {
        // A log, if only to nowhere: it then polls the agent's output, whose end wakes it before its timer of 1 s does.
        write!(
            text,
            "\n[program:a-{id}]\ncommand={agent} {fifo} {id}\nautorestart=true\nstartsecs=0\nstartretries=1000000\n\
             redirect_stderr=true\nstdout_logfile=/dev/null\nstdout_logfile_maxbytes=0\n"
        )?;
    }
    Ok(text)
}
