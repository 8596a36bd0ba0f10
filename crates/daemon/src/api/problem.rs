//! Problems on their way out (RFC 9457).

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stead_model::{Problem, ProblemCode};
use stead_store::{ReadError, StoreError};

/// A problem as the answer of a handler. Boxed: errors travel far more often than they happen.
#[derive(Clone, Debug)]
pub(super) struct Failure(Box<Problem>);

impl Failure {
    pub(super) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, detail)))
    }

    /// Whether it is of this code.
    pub(super) fn is(&self, code: ProblemCode) -> bool {
        self.0.code == code
    }

    /// What is wrong, as one part of an answer.
    pub(super) fn into_problem(self) -> Problem {
        *self.0
    }

    /// A request that cannot be understood.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::InvalidRequest, detail)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Gone => Self::new(
                ProblemCode::CursorGone,
                format!("{error}; start again without a cursor"),
            ),
            ReadError::Cursor => Self::invalid(format!("{error}; use it with the filters that it was given for")),
            ReadError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(
            ProblemCode::StoreUnavailable,
            format!("history cannot be read now: {error}"),
        )
    }
}

impl IntoResponse for Failure {
    /// Leaves the body to [`finish`], which knows the correlation id.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem of a response, if it is one, into its body; returns its code.
pub(super) fn finish(response: &mut Response, correlation_id: &str) -> Option<ProblemCode> {
    let Failure(mut problem) = response.extensions_mut().remove()?;
    problem.correlation_id.get_or_insert_with(|| correlation_id.to_owned());
    let code = problem.code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    match code {
        ProblemCode::Unauthorized => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        ProblemCode::Busy | ProblemCode::StoreUnavailable | ProblemCode::OutcomeUnknown => {
            problem.retry_after.get_or_insert(1);
        }
        _ => {}
    }
    if let Some(secs) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    // A problem is strings and numbers: it always is JSON.
    *response.body_mut() = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
    Some(code)
}
