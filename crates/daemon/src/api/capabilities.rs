//! Capabilities: what can be asked of the fleet, who provides it, and asking.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use stead_model::{AgentName, CapabilityView, ProblemCode, ProviderView};
use stead_resilience::Deadline;

use super::extract::{Json, NoQuery, Payload, Place, Post, Read, Takes, any_json, part};
use super::find::views;
use super::openapi::Sketch;
use super::operation::{About, Gives, Table};
use super::problem::Failure;
use super::reply::{List, Shown};
use super::{Api, BASE};
use crate::capability::{Asked, Served};

pub(super) fn mount(table: &mut Table) {
    use ProblemCode::{InvalidParameters, NoFallbackAvailable, UnknownCapability};
    let about = |id, summary: &str| About::new(id, "capabilities", summary);
    let list_all = about("listCapabilities", "Lists what can be asked of the fleet, by name");
    table.add(Method::GET, format!("{BASE}/capabilities"), list_all, list);
    let one = about("getCapability", "Shows one with its providers").may(&[UnknownCapability]);
    table.add(Method::GET, format!("{BASE}/capabilities/{{capability}}"), one, show);
    let of_one = about(
        "listProviders",
        "Lists who provides it, the most preferred first, and why one would not be asked now",
    )
    .may(&[UnknownCapability]);
    table.add(
        Method::GET,
        format!("{BASE}/capabilities/{{capability}}/providers"),
        of_one,
        providers,
    );
    let invoking = about("invokeCapability", "Asks for it: the first provider that can answer does")
        .more(
            "The body is what the providers get. Those whose agent does not serve or whose circuit is open are passed over; where one fails, \
the next is asked. A provider's own 4xx is the asker's mistake and given as it is: the header `Stead-Provider` tells it from a problem of \
the daemon.",
        )
        .may(&[UnknownCapability, InvalidParameters, NoFallbackAvailable])
        .headers(HEADERS);
    table.add(
        Method::POST,
        format!("{BASE}/capabilities/{{capability}}/invoke"),
        invoking,
        invoke,
    );
}

/// A path that names a capability.
#[derive(Debug)]
struct Named(AgentName);

impl Place for Named {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        let text = part(parts, "capability");
        let name = text.parse().map_err(|invalid| Failure::invalid(format!("{invalid}")))?;
        Ok(Self(name))
    }

    fn describe(sketch: &mut Sketch) {
        let schema = serde_json::json!({ "type": "string" });
        sketch.path("capability", "Name of the capability.", schema);
    }
}

/// What it is asked with: understood, and as it came.
#[derive(Debug)]
struct Parameters {
    value: Value,
    bytes: Bytes,
}

impl Payload for Parameters {
    fn read(kind: Option<&str>, bytes: &Bytes) -> Result<Self, Failure> {
        Ok(Self {
            value: any_json(kind, bytes)?,
            bytes: bytes.clone(),
        })
    }

    fn describe(sketch: &mut Sketch) {
        Json::<Value>::describe(sketch);
    }
}

/// A request with what its headers say of how long it is of use.
struct Invocation {
    post: Post<Named, NoQuery, Parameters>,
    headers: HeaderMap,
}

impl FromRequest<Api> for Invocation {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failure> {
        let headers = request.headers().clone();
        let post = Post::from_request(request, api).await?;
        Ok(Self { post, headers })
    }
}

impl Takes for Invocation {
    fn describe(sketch: &mut Sketch) {
        Post::<Named, NoQuery, Parameters>::describe(sketch);
    }
}

async fn list(api: Api, _: Read<(), NoQuery>) -> Result<Shown<List<CapabilityView>>, Failure> {
    Ok(Shown(List {
        items: api.state.handle.capabilities().list(views(&api)),
        next_cursor: None,
    }))
}

async fn show(api: Api, read: Read<Named, NoQuery>) -> Result<Shown<CapabilityView>, Failure> {
    let Named(name) = read.path;
    Ok(Shown(api.state.handle.capabilities().one(&name, views(&api))?))
}

async fn providers(api: Api, read: Read<Named, NoQuery>) -> Result<Shown<List<ProviderView>>, Failure> {
    let Named(name) = read.path;
    let capability = api.state.handle.capabilities().one(&name, views(&api))?;
    Ok(Shown(List {
        items: capability.providers,
        next_cursor: None,
    }))
}

async fn invoke(api: Api, invocation: Invocation) -> Result<Served, Failure> {
    let Invocation { post, headers } = invocation;
    let Named(name) = post.path;
    let capabilities = api.state.handle.capabilities();
    let most = capabilities.deadline(&name)?;
    let said = Deadline::from_headers(capabilities.clock(), most, |header| headers.get(header)?.to_str().ok());
    let said = said.map_err(|invalid| Failure::invalid(invalid.to_string()))?;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let asked = Asked {
        parameters: post.body.value,
        body: post.body.bytes,
        idempotency_key: key.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned),
        correlation_id: post.origin.correlation_id,
    };
    let deadline = said.unwrap_or_else(|| capabilities.until(most));
    Ok(capabilities.invoke(&name, asked, deadline, views(&api)).await?)
}

impl IntoResponse for Served {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.answer.body.into());
        *response.status_mut() = self.answer.status;
        let headers = response.headers_mut();
        if let Some(kind) = self.answer.content_type {
            headers.insert(axum::http::header::CONTENT_TYPE, kind);
        }
        if let Ok(provider) = HeaderValue::from_str(self.provider.as_str()) {
            headers.insert("stead-provider", provider);
        }
        headers.insert("stead-level", HeaderValue::from(self.level.get()));
        response
    }
}

impl Gives for Served {
    fn describe(sketch: &mut Sketch) {
        let anything = serde_json::json!({ "description": "As the provider gave it, up to 8 MiB." });
        let headers = [
            ("Stead-Provider", "Which provider answered."),
            ("Stead-Level", "Its level: 100 is primary, 50 fallback, 10 emergency."),
        ];
        sketch.response(
            200,
            "What the provider answered.",
            &[("application/json", anything)],
            &headers,
        );
    }
}

const HEADERS: &[(&str, &str)] = &[
    (
        "X-Request-Timeout-Ms",
        "For so many milliseconds the answer is of use; `grpc-timeout` and `x-envoy-expected-rq-timeout-ms` say the same. Default and most: \
the capability's `deadline`.",
    ),
    (
        "Idempotency-Key",
        "1 to 255 visible characters, chosen for this one request: repeated with the same key it is answered as before \
             and done once.",
    ),
];
