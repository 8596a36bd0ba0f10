//! pm2: its daemon, told of all agents by one ecosystem file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Peer, output_of};
use crate::fleet::Fleet;
use crate::tree;

/// The npm registry's package `pm2`.
#[derive(Debug)]
pub(crate) struct Pm2 {
    package: PathBuf,
}

impl Pm2 {
    pub(crate) fn new(installed: &Path) -> Self {
        Self {
            package: installed.join("pm2/node_modules/pm2"),
        }
    }
}

impl Peer for Pm2 {
    fn name(&self) -> &'static str {
        "pm2"
    }

    fn delay(&self) -> &'static str {
        "none (restart_delay 0, no exponential backoff)"
    }

    fn version(&self) -> Result<String> {
        let script = format!(
            "require('{}').version",
            Fleet::text(&self.package.join("package.json"))?
        );
        let version = output_of(Path::new("node"), &["-p", &script])?;
        ensure!(
            !version.is_empty(),
            "pm2 is not here; bench/peers/install.sh installs it"
        );
        Ok(version)
    }

    fn start(&mut self, fleet: &Fleet) -> Result<()> {
        let ecosystem = fleet.write("fleet.json", ecosystem(fleet)?)?;
        let mut command = Command::new(self.package.join("bin/pm2"));
        command.arg("start").arg(ecosystem);
        command
            .env("PM2_HOME", &fleet.dir)
            .env("PM2_CONCURRENT_ACTIONS", "32")
            .env("PM2_DISCRETE_MODE", "true");
        tree::run(&mut command, &fleet.dir.join("log"), PATIENCE)
    }
}

fn ecosystem(fleet: &Fleet) -> Result<String> {
    let (agent, fifo) = (Fleet::text(&fleet.agent)?, Fleet::text(&fleet.fifo)?);
    let app = |id: u32| {
        json!({
            "name": format!("a-{id}"), "script": agent, "args": [fifo, id.to_string()],
            "interpreter": "none", "exec_mode": "fork", "cwd": "/",
            "autorestart": true, "max_restarts": 1_000_000, "min_uptime": 0,
            "out_file": "/dev/null", "error_file": "/dev/null",
            "pmx": false, "vizion": false, "automation": false,
        })
    };
    Ok(json!({ "apps": fleet.ids().map(app).collect::<Vec<_>>() }).to_string())
}

/// How long its command may take to have started everything.
const PATIENCE: Duration = Duration::from_secs(300);
