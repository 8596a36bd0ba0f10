//! The table of operations: each mounts a handler and describes it from the types that it takes and gives.

use std::future::Future;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::Method;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use stead_model::ProblemCode;

use super::extract::Takes;
use super::openapi::Sketch;
use super::problem::Failure;
use super::{Api, docs, door};

/// Every operation, mounted and described.
#[derive(Default)]
pub(super) struct Table {
    router: Router<Api>,
    operations: Vec<Operation>,
}

/// What is said about an operation beside its types.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// Unique; clients are generated from it.
    pub(super) id: String,
    /// Under which heading it stands.
    pub(super) tag: &'static str,
    /// What it does, in one line.
    pub(super) summary: String,
    /// What there is to know beside.
    pub(super) description: &'static str,
    /// What may go wrong beside what may go wrong everywhere.
    pub(super) problems: &'static [ProblemCode],
    /// Largest body, in bytes.
    pub(super) limit: usize,
    /// Further headers of the request, and what they say.
    pub(super) headers: &'static [(&'static str, &'static str)],
}

/// One operation as it is described.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) about: About,
    pub(super) takes: fn(&mut Sketch),
    pub(super) gives: fn(&mut Sketch),
}

/// What an operation gives when it succeeds.
pub(super) trait Gives: IntoResponse {
    /// Adds the response.
    fn describe(sketch: &mut Sketch);
}

impl About {
    pub(super) fn new(id: impl Into<String>, tag: &'static str, summary: impl Into<String>) -> Self {
        let (id, summary) = (id.into(), summary.into());
        Self {
            id,
            tag,
            summary,
            description: "",
            problems: &[],
            limit: 1024 * 1024,
            headers: &[],
        }
    }

    pub(super) fn more(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    pub(super) fn may(self, problems: &'static [ProblemCode]) -> Self {
        Self { problems, ..self }
    }

    pub(super) fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    pub(super) fn headers(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }
}

impl Table {
    /// Adds an operation.
    pub(super) fn add<X, R, F, H>(&mut self, method: Method, path: impl Into<String>, about: About, handler: H)
    where
        X: FromRequest<Api, Rejection = Failure> + Takes + Send + 'static,
        R: Gives,
        F: Future<Output = Result<R, Failure>> + Send,
        H: Fn(Api, X) -> F + Clone + Send + Sync + 'static,
    {
        let path = path.into();
        let route = mounted(&method, handler).layer(DefaultBodyLimit::max(about.limit));
        self.router = std::mem::take(&mut self.router).route(&path, route);
        self.operations.push(Operation {
            method,
            path,
            about,
            takes: X::describe,
            gives: R::describe,
        });
    }

    pub(super) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Ends the table: with the pages beside it, what is said where there is nothing, and the door before all of it.
    pub(super) fn into_router(self, api: &Api) -> Router {
        docs::mount(self.router)
            .fallback(door::nothing_here)
            .method_not_allowed_fallback(door::not_so)
            .layer(axum::middleware::from_fn_with_state(Api::clone(api), door::pass))
            .with_state(Api::clone(api))
    }
}

fn mounted<X, R, F, H>(method: &Method, handler: H) -> MethodRouter<Api>
where
    X: FromRequest<Api, Rejection = Failure> + Send + 'static,
    R: IntoResponse,
    F: Future<Output = Result<R, Failure>> + Send,
    H: Fn(Api, X) -> F + Clone + Send + Sync + 'static,
{
    let service = move |State(api): State<Api>, request: Request| {
        let handler = handler.clone();
        async move {
            match X::from_request(request, &api).await {
                Ok(asked) => handler(api, asked).await.into_response(),
                Err(refused) => refused.into_response(),
            }
        }
    };
    // All methods of the table have a filter; GET is the harmless one.
    on(
        MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET),
        service,
    )
}
