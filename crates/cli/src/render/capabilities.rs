//! Capabilities, their providers and circuits.

use owo_colors::Style;
use serde_json::Value;
use stead_client::Invoked;
use stead_model::{CapabilityView, CircuitView, Wall};

use super::age::relative;
use super::paint::Cell;
use super::table::table;

/// A table of providers, by capability.
pub(crate) fn capabilities(found: &[CapabilityView]) -> String {
    let headings = [
        "CAPABILITY",
        "PROVIDER",
        "LEVEL",
        "AGENT",
        "PHASE",
        "CIRCUIT",
        "STATE",
        "PASSED OVER",
    ];
    let rows: Vec<_> = found
        .iter()
        .flat_map(|capability| {
            capability.providers.iter().map(|provider| {
                vec![
                    Cell::plain(capability.name.as_str()),
                    Cell::plain(provider.name.as_str()),
                    Cell::plain(provider.level.to_string()),
                    Cell::plain(provider.agent.as_ref().map_or("-", |agent| agent.as_str())),
                    Cell::plain(provider.phase.as_deref().unwrap_or("-")),
                    Cell::dim(provider.circuit.as_str()),
                    state(&provider.circuit_state),
                    Cell::plain(provider.skipped.as_deref().unwrap_or("-")),
                ]
            })
        })
        .collect();
    table(&headings, &rows)
}

/// A table of circuits.
pub(crate) fn circuits(found: &[CircuitView], now: Wall) -> String {
    let headings = [
        "CIRCUIT",
        "STATE",
        "RETRY IN",
        "FAILED",
        "REJECTED",
        "PROVIDERS",
        "LAST FAILURE",
    ];
    let rows: Vec<_> = found
        .iter()
        .map(|circuit| {
            let last = circuit.last_failure.as_ref();
            let last = last.map(|last| format!("{}: {}: {}", relative(now, last.at), last.provider, last.detail));
            vec![
                Cell::plain(circuit.name.as_str()),
                state(&circuit.state),
                Cell::plain(circuit.retry_in.map_or_else(|| "-".to_owned(), |left| left.to_string())),
                Cell::dim(circuit.failed.to_string()),
                Cell::dim(circuit.rejected.to_string()),
                Cell::plain(circuit.providers.join(" ")),
                Cell::plain(last.unwrap_or_else(|| "-".to_owned())),
            ]
        })
        .collect();
    table(&headings, &rows)
}

/// What a provider said.
pub(crate) fn invoked(answer: &Invoked) -> String {
    match &answer.body {
        Value::String(text) => format!("{}\n", text.trim_end_matches('\n')),
        other => super::json(other),
    }
}

fn state(state: &str) -> Cell {
    let style = match state {
        "closed" => Style::new().green(),
        "open" | "isolated" | "forced_open" => Style::new().red(),
        _between_or_by_hand => Style::new().yellow(),
    };
    Cell::new(state, style)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::super::fixture::{NOW, ago};
    use super::*;

    fn shown(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn each_provider_is_a_line_that_says_why_it_would_not_be_asked() {
        let capability = json!({
            "name": "summarize", "deadline": "20s", "available": true, "providers": [
                { "name": "large", "level": 100, "url": "http://127.0.0.1:9000/", "agent": "model", "phase": "offline",
                  "skipped": "model is offline", "circuit": "llm/acme/large", "circuit_state": "closed" },
                { "name": "small", "level": 70, "url": "http://127.0.0.1:9001/",
                  "circuit": "summarize/small", "circuit_state": "half_open" },
            ],
        });
        let capability: CapabilityView = serde_json::from_value(capability).unwrap();
        assert_snapshot!(shown(&capabilities(&[capability])));
    }

    #[test]
    fn a_circuit_says_what_went_wrong_last_and_when_it_tries_again() {
        let circuit = json!({
            "name": "llm/acme/large", "state": "open", "retry_in": "42s", "providers": ["a/large", "b/large"],
            "last_failure": { "at": ago(30), "provider": "a/large", "detail": "HTTP 503" },
            "changes": 1, "rejected": 7, "failed": 5,
        });
        let circuit: CircuitView = serde_json::from_value(circuit).unwrap();
        assert_snapshot!(shown(&circuits(&[circuit], NOW)));
    }
}
