//! The example fleet: its file is right, and each of its agents does by hand what the file says of it.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use super::*;

const PATIENCE: Duration = Duration::from_secs(120);

fn fleet(work: &Path) -> Fleet {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/fleet.toml");
    let env = |name: &str| match name {
        "TMPDIR" => Some(work.display().to_string()),
        "USER" => Some("test".to_owned()),
        // Not the port of the file: a fleet may be up on this machine.
        "SEARCH_PORT" => Some(free_port().to_string()),
        _other => None,
    };
    Fleet::read(&file, &env).unwrap_or_else(|found| panic!("{}", Diagnostic::render_all(&found)))
}

/// A port that no connection gets by chance before the agent listens there: Linux gives those from 32,768 on by itself.
fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap();
    let port = || FIRST_PORT + (first + GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS;
    let listening = (0..PORTS).find_map(|_| std::net::TcpListener::bind(("127.0.0.1", port())).ok());
    listening.unwrap().local_addr().unwrap().port()
}

const FIRST_PORT: u16 = 8_000;
const PORTS: u16 = 4_000;

/// An agent run by hand; ended, by its own id, when the test is done with it.
struct Run(Child);

impl Run {
    fn start(fleet: &Fleet, name: &str, more: &[(&str, &str)]) -> Self {
        let process = process(fleet, name);
        let mut command = Command::new(&process.command[0]);
        command
            .args(&process.command[1..])
            .current_dir(process.dir.as_ref().unwrap());
        for (name, value) in &process.env {
            let EnvValue::Plain(value) = value else {
                panic!("{name}")
            };
            command.env(name, value);
        }
        command
            .envs(more.iter().copied())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("STEAD_AGENT_DIR");
        command
            .envs(more.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// How it ended: its exit code, or none for a signal.
    fn end(&mut self) -> Option<i32> {
        eventually("it ends", || self.0.try_wait().unwrap()).code()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Asks until there is an answer, within a bound.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Some(answer) => return answer,
            None if start.elapsed() > PATIENCE => panic!("never: {what}"),
            None => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

/// Takes in what is notified until all of `words` were said.
fn listen(notified: &UnixDatagram, words: &[&str]) -> String {
    notified.set_nonblocking(true).unwrap();
    let mut heard = String::new();
    eventually(&format!("{words:?}"), || {
        let mut message = [0; 4096];
        if let Ok(length) = notified.recv(&mut message) {
            heard.push_str(std::str::from_utf8(&message[..length]).unwrap());
            heard.push('\n');
        }
        words.iter().all(|word| heard.contains(word)).then(|| heard.clone())
    })
}

fn work(fleet: &Fleet) -> PathBuf {
    match &process(fleet, "setup").env["WORK"] {
        EnvValue::Plain(work) => work.into(),
        other => panic!("{other:?}"),
    }
}

fn leaves(fleet: &Fleet, file: &str) -> String {
    let path = work(fleet).join(file);
    eventually(file, || std::fs::read_to_string(&path).ok())
}

#[test]
fn the_example_fleet_is_right_and_starts_in_the_order_that_it_tells() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path());
    let names = names(&fleet);
    let place = |name: &str| names.iter().position(|known| *known == name).unwrap();
    assert!(
        place("setup") < place("indexer") && place("indexer") < place("search") && place("search") < place("reporter")
    );
    assert!(names.len() >= 5);
    for agent in &fleet.agents {
        let script = process(&fleet, agent.name.as_str());
        assert!(
            Path::new(script.dir.as_ref().unwrap())
                .join(&script.command[1])
                .is_file(),
            "{script:?}"
        );
    }
}

#[test]
fn the_scripts_of_the_example_are_clean_shell() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path());
    for name in ["setup", "linecount", "reviewer"] {
        let process = process(&fleet, name);
        let mut check = Command::new("sh");
        check
            .arg("-n")
            .arg(&process.command[1])
            .current_dir(process.dir.as_ref().unwrap());
        assert!(check.status().unwrap().success(), "{name}");
    }
}

#[test]
fn agents_of_the_example_index_count_and_review_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path());
    assert_eq!(Run::start(&fleet, "setup", &[]).end(), Some(0));
    let _running = ["indexer", "linecount", "reviewer"].map(|name| Run::start(&fleet, name, &[]));
    assert!(leaves(&fleet, "index.json").contains("\"supervis"));
    assert!(leaves(&fleet, "linecount.txt").contains(" daemon"));
    leaves(&fleet, "review.txt");
}

#[test]
fn the_reporter_of_the_example_is_ready_once_search_answers_and_feeds_its_watchdog() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path());
    let socket = folder.path().join("notify");
    let notified = UnixDatagram::bind(&socket).unwrap();
    let notify = [("NOTIFY_SOCKET", socket.to_str().unwrap())];
    let _running = ["indexer", "search"].map(|name| Run::start(&fleet, name, &[]));
    let _reporter = Run::start(&fleet, "reporter", &notify);
    listen(&notified, &["READY=1", "STATUS=report", "WATCHDOG=1"]);
    let report = leaves(&fleet, "report.md");
    assert!(
        report.contains("`restart` is in ") && !report.contains("is in 0 files"),
        "{report}"
    );
}

#[test]
fn crashy_of_the_example_dies_by_code_and_by_signal_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path());
    let soon = [("CRASH_AFTER", "0.1")];
    assert_eq!(Run::start(&fleet, "crashy", &soon).end(), Some(1));
    assert_eq!(Run::start(&fleet, "crashy", &soon).end(), None);
    assert!(leaves(&fleet, "checksums.txt").contains("Cargo.toml"));
}

#[test]
fn hang_of_the_example_feeds_its_watchdog_and_then_stops_without_dying() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path());
    let socket = folder.path().join("notify");
    let notified = UnixDatagram::bind(&socket).unwrap();
    let mut hang = Run::start(
        &fleet,
        "hang",
        &[("NOTIFY_SOCKET", socket.to_str().unwrap()), ("HANG_AFTER", "0.2")],
    );
    let heard = listen(&notified, &["WATCHDOG=1"]);
    assert!(heard.starts_with("READY=1"));
    assert_eq!(hang.0.try_wait().unwrap(), None);
}

#[test]
fn leaky_of_the_example_ends_at_its_limit_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = fleet(folder.path());
    let leaky = fleet
        .agents
        .iter_mut()
        .find(|agent| agent.name.as_str() == "leaky")
        .unwrap();
    let Driver::Process(process) = &mut leaky.spec.driver else {
        panic!("no process")
    };
    let limit = process.limits.address_space.unwrap();
    let kibibytes = (limit.0 / 1024).to_string();
    let limited = format!("ulimit -v {kibibytes}; exec python3 leaky.py");
    process.command = vec!["sh".into(), "-c".into(), limited];
    assert_eq!(
        Run::start(&fleet, "leaky", &[("LEAK_PER_SECOND", "300")]).end(),
        Some(1)
    );
}
