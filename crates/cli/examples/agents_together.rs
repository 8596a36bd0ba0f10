//! Two runtimes in one process, without an agent around them, that beat together: what the tests of beats run.
//!
//! The process itself was started as an agent, whose beats are its own; `reader` is another agent, that nothing starts.

use stead_agent::{Beats, Call, EntryPoint, Runtime};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let idle = || EntryPoint::new("idle", async |_: Call| Ok::<_, String>(()));
    let front = Runtime::builder().entry_point(idle()).build()?;
    let reader = Runtime::builder().entry_point(idle()).build()?;
    front.start().await?;
    reader.start().await?;
    let beats = Beats::own("front", &front).and("reader", &reader).begin()?;
    beats.superseded().await;
    Ok(())
}
