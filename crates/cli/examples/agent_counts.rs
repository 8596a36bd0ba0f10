//! An agent that counts until it is to write down how far it came, and goes on from there: what the tests of pauses run.
//!
//! Each number is a line of the file that `STEAD_TEST_COUNT` names, so that whoever reads it sees what was left out or counted twice.
//! `hold` does not end before there is a file beside it whose name ends in `.go`.

use std::io::Write as _;
use std::time::Duration;

use stead_agent::{Agent, AgentError, Call, WindDown, WorkResult};

async fn count(call: Call) -> WorkResult<u64> {
    let mut reached: u64 = call.last_checkpoint()?.unwrap_or(0);
    let path = std::env::var("STEAD_TEST_COUNT")?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    while call.wind_down() == WindDown::No {
        reached += 1;
        writeln!(file, "{reached}")?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(call.suspend(&reached).into())
}

async fn hold(_: Call) -> WorkResult<()> {
    let go = std::env::var("STEAD_TEST_COUNT")? + ".go";
    while !std::path::Path::new(&go).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), AgentError> {
    Agent::builder("counter")
        .entry_point("count", count)
        .entry_point("hold", hold)
        .run()
        .await
}
