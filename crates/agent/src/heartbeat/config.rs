//! Whether, to whom and for whom it beats: in code, and over it the environment.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use stead_model::{AgentName, Incarnation};
use tracing::warn;

use super::pace::{LONGEST, SHORTEST};

/// Whether and how an agent beats.
///
/// # Defaults
///
/// | field | default | environment | what goes wrong |
/// |---|---|---|---|
/// | `enabled` | yes, where there is a daemon | `STEAD_HEARTBEATS` | off: a process that hangs is found by its probes and its watchdog alone |
/// | `url` | none | `STEAD_URL`, where `STEAD_AGENT` is set as well: the daemon sets both | without one it does not beat |
/// | `interval` | 5 s, then as the daemon wishes | – | longer than the agent's timeout there: it is missed before it is heard again |
/// | `executions_are_requests` | no | – | where executions take long, it counts as slow and is degraded |
///
/// Whose beats they are is said by `STEAD_AGENT`, `STEAD_NAMESPACE` and `STEAD_INCARNATION`, which the daemon sets as well, else by the
/// agent's own name. The token is read from the file that `STEAD_TOKEN_FILE` names, anew with each connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeartbeatConfig {
    /// Whether it beats at all.
    pub enabled: bool,
    /// Where the daemon is: `http://HOST:PORT`.
    pub url: Option<String>,
    /// How often it beats until the daemon says how often it wishes to be told.
    pub interval: Duration,
    /// Whether the time that executions take is told as `request_latency`, which is judged; else as the gauge `execution_ms`, which is not.
    pub executions_are_requests: bool,
}

/// What was no configuration of beats. Nothing was started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidHeartbeats {
    /// Neither yes nor no.
    #[error("STEAD_HEARTBEATS is `{0}`; use true or false")]
    Enabled(String),
    /// Not a run.
    #[error("STEAD_INCARNATION is `{0}`; the daemon sets it to a number")]
    Incarnation(String),
    /// Nobody is told so often, or never.
    #[error("an interval of {0:?}; use 50ms to 10m")]
    Interval(Duration),
    /// Two runtimes would beat for one agent.
    #[error("two runtimes would beat for the agent `{0}`; give each a name of its own")]
    Twice(String),
    /// More runtimes than one process beats for.
    #[error("{0} runtimes would beat together; {most} can", most = super::beats::MOST)]
    TooMany(usize),
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            url: None,
            interval: Duration::from_secs(5),
            executions_are_requests: false,
        }
    }
}

/// To whom and for whom it beats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(super) daemon: Daemon,
    pub(super) whose: Whose,
}

/// Where the daemon is, and what it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Daemon {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) token_file: Option<PathBuf>,
}

/// Whose beats they are. Names have no characters that would have to be escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Whose {
    pub(super) agent: String,
    /// The daemon's usual one where there is none.
    pub(super) namespace: Option<String>,
    pub(super) incarnation: Option<Incarnation>,
}

impl Whose {
    /// The path of their route.
    pub(super) fn path(&self) -> String {
        let namespace = self.namespace.as_ref().map(|name| format!("?namespace={name}"));
        format!(
            "/api/v1/agents/{}/heartbeats{}",
            self.agent,
            namespace.unwrap_or_default()
        )
    }
}

/// What the environment says of a daemon and of this process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Surroundings {
    pub(super) daemon: Daemon,
    agent: Option<String>,
    namespace: Option<String>,
    incarnation: Option<Incarnation>,
}

impl Surroundings {
    /// The run that this process is; under `name` where nobody gave it another.
    pub(crate) fn own(&self, name: &AgentName) -> Whose {
        Whose {
            agent: self.agent.clone().unwrap_or_else(|| name.to_string()),
            namespace: self.namespace.clone(),
            incarnation: self.incarnation,
        }
    }

    /// Another agent of the same namespace, which has no run that was told here.
    pub(crate) fn other(&self, name: &AgentName) -> Whose {
        Whose {
            agent: name.to_string(),
            namespace: self.namespace.clone(),
            incarnation: None,
        }
    }
}

impl HeartbeatConfig {
    /// Where the beats of this process go; see [`HeartbeatConfig::surroundings`].
    pub(crate) fn place(&self, name: &AgentName) -> Result<Option<Place>, InvalidHeartbeats> {
        let surroundings = self.surroundings()?;
        Ok(surroundings.map(|found| Place {
            whose: found.own(name),
            daemon: found.daemon,
        }))
    }

    /// Where beats go, by the environment and this; nowhere where it is off, or there is no daemon that could be told. An address that
    /// others may have use for, such as one of https, keeps no agent from its work.
    pub(crate) fn surroundings(&self) -> Result<Option<Surroundings>, InvalidHeartbeats> {
        self.surroundings_by(|name| std::env::var(name).ok())
    }

