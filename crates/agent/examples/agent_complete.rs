//! An agent with everything: long work that goes on where it was after a stop, a crash or a pause; a limit on how much runs at
//! once; health of what it depends on; and word of what it does. It pretends to read pages for a report.
//!
//! ```text
//! STEAD_LIFECYCLE_ENABLED=true STEAD_LIFECYCLE_HOST=127.0.0.1 cargo run -p stead-agent --example agent_complete
//! curl localhost:8080/api/v1/executions --json '{"entry_point": "report", "input": {"topic": "bees", "pages": 20}, "stream": "bees"}'
//! curl localhost:8080/api/v1/status
//! kill -9 its process, start it again: the report goes on with the page that it was at
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stead_agent::{
    Activity, Agent, AgentError, Call, CheckConfig, EntryPoint, Finding, RuntimeConfig, WindDown, WorkResult,
};

#[derive(Deserialize, Debug)]
struct Order {
    topic: String,
    pages: u32,
}

/// What is written down between pages.
#[derive(Serialize, Deserialize, Default, Clone, Debug)]
struct Draft {
    read: u32,
    lines: Vec<String>,
}

async fn report(call: Call) -> WorkResult<Draft> {
    let order: Order = call.input()?;
    let mut draft: Draft = call.last_checkpoint()?.unwrap_or_default();
    while draft.read < order.pages {
        match call.wind_down() {
            // Paused: end here, and go on from this draft once resumed.
            WindDown::Checkpoint => return Err(call.suspend(&draft).into()),
            // Going down: what is left may be too much, the draft is safe either way.
            WindDown::Stop { .. } if order.pages - draft.read > 3 => return Err(call.suspend(&draft).into()),
            WindDown::Stop { .. } | WindDown::No => {}
        }
        call.says(Activity::tool("read_page", &(&order.topic, draft.read)));
        tokio::select! {
            line = read_page(&order.topic, draft.read) => draft.lines.push(line),
            () = call.cancelled() => return Err("nobody wants the report any more".into()),
        }
        draft.read += 1;
        call.progress(1);
        call.checkpoint(&draft).await?;
    }
    call.says(Activity::Idle);
    Ok(draft)
}

async fn read_page(topic: &str, page: u32) -> String {
    tokio::time::sleep(Duration::from_millis(300)).await;
    format!("page {page} says something about {topic}")
}

async fn ask_model(call: Call) -> WorkResult<String> {
    call.says(Activity::LlmCall {
        model: "small".to_owned(),
    });
    Ok(format!("you asked: {}", call.input::<String>()?))
}

#[tokio::main]
async fn main() -> Result<(), AgentError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let every_ten_seconds = CheckConfig {
        interval: Duration::from_secs(10),
        ..CheckConfig::default()
    };
    Agent::builder("reporter")
        .entry(EntryPoint::new("report", report).max_concurrent(4).durable())
        .entry_point("ask", ask_model)
        .check("llm", every_ten_seconds, async || Finding::healthy())
        .check("tools", every_ten_seconds, async || {
            Finding::degraded("the search tool is slow today")
        })
        .config(RuntimeConfig {
            graceful_timeout: Duration::from_secs(10),
            ..RuntimeConfig::default()
        })
        .on_start(async || {
            tracing::info!("loading what the reporter needs");
            Ok::<_, String>(())
        })
        .run()
        .await
}
