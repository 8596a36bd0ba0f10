//! A whole agent, that counts the words it is sent: `cargo run -p stead-agent --example agent_minimal`, and then
//! `curl localhost:8080/api/v1/executions --json '{"entry_point": "count", "input": "to be or not to be", "wait": 5}'`

use stead_agent::{Agent, AgentError, Call, LifecycleConfig, WorkResult};

async fn count(call: Call) -> WorkResult<usize> {
    Ok(call.input::<String>()?.split_whitespace().count())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AgentError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    Agent::builder("counter")
        .entry_point("count", count)
        .lifecycle(LifecycleConfig::on_loopback())
        .run()
        .await
}