    pub(super) fn surroundings_by(
        &self,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Surroundings>, InvalidHeartbeats> {
        let read = |name| {
            read(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let enabled = match read("STEAD_HEARTBEATS") {
            None => self.enabled,
            Some(said) => crate::config::yes_or_no(&said).ok_or(InvalidHeartbeats::Enabled(said))?,
        };
        if !(SHORTEST..=LONGEST).contains(&self.interval) {
            return Err(InvalidHeartbeats::Interval(self.interval));
        }
        // Whoever asks the daemon from a shell has STEAD_URL set: a program that is merely tried there beats for nobody.
        let named = read("STEAD_AGENT");
        let given = named
            .as_ref()
            .and_then(|_| read("STEAD_URL"))
            .or_else(|| self.url.clone());
        let (true, Some(url)) = (enabled, given) else {
            return Ok(None);
        };
        let Some((host, port)) = host_and_port(&url) else {
            warn!("BeatsOff: STEAD_URL is `{url}`; beats go to http://HOST:PORT alone");
            return Ok(None);
        };
        let incarnation = read("STEAD_INCARNATION").map(|text| match text.parse() {
            Ok(number) => Ok(Incarnation(number)),
            Err(_) => Err(InvalidHeartbeats::Incarnation(text)),
        });
        Ok(Some(Surroundings {
            daemon: Daemon {
                host,
                port,
                token_file: read("STEAD_TOKEN_FILE").map(PathBuf::from),
            },
            agent: named,
            namespace: read("STEAD_NAMESPACE"),
            incarnation: incarnation.transpose()?,
        }))
    }
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") {
        return None;
    }
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, uri.port_u16().unwrap_or(80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(pairs: &[(&str, &str)]) -> Result<Option<Surroundings>, InvalidHeartbeats> {
        let find = |name: &str| pairs.iter().find(|(known, _)| *known == name);
        HeartbeatConfig::default().surroundings_by(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn own(surroundings: &Surroundings) -> Whose {
        surroundings.own(&"own".parse().unwrap())
    }

    #[test]
    fn without_a_daemon_or_where_it_is_off_nobody_is_told() {
        assert_eq!(place(&[]).unwrap(), None);
        assert_eq!(place(&[("STEAD_URL", " ")]).unwrap(), None);
        let shell = [("STEAD_URL", "http://127.0.0.1:7878")];
        assert_eq!(place(&shell).unwrap(), None);
        let off = [shell[0], ("STEAD_AGENT", "web"), ("STEAD_HEARTBEATS", "off")];
        assert_eq!(place(&off).unwrap(), None);
    }

    #[test]
    fn the_daemon_is_told_under_the_name_that_it_gave() {
        let whole = place(&[
            ("STEAD_URL", "http://[::1]:9000/"),
            ("STEAD_AGENT", "web-3"),
            ("STEAD_NAMESPACE", "team"),
            ("STEAD_INCARNATION", "7"),
            ("STEAD_TOKEN_FILE", "/run/token"),
        ]);
        let whole = whole.unwrap().unwrap();
        let (daemon, whose) = (&whole.daemon, own(&whole));
        assert_eq!((daemon.host.as_str(), daemon.port), ("::1", 9000));
        assert_eq!(daemon.token_file, Some(PathBuf::from("/run/token")));
        assert_eq!(whose.path(), "/api/v1/agents/web-3/heartbeats?namespace=team");
        assert_eq!(whose.incarnation, Some(Incarnation(7)));
        // Another one in the same process is no run of this agent.
        let other = whole.other(&"reader".parse().unwrap());
        assert_eq!(other.path(), "/api/v1/agents/reader/heartbeats?namespace=team");
        assert_eq!(other.incarnation, None);
        let config = HeartbeatConfig {
            url: Some("http://steady".to_owned()),
            ..HeartbeatConfig::default()
        };
        let alone = config.surroundings_by(|_| None).unwrap().unwrap();
        assert_eq!((alone.daemon.host.as_str(), alone.daemon.port), ("steady", 80));
        assert_eq!(own(&alone).path(), "/api/v1/agents/own/heartbeats");
        assert_eq!(own(&alone).incarnation, None);
    }

    #[test]
    fn an_address_that_cannot_be_told_keeps_no_agent_from_its_work() {
        for url in [
            "https://127.0.0.1:7878",
            "127.0.0.1:7878",
            "http://127.0.0.1:7878/below",
            "here",
        ] {
            assert_eq!(
                place(&[("STEAD_URL", url), ("STEAD_AGENT", "web")]).unwrap(),
                None,
                "{url}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_name() {
        for (name, value) in [("STEAD_HEARTBEATS", "sometimes"), ("STEAD_INCARNATION", "second")] {
            let error = place(&[
                ("STEAD_URL", "http://127.0.0.1:1"),
                ("STEAD_AGENT", "web"),
                (name, value),
            ]);
            let error = if name == "STEAD_URL" {
                place(&[(name, value)])
            } else {
                error
            };
            let error = error.unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        let config = HeartbeatConfig {
            interval: Duration::ZERO,
            ..HeartbeatConfig::default()
        };
        let refused = config.surroundings_by(|_| None);
        assert_eq!(refused, Err(InvalidHeartbeats::Interval(Duration::ZERO)));
    }
}
