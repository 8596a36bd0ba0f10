//! The guide to the lifecycle API is true: every example in it is asked, in its order, and answered as it says.

use axum::body::Body;
use axum::http::Request;
use stead_agent::{Call, EntryPoint, Runtime, WorkResult};

use crate::described::Described;
use crate::web::{Answer, send, site};

async fn count(call: Call) -> WorkResult<usize> {
    Ok(call.input::<String>()?.split_whitespace().count())
}

async fn nap(call: Call) -> WorkResult<()> {
    tokio::time::sleep(std::time::Duration::from_millis(call.input()?)).await;
    Ok(())
}

/// One `curl`, as far as the guide uses it: method, path, body and the status behind it.
fn parsed(line: &str) -> (String, String, String, u16) {
    let (command, status) = line.rsplit_once('#').unwrap();
    let (command, body) = match command.split_once("--json '") {
        Some((command, body)) => (command, body.trim().strip_suffix('\'').unwrap().to_owned()),
        None => (command, String::new()),
    };
    let mut words = command.split_whitespace().skip(1).peekable();
    let mut method = if body.is_empty() { "GET" } else { "POST" };
    if words.peek() == Some(&"-X") {
        method = words.by_ref().nth(1).unwrap();
    }
    let path = words.next().unwrap().strip_prefix("localhost:8080").unwrap();
    assert_eq!(words.next(), None, "{line}");
    (method.to_owned(), path.to_owned(), body, status.trim().parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn every_example_is_answered_as_it_says_and_as_is_described_and_every_route_has_one() {
    let guide = include_str!("../../../../docs/guides/lifecycle-api.md");
    let builder = Runtime::builder().entry_point(EntryPoint::new("count", count));
    let runtime = builder.entry_point(EntryPoint::new("nap", nap)).build().unwrap();
    runtime.start().await.unwrap();
    let site = site(&runtime);
    let described = Described::of(&site).await;
    let mut asked = std::collections::BTreeSet::new();
    let mut id = String::new();
    for line in guide.lines().filter(|line| line.starts_with("curl ")) {
        let (method, path, body, status) = parsed(line);
        let request = Request::builder().method(method.as_str()).uri(path.replace("$ID", &id));
        let request = request.header("content-type", "application/json");
        let answer: Answer = send(&site, request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{line}: {}", answer.text);
        if status == 202 && path.ends_with("executions") {
            id = answer.json()["id"].as_str().unwrap().to_owned();
        }
        if status == 409 && path.contains("lifecycle") {
            assert!(answer.json()["possible"].is_array());
        }
        let place = path.replace("$ID", "{id}");
        // What is not there, or not for this method, is a problem, and stands nowhere in the description.
        if described.document()["paths"][&place]
            .get(method.to_lowercase())
            .is_some()
        {
            described.holds(&method, &place, &answer);
        } else {
            answer.problem();
        }
        asked.insert((method.to_lowercase(), place));
    }
    for (path, methods) in described.document()["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            assert!(
                asked.contains(&(method.clone(), path.clone())),
                "no example of {method} {path}"
            );
        }
    }
}
