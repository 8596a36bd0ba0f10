//! Real processes: signals, sockets, and a kill in the middle of a drain.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// One run of an example, ended when it goes.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it is ready.
    fn start(example: &str, dir: &Path) -> Self {
        let process = Self::spawn(example, dir);
        process.until("it is ready", |process| {
            process.ask("GET", "/health/ready", "").0 == 200
        });
        process
    }

    fn spawn(example: &str, dir: &Path) -> Self {
        Self::spawn_with(example, dir, &[])
    }

    /// Starts it with more in its environment, and waits until it listens.
    pub(crate) fn spawn_with(example: &str, dir: &Path, env: &[(&str, &str)]) -> Self {
        Self::begin_as(Command::new(built(example)), dir, env)
    }

    /// Starts the agent of the image that is unpacked at `root`, as the user that the image names.
    pub(crate) fn spawn_in_image(root: &Path, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg("--userspec=65532:65532").arg(root).arg("/agent");
        Self::begin_as(command, Path::new("/state"), env)
    }

    fn begin_as(mut command: Command, dir: &Path, env: &[(&str, &str)]) -> Self {
        command
            .env_clear()
            .env("STEAD_AGENT_DIR", dir)
            .env("STEAD_LIFECYCLE_ENABLED", "true")
            .env("STEAD_LIFECYCLE_HOST", "127.0.0.1")
            .env("STEAD_LIFECYCLE_PORT", "0")
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut before) = (String::new(), String::new());
        let address = loop {
            line.clear();
            assert!(
                log.read_line(&mut line).unwrap() > 0,
                "it ended before it listened: {before}"
            );
            before.push_str(&line);
            if let Some((_, said)) = line.split_once("LifecycleServed ") {
                // Colours may stand around it.
                let address = &said[said.find("127.").unwrap()..];
                let end = address.find(|c| !matches!(c, '0'..='9' | '.' | ':')).unwrap();
                break address[..end].parse().unwrap();
            }
        };
        // Read on, so that it never waits for its log.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        http(self.address, method, path, body).map_or((0, String::new()), |answer| (answer.status, answer.body))
    }

    fn json(&self, method: &str, path: &str, body: &str) -> Value {
        serde_json::from_str(&self.ask(method, path, body).1).unwrap()
    }

    /// Begins work in a stream and gives its id.
    pub(crate) fn begin(&self, entry_point: &str, input: &str, stream: &str) -> String {
        let body = format!(r#"{{"entry_point": "{entry_point}", "input": {input}, "stream": "{stream}"}}"#);
        let taken = self.json("POST", "/api/v1/executions", &body);
        taken["id"].as_str().unwrap_or_else(|| panic!("{taken}")).to_owned()
    }

    pub(crate) fn execution(&self, id: &str) -> Value {
        self.json("GET", &format!("/api/v1/executions/{id}"), "")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "never: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it never ended");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut fields = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.next().map(|(_, value)| value.trim())
    }
}

