//! The OpenAPI 3.1 document, put together from the table of routes and the schemas of their types.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operations::{Gift, Needed, Operation, table};
use super::problem::{Code, Problem};

/// Puts the document together.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>().to_value();
    let mut paths = Map::new();
    for operation in table() {
        let mut responses = Map::new();
        for (status, said, gift) in operation.gives {
            let content = match gift {
                Gift::Json(schema) => json!({ "application/json": { "schema": schema(&mut generator) } }),
                Gift::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
            };
            responses.insert(status.to_string(), json!({ "description": said, "content": content }));
        }
        for (status, said) in problems(&operation) {
            let content = json!({ "application/problem+json": { "schema": problem } });
            responses.insert(status.to_string(), json!({ "description": said, "content": content }));
        }
        let mut described = json!({
            "operationId": operation.id,
            "summary": operation.summary,
            "responses": responses,
        });
        if !operation.description.is_empty() {
            described["description"] = operation.description.into();
        }
        if !operation.control {
            described["security"] = json!([]);
        }
        if operation.path.ends_with("{id}") {
            described["parameters"] = json!([{
                "name": "id", "in": "path", "required": true, "description": "The execution, `exe_…`.",
                "schema": { "type": "string" },
            }]);
        }
        if operation.path == super::EXECUTIONS {
            described["parameters"] = json!([{
                "name": "Idempotency-Key", "in": "header", "schema": { "type": "string" },
                "description": "1 to 255 visible characters, chosen for this one request: sent again with the same key it is the same execution.",
            }]);
        }
        if let Some((schema, needed)) = operation.body {
            let content = json!({ "application/json": { "schema": schema(&mut generator) } });
            described["requestBody"] = json!({ "required": needed == Needed::Always, "content": content });
        }
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lifecycle of an agent",
            "version": "v1",
            "description": ABOUT,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// What may go wrong, the codes of one status together.
fn problems(operation: &Operation) -> Vec<(u16, String)> {
    let mut codes = operation.problems.to_vec();
    if operation.control {
        codes.extend([Code::Unauthorized, Code::ControlDisabled, Code::ForeignOrigin]);
    }
    if operation.body.is_some() {
        codes.extend([
            Code::InvalidRequest,
            Code::SlowRequest,
            Code::TooLarge,
            Code::UnsupportedMediaType,
        ]);
    }
    codes.sort_by_key(|code| (code.status(), code.as_str()));
    let together = codes.chunk_by(|one, other| one.status() == other.status());
    let said = together.filter_map(|codes| {
        let lines: Vec<_> = codes
            .iter()
            .map(|code| format!("`{}`: {}.", code.as_str(), code.title()))
            .collect();
        Some((codes.first()?.status(), lines.join("\n\n")))
    });
    said.collect()
}

const ABOUT: &str = "Starts, stops, pauses and probes one agent, and has it execute.\n\nErrors are `application/problem+json` \
(RFC 9457) with a stable `code`. Off loopback, control routes need `Authorization: Bearer TOKEN`.";
