//! Who may control the agent.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Server;
use super::problem::{Code, Problem};

/// Who reaches the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Programs on this machine alone.
    Loopback,
    /// Others too: control routes need a token.
    Network,
}

/// Stands before control routes.
pub(super) async fn control(State(server): State<Server>, request: Request, next: Next) -> Response {
    match may_control(&server, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn may_control(server: &Server, headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail| Err(Problem::new(Code::Unauthorized, detail));
    let Some(token) = server.token_of() else {
        return match server.reach() {
            Reach::Loopback => by_no_site(headers),
            Reach::Network => Err(Problem::new(
                Code::ControlDisabled,
                "control routes are off: others reach this address and no token is set. Set STEAD_LIFECYCLE_TOKEN, or listen on 127.0.0.1",
            )),
        };
    };
    let Some(header) = headers.get(AUTHORIZATION) else {
        return refused("send `Authorization: Bearer TOKEN` with the token of STEAD_LIFECYCLE_TOKEN");
    };
    match header.as_bytes().split_at_checked(BEARER.len()) {
        Some((scheme, shown)) if scheme.eq_ignore_ascii_case(BEARER) && token.is(shown.trim_ascii()) => Ok(()),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case(BEARER) => refused("this is not the agent's token"),
        Some(_) | None => refused("the token must be sent as `Authorization: Bearer TOKEN`"),
    }
}

/// Without a token, refuses what a foreign page makes a browser send: across sites, or to a name rebound to this machine.
fn by_no_site(headers: &HeaderMap) -> Result<(), Problem> {
    for (name, value) in [("Host", headers.get(HOST)), ("Origin", headers.get(ORIGIN))] {
        if let Some(value) = value
            && !is_loopback(value)
        {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let detail =
                format!("{name} `{value}` is not this machine; call it localhost or 127.0.0.1, or set a token");
            return Err(Problem::new(Code::ForeignOrigin, detail));
        }
    }
    Ok(())
}

fn is_loopback(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    let authority = text.split_once("://").map_or(text, |(_, authority)| authority);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

const BEARER: &[u8] = b"Bearer ";
