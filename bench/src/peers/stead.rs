//! Stead, by its binary.

use std::env;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Peer, output_of};
use crate::fleet::Fleet;
use crate::tree;

/// `stead up` of a release build.
#[derive(Debug)]
pub(crate) struct Stead {
    program: PathBuf,
    history: History,
    run: Option<Run>,
}

/// What a respawn waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum History {
    /// Its row is written, as ever: a kill of the daemon loses nothing.
    Written,
    /// Its row is on the disk: a loss of power loses nothing either.
    Flushed,
}

/// What is needed to start the daemon of a fleet again.
#[derive(Debug)]
struct Run {
    state: PathBuf,
    file: PathBuf,
    log: PathBuf,
    address: SocketAddr,
}

impl Stead {
    /// The binary named, else the one beside this program.
    pub(crate) fn new(program: Option<&Path>) -> Result<Self> {
        let beside = || Ok::<_, anyhow::Error>(env::current_exe()?.with_file_name("stead"));
        let program = program.map_or_else(beside, |path| Ok(path.to_owned()))?;
        Ok(Self {
            program,
            history: History::Written,
            run: None,
        })
    }

    /// The same, with every change of state synced to the disk before anything is done about it.
    pub(crate) fn flushed(program: Option<&Path>) -> Result<Self> {
        Ok(Self {
            history: History::Flushed,
            ..Self::new(program)?
        })
    }

    /// Lays out the fleet's file and starts its first daemon, whose pid is that of the child.
    pub(crate) fn up(&mut self, fleet: &Fleet) -> Result<Child> {
        self.run = Some(Run {
            state: fleet.dir.join("state"),
            file: fleet.write("fleet.toml", fleet_file(fleet)?)?,
            log: fleet.dir.join("log"),
            address: free_address()?,
        });
        self.up_again()
    }

    /// Starts a daemon without a fleet, in a directory of its own.
    pub(crate) fn serve(&mut self, scratch: &Path) -> Result<Child> {
        let dir = scratch.join("serve");
        std::fs::create_dir_all(&dir)?;
        self.run = Some(Run {
            state: dir.join("state"),
            file: PathBuf::new(),
            log: dir.join("log"),
            address: free_address()?,
        });
        self.serve_again()
    }

    /// Starts a daemon without a fleet for the same state.
    pub(crate) fn serve_again(&self) -> Result<Child> {
        let run = self.run.as_ref().context("no daemon was started")?;
        let mut command = Command::new(&self.program);
        command.args(["serve", "--listen", &run.address.to_string()]);
        tree::start(command.env("STEAD_STATE_DIR", &run.state), &run.log)
    }

    /// Starts a daemon for the same fleet and state.
    pub(crate) fn up_again(&self) -> Result<Child> {
        let run = self.run.as_ref().context("no fleet was started")?;
        let mut command = Command::new(&self.program);
        command
            .arg("up")
            .arg(&run.file)
            .args(["--listen", &run.address.to_string()]);
        match self.history {
            History::Written => command.env_remove("STEAD_DURABILITY"),
            History::Flushed => command.env("STEAD_DURABILITY", "flushed"),
        };
        tree::start(command.env("STEAD_STATE_DIR", &run.state), &run.log)
    }

    /// Leaves behind what was started: it is ended with all that descends from this program.
    pub(crate) fn forget(&mut self) {
        self.run = None;
    }

    /// Where its API listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.run.as_ref().context("no fleet was started")?.address)
    }
}

impl Peer for Stead {
    fn name(&self) -> &'static str {
        match self.history {
            History::Written => "stead",
            History::Flushed => "stead-flushed",
        }
    }

    fn only_respawns(&self) -> bool {
        self.history == History::Flushed
    }

    fn delay(&self) -> &'static str {
        "none (backoff initial 0s)"
    }

    fn version(&self) -> Result<String> {
        ensure!(
            self.program.exists(),
            "{} is not built: cargo build --release -p stead",
            self.program.display()
        );
        output_of(&self.program, &["--version"])
    }

    fn start(&mut self, fleet: &Fleet) -> Result<()> {
        self.up(fleet).map(drop)
    }

    fn stop(&mut self) {
        if let Some(run) = self.run.take() {
            let mut command = Command::new(&self.program);
            command
                .arg("down")
                .env("STEAD_STATE_DIR", &run.state)
                .env("STEAD_URL", format!("http://{}", run.address));
            let _swept_anyway = tree::run(&mut command, &run.log, Duration::from_secs(30));
        }
    }
}

/// The fleet as Stead is told of it.
fn fleet_file(fleet: &Fleet) -> Result<String> {
    let (agent, fifo) = (Fleet::text(&fleet.agent)?, Fleet::text(&fleet.fifo)?);
    let mut text = String::new();
    for id in fleet.ids() {
        write!(
            text,
            "[agents.a-{id}]\ncommand = [\"{agent}\", \"{fifo}\", \"{id}\"]\n\
             restart = {{ policy = \"always\", backoff = {{ initial = \"0s\" }}, \
             intensity = {{ max = 1000000, period = \"10m\" }} }}\n\n"
        )?;
    }
    Ok(text)
}

/// An address that nobody listens on at this moment.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
