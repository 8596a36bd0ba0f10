//! The description of the API and the page that shows it, all from this binary.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

use super::{Server, openapi};

pub(super) fn mount(router: Router<Server>) -> Router<Server> {
    router
        .route("/docs", get(page))
        .route("/docs/rapidoc.js", get(script))
        .route("/openapi.json", get(document))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, include_str!("docs/page.html"))
}

/// The script is the daemon's, kept once in the repository; nothing else of that crate is used here.
async fn script() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CONTENT_ENCODING, "gzip"),
        (CACHE_CONTROL, "public, max-age=86400"),
    ];
    let script = include_bytes!("../../../daemon/src/api/docs/rapidoc-min.js.gz");
    (headers, script.as_slice())
}

async fn document(State(server): State<Server>) -> impl IntoResponse {
    let document = server.0.document.get_or_init(|| {
        // A document of objects and strings always is JSON.
        Bytes::from(serde_json::to_vec(&openapi::document()).unwrap_or_default())
    });
    ([(CONTENT_TYPE, "application/json")], document.clone())
}

/// Nothing from anywhere else: the page works without the internet, and the browser holds it to that.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
