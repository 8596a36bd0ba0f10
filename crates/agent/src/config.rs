//! The lifecycle server's configuration: in code, and over it the environment.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use stead_model::Span;
use subtle::ConstantTimeEq;

/// Whether and where an agent answers for itself.
///
/// # Defaults
///
/// | field | default | environment | what goes wrong |
/// |---|---|---|---|
/// | `enabled` | no | `STEAD_LIFECYCLE_ENABLED` | off, nobody can probe it |
/// | `host` | `0.0.0.0` | `STEAD_LIFECYCLE_HOST` | an address that the orchestrator cannot reach |
/// | `port` | 8080 | `STEAD_LIFECYCLE_PORT` | taken: the agent does not start. 0 takes a free one and logs it |
/// | `token` | none | `STEAD_LIFECYCLE_TOKEN` | none off loopback: control routes answer 403 |
/// | `graceful_timeout` | the runtime's, 30 s | `STEAD_GRACEFUL_SHUTDOWN_TIMEOUT` | shorter than the work: it is interrupted; longer than the orchestrator waits: it is killed |
/// | `max_body` | 2 MiB | – | larger than inputs need: memory |
#[derive(Clone, Debug)]
pub struct LifecycleConfig {
    /// Whether it answers at all.
    pub enabled: bool,
    /// The address that it listens on.
    pub host: IpAddr,
    /// The port that it listens on.
    pub port: u16,
    /// What control routes must be shown.
    pub token: Option<Token>,
    /// How long a drain waits for the work in flight; the runtime's own where absent.
    pub graceful_timeout: Option<Duration>,
    /// How large a body may be, in bytes.
    pub max_body: usize,
}

/// What a control route must be shown: `Authorization: Bearer TOKEN`. Never shown itself.
#[derive(Clone)]
pub struct Token(Box<[u8]>);

/// What was no configuration. Nothing was started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// Neither yes nor no.
    #[error("STEAD_LIFECYCLE_ENABLED is `{0}`; use true or false")]
    Enabled(String),
    /// Not an address.
    #[error("STEAD_LIFECYCLE_HOST is `{0}`; use an address such as 127.0.0.1 or 0.0.0.0")]
    Host(String),
    /// Not a port.
    #[error("STEAD_LIFECYCLE_PORT is `{0}`; use a number from 0 to 65535")]
    Port(String),
    /// Not a time.
    #[error("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT is `{0}`; use seconds, such as 30, or a duration, such as 500ms")]
    Timeout(String),
    /// It could not be sent in a header.
    #[error("a token (STEAD_LIFECYCLE_TOKEN) consists of visible ASCII characters; this one has others")]
    TokenCharacters,
    /// It could be guessed.
    #[error(
        "a token (STEAD_LIFECYCLE_TOKEN) of {0} characters can be guessed; use at least 16, for example from `openssl rand -hex 32`"
    )]
    TokenShort(usize),
}

impl Default for LifecycleConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 8080,
            token: None,
            graceful_timeout: None,
            max_body: 2 * 1024 * 1024,
        }
    }
}

impl LifecycleConfig {
    /// Answers, to programs on this machine alone: 127.0.0.1, port 8080.
    #[must_use]
    pub fn on_loopback() -> Self {
        Self {
            enabled: true,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ..Self::default()
        }
    }

    /// What the environment says, over this: a variable that is set wins, one that is empty counts as not set.
    ///
    /// # Errors
    /// A variable makes no sense: which, and what it may be.
    pub fn with_env(self) -> Result<Self, InvalidConfig> {
        self.with(|name| std::env::var(name).ok())
    }

    fn with(mut self, read: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidConfig> {
        let read = |name| {
            read(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        if let Some(enabled) = read("STEAD_LIFECYCLE_ENABLED") {
            self.enabled = yes_or_no(&enabled).ok_or(InvalidConfig::Enabled(enabled))?;
        }
        if let Some(host) = read("STEAD_LIFECYCLE_HOST") {
            let named = if host == "localhost" { "127.0.0.1" } else { &host };
            self.host = named.parse().map_err(|_unreadable| InvalidConfig::Host(host.clone()))?;
        }
        if let Some(port) = read("STEAD_LIFECYCLE_PORT") {
            self.port = port.parse().map_err(|_unreadable| InvalidConfig::Port(port.clone()))?;
        }
        if let Some(token) = read("STEAD_LIFECYCLE_TOKEN") {
            self.token = Some(Token::new(&token)?);
        }
        if let Some(timeout) = read("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT") {
            let seconds = timeout.parse::<f64>().ok();
            let seconds = seconds.map(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let span = seconds.unwrap_or_else(|| timeout.parse::<Span>().ok().map(|span| span.0));
            self.graceful_timeout = Some(span.ok_or(InvalidConfig::Timeout(timeout))?);
        }
        Ok(self)
    }
}

/// What a variable that says yes or no says.
pub(crate) fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

impl Token {
    /// Takes a token of at least 16 visible ASCII characters.
    ///
    /// # Errors
    /// Says what is wrong with it, without showing it.
    pub fn new(token: &str) -> Result<Self, InvalidConfig> {
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(InvalidConfig::TokenCharacters)
        } else if token.len() < SHORTEST {
            Err(InvalidConfig::TokenShort(token.len()))
        } else {
            Ok(Self(token.as_bytes().into()))
        }
    }

    /// Compares in a time that does not depend on where the two differ.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<LifecycleConfig, InvalidConfig> {
        let find = |name: &str| pairs.iter().find(|(known, _)| *known == name);
        LifecycleConfig::default().with(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn it_is_off_unless_something_says_otherwise() {
        let config = read(&[("STEAD_LIFECYCLE_ENABLED", "")]).unwrap();
        assert!(!config.enabled && config.token.is_none());
        assert_eq!((config.host.to_string().as_str(), config.port), ("0.0.0.0", 8080));
    }

    #[test]
    fn the_environment_is_read_whole() {
        let config = read(&[
            ("STEAD_LIFECYCLE_ENABLED", "True"),
            ("STEAD_LIFECYCLE_HOST", "localhost"),
            ("STEAD_LIFECYCLE_PORT", "9000"),
            ("STEAD_LIFECYCLE_TOKEN", "0123456789abcdef"),
            ("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", "2.5"),
        ]);
        let config = config.unwrap();
        assert!(config.enabled && config.host.is_loopback() && config.port == 9000);
        assert_eq!(config.graceful_timeout, Some(Duration::from_millis(2_500)));
        assert!(config.token.as_ref().unwrap().is(b"0123456789abcdef"));
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
        let spelled = read(&[("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", "1m 30s")]).unwrap();
        assert_eq!(spelled.graceful_timeout, Some(Duration::from_secs(90)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_name_and_never_with_the_token() {
        for (name, value) in [
            ("STEAD_LIFECYCLE_ENABLED", "maybe"),
            ("STEAD_LIFECYCLE_HOST", "nowhere"),
            ("STEAD_LIFECYCLE_PORT", "99999"),
            ("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", "-1"),
            ("STEAD_GRACEFUL_SHUTDOWN_TIMEOUT", "soon"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        assert_eq!(
            read(&[("STEAD_LIFECYCLE_TOKEN", "short")]).unwrap_err(),
            InvalidConfig::TokenShort(5)
        );
        assert_eq!(
            Token::new("with space 0123456789").unwrap_err(),
            InvalidConfig::TokenCharacters
        );
    }
}
