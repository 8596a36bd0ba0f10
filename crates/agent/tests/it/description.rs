//! The committed description of the API is that of the code, and the code answers what it says.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use crate::described::Described;
use crate::web::{get, send, site};
use crate::world::{builder, started};

async fn document() -> Value {
    let runtime = started(builder()).await;
    get(&site(&runtime), "/openapi.json").await.json()
}

#[tokio::test]
async fn the_committed_description_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api/agent-v1.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&document().await).unwrap());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "docs/api/agent-v1.json is stale: UPDATE_OPENAPI=1 cargo test -p stead-agent --test it description"
    );
}

#[tokio::test(start_paused = true)]
async fn every_described_route_answers_as_it_is_described() {
    let runtime = started(builder()).await;
    let site = site(&runtime);
    let described = Described::of(&site).await;
    let paths = described.document()["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 12);
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let request = Request::builder().method(method.to_uppercase().as_str());
            let request = request.uri(path.replace("{id}", "exe_000000000000-1"));
            let answer = send(&site, request.body(Body::empty()).unwrap()).await;
            described.holds(method, path, &answer);
            if answer.status.is_client_error() {
                answer.problem();
            }
        }
    }
}

#[tokio::test]
async fn every_reference_of_the_description_leads_somewhere() {
    let document = document().await;
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(place) = fields.get("$ref") {
                    let place = place.as_str().unwrap().strip_prefix('#').unwrap();
                    assert!(document.pointer(place).is_some(), "{place}");
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
