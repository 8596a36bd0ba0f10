//! What a capability is asked with, checked before anybody is asked.

use std::fmt;

use serde_json::Value;

/// A JSON Schema that was understood.
pub(crate) struct Parameters(jsonschema::Validator);

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters").finish_non_exhaustive()
    }
}

impl Parameters {
    /// Understands a schema: draft 2020-12 unless it says another. References lead to itself alone: nothing is fetched.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        let built = jsonschema::validator_for(schema);
        built
            .map(Self)
            .map_err(|error| format!("`parameters` is no JSON Schema: {}", shortened(&error.to_string())))
    }

    /// Finds all that does not fit, up to 16 faults, each with its place.
    pub(crate) fn faults(&self, parameters: &Value) -> Vec<String> {
        let errors = self.0.iter_errors(parameters).take(MOST);
        let told = errors.map(|error| {
            let at = error.instance_path().to_string();
            let said = shortened(&error.to_string());
            if at.is_empty() { said } else { format!("{at}: {said}") }
        });
        told.collect()
    }
}

/// Values are quoted in messages; long ones help nobody.
fn shortened(said: &str) -> String {
    if said.chars().count() <= LONGEST {
        return said.to_owned();
    }
    said.chars().take(LONGEST).chain(['…']).collect()
}

const MOST: usize = 16;
const LONGEST: usize = 300;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_fault_says_where_and_what() {
        let schema = json!({
            "type": "object",
            "required": ["text"],
            "properties": { "text": { "type": "string" }, "n": { "type": "integer", "maximum": 3 } },
            "additionalProperties": false,
        });
        let parameters = Parameters::new(&schema).unwrap();
        assert!(parameters.faults(&json!({ "text": "x", "n": 3 })).is_empty());
        let faults = parameters.faults(&json!({ "text": 1, "n": 4, "m": 0 }));
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults.iter().any(|fault| fault.starts_with("/n: ")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("'m'")), "{faults:?}");
        let missing = parameters.faults(&json!({}));
        assert!(missing[0].contains("\"text\" is a required property"), "{missing:?}");
    }

    #[test]
    fn what_is_no_schema_or_would_have_to_be_fetched_is_refused() {
        for schema in [
            json!({ "type": "objekt" }),
            json!([]),
            json!({ "$ref": "http://127.0.0.1:1/schema.json" }),
            json!({ "$ref": "file:///etc/passwd" }),
        ] {
            let refused = Parameters::new(&schema).unwrap_err();
            assert!(refused.starts_with("`parameters` is no JSON Schema: "), "{refused}");
        }
    }

    #[test]
    fn long_values_are_not_repeated_in_full() {
        let parameters = Parameters::new(&json!({ "type": "integer" })).unwrap();
        let faults = parameters.faults(&json!("x".repeat(100_000)));
        assert!(faults[0].chars().count() <= LONGEST + 1);
    }
}
