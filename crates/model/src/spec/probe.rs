//! Probes with Kubernetes' field names (in snake case, camel case is taken too) and defaults.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InvalidSpec;
use crate::Seconds;

/// The probes of an agent: three look at its runs, one asks whether it can run again.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Until it succeeds the others wait; its failure is a failed start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
    /// Its failure ends the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// Its failure takes the agent out of work until it succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// Asked while it is held for a cause that no start can help, ever more seldom, up to 5 minutes apart; its success has it started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<Probe>,
}

impl Probes {
    /// The probe of a kind, where there is one.
    #[must_use]
    pub fn get(&self, kind: ProbeKind) -> Option<&Probe> {
        match kind {
            ProbeKind::Startup => self.startup.as_ref(),
            ProbeKind::Liveness => self.liveness.as_ref(),
            ProbeKind::Readiness => self.readiness.as_ref(),
            ProbeKind::Clear => self.clear.as_ref(),
        }
    }

    /// Those that look at a run.
    #[must_use]
    pub fn of_run(&self) -> Self {
        Self {
            clear: None,
            ..self.clone()
        }
    }

    /// Whether a run is looked at.
    #[must_use]
    pub const fn look_at_runs(&self) -> bool {
        self.startup.is_some() || self.liveness.is_some() || self.readiness.is_some()
    }
}

/// Which of the probes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// Has it come up?
    Startup,
    /// Does it live?
    Liveness,
    /// May it get work?
    Readiness,
    /// Is the cause gone for which it is held?
    Clear,
}

impl ProbeKind {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Startup, Self::Liveness, Self::Readiness, Self::Clear];
}

impl core::fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Startup => "startup",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Clear => "clear",
        })
    }
}

/// One probe: what is done, how often, and how many results count.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "ProbeForm", into = "ProbeForm")]
pub struct Probe {
    /// What is done.
    pub action: ProbeAction,
    /// Time from the start of the instance to the first probe; default 0 s.
    pub initial_delay: Seconds,
    /// Time between two probes; default 10 s, at least 0.1 s.
    pub period: Seconds,
    /// Longest wait for an answer; default 1 s, at least 0.1 s.
    pub timeout: Seconds,
    /// How many successes in a row count as one; default 1.
    pub success_threshold: u32,
    /// How many failures in a row count as one; default 3.
    pub failure_threshold: u32,
}

/// What a probe does.
#[derive(Clone, PartialEq, Debug)]
pub enum ProbeAction {
    /// `GET`; 200 to 399 is success.
    HttpGet(HttpGetAction),
    /// Connects; an accepted connection is success.
    TcpSocket(TcpSocketAction),
    /// Runs a command in the agent's directory and environment; exit 0 is success.
    Exec(ExecAction),
    /// `grpc.health.v1.Health/Check`; SERVING is success.
    Grpc(GrpcAction),
}

/// An HTTP request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGetAction {
    /// Default `/`.
    #[serde(default = "root_path")]
    pub path: String,
    /// Port of the agent.
    pub port: u16,
    /// Default 127.0.0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Headers to send.
    #[serde(default, alias = "httpHeaders", skip_serializing_if = "BTreeMap::is_empty")]
    pub http_headers: BTreeMap<String, String>,
}

/// A TCP connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpSocketAction {
    /// Port of the agent.
    pub port: u16,
    /// Default 127.0.0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecAction {
    /// Program and arguments; no shell is involved.
    pub command: Vec<String>,
}

/// A gRPC health check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrpcAction {
    /// Port of the agent.
    pub port: u16,
    /// Service to ask for; default the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// One probe: exactly one of `http_get`, `tcp_socket`, `exec` and `grpc`, how often, and how many results count.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeForm {
    /// HTTP request; 200 to 399 is success.
    #[serde(default, alias = "httpGet", skip_serializing_if = "Option::is_none")]
    http_get: Option<HttpGetAction>,
    /// TCP connection.
    #[serde(default, alias = "tcpSocket", skip_serializing_if = "Option::is_none")]
    tcp_socket: Option<TcpSocketAction>,
    /// Command; exit 0 is success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exec: Option<ExecAction>,
    /// gRPC health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grpc: Option<GrpcAction>,
    /// Default 0.
    #[serde(default, alias = "initialDelaySeconds")]
    initial_delay_seconds: Seconds,
    /// Default 10, at least 0.1.
    #[serde(default = "ten", alias = "periodSeconds")]
    period_seconds: Seconds,
    /// Default 1, at least 0.1.
    #[serde(default = "one", alias = "timeoutSeconds")]
    timeout_seconds: Seconds,
    /// Default 1.
    #[serde(default = "once", alias = "successThreshold")]
    success_threshold: u32,
    /// Default 3.
    #[serde(default = "thrice", alias = "failureThreshold")]
    failure_threshold: u32,
}

impl TryFrom<ProbeForm> for Probe {
    type Error = InvalidSpec;

    fn try_from(form: ProbeForm) -> Result<Self, InvalidSpec> {
        let action = match (form.http_get, form.tcp_socket, form.exec, form.grpc) {
            (Some(http), None, None, None) => ProbeAction::HttpGet(http),
            (None, Some(tcp), None, None) => ProbeAction::TcpSocket(tcp),
            (None, None, Some(exec), None) if exec.command.first().is_some_and(|program| !program.is_empty()) => {
                ProbeAction::Exec(exec)
            }
            (None, None, Some(_), None) => return Err(InvalidSpec::EmptyExec),
            (None, None, None, Some(grpc)) => ProbeAction::Grpc(grpc),
            _several_or_none => return Err(InvalidSpec::ProbeAction),
        };
        if form.success_threshold == 0 {
            return Err(InvalidSpec::Zero("success_threshold"));
        }
        if form.failure_threshold == 0 {
            return Err(InvalidSpec::Zero("failure_threshold"));
        }
        for (field, given) in [
            ("period_seconds", form.period_seconds),
            ("timeout_seconds", form.timeout_seconds),
        ] {
            if given < SHORTEST_PERIOD {
                return Err(InvalidSpec::Short(field));
            }
        }
        Ok(Self {
            action,
            initial_delay: form.initial_delay_seconds,
            period: form.period_seconds,
            timeout: form.timeout_seconds,
            success_threshold: form.success_threshold,
            failure_threshold: form.failure_threshold,
        })
    }
}

impl From<Probe> for ProbeForm {
    fn from(probe: Probe) -> Self {
        let mut form = Self {
            http_get: None,
            tcp_socket: None,
            exec: None,
            grpc: None,
            initial_delay_seconds: probe.initial_delay,
            period_seconds: probe.period,
            timeout_seconds: probe.timeout,
            success_threshold: probe.success_threshold,
            failure_threshold: probe.failure_threshold,
        };
        match probe.action {
            ProbeAction::HttpGet(http) => form.http_get = Some(http),
            ProbeAction::TcpSocket(tcp) => form.tcp_socket = Some(tcp),
            ProbeAction::Exec(exec) => form.exec = Some(exec),
            ProbeAction::Grpc(grpc) => form.grpc = Some(grpc),
        }
        form
    }
}

impl JsonSchema for Probe {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Probe".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        ProbeForm::json_schema(generator)
    }
}

/// No probe runs more often than ten times a second.
const SHORTEST_PERIOD: Seconds = Seconds::tenth();

fn root_path() -> String {
    "/".into()
}

fn ten() -> Seconds {
    Seconds::new(10)
}

fn one() -> Seconds {
    Seconds::new(1)
}

fn once() -> u32 {
    1
}

fn thrice() -> u32 {
    3
}
