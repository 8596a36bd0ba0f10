//! A fleet under test: a real daemon of the real binary, in a directory of its own, and its end.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::http::{self, Answer};
use super::procs::{self, until};

/// How long anything may take on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A state directory, a fleet file, an address, and the daemon that may run there.
pub(crate) struct Fleet {
    dir: TempDir,
    file: PathBuf,
    state: PathBuf,
    at: SocketAddr,
    env: Vec<(String, String)>,
    files: Option<u32>,
    program: PathBuf,
    daemon: Option<Child>,
}

impl Fleet {
    /// A fleet file, not yet up. `@` in it stands for the directory of the test.
    pub(crate) fn of(toml: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("stead").tempdir().unwrap();
        let fleet = Self {
            file: dir.path().join("fleet.toml"),
            state: dir.path().join("s"),
            dir,
            at: free(),
            env: Vec::new(),
            files: None,
            program: env!("CARGO_BIN_EXE_stead").into(),
            daemon: None,
        };
        fleet.write(toml);
        fleet
    }

    /// Another file for the same fleet.
    pub(crate) fn write(&self, toml: &str) {
        let text = toml.replace('@', &self.path("").display().to_string());
        std::fs::write(self.path("fleet.toml"), text).unwrap();
    }

    /// Has another file than that of the test be the fleet's, as it stands.
    pub(crate) fn take(&mut self, file: &Path) {
        self.file = file.to_owned();
    }

    /// Keeps state elsewhere than in the directory of the test.
    pub(crate) fn keep_in(&mut self, state: &Path) {
        self.state = state.to_owned();
    }

    /// Has the daemon, and all that it starts, run with a variable.
    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Has all that is run from now on run under `ulimit -n`.
    pub(crate) fn limit_files(&mut self, most: u32) {
        self.files = Some(most);
    }

    /// Has another file be the binary from now on.
    pub(crate) fn run_from(&mut self, program: &Path) {
        self.program = program.to_owned();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) const fn at(&self) -> SocketAddr {
        self.at
    }

    /// The binary, in the environment of this fleet.
    pub(crate) fn stead(&self) -> Command {
        let mut command = match self.files {
            Some(most) => {
                let mut limited = Command::new("sh");
                limited.arg("-c").arg(format!("ulimit -n {most} && exec \"$0\" \"$@\""));
                limited.arg(&self.program);
                limited
            }
            None => Command::new(&self.program),
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("STEAD_STATE_DIR", &self.state)
            .env("STEAD_URL", format!("http://{}", self.at))
            .env("RUST_BACKTRACE", "1")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.stead().args(words).output().unwrap()
    }

    /// Runs the binary to its good end; gives what it printed.
    #[track_caller]
    pub(crate) fn must(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert!(done.status.success(), "stead {words:?}: {done:?}\n{}", self.log());
        String::from_utf8(done.stdout).unwrap()
    }

    /// Starts the daemon; it need not be ready.
    pub(crate) fn launch(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("daemon.log"));
        let mut command = self.stead();
        command.arg("up").arg(&self.file);
        command.args(["--listen", &self.at.to_string()]);
        command.stdout(Stdio::null()).stderr(log.unwrap());
        self.daemon = Some(command.spawn().unwrap());
    }

    /// Starts the daemon and waits until it is ready; says how long that took.
    #[track_caller]
    pub(crate) fn up(&mut self) -> Duration {
        let begun = Instant::now();
        self.launch();
        self.until("the daemon is ready", |fleet| {
            http::ask(fleet.at, "GET", "/health/ready", &[], "").filter(|answer| answer.status == 200)
        });
        begun.elapsed()
    }

    /// Waits for something; says where the fleet is if it does not come.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            if begun.elapsed() > PATIENCE {
                panic!("not within {PATIENCE:?}: {what}\n{}", self.log());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until an agent looks as wanted.
    #[track_caller]
    pub(crate) fn until_agent(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        self.until_shown(&format!("{name} is as wanted"), || {
            last = self.agent(name);
            if wanted(&last) {
                Ok(last.clone())
            } else {
                Err(format!("{last:#}"))
            }
        })
    }

    /// Waits until as many agents have a process and are in a phase; gives them.
    #[track_caller]
    pub(crate) fn until_all(&self, count: usize, phase: &str) -> Vec<Value> {
        self.until_shown(&format!("{count} agents are {phase}"), || {
            let agents = self.agents();
            let so = agents
                .iter()
                .filter(|agent| agent["phase"] == phase && agent["pid"].is_i64())
                .count();
            if so == count {
                Ok(agents)
            } else {
                Err(format!("{so} of {}", agents.len()))
            }
        })
    }

