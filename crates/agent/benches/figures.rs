//! What the runtime and its routes cost: `cargo bench -p stead-agent`. One core is enough; run it where nothing else runs.

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
    overhead()?;
    history()?;
    drain()?;
    routes()?;
    minimal()?;
    Ok(())
}

/// How large the smallest whole agent is, without symbols, and how much memory it takes once it is ready.
fn minimal() -> Figures {
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
    say(&format!(
        "agent_minimal, stripped: {:.1} MB",
        megabytes(bare.metadata()?.len())
    ));
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
    say(&format!(
        "agent_minimal, at rest after 100 executions: {:.1} MB resident",
        megabytes(settled?)
    ));
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
fn drain() -> Figures {
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
        say(&format!(
            "drain returned {:?} after it was seen that nothing is in flight",
            returned.saturating_duration_since(ended.await?)
        ));
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
fn overhead() -> Figures {
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
        say(&format!("execution that does nothing: {best:?}"));
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
fn history() -> Figures {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        let runtime = runtime()?;
        runtime.start().await?;
        for executions in [0, 1_000, 100_000] {
            for _ in 0..executions {
                let begun = runtime.submit(Submission::new("noop", &())?).await?;
                runtime.wait(begun.id, Duration::from_secs(5)).await?;
            }
            let begun = Instant::now();
            for _ in 0..10_000 {
                std::hint::black_box(runtime.status());
            }
            say(&format!(
                "status after {executions} more executions: {:?}",
                begun.elapsed() / 10_000
            ));
        }
        Ok(())
    })
}

/// How soon the routes answer on one thread while 100 executions run.
fn routes() -> Figures {
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
            "{path}: {per_second:.0} requests per second of {RATE} asked for, median {half:?}, p99 {most:?}"
        ));
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