/// One request on a connection of its own; nothing when the connection or the answer broke.
pub(crate) fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<Answer> {
    let asked = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        let json = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/json\r\n"
        };
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{json}Content-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    let answer = asked().ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// Where cargo put an example of this crate.
pub(crate) fn built(example: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let place = this
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples")
        .join(example);
    assert!(
        place.exists(),
        "{} is built by `cargo test -p stead-agent`",
        place.display()
    );
    place
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn sigterm_drains_and_ends_with_0_while_probes_are_answered() {
    let dir = dir();
    let mut process = Process::start("agent_complete", dir.path());
    process.begin("report", r#"{"topic": "bees", "pages": 3}"#, "bees");
    process.signal(Signal::TERM);
    process.until("readiness falls", |process| {
        process.ask("GET", "/health/ready", "").0 == 503
    });
    assert_eq!(process.ask("GET", "/health/live", "").0, 200);
    let refused = process.ask("POST", "/api/v1/executions", r#"{"entry_point": "ask", "input": "x"}"#);
    assert_eq!(refused.0, 503);
    assert_eq!(process.ended().code(), Some(0));
    let left = std::fs::read_dir(dir.path().join("checkpoints")).unwrap();
    let left = left.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("stream-")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn sigint_does_the_same_and_a_second_signal_forces() {
    let dir = dir();
    let mut idle = Process::start("agent_complete", dir.path());
    idle.signal(Signal::INT);
    assert_eq!(idle.ended().code(), Some(0));
    let mut busy = Process::start("agent_hangs", dir.path());
    let id = busy.begin("hang", "60000", "bees");
    busy.signal(Signal::TERM);
    busy.until("readiness falls", |process| {
        process.ask("GET", "/health/ready", "").0 == 503
    });
    busy.signal(Signal::INT);
    assert_eq!(busy.ended().code(), Some(130));
    // What was in flight was marked before: the next one knows it.
    let next = Process::start("agent_hangs", dir.path());
    let shown = next.execution(&id);
    assert_eq!(
        (shown["status"].as_str(), shown["attempt"].as_u64()),
        (Some("running"), Some(2))
    );
}

#[test]
fn killed_in_the_middle_of_a_drain_every_execution_goes_on_once_in_the_next_process() {
    let dir = dir();
    let mut process = Process::start("agent_complete", dir.path());
    let ids = ["bees", "ants", "wasps"].map(|topic| {
        let order = format!(r#"{{"topic": "{topic}", "pages": 3}}"#);
        process.begin("report", &order, topic)
    });
    process.signal(Signal::TERM);
    process.until("readiness falls", |process| {
        process.ask("GET", "/health/ready", "").0 == 503
    });
    process.signal(Signal::KILL);
    process.ended();
    let next = Process::start("agent_complete", dir.path());
    for id in &ids {
        next.until("it is done", |process| process.execution(id)["status"] == "succeeded");
        let shown = next.execution(id);
        assert_eq!(shown["result"]["lines"].as_array().unwrap().len(), 3, "{shown}");
        assert_eq!(shown["attempt"], 2);
    }
    assert_eq!(next.json("GET", "/api/v1/status", "")["total_executions"], 3);
}

#[test]
fn a_pause_outlives_a_kill() {
    let dir = dir();
    let mut process = Process::start("agent_complete", dir.path());
    assert_eq!(process.ask("POST", "/api/v1/lifecycle/pause", "").0, 200);
    process.signal(Signal::KILL);
    process.ended();
    let next = Process::spawn("agent_complete", dir.path());
    next.until("it is paused", |process| {
        process.json("GET", "/api/v1/status", "")["state"] == "paused"
    });
    assert_eq!(next.ask("GET", "/health/ready", "").0, 503);
    assert_eq!(next.ask("POST", "/api/v1/lifecycle/resume", "").0, 200);
    assert_eq!(next.ask("GET", "/health/ready", "").0, 200);
}

#[test]
fn an_agent_whose_loop_hangs_still_answers_is_told_not_live_and_can_be_ended() {
    let dir = dir();
    let mut process = Process::start("agent_hangs", dir.path());
    assert_eq!(
        process
            .ask("POST", "/api/v1/executions", r#"{"entry_point": "block"}"#)
            .0,
        202
    );
    process.until("it is not live", |process| {
        process.ask("GET", "/health/live", "").0 == 503
    });
    assert!(
        process.json("GET", "/health/live", "")["reason"]
            .as_str()
            .unwrap()
            .contains("has not turned")
    );
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
fn a_second_process_does_not_take_the_work_of_the_first() {
    let dir = dir();
    let _first = Process::start("agent_complete", dir.path());
    let second = Command::new(built("agent_complete"))
        .env("STEAD_AGENT_DIR", dir.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("InUse") || said.contains("in use"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = dir();
    let ended = Command::new(built("agent_complete"))
        .env("STEAD_AGENT_DIR", dir.path())
        .env("STEAD_LIFECYCLE_ENABLED", "true")
        .env("STEAD_LIFECYCLE_HOST", "127.0.0.1")
        .env("STEAD_LIFECYCLE_PORT", &port)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.code() == Some(1) && said.contains(&port), "{said}");
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody who answers every beat that a later run is the present one.
fn fencing() -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (heard, hearing) = std::sync::mpsc::channel();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4096];
            let length = stream.read(&mut asked).unwrap();
            let body = r#"{"outcome":"fenced","handle":null,"incarnation":2,"next_in":"5s"}"#;
            let head = format!("HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).unwrap();
            if heard
                .send(String::from_utf8_lossy(&asked[..length]).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    (at, hearing)
}

#[test]
fn a_copy_that_a_later_run_has_superseded_ends_itself() {
    let dir = dir();
    let (daemon, heard) = fencing();
    let mut command = Command::new(built("agent_complete"));
    command
        .env_clear()
        .env("STEAD_AGENT_DIR", dir.path())
        .env("STEAD_URL", format!("http://{daemon}"))
        .env("STEAD_AGENT", "reporter")
        .env("STEAD_INCARNATION", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut copy = command.spawn().unwrap();
    let begun = Instant::now();
    let ended = loop {
        if let Some(ended) = copy.try_wait().unwrap() {
            break ended;
        }
        if begun.elapsed() > PATIENCE {
            copy.kill().unwrap();
            copy.wait().unwrap();
            panic!("a copy that is fenced never ends");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(ended.code(), Some(75));
    let first = heard.recv_timeout(PATIENCE).unwrap();
    assert!(
        first.starts_with("POST /api/v1/agents/reporter/heartbeats HTTP/1.1"),
        "{first}"
    );
}
