//! Problems of the lifecycle server (RFC 9457), with stable codes.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::runtime::{ExecutionId, Refused};
use crate::store::whole;

/// Declares the codes with their status and title.
macro_rules! codes {
    ($($variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// A stable code of a problem; its `type` is `urn:stead:problem:` and the code.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub(super) enum Code { $(#[doc = $title] $variant,)* }

        impl Code {
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            pub(super) const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            pub(super) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid-request", 400, "The request cannot be understood";
    Unauthorized = "unauthorized", 401, "A valid token is needed";
    ControlDisabled = "control-disabled", 403, "It cannot be controlled from here";
    ForeignOrigin = "foreign-origin", 403, "The request came by way of another site";
    NotFound = "not-found", 404, "There is nothing here";
    UnknownEntryPoint = "unknown-entry-point", 404, "There is no such entry point";
    UnknownExecution = "unknown-execution", 404, "There is no such execution";
    MethodNotAllowed = "method-not-allowed", 405, "This cannot be done here";
    NotInTime = "not-in-time", 408, "It has not ended in the time that was asked for";
    SlowRequest = "slow-request", 408, "The request took too long to arrive";
    WrongState = "wrong-state", 409, "The runtime's state does not permit it";
    StreamBusy = "stream-busy", 409, "The stream has an execution that has not ended";
    NotOffered = "not-offered", 409, "This runtime does not offer it";
    TooLarge = "too-large", 413, "The request is too large";
    IdempotencyKeyReused = "idempotency-key-reused", 422, "The idempotency key was used for another request";
    UnsupportedMediaType = "unsupported-media-type", 415, "The body must be JSON";
    StartFailed = "start-failed", 500, "The start failed";
    Internal = "internal", 500, "Something went wrong here";
    Busy = "busy", 503, "As much runs as may at once";
    Paused = "paused", 503, "It is paused and takes no work";
    Draining = "draining", 503, "It drains and takes no work";
    NotRunning = "not-running", 503, "It is not running and takes no work";
    StoreUnavailable = "store-unavailable", 503, "It cannot be written down now";
}

/// A problem as `application/problem+json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// `urn:stead:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What it says in general.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The stable code.
    code: Code,
    /// What was wrong, where, and what to do.
    detail: String,
    /// The states that may follow, where the state did not permit what was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    possible: Vec<&'static str>,
    /// The execution that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<ExecutionId>,
    /// In how many seconds to ask again; also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:stead:problem:{}", code.as_str()),
            title: code.title(),
            status: code.status(),
            code,
            detail: detail.into(),
            possible: Vec::new(),
            execution_id: None,
            retry_after: None,
        }
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let code = match &refused {
            Refused::UnknownEntryPoint { .. } => Code::UnknownEntryPoint,
            Refused::UnknownExecution(_) => Code::UnknownExecution,
            Refused::StreamBusy { .. } | Refused::StreamHeld { .. } => Code::StreamBusy,
            Refused::KeyReused(_) => Code::IdempotencyKeyReused,
            Refused::Full { .. } => Code::Busy,
            Refused::Paused { .. } => Code::Paused,
            Refused::Draining { .. } => Code::Draining,
            Refused::NotRunning(_) => Code::NotRunning,
            Refused::WrongState { .. } | Refused::StoppedMeanwhile | Refused::Leaving => Code::WrongState,
            Refused::Unsupported(_) => Code::NotOffered,
            Refused::StartFailed(_) => Code::StartFailed,
            Refused::Store(_) => Code::StoreUnavailable,
            Refused::TooLarge { .. } => Code::TooLarge,
            Refused::NotInTime { .. } => Code::NotInTime,
            Refused::Internal(_) => Code::Internal,
        };
        let problem = Self::new(code, whole(&refused));
        let retry_after = refused.retry_after().map(|wait| wait.as_secs_f64().ceil());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole seconds, never negative"
        )]
        let retry_after = retry_after.map(|secs| secs as u64);
        Self {
            retry_after,
            possible: match &refused {
                Refused::WrongState { state, .. } => state.possible(),
                _ => Vec::new(),
            },
            execution_id: match &refused {
                Refused::StreamBusy { execution, .. }
                | Refused::NotInTime { execution, .. }
                | Refused::KeyReused(execution) => Some(*execution),
                _ => None,
            },
            ..problem
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A problem is strings and numbers: it always is JSON.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        if self.code == Code::Unauthorized {
            let headers = response.headers_mut();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(secs) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}
