//! What the runtime and its routes cost: `cargo bench -p stead-agent`. One core is enough; run it where nothing else runs.
//!
//! Each figure has a goal. One that takes more than twice as long as it may, on a machine that may have something else to do, fails the run,
//! and so do size and memory beyond theirs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stead_agent::{Call, EntryPoint, Reach, Refused, Runtime, RuntimeConfig, Server, Submission, WorkResult};

type Figures = Result<(), Box<dyn std::error::Error>>;

fn main() -> Figures {
    // `cargo test` runs this too; it has nothing to test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut goals = Goals::default();
    overhead(&mut goals)?;
    history(&mut goals)?;
    drain(&mut goals)?;
    routes(&mut goals)?;
    minimal(&mut goals)?;
    goals.judge()
}

/// What was to be reached and was not, by far.
#[derive(Default)]
struct Goals(Vec<String>);

impl Goals {
    fn time(&mut self, what: &str, took: Duration, goal: Duration) {
        if took > goal * 2 {
            self.0.push(format!("{what}: {took:?}, more than twice {goal:?}"));
        }
    }

    fn bytes(&mut self, what: &str, bytes: u64, most: u64) {
        if bytes >= most {
            self.0.push(format!("{what}: {bytes} bytes, {most} or more"));
        }
    }

    fn judge(self) -> Figures {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(format!("goals were missed: {}", self.0.join("; ")).into())
    }
}

/// How large the smallest whole agent is, without symbols, and how much memory it takes once it is ready.
fn minimal(goals: &mut Goals) -> Figures {
    let this = std::env::current_exe()?;
    let examples = this.parent().and_then(Path::parent).ok_or("no place for examples")?;
    let program = examples.join("examples/agent_minimal");
    if !program.exists() {
        return Err("agent_minimal is not there: `cargo build --release -p stead-agent --examples` first".into());
    }
    let dir = tempfile::tempdir()?;
    let bare = dir.path().join("agent");
    let stripped = Command::new("strip").arg("-o").args([&bare, &program]).status()?;
    if !stripped.success() {
        return Err("strip failed".into());
    }
    let size = bare.metadata()?.len();
    say(&format!("agent_minimal, stripped: {:.1} MB (goal 10)", megabytes(size)));
    goals.bytes("agent_minimal, stripped", size, 10_000_000);
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut agent = Command::new(&bare)
        .env_clear()
        .env("STEAD_AGENT_DIR", dir.path())
        .env("STEAD_LIFECYCLE_PORT", port.to_string())
        .stderr(Stdio::null())
        .spawn()?;
    let settled = resident(agent.id(), port);
    agent.kill()?;
    agent.wait()?;
    let settled = settled?;
    say(&format!(
        "agent_minimal, at rest after 100 executions: {:.1} MB resident (goal 15)",
        megabytes(settled)
    ));
    goals.bytes("agent_minimal, resident", settled, 15_000_000);
    Ok(())
}

