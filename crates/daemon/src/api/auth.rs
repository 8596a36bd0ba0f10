//! Who may ask: the token, and for listeners on loopback the host and site that a request comes by.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use stead_model::ProblemCode;
use subtle::ConstantTimeEq;

use super::ApiState;
use super::problem::Failure;

/// What every request must show: `Authorization: Bearer TOKEN`. Never shown.
#[derive(Clone)]
pub struct Token(Box<[u8]>);

impl Token {
    /// Takes a token of at least 16 visible ASCII characters.
    ///
    /// # Errors
    /// Says what is wrong with it, without showing it.
    pub fn new(token: &str) -> Result<Self, InvalidToken> {
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(InvalidToken::Characters)
        } else if token.len() < SHORTEST {
            Err(InvalidToken::Short(token.len()))
        } else {
            Ok(Self(token.as_bytes().into()))
        }
    }

    /// Compares in a time that does not depend on where the two differ.
    fn is(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// What was no token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidToken {
    /// It could not be sent in a header.
    #[error("a token consists of visible ASCII characters")]
    Characters,
    /// It could be guessed.
    #[error("a token of {0} characters can be guessed; use at least 16, for example from `openssl rand -hex 32`")]
    Short(usize),
}

/// Checks that nobody from outside can command a daemon that asks for no token.
///
/// # Errors
/// `addr` is off loopback and there is no token: the daemon must not start.
pub fn check_listener(addr: SocketAddr, token: Option<&Token>) -> Result<(), OpenListener> {
    if token.is_none() && !addr.ip().to_canonical().is_loopback() {
        return Err(OpenListener { addr });
    }
    Ok(())
}

/// A listener that anybody could command.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "refusing to listen on {addr} without a token: whoever reaches it could run any program here. Set STEAD_TOKEN, or listen on 127.0.0.1"
)]
pub struct OpenListener {
    /// Where it would have listened.
    pub addr: SocketAddr,
}

/// Checks the token that a request shows.
pub(super) fn check_token(state: &ApiState, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(token) = &state.token else {
        return Ok(());
    };
    let refused = |detail| Err(Failure::new(ProblemCode::Unauthorized, detail));
    let Some(header) = headers.get(AUTHORIZATION) else {
        return refused("send `Authorization: Bearer TOKEN`; the CLI takes the token from STEAD_TOKEN");
    };
    match header.as_bytes().split_at_checked(BEARER.len()) {
        Some((scheme, shown)) if scheme.eq_ignore_ascii_case(BEARER) && token.is(shown.trim_ascii()) => Ok(()),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case(BEARER) => refused("this is not the daemon's token"),
        Some(_) | None => refused("the token must be sent as `Authorization: Bearer TOKEN`"),
    }
}

/// Refuses what a foreign web page makes a browser send: to a name that was rebound to this machine, or across sites.
///
/// Only where no token stands in the way, or the listener is on loopback; a request without `Host` comes from no browser.
pub(super) fn check_site(state: &ApiState, headers: &HeaderMap) -> Result<(), Failure> {
    if !state.listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let refused = |what: &str, value: &HeaderValue| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let detail = format!(
            "{what} `{value}` is not this daemon; call it localhost or 127.0.0.1, or permit the name: `hosts` in `[daemon]` of the fleet file"
        );
        Err(Failure::new(ProblemCode::ForeignOrigin, detail))
    };
    if let Some(host) = headers.get(HOST)
        && !host.to_str().is_ok_and(|host| is_ours(state, host))
    {
        return refused("the host", host);
    }
    match headers.get(ORIGIN) {
        Some(origin) if !origin.to_str().is_ok_and(|origin| is_ours(state, strip_scheme(origin))) => {
            refused("the site", origin)
        }
        Some(_) | None => Ok(()),
    }
}

fn is_ours(state: &ApiState, authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || state.hosts.iter().any(|permitted| permitted.eq_ignore_ascii_case(host))
}

fn strip_scheme(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, authority)| authority)
}

const BEARER: &[u8] = b"Bearer ";

const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_off_loopback_needs_a_token() {
        let token = Token::new("0123456789abcdef").unwrap();
        for open in [
            "0.0.0.0:7878",
            "192.168.1.5:7878",
            "[::]:7878",
            "[::ffff:10.0.0.1]:7878",
        ] {
            let addr = open.parse().unwrap();
            let refused = check_listener(addr, None).unwrap_err().to_string();
            assert!(refused.contains(open) && refused.contains("STEAD_TOKEN"), "{refused}");
            assert_eq!(check_listener(addr, Some(&token)), Ok(()));
        }
        for closed in ["127.0.0.1:7878", "127.1.2.3:1", "[::1]:7878", "[::ffff:127.0.0.1]:7878"] {
            assert_eq!(check_listener(closed.parse().unwrap(), None), Ok(()));
        }
    }

    #[test]
    fn a_token_that_could_be_guessed_or_not_be_sent_is_refused_and_never_shown() {
        assert_eq!(Token::new("short").unwrap_err(), InvalidToken::Short(5));
        assert_eq!(
            Token::new("with space 0123456789").unwrap_err(),
            InvalidToken::Characters
        );
        assert_eq!(format!("{:?}", Token::new("0123456789abcdef").unwrap()), "Token(***)");
    }
}
