//! A flaky HTTP server on loopback, and calls to it through a whole pipeline, with live output of what each policy does.
//!
//! ```sh
//! cargo run -p stead-resilience --example resilient_call
//! ```
//!
//! The pipeline, from the outside in: fallback, last good answer, total timeout, retry, hedge, circuit breaker, rate limiter,
//! bulkhead, timeout of one try, call. Retries, second calls and probes share one budget.

use std::error::Error;
use std::io;

#[path = "resilient_call/play.rs"]
mod play;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    play::run(io::stdout()).await
}