/// Waits until an agent is ready, has it count words, and tells its resident memory in bytes.
fn resident(pid: u32, port: u16) -> Result<u64, Box<dyn std::error::Error>> {
    let begun = Instant::now();
    while !once(port, "GET /health/ready", "").is_ok_and(|answer| answer.contains(" 200 ")) {
        if begun.elapsed() > Duration::from_secs(30) {
            return Err("it never was ready".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let work = r#"{"entry_point": "count", "input": "to be or not to be", "wait": 5}"#;
    for _ in 0..100 {
        let answer = once(port, "POST /api/v1/executions", work)?;
        if !answer.contains("succeeded") {
            return Err(answer.into());
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = field.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kilobytes.ok_or("the system does not tell its memory")? * 1_024)
}

/// One request on a connection of its own.
fn once(port: u16, line: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let head = format!("{line} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

async fn nap(_: Call) -> WorkResult<()> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

/// How long after the end of the last of 100 executions the drain returns, with checkpoints in files.
fn drain(goals: &mut Goals) -> Figures {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    tokio.block_on(async {
        let dir = tempfile::tempdir()?;
        let runtime = Runtime::builder().entry_point(EntryPoint::new("nap", nap).max_concurrent(100));
        let runtime = runtime.store(stead_agent::Files::open(dir.path())?).build()?;
        runtime.start().await?;
        for _ in 0..100 {
            runtime.submit(Submission::new("nap", &())?).await?;
        }
        let watched = runtime.clone();
        let ended = tokio::spawn(async move {
            while watched.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Instant::now()
        });
        runtime.stop_within(Duration::from_secs(30)).await?;
        let returned = Instant::now();
        let late = returned.saturating_duration_since(ended.await?);
        say(&format!(
            "drain returned {late:?} after it was seen that nothing is in flight (goal 20 ms)"
        ));
        goals.time("drain", late, Duration::from_millis(20));
        Ok(())
    })
}

async fn noop(_: Call) -> WorkResult<()> {
    Ok(())
}

async fn wait(_: Call) -> WorkResult<()> {
    std::future::pending().await
}

fn runtime() -> Result<Runtime, stead_agent::InvalidRuntime> {
    let config = RuntimeConfig {
        graceful_timeout: Duration::ZERO,
        ..RuntimeConfig::default()
    };
    Runtime::builder()
        .entry_point(EntryPoint::new("noop", noop).max_concurrent(10_000))
        .entry_point(EntryPoint::new("wait", wait).max_concurrent(10_000))
        .config(config)
        .build()
}

/// What an execution costs that does nothing, and a task of tokio's that does nothing.
fn overhead(goals: &mut Goals) -> Figures {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        let runtime = runtime()?;
        runtime.start().await?;
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            for _ in 0..ROUNDS / 1_000 {
                for _ in 0..1_000 {
                    runtime.submit(Submission::new("noop", &())?).await?;
                }
                while runtime.in_flight() > 0 {
                    tokio::task::yield_now().await;
                }
            }
            best = best.min(begun.elapsed() / ROUNDS);
        }
        say(&format!("execution that does nothing: {best:?} (goal 2 µs)"));
        goals.time("execution that does nothing", best, Duration::from_micros(2));
        let begun = Instant::now();
        for _ in 0..ROUNDS / 1_000 {
            let tasks: Vec<_> = (0..1_000).map(|_| tokio::spawn(async {})).collect();
            for task in tasks {
                task.await?;
            }
        }
        say(&format!(
            "task of tokio's that does nothing: {:?}",
            begun.elapsed() / ROUNDS
        ));
        Ok(())
    })
}

/// What a status costs after few executions and after many.
fn history(goals: &mut Goals) -> Figures {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        let runtime = runtime()?;
        runtime.start().await?;
        let mut fresh = None;
        for executions in [0, 1_000, 100_000] {
            for _ in 0..executions {
                let begun = runtime.submit(Submission::new("noop", &())?).await?;
                runtime.wait(begun.id, Duration::from_secs(5)).await?;
            }
            let begun = Instant::now();
            for _ in 0..10_000 {
                std::hint::black_box(runtime.status());
            }
            let each = begun.elapsed() / 10_000;
            say(&format!("status after {executions} more executions: {each:?}"));
            let first = *fresh.get_or_insert(each);
            // Independent of what ran; what is too short to tell apart is the same.
            goals.time(
                "status after many executions",
                each,
                first.max(Duration::from_nanos(500)),
            );
        }
        Ok(())
    })
}

/// How soon the routes answer on one thread while 100 executions run.
fn routes(goals: &mut Goals) -> Figures {
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || -> Result<(), Refused> {
        let failed = |error: &dyn std::error::Error| Refused::Internal(error.to_string());
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        tokio.map_err(|error| failed(&error))?.block_on(async {
            let runtime = runtime().map_err(|error| failed(&error))?;
            runtime.start().await?;
            for _ in 0..100 {
                runtime
                    .submit(Submission::new("wait", &()).map_err(|error| failed(&error))?)
                    .await?;
            }
            let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| failed(&error))?;
            let address = listener.local_addr().map_err(|error| failed(&error))?;
            let _gone = told.send(address);
            let server = Server::new(runtime, Reach::Loopback);
            server
                .serve(listener, std::future::pending())
                .await
                .map_err(|error| failed(&error))
        })
    });
    let address = heard.recv()?;
    for path in [
        "/health/live",
        "/health/ready",
        "/api/v1/status",
        "/api/v1/status/streams",
        "/metrics",
    ] {
        let begun = Instant::now();
        let mut took = load(address, path)?;
        let per_second = took.len() as f64 / begun.elapsed().as_secs_f64();
        took.sort_unstable();
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        say(&format!(
            "{path}: {per_second:.0} requests per second of {RATE} asked for, median {half:?}, p99 {most:?} (goal 5 ms)"
        ));
        goals.time(path, most, Duration::from_millis(5));
        // Whoever cannot keep up answers all the same, later: the rate tells first.
        if per_second < f64::from(RATE) / 2.0 {
            goals.0.push(format!(
                "{path}: {per_second:.0} requests per second, not half of {RATE}"
            ));
        }
    }
    Ok(())
}

/// Asks [`RATE`] times a second over [`CONNECTIONS`] connections; how long each took, counted from when it was due.
fn load(address: SocketAddr, path: &str) -> std::io::Result<Vec<Duration>> {
    let each = RATE * SECONDS / CONNECTIONS;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..CONNECTIONS)
            .map(|number| scope.spawn(move || ask(address, path, (begin, number), each)))
            .collect();
        let mut took = Vec::new();
        for asker in askers {
            let asked = asker
                .join()
                .map_err(|_panic| std::io::Error::other("a connection's thread panicked"))?;
            took.extend(asked?);
        }
        Ok(took)
    })
}

fn ask(address: SocketAddr, path: &str, (begin, number): (Instant, u32), times: u32) -> std::io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut buffer = vec![0; 256 * 1024];
    let mut took = Vec::with_capacity(times as usize);
    for time in 0..times {
        let due = begin + Duration::from_secs(1) * (time * CONNECTIONS + number) / RATE;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        let mut whole = None;
        while whole.is_none_or(|whole| filled < whole) {
            filled += stream.read(&mut buffer[filled..])?;
            whole = whole.or_else(|| length(&buffer[..filled]));
        }
        took.push(due.elapsed());
    }
    Ok(took)
}

/// How many bytes an answer has, once its head is there.
fn length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&answer[..head]).ok()?;
    let field = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head + 4 + field.parse::<usize>().ok()?)
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
fn say(line: &str) {
    println!("{line}");
}

const ROUNDS: u32 = 200_000;
/// How many requests are due in a second, for how many seconds, over how many connections.
const RATE: u32 = 10_000;
const SECONDS: u32 = 3;
const CONNECTIONS: u32 = 16;
