use alloc::string::ToString;

use serde_json::json;

use super::*;
use crate::Seconds;

fn read(form: serde_json::Value) -> Result<AgentSpec, String> {
    serde_json::from_value(form).map_err(|error| error.to_string())
}

#[test]
fn a_command_alone_is_a_process_with_every_default() {
    let spec = read(json!({ "command": ["sleep", "1"] })).unwrap();
    assert_eq!(
        spec,
        AgentSpec::process(ProcessSpec {
            command: alloc::vec!["sleep".into(), "1".into()],
            ..ProcessSpec::default()
        })
    );
    assert_eq!(spec.readiness(), ReadinessSource::Spawn);
}

#[test]
fn nothing_at_all_is_an_agent_that_only_reports() {
    let spec = read(json!({})).unwrap();
    assert_eq!(spec, AgentSpec::reporting("agent"));
    assert_eq!(spec.readiness(), ReadinessSource::Report);
}

#[test]
fn an_empty_command_is_not_taken_for_none() {
    for (form, words) in [
        (json!({ "command": [] }), "`command` is empty"),
        (json!({ "command": [""] }), "`command` is empty"),
        (json!({ "driver": "none", "command": [] }), "`command` has no meaning"),
        (json!({ "driver": "process" }), "needs `command`"),
        (
            json!({ "probes": { "liveness": { "exec": { "command": [""] } } } }),
            "`exec.command` is empty",
        ),
    ] {
        let said = read(form.clone()).unwrap_err();
        assert!(said.contains(words), "{form}: {said}");
    }
}

#[test]
fn a_text_with_a_nul_is_refused_by_its_field() {
    for (form, field) in [
        (json!({ "command": ["x", "a\0b"] }), "`command`"),
        (json!({ "command": ["x"], "dir": "/a\0" }), "`dir`"),
        (json!({ "command": ["x"], "user": "a\0" }), "`user`"),
        (json!({ "command": ["x"], "env": { "K": "a\0" } }), "`env.K`"),
        (
            json!({ "command": ["x"], "env": { "K": { "secret": "a\0" } } }),
            "`env.K`",
        ),
        (
            json!({ "probes": { "startup": { "exec": { "command": ["x", "\0"] } } } }),
            "`probes.startup.exec.command`",
        ),
    ] {
        let said = read(form.clone()).unwrap_err();
        assert!(
            said.starts_with(&alloc::format!("{field} holds a NUL")),
            "{form}: {said}"
        );
    }
}

#[test]
fn a_full_spec_reads_back_from_what_it_writes() {
    let spec = read(json!({
        "type": "api", "command": ["./serve"], "dir": "/srv", "user": "nobody", "notify": true, "watchdog": "5s",
        "env": { "PLAIN": "a", "KEY": { "secret": "s3cret" }, "TOKEN": { "file": "/run/token" } },
        "limits": { "open_files": 64, "address_space": "1GiB" }, "stop": { "signal": "SIGINT", "grace": "3s" },
        "logs": { "max_size": "1MiB", "files": 2 }, "labels": { "team": "a" }, "depends_on": { "db": "healthy" },
        "restart": { "policy": "on-failure", "backoff": { "initial": "0s" }, "intensity": { "max": 3, "period": "1m" }, "final_exit_codes": [78] },
        "probes": {
            "startup": { "exec": { "command": ["true"] } },
            "liveness": { "tcpSocket": { "port": 80 }, "periodSeconds": 5 },
            "readiness": { "http_get": { "port": 80, "path": "/ready" }, "timeout_seconds": 0.5 }
        },
        "deadlines": { "starting": "20s" }
    }))
    .unwrap();
    let again: AgentSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
    assert_eq!(spec.readiness(), ReadinessSource::Notify);
}

#[test]
fn probes_have_the_defaults_of_kubernetes() {
    let spec = read(json!({ "command": ["x"], "probes": { "readiness": { "grpc": { "port": 1 } } } })).unwrap();
    let probe = spec.probes.get(ProbeKind::Readiness).unwrap();
    assert_eq!(
        (probe.initial_delay, probe.period, probe.timeout),
        (Seconds::new(0), Seconds::new(10), Seconds::new(1))
    );
    assert_eq!((probe.success_threshold, probe.failure_threshold), (1, 3));
    assert_eq!(spec.readiness(), ReadinessSource::Probe);
    assert!(spec.probes.get(ProbeKind::Startup).is_none() && spec.probes.get(ProbeKind::Liveness).is_none());
}

#[test]
fn secrets_are_stored_but_never_shown() {
    let spec = read(json!({ "command": ["x"], "env": { "KEY": { "secret": "s3cret" }, "SEEN": "yes" } })).unwrap();
    assert!(serde_json::to_string(&spec).unwrap().contains("s3cret"));
    let shown = serde_json::to_string(&spec.redacted()).unwrap();
    assert!(
        !shown.contains("s3cret") && shown.contains("***") && shown.contains("yes"),
        "{shown}"
    );
}

#[test]
fn parts_that_do_not_fit_together_are_refused_with_what_to_do() {
    for (form, said) in [
        (json!({ "driver": "process" }), "needs `command`"),
        (
            json!({ "driver": "none", "command": ["x"] }),
            "`command` has no meaning",
        ),
        (json!({ "driver": "none", "user": "x" }), "`user` has no meaning"),
        (json!({ "command": ["x"], "watchdog": "1s" }), "needs `notify = true`"),
        (
            json!({ "command": ["x"], "restart": { "intensity": { "max": 0 } } }),
            "`restart.intensity.max` must be at least 1",
        ),
        (
            json!({ "command": ["x"], "restart": { "intensity": { "period": "0s" } } }),
            "`restart.intensity.period` must be at least 1",
        ),
        (
            json!({ "command": ["x"], "logs": { "files": 0 } }),
            "`logs.files` must be at least 1",
        ),
        (
            json!({ "command": ["x"], "logs": { "max_size": "0" } }),
            "`logs.max_size` must be at least 1",
        ),
        (json!({ "command": ["x"], "env": { "A=B": "c" } }), "`A=B` is no name"),
        (
            json!({ "command": ["x"], "env": { "A": { "secret": "a", "more": "b" } } }),
            "expected a text in quotes, { secret",
        ),
        (
            json!({ "command": ["x"], "probes": { "startup": {} } }),
            "exactly one of",
        ),
        (
            json!({ "command": ["x"], "probes": { "startup": { "exec": { "command": [] } } } }),
            "`exec.command`",
        ),
        (
            json!({ "command": ["x"], "probes": { "startup": { "grpc": { "port": 1 }, "success_threshold": 0 } } }),
            "`success_threshold`",
        ),
        (
            json!({ "command": ["x"], "probes": { "startup": { "grpc": { "port": 1 }, "failure_threshold": 0 } } }),
            "`failure_threshold`",
        ),
        (json!({ "comand": ["x"] }), "unknown field `comand`"),
    ] {
        let error = read(form.clone()).unwrap_err();
        assert!(error.contains(said), "{form}: {error}");
    }
}
