//! Reading requests: path, query, headers and body, each refused with what is wrong and where.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stead_model::{AccessRole, AgentRef, IdempotencyKey, Origin, ProblemCode, Revision};

use super::Api;
use super::door::Correlation;
use super::openapi::Sketch;
use super::problem::Failure;

mod body;
mod text;

pub(super) use self::body::{Document, Json, JsonOr, MergePatch, Payload, any_json, is_list};
pub(super) use self::text::{Limit, Text, When, suggest};

/// A request that changes nothing.
#[derive(Debug)]
pub(super) struct Read<P, Q> {
    pub(super) path: P,
    pub(super) query: Q,
    pub(super) headers: HeaderMap,
}

/// A request that is handed something.
#[derive(Debug)]
pub(super) struct Post<P, Q, B> {
    pub(super) path: P,
    pub(super) query: Q,
    pub(super) body: B,
    pub(super) origin: Origin,
}

/// A request for a change of one agent: it may name the revision that it is meant for, and be repeated safely.
#[derive(Debug)]
pub(super) struct Change<P, Q, B> {
    pub(super) path: P,
    pub(super) query: Q,
    pub(super) body: B,
    pub(super) ticket: Ticket,
}

/// Who asks for a change, and under which conditions.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) origin: Origin,
    pub(super) expected: Option<Revision>,
    pub(super) idempotency: Option<IdempotencyKey>,
}

/// What an operation takes, for its description.
pub(super) trait Takes {
    /// Adds parameters and body.
    fn describe(sketch: &mut Sketch);
}

/// What a path holds.
pub(super) trait Place: Sized + Send {
    /// Finds it among the decoded parts of the path.
    fn find(parts: &[(String, String)]) -> Result<Self, Failure>;

    /// Adds its parameters.
    fn describe(sketch: &mut Sketch);
}

impl<P: Place, Q: DeserializeOwned + Send> FromRequest<Api> for Read<P, Q> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failure> {
        let (mut parts, _body) = request.into_parts();
        let path = place(&mut parts, api).await?;
        Ok(Self {
            path,
            query: query(&parts)?,
            headers: parts.headers,
        })
    }
}

impl<P: Place, Q: DeserializeOwned + Send, B: Payload> FromRequest<Api> for Post<P, Q, B> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failure> {
        let change = Change::<P, Q, B>::from_request(request, api).await?;
        Ok(Self {
            path: change.path,
            query: change.query,
            body: change.body,
            origin: change.ticket.origin,
        })
    }
}

impl<P: Place, Q: DeserializeOwned + Send, B: Payload> FromRequest<Api> for Change<P, Q, B> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let path = place(&mut parts, api).await?;
        let query = query(&parts)?;
        let origin = origin(&parts, api)?;
        let expected = expected(&parts.headers)?;
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, api)
            .await
            .map_err(|rejected| unread(rejected, B::LIMIT))?;
        let idempotency = idempotency(&parts, &bytes)?;
        let kind = parts
            .headers
            .get(CONTENT_TYPE)
            .map(|kind| kind.to_str().unwrap_or_default());
        Ok(Self {
            path,
            query,
            body: B::read(kind, &bytes)?,
            ticket: Ticket {
                origin,
                expected,
                idempotency,
            },
        })
    }
}

impl<P: Place, Q: JsonSchema> Takes for Read<P, Q> {
    fn describe(sketch: &mut Sketch) {
        P::describe(sketch);
        sketch.query::<Q>();
    }
}

impl<P: Place, Q: JsonSchema, B: Payload> Takes for Post<P, Q, B> {
    fn describe(sketch: &mut Sketch) {
        Read::<P, Q>::describe(sketch);
        sketch.header(
            "Stead-Actor",
            "Who asks, for history and audit. Default `anonymous`, or `token` for those who show one.",
        );
        sketch.header(
            "Stead-Role",
            "With less than all rights: `viewer`, `agent`, `operator` or `admin` (default), as policies with `require_role` ask for.",
        );
        B::describe(sketch);
    }
}

