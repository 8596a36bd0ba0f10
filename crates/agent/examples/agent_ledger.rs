//! An agent whose work has an effect outside of it, a page of a ledger, that is there exactly once however often the process is
//! killed: the effect is named after the execution, so that a second attempt finds what the first one left.
//!
//! ```text
//! STEAD_LIFECYCLE_ENABLED=true STEAD_LIFECYCLE_HOST=127.0.0.1 STEAD_AGENT_DIR=/tmp/ledger cargo run -p stead-agent --example agent_ledger
//! curl localhost:8080/api/v1/executions --json '{"entry_point": "enter", "input": {"text": "two bees", "millis": 5000}}'
//! kill it, start it again, and look into /tmp/ledger/ledger
//! ```

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use stead_agent::{Agent, AgentError, Call, EntryPoint, WorkResult};

#[derive(Deserialize, Debug)]
struct Entry {
    text: String,
    /// How long it takes to think about it.
    millis: u64,
}

async fn enter(call: Call) -> WorkResult<String> {
    let entry: Entry = call.input()?;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(entry.millis)) => {}
        () = call.cancelled() => return Err("nobody wants it any more".into()),
    }
    let ledger = ledger();
    std::fs::create_dir_all(&ledger)?;
    let page = ledger.join(call.execution().to_string());
    // Whole or not at all: written aside, then given its name, which only one can have.
    let aside = page.with_extension(format!("attempt-{}", std::process::id()));
    std::fs::File::create(&aside)?.write_all(entry.text.as_bytes())?;
    let named = std::fs::hard_link(&aside, &page);
    std::fs::remove_file(&aside)?;
    let said = match named {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => "it was there already",
        named => named.map(|()| "entered")?,
    };
    // Who came to the end, for those who want to see how often that was.
    let (id, attempt) = (call.execution(), call.attempt());
    let mut completed = std::fs::File::options()
        .create(true)
        .append(true)
        .open(dir().join("completed"))?;
    completed.write_all(format!("{id} {attempt}\n").as_bytes())?;
    Ok(said.to_owned())
}

fn dir() -> PathBuf {
    PathBuf::from(std::env::var_os("STEAD_AGENT_DIR").unwrap_or_else(|| ".".into()))
}

fn ledger() -> PathBuf {
    dir().join("ledger")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AgentError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    Agent::builder("ledger")
        .entry(EntryPoint::new("enter", enter).max_concurrent(256).durable())
        .run()
        .await
}
