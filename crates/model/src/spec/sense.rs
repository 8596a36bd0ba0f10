//! What a spec may hold and nobody can mean: refused where it is handed in, so that one that is kept already can still be read.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{AgentSpec, Driver, HttpGetAction, Limits, ProbeAction, ProbeKind};

/// One value of a spec that makes no sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nonsense {
    /// The key, such as `limits.open_files`.
    pub key: String,
    /// What is wrong with its value.
    pub wrong: String,
    /// What to do.
    pub help: &'static str,
}

impl core::fmt::Display for Nonsense {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "`{}` {}; {}", self.key, self.wrong, self.help)
    }
}

impl AgentSpec {
    /// Everything in it that is well formed and cannot be meant, in the order of the keys; nothing in a good one.
    #[must_use]
    pub fn nonsense(&self) -> Vec<Nonsense> {
        let mut found = Vec::new();
        let mut tell = |key: &str, wrong: String, help| {
            let key = key.to_owned();
            found.push(Nonsense { key, wrong, help });
        };
        if self.kind.trim().is_empty() {
            tell(
                "type",
                "is empty".into(),
                "name the sort of work, such as \"worker\", or leave it out",
            );
        }
        for key in self.labels.keys().filter(|key| !is_selectable(key)) {
            let wrong = format!("has a label `{key}` that no selector can name");
            tell(
                "labels",
                wrong,
                "write it without spaces and without any of = ! ( ) , < >",
            );
        }
        if let Driver::Process(process) = &self.driver {
            for (key, text) in [("dir", &process.dir), ("user", &process.user)] {
                if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                    tell(key, "is empty".into(), "write it out, or leave it out");
                }
            }
            for key in zeros(&process.limits) {
                tell(
                    key,
                    "must be at least 1".into(),
                    "with none at all it could not even start",
                );
            }
        }
        let codes = &self.restart.final_exit_codes;
        for code in codes.iter().filter(|code| !(0..=255).contains(*code)) {
            let wrong = format!("has {code}, which is no exit code");
            tell(
                "restart.final_exit_codes",
                wrong,
                "processes end with a code from 0 to 255",
            );
        }
        for kind in ProbeKind::ALL {
            if let Some(probe) = self.probes.get(kind) {
                of_probe(&probe.action, &mut |key, wrong, help| {
                    tell(&format!("probes.{kind}.{key}"), wrong, help);
                });
            }
        }
        if self.probes.clear.is_some() && matches!(self.driver, Driver::None) {
            tell(
                "probes.clear",
                "is of an agent that nothing runs here".into(),
                "it has a held process started again; what runs elsewhere comes back by itself",
            );
        }
        if let Some(host) = self.lifecycle.as_ref().and_then(|endpoint| endpoint.host.as_ref())
            && !is_host(host)
        {
            tell("lifecycle.host", format!("is `{host}`, which is no host"), A_HOST);
        }
        found
    }
}

/// What tells of a key what is wrong with its value and what to do.
type Tell<'t> = dyn FnMut(&str, String, &'static str) + 't;

fn of_probe(action: &ProbeAction, tell: &mut Tell<'_>) {
    let (name, port, host) = match action {
        ProbeAction::HttpGet(http) => {
            of_http(http, tell);
            ("http_get", http.port, http.host.as_ref())
        }
        ProbeAction::TcpSocket(tcp) => ("tcp_socket", tcp.port, tcp.host.as_ref()),
        ProbeAction::Grpc(grpc) => ("grpc", grpc.port, None),
        ProbeAction::Exec(_) => return,
    };
    if port == 0 {
        let help = "write the port that the agent listens on";
        tell(&format!("{name}.port"), "must be at least 1".into(), help);
    }
    if let Some(host) = host.filter(|host| !is_host(host)) {
        let wrong = format!("is `{host}`, which is no host");
        tell(&format!("{name}.host"), wrong, A_HOST);
    }
}

fn of_http(http: &HttpGetAction, tell: &mut Tell<'_>) {
    let path = &http.path;
    if !path.starts_with('/') || path.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        let wrong = format!("is `{path}`, which is no path of a request");
        tell("http_get.path", wrong, "begin it with `/`, and write a space as %20");
    }
    for (name, value) in &http.http_headers {
        if !is_token(name) {
            let wrong = format!("has `{name}`, which is no name of a header");
            let help = "names of headers are letters, digits and hyphens";
            tell("http_get.http_headers", wrong, help);
        } else if value.contains(|letter: char| letter.is_control() && letter != '\t') {
            let wrong = format!("has a control character in `{name}`");
            tell("http_get.http_headers", wrong, "write the value in one line");
        }
    }
}