impl<P: Place, Q: JsonSchema, B: Payload> Takes for Change<P, Q, B> {
    fn describe(sketch: &mut Sketch) {
        Post::<P, Q, B>::describe(sketch);
        sketch.header(
            "Idempotency-Key",
            "1 to 255 visible characters, chosen for this one request: repeated with the same key it is answered as before \
             and done once.",
        );
        sketch.header(
            "If-Match",
            "The `ETag` that the agent must still have, as in `\"7\"`; else 412.",
        );
    }
}

/// A path without parts.
impl Place for () {
    fn find(_: &[(String, String)]) -> Result<Self, Failure> {
        Ok(())
    }

    fn describe(_: &mut Sketch) {}
}

/// A path that names an agent.
impl Place for AgentRef {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        let text = part(parts, "agent");
        text.parse()
            .map_err(|invalid| Failure::invalid(format!("{invalid}; or use the agent's id, `agt_…`")))
    }

    fn describe(sketch: &mut Sketch) {
        sketch.path(
            "agent",
            "Name of the agent in its namespace, or its id.",
            serde_json::json!({ "type": "string" }),
        );
    }
}

/// A decoded part of the path; empty where the route has none of that name.
pub(super) fn part<'p>(parts: &'p [(String, String)], name: &str) -> &'p str {
    parts
        .iter()
        .find(|(found, _)| found == name)
        .map_or("", |(_, value)| value)
}

/// A request without parameters in its query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

async fn place<P: Place>(parts: &mut Parts, api: &Api) -> Result<P, Failure> {
    let raw = RawPathParams::from_request_parts(parts, api)
        .await
        .map_err(|rejected| Failure::invalid(format!("the path cannot be read: {rejected}")))?;
    let decoded: Vec<_> = raw
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    P::find(&decoded)
}

fn query<Q: DeserializeOwned>(parts: &Parts) -> Result<Q, Failure> {
    match Query::try_from_uri(&parts.uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejected) => {
            let said = rejected.body_text();
            let said = said
                .strip_prefix("Failed to deserialize query string: ")
                .unwrap_or(&said);
            Err(Failure::invalid(format!("in the query: {}", suggest(said))))
        }
    }
}

fn origin(parts: &Parts, api: &Api) -> Result<Origin, Failure> {
    let correlation_id = parts
        .extensions
        .get::<Correlation>()
        .map(|Correlation(id)| id.clone())
        .unwrap_or_default();
    let nobody = || {
        if api.state.token.is_some() {
            "token"
        } else {
            "anonymous"
        }
        .to_owned()
    };
    let actor = match parts.headers.get(&ACTOR) {
        None => nobody(),
        Some(given) => match std::str::from_utf8(given.as_bytes()).map(str::trim) {
            Ok("stead") => {
                return Err(Failure::invalid(
                    "Stead-Actor must not be `stead`: so Stead calls itself in history",
                ));
            }
            Ok(actor) if (1..=128).contains(&actor.len()) && !actor.contains(char::is_control) => actor.to_owned(),
            Ok(_) | Err(_) => return Err(Failure::invalid("Stead-Actor must be 1 to 128 bytes of text")),
        },
    };
    let trace_id = parts
        .headers
        .get(&TRACEPARENT)
        .and_then(|given| trace_id(given.to_str().ok()?));
    Ok(Origin {
        actor,
        role: role(parts)?,
        correlation_id,
        trace_id,
    })
}

/// What the request may do: everything that its token may, or less where it says so itself.
fn role(parts: &Parts) -> Result<AccessRole, Failure> {
    let Some(given) = parts.headers.get(&ROLE) else {
        return Ok(AccessRole::Admin);
    };
    let known = AccessRole::ALL
        .iter()
        .find(|role| role.as_str().as_bytes() == given.as_bytes());
    known
        .copied()
        .ok_or_else(|| Failure::invalid("Stead-Role must be one of viewer, agent, operator, admin"))
}

