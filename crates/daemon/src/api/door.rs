//! What every request passes: it gets a correlation id, is checked, and cannot take the daemon down with it.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use stead_model::ProblemCode;
use uuid::Uuid;

use super::problem::{Failure, finish};
use super::{Api, auth};

/// Binds together all that one request led to.
#[derive(Clone, Debug)]
pub(super) struct Correlation(pub(super) String);

/// Lets a request in and its answer out.
pub(super) async fn pass(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let given = correlation(request.headers());
    let correlation = given.clone().unwrap_or_else(|_invalid| fresh());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let admitted = given.and_then(|_| admit(&api, &request));
    request.extensions_mut().insert(Correlation(correlation.clone()));
    let mut response = match admitted {
        Ok(()) => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_panicked) => Failure::new(
                ProblemCode::Internal,
                "the daemon made a mistake in answering; it is in its log under this correlation id",
            )
            .into_response(),
        },
        Err(refused) => refused.into_response(),
    };
    let problem = finish(&mut response, &correlation);
    tell(&method, &path, &correlation, problem);
    let outcome = problem.map_or("ok", ProblemCode::as_str);
    api.state.handle.status().tally().request(word(&method), outcome);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&correlation) {
        headers.insert(CORRELATION_ID, value);
    }
    response
}

/// Answers what no route takes.
pub(super) async fn nothing_here(uri: Uri) -> Failure {
    let detail = format!(
        "there is nothing at {}; /openapi.json and /docs say what there is",
        uri.path()
    );
    Failure::new(ProblemCode::NotFound, detail)
}

/// Answers a method that a route does not take; the `Allow` header tells those that it does.
pub(super) async fn not_so(method: Method, uri: Uri) -> Failure {
    let detail = format!(
        "{method} is not possible at {}; the header `Allow` says what is",
        uri.path()
    );
    Failure::new(ProblemCode::MethodNotAllowed, detail)
}

fn admit(api: &Api, request: &Request) -> Result<(), Failure> {
    auth::check_site(&api.state, request.headers())?;
    if OPEN.contains(&request.uri().path()) {
        return Ok(());
    }
    auth::check_token(&api.state, request.headers())
}

fn correlation(headers: &HeaderMap) -> Result<String, Failure> {
    let Some(given) = headers.get(&CORRELATION_ID) else {
        return Ok(fresh());
    };
    match given.to_str() {
        Ok(id) if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(id.to_owned()),
        Ok(_) | Err(_) => Err(Failure::invalid(
            "X-Correlation-Id must be 1 to 128 visible ASCII characters",
        )),
    }
}

fn fresh() -> String {
    Uuid::now_v7().simple().to_string()
}

/// A method as it is counted: whatever else somebody sends is one word, too.
fn word(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.into_iter().find(|known| method == known).unwrap_or("other")
}

fn tell(method: &Method, path: &str, correlation_id: &str, problem: Option<ProblemCode>) {
    let code = problem.map_or("", ProblemCode::as_str);
    match problem {
        Some(ProblemCode::Internal) => tracing::error!(%method, path, correlation_id, "RequestPanicked"),
        Some(_) if !method.is_safe() => tracing::warn!(%method, path, correlation_id, code, "RequestRefused"),
        None if !method.is_safe() => tracing::info!(%method, path, correlation_id, "RequestServed"),
        Some(_) | None => tracing::debug!(%method, path, correlation_id, code, "RequestServed"),
    }
}

pub(super) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// What may be seen without a token: probes must not hold one, and the description of the API is no secret.
pub(super) const OPEN: &[&str] = &[
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/docs",
    "/docs/rapidoc.js",
    "/",
];