    #[track_caller]
    pub(crate) fn until_shown<T>(&self, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
        let begun = Instant::now();
        loop {
            match look() {
                Ok(found) => return found,
                Err(last) => assert!(
                    begun.elapsed() < PATIENCE,
                    "not within {PATIENCE:?}: {what}; last seen: {last}\n{}",
                    self.log()
                ),
            }
            std::thread::sleep(LOOK);
        }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        let answer = http::ask(self.at, "GET", path, &[], "");
        answer.unwrap_or_else(|| panic!("nobody answers GET {path}\n{}", self.log()))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let answer = http::ask(self.at, "POST", path, &[], body);
        answer.unwrap_or_else(|| panic!("nobody answers POST {path}\n{}", self.log()))
    }

    #[track_caller]
    pub(crate) fn agent(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/agents/{name}")).json()
    }

    /// All agents, by name.
    #[track_caller]
    pub(crate) fn agents(&self) -> Vec<Value> {
        let mut agents = self.items("/api/v1/agents?limit=1000");
        agents.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        agents
    }

    /// Everything on all pages of a list.
    #[track_caller]
    pub(crate) fn items(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut next = path.to_owned();
        loop {
            let mut page = self.get(&next).json();
            let Some(items) = page["items"].as_array_mut() else {
                panic!("{next}: {page}")
            };
            all.append(items);
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("{path}&cursor={cursor}"),
                None => return all,
            }
        }
    }

    /// The rows of an agent's history, oldest first.
    #[track_caller]
    pub(crate) fn history(&self, name: &str) -> Vec<Value> {
        let mut rows = self.items(&format!("/api/v1/agents/{name}/transitions?limit=1000"));
        rows.reverse();
        rows
    }

    /// The lines of an agent's log.
    #[track_caller]
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = self.get(&format!("/api/v1/agents/{name}/logs?tail=1000000")).body;
        let line = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["line"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        text.lines().map(line).collect()
    }

    pub(crate) fn daemon_pid(&self) -> i32 {
        i32::try_from(self.daemon.as_ref().unwrap().id()).unwrap()
    }

    #[track_caller]
    pub(crate) fn keeper_pid(&self) -> i32 {
        let pid = self.get("/api/v1/daemon").json()["keeper_pid"].as_i64();
        i32::try_from(pid.expect("there is a keeper")).unwrap()
    }

    /// Ends the daemon without a warning.
    pub(crate) fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ended = daemon.kill();
            daemon.wait().unwrap();
        }
    }

    /// Sends the daemon a signal and waits for its end; gives its exit code.
    #[track_caller]
    pub(crate) fn end_daemon(&mut self, signal: Signal) -> Option<i32> {
        procs::signal(self.daemon_pid(), signal);
        self.wait_daemon()
    }

    /// Waits for the daemon's end; gives its exit code.
    #[track_caller]
    pub(crate) fn wait_daemon(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take().unwrap();
        until("the daemon ends", PATIENCE, || daemon.try_wait().unwrap()).code()
    }

    /// Waits until nothing of this fleet runs.
    #[track_caller]
    pub(crate) fn until_nothing_runs(&self) {
        until("nothing is left behind", PATIENCE, || {
            procs::of(&self.state).is_empty().then_some(())
        });
    }

    /// What the daemon and the keeper said.
    pub(crate) fn log(&self) -> String {
        let keeper = std::fs::read_to_string(self.state.join("keeper.log")).unwrap_or_default();
        let tail = |text: &str| {
            text.lines()
                .rev()
                .take(60)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join("\n")
        };
        format!(
            "-- daemon\n{}\n-- keeper\n{}",
            tail(&self.read("daemon.log")),
            tail(&keeper)
        )
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.kill_daemon();
        // The keeper may be starting one more while it is looked for.
        for _ in 0..100 {
            let left = procs::of(&self.state);
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(procs::kill);
            std::thread::sleep(LOOK);
        }
    }
}

/// An address that nobody has, and that no connection gets by chance while nobody listens there: its port is below those that the
/// kernel gives by itself.
pub(crate) fn free() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap();
    let port = || FIRST_PORT + (first + GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS;
    let listening = (0..PORTS).find_map(|_| TcpListener::bind(("127.0.0.1", port())).ok());
    listening.unwrap().local_addr().unwrap()
}

/// A fleet of many: each of them notes each of its starts in `marks`, and in `twice` if another one of it lives.
pub(crate) fn herd(count: usize, extra: &str) -> String {
    let script = "exec 9>@/lock.$STEAD_AGENT; flock -n 9 || echo $STEAD_INSTANCE >> @/twice; echo $STEAD_AGENT $$$$ $STEAD_INCARNATION >> @/marks; exec sleep 100000";
    let agents = (1..=count).map(|n| format!("[agents.a{n:04}]\ncommand = ['sh', '-c', '{script}']\n"));
    format!(
        "[defaults.restart]\nbackoff.initial = '0s'\nintensity.max = 1000\n{}{extra}",
        agents.collect::<String>()
    )
}

/// Linux gives those from 32,768 on by itself.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;

const LOOK: Duration = Duration::from_millis(20);
