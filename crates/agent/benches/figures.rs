//! What the runtime and its routes cost: `cargo bench -p stead-agent`. One core is enough; run it where nothing else runs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
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
    Ok(())
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

/// How many requests the routes answer while 100 executions run, asked one after the other over one connection.
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
        let mut took = ask(address, path, 10_000)?;
        took.sort_unstable();
        let whole: Duration = took.iter().sum();
        let per_second = took.len() as f64 / whole.as_secs_f64();
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        say(&format!(
            "{path}: {per_second:.0} requests per second, median {half:?}, p99 {most:?}"
        ));
    }
    Ok(())
}

fn ask(address: SocketAddr, path: &str, times: usize) -> std::io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut buffer = vec![0; 256 * 1024];
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        loop {
            filled += stream.read(&mut buffer[filled..])?;
            let text = String::from_utf8_lossy(&buffer[..filled]);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if length.and_then(|length| length.parse().ok()) == Some(body.len()) {
                    break;
                }
            }
        }
        took.push(begun.elapsed());
    }
    Ok(took)
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
fn say(line: &str) {
    println!("{line}");
}

const ROUNDS: u32 = 200_000;