/// Reads the trace id of a W3C `traceparent`; one that is invalid counts as none, as the standard has it.
fn trace_id(traceparent: &str) -> Option<String> {
    let mut fields = traceparent.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let hex = |field: &str, length| {
        field.len() == length && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let real = |id: &str| id.bytes().any(|byte| byte != b'0');
    let known = hex(version, 2) && version != "ff" && (version != "00" || fields.next().is_none());
    (known && hex(trace, 32) && real(trace) && hex(parent, 16) && real(parent) && hex(flags, 2))
        .then(|| trace.to_owned())
}

fn expected(headers: &HeaderMap) -> Result<Option<Revision>, Failure> {
    let Some(given) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    match given.to_str().map(str::trim) {
        Ok("*") => Ok(None),
        Ok(etag) => revision(etag).map(Some).ok_or_else(|| {
            Failure::invalid("If-Match must be one ETag as an earlier answer gave it, quotes included, such as \"7\"")
        }),
        Err(_) => Err(Failure::invalid("If-Match must be text")),
    }
}

fn revision(etag: &str) -> Option<Revision> {
    let digits = etag.strip_prefix('"')?.strip_suffix('"')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Revision)).flatten()
}

fn idempotency(parts: &Parts, body: &[u8]) -> Result<Option<IdempotencyKey>, Failure> {
    let Some(given) = parts.headers.get(&IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match given.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            let (method, uri) = (parts.method.as_str(), &parts.uri);
            let whole = [
                method.as_bytes(),
                uri.path().as_bytes(),
                uri.query().unwrap_or_default().as_bytes(),
                body,
            ];
            Ok(Some(IdempotencyKey {
                key: key.to_owned(),
                fingerprint: fingerprint(&whole),
            }))
        }
        Ok(_) | Err(_) => Err(Failure::invalid(
            "Idempotency-Key must be 1 to 255 visible ASCII characters",
        )),
    }
}

/// FNV-1a over the parts, each behind its length. Stored with answers: it must never change.
fn fingerprint(parts: &[&[u8]]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        let length = (part.len() as u64).to_le_bytes();
        part.iter().fold(length.iter().fold(hash, step), step)
    })
}

fn unread(rejected: BytesRejection, limit: usize) -> Failure {
    match rejected {
        BytesRejection::FailedToBufferBody(inner) if inner.status() == 413 => Failure::new(
            ProblemCode::TooLarge,
            format!("the body is larger than the {} MiB that are taken here", limit >> 20),
        ),
        other => Failure::invalid(format!("the body could not be read to its end: {other}")),
    }
}

const ROLE: HeaderName = HeaderName::from_static("stead-role");
const ACTOR: HeaderName = HeaderName::from_static("stead-actor");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_requests_apart_and_stays_the_same_for_ever() {
        assert_eq!(fingerprint(&[b"POST", b"/a", b"", b"{}"]), 0x37f6_6a44_9fa4_416f);
        assert_ne!(
            fingerprint(&[b"POST", b"/a", b"b", b""]),
            fingerprint(&[b"POST", b"/a", b"", b"b"])
        );
    }

    #[test]
    fn only_a_whole_traceparent_gives_a_trace_id() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for good in ["00-{}-00f067aa0ba902b7-01", "cc-{}-00f067aa0ba902b7-01-more"] {
            assert_eq!(trace_id(&good.replace("{}", trace)).as_deref(), Some(trace), "{good}");
        }
        for bad in [
            "",
            "{}",
            "00-{}",
            "ff-{}-00f067aa0ba902b7-01",
            "00-{}-0000000000000000-01",
            "00-{}-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(trace_id(&bad.replace("{}", trace)), None, "{bad}");
        }
        assert_eq!(
            trace_id("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
            None
        );
    }

    #[test]
    fn an_etag_is_a_revision_in_quotes() {
        assert_eq!(revision("\"7\""), Some(Revision(7)));
        for other in ["7", "W/\"7\"", "\"7", "\"x\"", "\"+7\"", "\"1\", \"2\"", ""] {
            assert_eq!(revision(other), None, "{other}");
        }
    }
}
