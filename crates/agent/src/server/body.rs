//! Bodies of requests: read within limits, refused with what is wrong and where.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use stead_model::{PauseMode, Seconds};

use super::problem::{Code, Problem};
use crate::runtime::StreamId;

/// Work to be executed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecuteBody {
    /// Which entry point.
    pub(super) entry_point: String,
    /// What it is asked with; null where absent.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    pub(super) input: Option<Box<RawValue>>,
    /// How long to wait for its end, in seconds or as a duration such as `"5s"`, at most 300 s. Absent or 0: it is answered at once.
    #[serde(default)]
    pub(super) wait: Seconds,
    /// The stream that it shall run in, of which one runs at a time; one of its own where absent.
    #[serde(default)]
    pub(super) stream: Option<StreamId>,
}

/// How to pause.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    /// `soft` (default) lets the work in flight end, `checkpoint` asks it to write down where it is and end.
    #[serde(default)]
    pub(super) mode: Option<PauseMode>,
    /// Why, at most 1,024 characters.
    #[serde(default)]
    pub(super) note: Option<String>,
    /// How long to wait for the work in flight, at most 1 h; the graceful timeout where absent.
    #[serde(default)]
    pub(super) wait: Option<Seconds>,
}

/// How to stop.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StopBody {
    /// How long the work in flight may take, at most 1 h; the graceful timeout where absent.
    #[serde(default)]
    pub(super) timeout: Option<Seconds>,
}

/// A request that takes nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoBody {}

/// Reads a body that must be there.
pub(super) async fn read<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = bytes(body, limit).await?;
    if bytes.is_empty() {
        return Err(Problem::invalid("the body is empty; JSON is needed"));
    }
    is_json(&parts.headers)?;
    parse(&bytes)
}

/// Reads a body that may be left out.
pub(super) async fn read_or_default<T: DeserializeOwned + Default>(
    request: Request,
    limit: usize,
) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = bytes(body, limit).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    is_json(&parts.headers)?;
    parse(&bytes)
}

/// Refuses a time that is longer than may be waited.
pub(super) fn at_most(field: &str, asked: Duration, most: Duration) -> Result<Duration, Problem> {
    if asked > most {
        let most = most.as_secs();
        return Err(Problem::invalid(format!(
            "`{field}` is {asked:?}; the most is {most} s"
        )));
    }
    Ok(asked)
}

async fn bytes(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(ARRIVAL, axum::body::to_bytes(body, limit)).await;
    match read {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(Problem::new(
            Code::TooLarge,
            format!("the body is larger than the {limit} bytes that are taken"),
        )),
        Ok(Err(error)) => Err(Problem::invalid(format!(
            "the body could not be read to its end: {error}"
        ))),
        Err(_) => Err(Problem::new(
            Code::SlowRequest,
            format!("the body was not there within {} s", ARRIVAL.as_secs()),
        )),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = cause.source();
    }
    false
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let kind = given.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    match kind {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(()),
        Some(kind) => Err(Problem::new(
            Code::UnsupportedMediaType,
            format!("the body is `{kind}`; send application/json"),
        )),
        None => Err(Problem::new(
            Code::UnsupportedMediaType,
            "the body has no Content-Type; send application/json",
        )),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let said = error.to_string();
        let said = said
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(&said);
        Problem::invalid(format!("in the body at line {line} column {column}: {said}"))
    })
}

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
