//! An agent that misbehaves, to see what its surroundings make of it: `hang` waits, `block` blocks its only thread for an hour, and
//! with `HANGS_IN` set to a directory its start adds a line to `starts` there, and waits for as long as there is a file `hold`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use stead_agent::{Agent, AgentError, Call, RuntimeConfig, WorkResult};

async fn hang(call: Call) -> WorkResult<()> {
    tokio::time::sleep(Duration::from_millis(call.input()?)).await;
    Ok(())
}

async fn block(_: Call) -> WorkResult<()> {
    std::thread::sleep(Duration::from_secs(3_600));
    Ok(())
}

async fn start() -> std::io::Result<()> {
    let Some(dir) = std::env::var_os("HANGS_IN").map(PathBuf::from) else {
        return Ok(());
    };
    let mut starts = std::fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("starts"))?;
    writeln!(starts, "start")?;
    while dir.join("hold").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AgentError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    Agent::builder("hangs")
        .entry_point("hang", hang)
        .entry_point("block", block)
        .on_start(start)
        .wedged_after(Duration::from_secs(3))
        .config(RuntimeConfig {
            graceful_timeout: Duration::from_secs(3),
            ..RuntimeConfig::default()
        })
        .run()
        .await
}
