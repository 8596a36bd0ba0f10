//! An agent that misbehaves, to see what its surroundings make of it: `hang` waits, `block` blocks its only thread for an hour.

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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AgentError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    Agent::builder("hangs")
        .entry_point("hang", hang)
        .entry_point("block", block)
        .wedged_after(Duration::from_secs(3))
        .config(RuntimeConfig {
            graceful_timeout: Duration::from_secs(3),
            ..RuntimeConfig::default()
        })
        .run()
        .await
}