/// The limits that are none of what a process needs at least one of. Without processes beside itself, and without cores, one can live.
fn zeros(limits: &Limits) -> impl Iterator<Item = &'static str> {
    let Limits {
        open_files,
        address_space,
        cpu_seconds,
        processes: _,
        core: _,
        file_size: _,
    } = limits;
    let none = [
        ("limits.open_files", *open_files == Some(0)),
        ("limits.address_space", address_space.is_some_and(|size| size.0 == 0)),
        ("limits.cpu_seconds", *cpu_seconds == Some(0)),
    ];
    none.into_iter().filter(|(_, none)| *none).map(|(key, _)| key)
}

/// Whether a selector can name a label.
fn is_selectable(key: &str) -> bool {
    !key.is_empty() && !key.contains(|letter: char| letter.is_whitespace() || "=!(),<>".contains(letter))
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && !host.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "/@".contains(letter))
}

/// Whether it is a token of RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

const A_HOST: &str = "write a name or an address, such as 127.0.0.1";

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn told(json: &str) -> Vec<String> {
        let spec: AgentSpec = serde_json::from_str(json).unwrap();
        spec.nonsense().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_nobody_can_mean_is_told_with_its_key_and_what_to_do() {
        for (json, key) in [
            (r#"{"type":" "}"#, "`type` is empty"),
            (r#"{"labels":{"a b":"x"}}"#, "`labels` has a label `a b`"),
            (r#"{"command":["x"],"dir":""}"#, "`dir` is empty"),
            (r#"{"command":["x"],"user":""}"#, "`user` is empty"),
            (
                r#"{"command":["x"],"limits":{"open_files":0}}"#,
                "`limits.open_files` must be",
            ),
            (
                r#"{"command":["x"],"limits":{"cpu_seconds":0}}"#,
                "`limits.cpu_seconds` must be",
            ),
            (
                r#"{"restart":{"final_exit_codes":[3,300]}}"#,
                "`restart.final_exit_codes` has 300",
            ),
            (
                r#"{"restart":{"final_exit_codes":[-1]}}"#,
                "`restart.final_exit_codes` has -1",
            ),
            (
                r#"{"probes":{"liveness":{"tcp_socket":{"port":0}}}}"#,
                "`probes.liveness.tcp_socket.port` must",
            ),
            (
                r#"{"probes":{"startup":{"grpc":{"port":0}}}}"#,
                "`probes.startup.grpc.port` must",
            ),
            (
                r#"{"probes":{"readiness":{"http_get":{"port":1,"path":"no slash"}}}}"#,
                "`probes.readiness.http_get.path` is `no slash`",
            ),
            (
                r#"{"probes":{"readiness":{"http_get":{"port":1,"http_headers":{"a b":"c"}}}}}"#,
                "`probes.readiness.http_get.http_headers` has `a b`",
            ),
            (
                r#"{"command":["x"],"lifecycle":{"port":1,"host":"a b"}}"#,
                "`lifecycle.host` is `a b`",
            ),
        ] {
            let all = told(json);
            assert!(
                all.len() == 1 && all[0].starts_with(key) && all[0].contains("; "),
                "{json}: {all:?}"
            );
        }
    }

    #[test]
    fn all_of_it_is_told_at_once_and_of_a_good_spec_nothing() {
        let bad =
            r#"{"type":"","command":["x"],"dir":"","limits":{"open_files":0},"restart":{"final_exit_codes":[256,-1]}}"#;
        assert_eq!(told(bad).len(), 5);
        let good = r#"{"type":"api","command":["x"],"dir":"d","labels":{"a.b/c-d":""},"limits":{"open_files":1,"core":"0B","processes":0},
            "restart":{"final_exit_codes":[0,255]},"lifecycle":{"port":1,"host":"::1"},
            "probes":{"readiness":{"http_get":{"port":1,"path":"/a?b=%20","http_headers":{"X-A_b":"c d"}}}}}"#;
        assert_eq!(told(good), Vec::<String>::new());
    }
}
