use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::world::World;

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| -> Vec<_> {
        let methods = methods.as_object().unwrap();
        methods
            .iter()
            .map(|(method, operation)| (method.clone(), path.clone(), operation.clone()))
            .collect()
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn the_committed_description_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api/v1.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&stead_daemon::openapi()).unwrap());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "docs/api/v1.json is stale: UPDATE_OPENAPI=1 cargo test -p stead-daemon --test it api::description"
    );
    assert_eq!(World::new().get("/openapi.json").await.json(), stead_daemon::openapi());
}

#[test]
fn every_operation_says_what_it_takes_gives_and_refuses() {
    let document = stead_daemon::openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
            "{at}: its id is there twice"
        );
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{at}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{at}");
        for (status, response) in responses
            .iter()
            .filter(|(status, _)| status.as_str() >= "400" && path != "/health/ready")
        {
            let shared = response["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            let content = &document["components"]["responses"][shared]["content"];
            let schema = &content["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{at} {status}");
        }
        let parameters = operation["parameters"].as_array().unwrap();
        for name in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
            assert!(
                parameters
                    .iter()
                    .any(|found| found["name"] == name && found["in"] == "path"),
                "{at}: {name}"
            );
        }
        for parameter in parameters {
            let shared = parameter["$ref"]
                .as_str()
                .map(|path| &document["components"]["parameters"][path.rsplit('/').next().unwrap()]);
            let said = shared.unwrap_or(parameter)["description"].as_str();
            assert!(said.is_some_and(|said| !said.is_empty()), "{at}: {parameter}");
        }
        assert_eq!(
            operation.get("requestBody").is_some(),
            matches!(method.as_str(), "post" | "put" | "patch"),
            "{at}"
        );
    }
}

#[test]
fn every_reference_leads_to_a_schema_and_every_schema_is_used() {
    let document = stead_daemon::openapi();
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let used: BTreeSet<_> = text
        .split("#/components/schemas/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let known: BTreeSet<_> = schemas.keys().map(String::as_str).collect();
    assert_eq!(used, known);
    assert!(!text.contains("#/$defs"));
}

#[tokio::test]
async fn every_operation_that_is_described_is_there() {
    let world = World::new();
    for (method, path, _) in operations(&stead_daemon::openapi()) {
        let path = path
            .replace("{agent}", "nobody")
            .replace("{verb}", "start")
            .replace("{step}", "assign");
        let asked = axum::http::Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(&path);
        let response = world.stream(asked.body(axum::body::Body::empty()).unwrap()).await;
        assert!(response.status() != 405 && response.status() != 501, "{method} {path}");
        if response.status() == 404 {
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            assert!(
                !String::from_utf8_lossy(&bytes).contains("\"not-found\""),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let world = World::new();
    assert_eq!(world.get("/").await.header("location"), "/docs");
    let page = world.get("/docs").await;
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'; script-src 'self'; connect-src 'self'")
    );
    assert!(
        !page.text.contains("http:") && !page.text.contains("https:") && !page.text.contains("//"),
        "{}",
        page.text
    );
    for part in page
        .text
        .split("src=\"")
        .skip(1)
        .chain(page.text.split("spec-url=\"").skip(1))
    {
        let path = part.split('"').next().unwrap();
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
    let script = world.get("/docs/rapidoc.js").await;
    assert_eq!(
        (script.header("content-encoding"), script.header("content-type")),
        ("gzip", "text/javascript; charset=utf-8")
    );
}
