//! The settings of a circuit as a fleet file has them: those of [`BreakerConfig`](stead_resilience::BreakerConfig), described for editors.

use schemars::{Schema, SchemaGenerator, json_schema};
use stead_resilience::BreakerRefused;

/// The schema of `breaker`.
pub(super) fn breaker(_: &mut SchemaGenerator) -> Schema {
    let whole = |description: &str, least: u32, most: u32| serde_json::json!({ "type": "integer", "minimum": least, "maximum": most, "description": description });
    let span = |description: &str| serde_json::json!({ "type": "string", "description": description });
    let number = |description: &str| serde_json::json!({ "type": "number", "description": description });
    json_schema!({
        "type": "object",
        "description": "When the circuit opens, for how long, and how it closes again. Who shares one says the same, or nothing.",
        "additionalProperties": false,
        "properties": {
            "window": {
                "type": "object",
                "description": "Which calls are looked at. Default: failures in a row.",
                "required": ["kind"],
                "additionalProperties": false,
                "properties": {
                    "kind": { "type": "string", "enum": ["consecutive", "leaky", "count", "time"] },
                    "leak": span("`leaky`: one failure is forgotten each time this has passed."),
                    "calls": whole("`count`: the last so many calls.", 1, 8000),
                    "span": span("`time`: the calls of the last while, from 1ms to 30 days."),
                },
            },
            "failure_threshold": whole("So many failures open it. Default 5.", 1, 8000),
            "failure_rate": number("This share of failures opens it, above 0 to 1; needs a window of `count` or `time`. Default none."),
            "minimum_calls": whole("Rates mean nothing before the window holds so many calls. Default 10.", 1, 8000),
            "slow_calls": {
                "type": "object",
                "description": "Slow calls open it as well; needs a window of `count` or `time`. Default: they do not.",
                "required": ["over", "rate"],
                "additionalProperties": false,
                "properties": {
                    "over": span("A call that takes longer is slow."),
                    "rate": number("This share of slow calls opens it, above 0 to 1."),
                },
            },
            "open_for": span("How long it stays open at first. Default 60s."),
            "open_growth": number("By how much that grows each time a trial fails, from 1 to 100. Default 1."),
            "open_max": span("The longest that growth leads to; a provider's own `Retry-After` may be longer. Default 10m."),
            "half_open_max_calls": whole("How many calls try at once whether it works again. Default 2.", 1, 1000),
            "success_threshold": whole("So many of them must succeed for it to close. Default 2.", 1, 8000),
            "trial_timeout": span("Such a call is given up when it has not ended for so long. Default 10s."),
            "ramp": {
                "type": "object",
                "description": "Lets a growing share of the calls through while it closes. Default: all at once.",
                "additionalProperties": false,
                "properties": {
                    "steps": {
                        "type": "array",
                        "items": { "type": "integer", "minimum": 1, "maximum": 99 },
                        "description": "Percentages that grow. Default 10, 25, 50.",
                    },
                    "step_for": span("How long each lasts at least. Default 10s."),
                    "failures": whole("So many failures send it one step back. Default 1.", 1, 8000),
                },
            },
            "enforce": whole("So many percent of the rejections are meant; 0 only watches. Default 100.", 0, 100),
        },
    })
}

/// The key that a refusal is about.
pub(super) fn key_of(refused: &BreakerRefused) -> &'static str {
    let field = match refused {
        BreakerRefused::Number { field, .. }
        | BreakerRefused::Share { field, .. }
        | BreakerRefused::Span { field, .. }
        | BreakerRefused::NoRate(field) => *field,
        BreakerRefused::Growth(_) => "open_growth",
        BreakerRefused::Steps => "ramp.steps",
    };
    KEYS.iter()
        .find(|key| key.strip_prefix("breaker.") == Some(field))
        .copied()
        .unwrap_or("breaker")
}

const KEYS: [&str; 16] = [
    "breaker.failure_threshold",
    "breaker.failure_rate",
    "breaker.minimum_calls",
    "breaker.slow_calls.over",
    "breaker.slow_calls.rate",
    "breaker.open_for",
    "breaker.open_growth",
    "breaker.open_max",
    "breaker.half_open_max_calls",
    "breaker.success_threshold",
    "breaker.trial_timeout",
    "breaker.ramp.steps",
    "breaker.ramp.step_for",
    "breaker.ramp.failures",
    "breaker.window.calls",
    "breaker.window.span",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use stead_resilience::{BreakerConfig, BreakerSettings};

    use super::*;

    #[test]
    fn the_schema_has_the_keys_of_the_settings() {
        let schema = breaker(&mut SchemaGenerator::default()).to_value();
        let described: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        let written = serde_json::to_value(BreakerConfig::default()).unwrap();
        let known: BTreeSet<_> = written.as_object().unwrap().keys().cloned().collect();
        assert_eq!(described, known);
    }

    #[test]
    fn a_refusal_names_the_key_that_it_is_about() {
        for (written, key) in [
            (r#"{"failure_threshold": 0}"#, "breaker.failure_threshold"),
            (r#"{"open_for": "0s"}"#, "breaker.open_for"),
            (r#"{"open_growth": 0.5}"#, "breaker.open_growth"),
            (r#"{"failure_rate": 0.5}"#, "breaker.failure_rate"),
            (r#"{"ramp": {"steps": [100]}}"#, "breaker.ramp.steps"),
            (
                r#"{"window": {"kind": "count", "calls": 9000}}"#,
                "breaker.window.calls",
            ),
        ] {
            let config: BreakerConfig = serde_json::from_str(written).unwrap();
            assert_eq!(
                key_of(&BreakerSettings::try_from(config).unwrap_err()),
                key,
                "{written}"
            );
        }
    }
}
