//! What people read, as they read it.

use insta::assert_snapshot;
use stead_client::{Applied, ConfigChange, DaemonView, FieldChange, PartState, SpecView, StatusView};
use stead_daemon::config::Fleet;
use stead_model::group::{GroupPhase, RevisionView, RolloutState, RolloutView};
use stead_model::spec::{RestartPolicy, SpecForm};
use stead_model::{
    AttemptState, Condition, ConditionView, Evidence, Exit as ProcessExit, Explanation, FailureKind, Foresight, Health,
    HealthSummary, Incarnation, Intent, LastExit, Metric, MetricSummary, NextStep, Problem, ProblemCode, Reason,
    RecoveryAttempt, Remedy, RestartBudget, Sequence, Span, Strategy, Summary, Transition, Troubled, Wanted,
};

use super::fixture::{NOW, agent, ago, group_view};
use super::*;

fn shown(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// A fleet with something of everything.
fn fleet() -> Vec<stead_model::AgentView> {
    let mut broken = agent("indexer");
    broken.phase = "offline".into();
    (broken.health, broken.ready, broken.pid) = (Health::Failed, false, None);
    broken.conditions = vec![ConditionView {
        condition: Condition::Quarantined,
        since: ago(30),
        detail: "6 restarts in 10m; `stead reset indexer` clears it".into(),
    }];
    let mut waiting = agent("mailer");
    waiting.phase = "error".into();
    (waiting.health, waiting.ready, waiting.pid) = (Health::Recovering, false, None);
    waiting.conditions.clear();
    waiting.next = Some(NextStep {
        what: "started again".into(),
        at: Some(NOW.after(std::time::Duration::from_secs(12))),
    });
    let mut paused = agent("web-2");
    paused.phase = "suspended".into();
    (paused.health, paused.ready, paused.intent, paused.since) = (Health::Healthy, false, Wanted::Paused, ago(7300));
    paused.restart_pending = true;
    vec![broken, waiting, agent("web-1"), paused]
}

fn transition(
    sequence: u64,
    secs: i64,
    from: &'static str,
    to: &'static str,
    reason: Reason,
    said: &str,
) -> Transition {
    let agent = agent("mailer");
    Transition {
        sequence: Sequence(sequence),
        agent: agent.id,
        namespace: agent.namespace,
        name: agent.name,
        group: None,
        incarnation: Incarnation(3),
        from: from.into(),
        to: to.into(),
        at: ago(secs),
        reason,
        description: said.into(),
        triggered_by: "stead".into(),
        via: false,
        correlation_id: "c".into(),
        trace_id: None,
        metadata: serde_json::Map::new(),
    }
}

fn history() -> Vec<Transition> {
    vec![
        transition(9, 3, "online", "error", Reason::Crash, "exited with code 3"),
        transition(8, 192, "starting", "online", Reason::NormalStartup, "READY=1 came"),
    ]
}

fn attempt(number: u64, state: AttemptState) -> RecoveryAttempt {
    let mailer = fleet().swap_remove(1);
    RecoveryAttempt {
        agent: mailer.id,
        namespace: mailer.namespace,
        name: mailer.name,
        number,
        incident: 1,
        strategy: Strategy::Restart,
        failure: FailureKind::ProcessExit,
        cause: "exited with code 3".into(),
        incarnation: Incarnation(number + 1),
        triggered_by: "stead".into(),
        began: ago(9),
        ended: Some(ago(3)),
        state,
        detail: "it says READY=1".into(),
        correlation_id: "c".into(),
    }
}

#[test]
fn recoveries_show_what_was_tried_and_whether_it_helped() {
    let mut under_way = attempt(3, AttemptState::Running);
    (under_way.ended, under_way.detail) = (None, String::new());
    let rows = [
        under_way,
        attempt(2, AttemptState::Failed),
        attempt(1, AttemptState::Verified),
    ];
    assert_snapshot!(shown(&recoveries(&rows, NOW)));
}

#[test]
fn what_would_be_done_is_a_sentence() {
    let mut foreseen = Foresight {
        agent: agent("web").id,
        namespace: stead_model::Namespace::default(),
        name: "web".parse().unwrap(),
        failure: FailureKind::Stuck,
        would: Remedy::Restart,
        after: Some(Span::secs(4)),
        why: "restart 3 of 5 within 10m".into(),
    };
    assert_snapshot!(shown(&foresight(&foreseen)), @"web, stuck: restart after 4s (restart 3 of 5 within 10m)");
    foreseen.after = Some(Span::default());
    assert_snapshot!(shown(&foresight(&foreseen)), @"web, stuck: restart at once (restart 3 of 5 within 10m)");
}

#[test]
fn health_of_all_tells_levels_metrics_and_the_worst() {
    let mut summary = HealthSummary::new();
    summary.total = 1_000;
    summary.levels.insert(Health::Healthy, 997);
    summary.levels.insert(Health::Failed, 3);
    summary.conditions.insert(Condition::Quarantined, 1);
    let told = MetricSummary {
        agents: 800,
        mean: 0.4125,
        max: 0.97,
    };
    summary.metrics.insert(Metric::CpuUsage, told);
    summary.troubled.push(Troubled {
        namespace: stead_model::Namespace::default(),
        name: "indexer".parse().unwrap(),
        health: Health::Failed,
        phase: "failed".into(),
        since: ago(30),
        conditions: vec![Condition::Quarantined],
        detail: "more than 5 restarts within 10m".into(),
    });
    summary.troubled_total = 3;
    assert_snapshot!(shown(&health_summary(&summary, NOW)));
}

fn explanation() -> Explanation {
    let mut mailer = fleet().swap_remove(1);
    mailer.evidence = vec![
        Evidence {
            kind: "exit".into(),
            observed_at: ago(3),
            source: "keeper".into(),
            detail: "run 3 exited with code 3".into(),
        },
        Evidence {
            kind: "probe.readiness".into(),
            observed_at: ago(64),
            source: "prober".into(),
            detail: "GET /ready: 200".into(),
        },
    ];
    Explanation {
        features_off: Vec::new(),
        summary: "mailer has been error for 3s: running is wanted; it failed and waits to be started again".into(),
        intent: Intent {
            wanted: Wanted::Running,
            actor: "ann".into(),
            at: ago(4000),
            reason: Some("launch day".into()),
            correlation_id: "c".into(),
            pause: None,
        },
        verdict: "running is wanted; it failed and waits to be started again".into(),
        waiting_for: vec!["db (healthy)".into()],
        next: mailer.next.iter().cloned().collect(),
        failure: Some(Box::new(stead_model::Failure {
            kind: FailureKind::ProcessExit,
            restart_helps: true,
            detail: "exited with code 3".into(),
            at: ago(3),
        })),
        attempts: vec![attempt(2, AttemptState::Failed), attempt(1, AttemptState::Verified)],
        restart_budget: RestartBudget {
            used: 2,
            max: 5,
            period: Span::secs(600),
            policy: RestartPolicy::Always,
        },
        clears: vec![],
        last_exit: Some(LastExit {
            incarnation: Incarnation(3),
            exit: ProcessExit::Code { code: 3 },
            at: ago(3),
        }),
        last_output: vec![],
        history: history(),
        agent: mailer,
    }
}

#[test]
fn ps_shows_what_matters_most() {
    assert_snapshot!(shown(&agents(&fleet(), Columns::Few, NOW)));
}

#[test]
fn ps_wide_shows_all_of_it() {
    assert_snapshot!(shown(&agents(&fleet(), Columns::All, NOW)));
}

#[test]
fn ps_names_namespaces_where_there_are_several() {
    let mut other = agent("web-1");
    other.namespace = "prod".parse().unwrap();
    assert_snapshot!(shown(&agents(&[agent("web-1"), other], Columns::Few, NOW)));
}

#[test]
fn get_shows_one_agent_with_its_evidence() {
    assert_snapshot!(shown(&get(&agent("web-1"), NOW)));
}

#[test]
fn why_says_the_answer_first_and_then_what_it_rests_on() {
    assert_snapshot!(shown(&why(&explanation(), NOW)));
}

#[test]
fn why_of_a_quarantined_agent_says_what_would_clear_it() {
    let mut explanation = explanation();
    explanation.agent = fleet().swap_remove(0);
    explanation.summary = "indexer has been offline for 30s: too many starts failed".into();
    explanation.next.clear();
    explanation.waiting_for.clear();
    explanation.clears = vec!["`stead reset indexer`, once what it fails on is mended".into()];
    assert_snapshot!(shown(&why(&explanation, NOW)));
}

#[test]
fn describe_shows_everything() {
    let spec: SpecForm =
        serde_json::from_str(r#"{"command":["python3","web.py"],"env":{"KEY":{"secret":"***"}}}"#).unwrap();
    let lifecycle = stead_model::LifecycleView {
        current_state: "online".into(),
        valid_transitions: vec!["busy".into(), "idle".into(), "stopping".into()],
        is_operational: true,
        is_available_for_tasks: true,
        is_in_error_state: false,
        is_in_maintenance: false,
        states: vec![],
    };
    let spec = SpecView { revision: 1, spec };
    assert_snapshot!(shown(&describe(&agent("web-1"), &lifecycle, &spec, &history(), NOW)));
}

#[test]
fn a_pause_is_told_with_its_mode_its_end_by_whom_and_why() {
    let paused = |name: &str, mode, until: Option<i64>, note: Option<&str>| {
        let mut paused = agent(name);
        (paused.intent, paused.phase, paused.ready) = (Wanted::Paused, "suspended".into(), false);
        let pause = stead_model::PauseView {
            acknowledged: None,
            mode,
            by: "ann".into(),
            at: ago(60),
            note: note.map(Into::into),
            until: until.map(|secs| ago(-secs)),
        };
        paused.next = pause.until.map(|at| NextStep {
            what: "resumed: its pause is over then".into(),
            at: Some(at),
        });
        paused.pause = Some(Box::new(pause));
        paused
    };
    let frozen = paused("frozen", stead_model::PauseMode::Freeze, Some(7200), Some("new disks"));
    let soft = paused("soft", stead_model::PauseMode::Soft, None, None);
    let mut group = group_view("many");
    (group.intent, group.phase, group.pause) = (Wanted::Paused, GroupPhase::Resting, frozen.pause.clone());
    let tables = [
        agents(&[frozen.clone(), soft], Columns::Few, NOW),
        get(&frozen, NOW),
        groups(&[group], Columns::Few, NOW),
    ];
    assert_snapshot!(shown(&tables.join("\n")));
}

#[test]
fn history_is_a_table_of_transitions() {
    assert_snapshot!(shown(&transitions(&history(), Whose::One, NOW)));
}

#[test]
fn top_counts_before_it_lists() {
    let mut counts = Summary {
        total_agents: 4,
        operational_agents: 1,
        available_agents: 1,
        error_agents: 1,
        maintenance_agents: 1,
        ..Summary::default()
    };
    for state in ["error", "offline", "online", "suspended"] {
        counts.state_distribution.insert(state.to_owned(), 1);
    }
    let daemon = DaemonView {
        version: "0.1.0".into(),
        pid: 100,
        started_at: ago(100_000),
        state_dir: "/var/lib/stead".into(),
        listen: "127.0.0.1:7878".into(),
        keeper_pid: Some(101),
        agents: 4,
        status: StatusView {
            store: PartState::Up,
            keeper: PartState::Up,
            adopted: PartState::Up,
        },
    };
    assert_snapshot!(shown(&summary(&counts, &daemon, NOW)));
}

#[test]
fn what_a_fleet_file_changes_is_told_by_name() {
    let diff = Applied {
        added: vec!["mailer".into()],
        changed: vec!["web-1".into(), "web-2".into()],
        removed: vec!["old".into()],
        unchanged: vec!["db".into()],
        pending_restart: vec!["web-1".into(), "db".into()],
        changes: vec![ConfigChange {
            agent: "web-1".into(),
            fields: vec![FieldChange {
                field: "stop.grace".into(),
                before: Some("\"10s\"".into()),
                after: None,
            }],
        }],
        settings: vec![FieldChange {
            field: "daemon.listen".into(),
            before: None,
            after: Some("\"127.0.0.1:1\"".into()),
        }],
        daemon_restart: vec!["daemon.listen".into()],
        revision: Some(2),
        ..Applied::default()
    };
    let nothing = Applied {
        unchanged: vec!["db".into(), "web".into()],
        ..Applied::default()
    };
    assert_snapshot!(shown(&(applied(&diff) + "\n" + &applied(&nothing))));
}

#[test]
fn what_a_fleet_file_changes_of_groups_says_what_becomes_of_their_replicas() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let diff = Applied {
        changed: names(&["web", "api", "db"]),
        rolled_out: names(&["web"]),
        scaled: names(&["api"]),
        remade: names(&["db"]),
        ..Applied::default()
    };
    assert_snapshot!(shown(&applied(&diff)));
}

/// A group that stands as well as it can, and one whose update was taken back.
fn two_groups() -> Vec<stead_model::group::GroupView> {
    let good = group_view("web");
    let mut bad = group_view("api");
    bad.phase = GroupPhase::Degraded;
    (bad.ready, bad.available, bad.spec_revision) = (2, 2, 1);
    bad.good_revision = 1;
    bad.rollout = bad.rollout.map(|rollout| RolloutView {
        state: RolloutState::RolledBack,
        ended: Some(ago(30)),
        why: Some("api-1 failed with it".into()),
        ..rollout
    });
    vec![bad, good]
}

#[test]
fn groups_are_told_with_their_counts_and_how_their_last_update_ended() {
    let groups_ = two_groups();
    let few = groups(&groups_, Columns::Few, NOW);
    let all = groups(&groups_, Columns::All, NOW);
    assert_snapshot!(shown(&format!("{few}\n{all}\n{}", group(&groups_[0], NOW))));
}

#[test]
fn an_update_is_told_with_its_end_and_the_revisions_to_go_back_to() {
    let groups = two_groups();
    let revision = |number: u32, failed: bool| RevisionView {
        number,
        actor: "ann".into(),
        at: ago(i64::from(600 - 100 * number)),
        reason: (number == 2).then(|| "new certificate".to_owned()),
        failed,
    };
    let kept = [revision(1, false), revision(2, true)];
    assert_snapshot!(shown(&format!(
        "{}\n{}\n{}\n{}",
        rollout(&groups[1], NOW),
        rollout(&groups[0], NOW),
        revisions(&groups[0], &kept, NOW),
        why_group(&groups[0], &[fleet().remove(0)], NOW)
    )));
}

#[test]
fn replicas_are_listed_with_their_group() {
    let mut agents_ = fleet();
    agents_[3].group = Some("web".parse().unwrap());
    assert_snapshot!(shown(&agents(&agents_, Columns::Few, NOW)));
}

#[test]
fn faults_of_a_fleet_file_are_told_with_their_place_and_what_to_do() {
    let text = "[agents.web]\ncomand = ['true']\n\n[agents.db]\ncommand = 'sleep 1'\n";
    let faults = Fleet::parse(text, std::path::Path::new("fleet.toml"), &|_| None).unwrap_err();
    assert_snapshot!(shown(&invalid(&faults)));
}

#[test]
fn errors_say_what_was_wrong_and_what_to_do() {
    let mut refusal = Problem::new(ProblemCode::NotPossible, "pause is not possible in phase offline");
    refusal.possible = vec!["starting".into(), "deleted".into()];
    let mut invalid = Problem::new(ProblemCode::InvalidConfig, "the fleet file has 2 faults");
    invalid.errors = vec!["12:3: unknown key `comand`".into(), "14:1: no such agent".into()];
    let errors = [refusal, invalid].map(|problem| {
        let failure = Failure::from(stead_client::ClientError::Problem(Box::new(problem)));
        format!("{}\n", failure_text(&failure))
    });
    assert_snapshot!(shown(&errors.concat()));
}

#[test]
fn errors_for_programs_are_problems_with_the_exit_code() {
    let problem = Problem::new(ProblemCode::UnknownAgent, "there is no agent `x`");
    let refused = Failure::from(stead_client::ClientError::Problem(Box::new(problem)));
    let timeout = Failure::with(Exit::Timeout, "too late").help("wait longer");
    let read = |failure: &Failure| serde_json::from_str::<serde_json::Value>(&failure_json(failure)).unwrap();
    assert_eq!(
        (&read(&refused)["code"], &read(&refused)["exit_code"]),
        (&json!("unknown-agent"), &json!(4))
    );
    assert_eq!(
        (&read(&timeout)["code"], &read(&timeout)["help"]),
        (&json!("timeout"), &json!("wait longer"))
    );
}

#[test]
fn events_are_lines() {
    use stead_model::{Event, Happening, Revision};
    let of = |what| Event {
        at: ago(3),
        namespace: stead_model::Namespace::default(),
        agent: agent("mailer").id,
        name: "mailer".parse().unwrap(),
        group: None,
        revision: Revision(1),
        actor: if matches!(what, Happening::IntentChanged { .. }) {
            "ann"
        } else {
            "stead"
        }
        .into(),
        correlation_id: "c".into(),
        trace_id: None,
        what,
    };
    let events = [
        Happening::AgentRegistered {
            profile: "agent".into(),
        },
        Happening::IntentChanged {
            from: Wanted::Stopped,
            to: Wanted::Running,
            reason: Some("launch day".into()),
        },
        Happening::PhaseChanged {
            sequence: Sequence(9),
            from: "online".into(),
            to: "error".into(),
            reason: Reason::Crash,
            description: "exited with code 3".into(),
            via: false,
        },
        Happening::HealthChanged {
            from: Health::Healthy,
            to: Health::Failed,
            detail: "its process is gone".into(),
        },
        Happening::ReadinessChanged {
            ready: false,
            detail: String::new(),
        },
        Happening::ConditionRaised {
            condition: Condition::Held,
            detail: "no such program".into(),
        },
        Happening::RestartScheduled { attempt: 2, due: NOW },
    ];
    let text: String = events.into_iter().map(|what| event(&of(what))).collect();
    assert_snapshot!(shown(&text));
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let check = |check, verdict, detail: &str, help: Option<&str>| Check {
        check,
        verdict,
        detail: detail.into(),
        help: help.map(Into::into),
    };
    let found = [
        check(
            "daemon",
            Verdict::Fine,
            "version 0.1.0 at 127.0.0.1:7878, pid 100",
            None,
        ),
        check(
            "room",
            Verdict::Warning,
            "500 MiB free at /var/lib",
            Some("free some soon"),
        ),
        check(
            "descriptors",
            Verdict::Wrong,
            "256 open files, 100 agents need about 928",
            Some("raise it"),
        ),
    ];
    assert_snapshot!(shown(&checks(&found)));
}

#[test]
fn yaml_has_the_same_fields_as_json() {
    let text = yaml(&vec![agent("web-1")]).unwrap();
    assert_snapshot!(text);
}

#[test]
fn colours_say_good_and_bad() {
    let painted = agents(&fleet(), Columns::Few, NOW);
    assert!(
        painted.contains("\u{1b}[32monline") && painted.contains("\u{1b}[31mfailed"),
        "{painted:?}"
    );
}
