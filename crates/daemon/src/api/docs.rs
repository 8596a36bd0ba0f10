//! The description of the API and the page that shows it, all from this binary.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;

use super::{Api, openapi};

pub(super) fn mount(router: Router<Api>) -> Router<Api> {
    router
        .route("/", get(async || Redirect::temporary("/docs")))
        .route("/docs", get(page))
        .route("/docs/rapidoc.js", get(script))
        .route("/openapi.json", get(document))
}

async fn page() -> impl IntoResponse {
    (
        [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, POLICY),
        ],
        include_str!("docs/page.html"),
    )
}

async fn script() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CONTENT_ENCODING, "gzip"),
        (CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, include_bytes!("docs/rapidoc-min.js.gz").as_slice())
}

async fn document(State(api): State<Api>) -> impl IntoResponse {
    let document = api.document.get_or_init(|| {
        // A document of objects and strings always is JSON.
        Bytes::from(serde_json::to_vec(&openapi::document(&super::table())).unwrap_or_default())
    });
    ([(CONTENT_TYPE, "application/json")], document.clone())
}

/// Nothing from anywhere else: the page works without the internet, and the browser holds it to that.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
