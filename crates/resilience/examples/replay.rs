//! What breakers of other settings would have made of a recorded trace.
//!
//! ```sh
//! cargo run -p stead-resilience --example replay -- trace.jsonl candidates.json
//! ```
//!
//! The candidates are one JSON object: names, and settings of `BreakerConfig` that differ from the defaults.
//! Without arguments it replays a trace of its own with three candidates.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, BufReader, Write};

use stead_resilience::BreakerSettings;
use stead_resilience::replay::{Hindsight, Trace, replay};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run(&arguments, io::stdout().lock())
}

/// Replays what the arguments name, and tells it to `out`.
pub(crate) fn run(arguments: &[String], mut out: impl Write) -> Result<(), Box<dyn Error>> {
    let (trace, candidates) = match arguments {
        [] => (Trace::read(outage().as_bytes())?, CANDIDATES.to_owned()),
        [trace, candidates] => (
            Trace::read(BufReader::new(fs::File::open(trace)?))?,
            fs::read_to_string(candidates)?,
        ),
        _ => return Err("two files are needed: a trace, and candidates; or none at all".into()),
    };
    let candidates: BTreeMap<String, BreakerSettings> = serde_json::from_str(&candidates)?;
    for (name, settings) in candidates {
        write!(out, "{name}\n  {}", replay(&trace, &settings, &Hindsight::default()))?;
    }
    Ok(())
}

const CANDIDATES: &str = r#"{
    "default": {},
    "eager": { "failure_threshold": 2, "open_for": "10s" },
    "by rate": { "window": { "kind": "time", "span": "30s" }, "failure_rate": 0.5, "minimum_calls": 20 }
}"#;

/// Ten minutes of two calls a second: now and then three failures in a row, and from the fifth minute on an outage of one.
fn outage() -> String {
    let mut lines = String::from("{\"trace\":1}\n");
    for call in 0..1200 {
        let fails = call % 100 < 3 || (600..720).contains(&call);
        let outcome = if fails { "failure" } else { "success" };
        let at = f64::from(call) / 2.0;
        lines += &format!("{{\"at\":{at},\"took\":0.2,\"outcome\":\"{outcome}\"}}\n");
    }
    lines
}
