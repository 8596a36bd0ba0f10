//! Holds a real daemon to its own description: schemathesis asks whatever the OpenAPI document permits, and more.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::shell::{cargo, root, run, target, tool};

/// What answers must be like: no error of the server, and all as described.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
response_headers_conformance";

/// What schemathesis is told beside the document: how lines, events and bytes are written and read, to end streams, and to wait for the next
/// daemon where it has ended one.
const HOOKS: &str = "xtask/src/contract.py";

/// Runs a daemon, and the next one whenever it was ended, until a file says that it was the last.
const AGAIN: &str = r#"until [ -e over ]; do "$0" up fleet.toml --listen "$1" || sleep 0.2; done"#;

/// Agents of every kind, so that there is something to ask about.
const FLEET: &str = "\
[agents.web]
command = ['sh', '-c', 'while sleep 0.5; do echo at work; done']
labels = { team = 'red' }
[agents.pool]
command = ['sleep', '100000']
replicas = 2
update = { min_ready = '0s' }
[agents.far]
driver = 'none'
[components.db]
driver = 'none'
[components.cache]
command = ['sh', '-c', 'while sleep 0.5; do echo at work; done']
[agents.echo]
command = ['python3', 'echo.py', '${ECHO_PORT}']
[features.chat]
requires = ['web']
[features.pictures]
requires = ['far']
fallback = 'chat'
[capabilities.echo]
deadline = '2s'
[[capabilities.echo.providers]]
name = 'nobody'
url = 'http://127.0.0.1:1/'
circuit = 'shared'
[[capabilities.echo.providers]]
name = 'echo'
level = 'fallback'
url = 'http://127.0.0.1:${ECHO_PORT}/'
";

/// Answers what it is asked with.
const ECHO: &str = "\
import http.server, sys
class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length'] or 0))
        self.send_response(200)
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Echo).serve_forever()
";

/// Where schemathesis is, if it is anywhere: named by `STEAD_SCHEMATHESIS`, in the environment that `.ci/run` makes, or installed.
pub(crate) fn schemathesis() -> Option<PathBuf> {
    tool("STEAD_SCHEMATHESIS", "schemathesis")
}

/// Builds the binary, starts a fleet with it and asks it `examples` things of each operation, beside all edges of what is described.
///
/// # Errors
///
/// Schemathesis is not there, the daemon does not come up, or an answer is not as described.
pub(crate) fn contract(examples: &str) -> Result<()> {
    ensure!(
        examples.parse::<u32>().is_ok_and(|examples| examples > 0),
        "--examples wants a number, not {examples}"
    );
    let program = schemathesis().context("schemathesis is not here: pip install schemathesis")?;
    run(&mut cargo(&["build", "--package", "stead"]))?;
    let daemon = Daemon::start(&target().join("debug/stead"), &target().join("contract"))?;
    let mut ask = Command::new(program);
    ask.current_dir(&daemon.folder)
        .env("SCHEMATHESIS_HOOKS", root().join(HOOKS))
        .env("STEAD_URL", &daemon.url);
    ask.args([
        "run",
        &format!("{}/openapi.json", daemon.url),
        "--wait-for-schema",
        "60",
    ]);
    ask.args([
        "--checks",
        CHECKS,
        "--max-examples",
        examples,
        "--phases",
        "examples,coverage,fuzzing,stateful",
    ]);
    // The same questions each time; what is found is not made smaller, which takes long.
    ask.args([
        "--seed",
        "1",
        "--no-shrink",
        // One: CPython 3.11 fails when one thread changes the limit of recursion while another parses.
        "--workers",
        "1",
        "--request-timeout",
        "20",
    ]);
    ask.args(["--no-color", "--warnings", "off", "--suppress-health-check", "all"]);
    run(&mut ask)
}

/// A daemon in a folder of its own, and the next one where it was ended; they end with their agents, and the value.
struct Daemon {
    program: PathBuf,
    folder: PathBuf,
    url: String,
    /// Runs one after the other, in a process group of its own.
    process: Child,
}

impl Daemon {
    fn start(program: &Path, folder: &Path) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("fleet.toml"), FLEET)?;
        std::fs::write(folder.join("echo.py"), ECHO)?;
        let (listen, echo) = (free_address(0)?, free_address(10_000)?);
        let log = std::fs::File::create(folder.join("daemon.log"))?;
        let process = Command::new("sh")
            .current_dir(folder)
            .process_group(0)
            .args(["-c", AGAIN])
            .arg(program)
            .arg(listen.to_string())
            .env("STEAD_STATE_DIR", folder.join("state"))
            .env("ECHO_PORT", echo.port().to_string())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            url: format!("http://{listen}"),
            process,
        })
    }
}

/// An address that no connection gets by chance while a daemon ends and the next one begins: Linux gives ports from 32,768 on by itself.
/// `beyond` keeps several apart.
fn free_address(beyond: u16) -> Result<SocketAddr> {
    let first = 12_000 + beyond + u16::try_from(std::process::id() % 5_000)?;
    let free = (first..first + 5_000).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    Ok(free
        .with_context(|| format!("no port from {first} on is free"))?
        .local_addr()?)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let last = std::fs::write(self.folder.join("over"), "");
        let down = Command::new(&self.program)
            .args(["down", "--url", &self.url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if last.is_err() || !down.is_ok_and(|down| down.success()) {
            let group = format!("-{}", self.process.id());
            let _gone = Command::new("kill").args(["-KILL", "--", &group]).status();
            kill_all_of(&self.folder.join("state"));
        }
        let _ended = self.process.wait();
    }
}

/// Kills the keeper and the agents of a state directory, which outlive a daemon that is killed; they carry it in their environment.
fn kill_all_of(state: &Path) {
    // The keeper may be starting one more while it is looked for.
    for _ in 0..MOST_LOOKS {
        let left = all_of(state);
        if left.is_empty() {
            return;
        }
        let _gone = Command::new("kill")
            .arg("-KILL")
            .args(left)
            .stderr(Stdio::null())
            .status();
    }
}

/// The processes of a state directory, by their ids.
fn all_of(state: &Path) -> Vec<String> {
    let host = format!("STEAD_STATE_DIR={}", state.display());
    let agent = format!("STEAD_AGENT_DIR={}/", state.display());
    let is_of = |pid: &String| {
        let words = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        words
            .split(|byte| *byte == 0)
            .any(|word| word == host.as_bytes() || word.starts_with(agent.as_bytes()))
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = all.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    pids.filter(is_of).collect()
}

/// More than a keeper has time for to start another one.
const MOST_LOOKS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_carries_the_mark_of_a_state_directory_is_killed_and_nobody_else() {
        let state = std::env::temp_dir().join(format!("stead-contract-{}", std::process::id()));
        let start = |name: &str, value: String| Command::new("sleep").arg("1000").env(name, value).spawn();
        let mark = |rest: &str| format!("{}{rest}", state.display());
        let mut keeper = start("STEAD_STATE_DIR", mark("")).unwrap();
        let mut agent = start("STEAD_AGENT_DIR", mark("/agents/a/home")).unwrap();
        let mut other = start("STEAD_STATE_DIR", mark("2")).unwrap();
        assert_eq!(all_of(&state).len(), 2);
        kill_all_of(&state);
        for ended in [&mut keeper, &mut agent] {
            assert!(!ended.wait().unwrap().success());
        }
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn examples_are_a_number_above_nought() {
        for wrong in ["0", "-1", "many", ""] {
            assert!(contract(wrong).is_err(), "{wrong}");
        }
    }
}
