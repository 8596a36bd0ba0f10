//! A router that is asked without a socket.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use stead_agent::{Reach, Runtime, Server};
use tower::ServiceExt;

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The status and the code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.text
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(!problem["detail"].as_str().unwrap().is_empty() && !problem["title"].as_str().unwrap().is_empty());
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("urn:stead:problem:{code}"));
        (self.status.as_u16(), code)
    }
}

pub(crate) fn site(runtime: &Runtime) -> Router {
    Server::new(runtime.clone(), Reach::Loopback).alone()
}

pub(crate) async fn send(site: &Router, request: Request<Body>) -> Answer {
    let response = site.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

pub(crate) async fn get(site: &Router, path: &str) -> Answer {
    send(site, Request::get(path).body(Body::empty()).unwrap()).await
}

/// Posts a body of JSON, or none where it is empty.
pub(crate) async fn post(site: &Router, path: &str, body: &str) -> Answer {
    let request = Request::post(path);
    let request = if body.is_empty() {
        request
    } else {
        request.header("content-type", "application/json")
    };
    send(site, request.body(Body::from(body.to_owned())).unwrap()).await
}

pub(crate) async fn lifecycle(site: &Router, verb: &str) -> Answer {
    post(site, &format!("/api/v1/lifecycle/{verb}"), "").await
}

pub(crate) async fn statuses(site: &Router) -> (u16, u16) {
    let (live, ready) = (get(site, "/health/live").await, get(site, "/health/ready").await);
    (live.status.as_u16(), ready.status.as_u16())
}

#[cfg(test)]
mod tests {
    use axum::routing::get as on_get;

    use super::*;
    use crate::world::{LONG, builder, started};

    /// An application with something of its own, and something to say where there is nothing.
    fn application() -> Router {
        let own = Router::new().route("/", on_get(async || "mine"));
        own.fallback(async || (StatusCode::NOT_FOUND, "nothing of mine"))
    }

    #[tokio::test(start_paused = true)]
    async fn the_routes_are_merged_into_an_application_that_keeps_its_own_word_where_there_is_nothing() {
        let runtime = started(builder()).await;
        let app = application().merge(Server::new(runtime, Reach::Loopback).router());
        assert_eq!(get(&app, "/").await.text, "mine");
        assert_eq!(statuses(&app).await, (200, 200));
        assert_eq!(get(&app, "/nowhere").await.text, "nothing of mine");
        let wrong = get(&app, "/api/v1/lifecycle/start").await;
        assert_eq!(wrong.problem(), (405, "method-not-allowed".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn nested_in_an_application_the_place_of_an_execution_is_where_it_is_found() {
        let runtime = started(builder()).await;
        let server = Server::new(runtime, Reach::Loopback).wedged_after(LONG);
        let app = application().nest("/agent", server.router());
        let asked = r#"{"entry_point": "sleep", "input": 1000}"#;
        let taken = post(&app, "/agent/api/v1/executions", asked).await;
        assert_eq!(taken.status, 202);
        let place = taken.headers["location"].to_str().unwrap();
        let found = get(&app, place).await;
        assert_eq!((found.status.as_u16(), &found.json()["id"]), (200, &taken.json()["id"]));
        assert_eq!(get(&app, "/agent/nowhere").await.text, "nothing of mine");
        assert_eq!(get(&app, "/agent/health/live").await.status, 200);
    }
}
