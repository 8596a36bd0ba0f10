//! Agents: many in a table, one in full.

use stead_client::{DaemonView, SpecView};
use stead_model::{AgentView, Condition, Health, LifecycleView, Summary, Transition, Wall, Wanted};

use super::age::{age, relative};
use super::paint::{self, Cell};
use super::table::{columns, facts, table};

/// How much a table shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Columns {
    /// What matters most.
    Few,
    /// All of it.
    All,
}

/// The longest status in a narrow table.
const STATUS: usize = 60;

/// A table of agents; with their namespaces where there are several.
pub(crate) fn agents(agents: &[AgentView], wide: Columns, now: Wall) -> String {
    let first = agents.first().map(|agent| &agent.namespace);
    let several = agents.iter().any(|agent| Some(&agent.namespace) != first);
    let mut headings = vec!["NAME", "PHASE", "HEALTH", "READY", "RESTARTS", "SINCE"];
    let grouped = agents.iter().any(|agent| agent.group.is_some());
    if grouped {
        headings.insert(1, "GROUP");
    }
    if several {
        headings.insert(0, "NAMESPACE");
    }
    match wide {
        Columns::Few => headings.push("STATUS"),
        Columns::All => headings.extend([
            "WANTED", "PID", "RUN", "TASKS", "TYPE", "PROFILE", "ID", "LABELS", "STATUS",
        ]),
    }
    let rows: Vec<_> = agents
        .iter()
        .map(|agent| row(agent, Extra { several, grouped }, wide, now))
        .collect();
    table(&headings, &rows)
}

/// Columns that are there where they tell agents apart.
#[derive(Clone, Copy)]
struct Extra {
    several: bool,
    grouped: bool,
}

fn row(agent: &AgentView, extra: Extra, wide: Columns, now: Wall) -> Vec<Cell> {
    let mut row = Vec::new();
    if extra.several {
        row.push(Cell::plain(agent.namespace.as_str()));
    }
    row.push(Cell::plain(agent.name.as_str()));
    if extra.grouped {
        row.push(Cell::plain(agent.group.as_ref().map_or("-", |group| group.as_str())));
    }
    row.extend([
        paint::phase(&agent.profile, &agent.phase),
        paint::health(agent.health),
        if agent.ready {
            Cell::plain("yes")
        } else {
            Cell::dim("no")
        },
        Cell::plain(agent.restarts.to_string()),
        Cell::plain(age(now, agent.since)),
    ]);
    let status = status(agent, now);
    if wide == Columns::Few {
        let text = if status.text.chars().count() > STATUS {
            let short: String = status.text.chars().take(STATUS - 1).collect();
            format!("{short}…")
        } else {
            status.text.clone()
        };
        row.push(Cell { text, ..status });
        return row;
    }
    // Stead's own marks are for `get` and programs.
    let labels: Vec<_> = agent
        .labels
        .iter()
        .filter(|(key, _)| !key.starts_with("stead/"))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    row.extend([
        Cell::plain(agent.intent.as_str()),
        Cell::plain(agent.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())),
        Cell::plain(agent.incarnation.to_string()),
        Cell::plain(agent.tasks.to_string()),
        Cell::plain(agent.kind.as_str()),
        Cell::plain(agent.profile.as_ref()),
        Cell::plain(agent.id.to_string()),
        Cell::plain(if labels.is_empty() {
            "-".to_owned()
        } else {
            labels.join(",")
        }),
        status,
    ]);
    row
}

/// What a person should know beyond phase and health: alarming conditions, what is wanted where that differs, what comes.
fn status(agent: &AgentView, now: Wall) -> Cell {
    let alarms = agent.conditions.iter().filter(|held| held.condition.is_alarming());
    let mut parts: Vec<String> = alarms
        .map(|held| format!("{}: {}", held.condition, held.detail))
        .collect();
    let alarmed = !parts.is_empty();
    // One that is down and stays so: how it ended, and when.
    let exit = agent.evidence.iter().find(|seen| seen.kind == "exit");
    if let (None, None, false, Some(exit)) = (agent.pid, &agent.next, alarmed, exit) {
        parts.push(format!("{} {}", exit.detail, relative(now, exit.observed_at)));
    }
    if let Some(pause) = &agent.pause {
        parts.push(super::pause::in_short(pause, now));
    } else if agent.intent != Wanted::Running && !matches!(agent.phase.as_ref(), "deleted" | "terminated") {
        parts.push(format!("wanted {}", agent.intent));
    }
    // The end of a pause is told with it.
    let told = agent.pause.as_ref().and_then(|pause| pause.until);
    let next = agent.next.as_ref();
    if let Some(next) = next.filter(|next| told.is_none() || next.at != told) {
        parts.push(match next.at {
            Some(at) => format!("{} {}", relative(now, at), next.what),
            None => next.what.clone(),
        });
    }
    if agent.restart_pending {
        parts.push("new spec at next restart".to_owned());
    }
    let text = parts.join("; ");
    if alarmed {
        Cell::new(text, owo_colors::Style::new().yellow())
    } else {
        Cell::dim(text)
    }
}

/// One agent and the evidence for its state.
pub(crate) fn get(agent: &AgentView, now: Wall) -> String {
    facts(&state(agent, now))
}

fn state<'a>(agent: &AgentView, now: Wall) -> Vec<(&'a str, Vec<String>)> {
    let mut rows = vec![
        (
            "Name",
            vec![format!("{}  ({} in {})", agent.name, agent.id, agent.namespace)],
        ),
        ("Kind", vec![format!("{}, profile {}", agent.kind, agent.profile)]),
        (
            "Phase",
            vec![format!(
                "{} for {}",
                paint::phase(&agent.profile, &agent.phase).painted(0),
                age(now, agent.since)
            )],
        ),
        ("Health", vec![health_line(agent.health, agent.ready)]),
        ("Wanted", wanted_lines(agent.intent, agent.pause.as_deref(), now)),
        ("Run", vec![run_line(agent)]),
    ];
    if agent.tasks > 0 {
        rows.push(("Tasks", vec![format!("{} in flight", agent.tasks)]));
    }
    if !agent.labels.is_empty() {
        let labels = agent.labels.iter().map(|(key, value)| format!("{key}={value}"));
        rows.push(("Labels", labels.collect()));
    }
    rows.push(("Revision", vec![revision_line(agent)]));
    if !agent.conditions.is_empty() {
        rows.push(("Conditions", conditions(agent, now)));
    }
    rows.push(("Evidence", evidence(agent, now)));
    if let Some(next) = &agent.next {
        rows.push(("Next", vec![next_line(next, now)]));
    }
    rows
}

/// What is wanted, and more of a pause.
pub(super) fn wanted_lines(intent: Wanted, pause: Option<&stead_model::PauseView>, now: Wall) -> Vec<String> {
    let mut lines = vec![intent.to_string()];
    lines.extend(pause.into_iter().flat_map(|pause| super::pause::lines(pause, now)));
    lines
}

fn revision_line(agent: &AgentView) -> String {
    let pending = if agent.restart_pending {
        ", in force at its next restart"
    } else {
        ""
    };
    format!("{}, spec {}{pending}", agent.revision, agent.spec_revision)
}

pub(super) fn health_line(health: Health, ready: bool) -> String {
    let takes = if ready { "takes work" } else { "takes no work" };
    format!("{}, {takes}", paint::health(health).painted(0))
}

pub(super) fn run_line(agent: &AgentView) -> String {
    let restarts = match agent.restarts {
        0 => "never restarted after a failure".to_owned(),
        1 => "restarted once after a failure".to_owned(),
        times => format!("restarted {times} times after failures"),
    };
    match (agent.incarnation.0, agent.pid) {
        (0, _) => "never ran".to_owned(),
        (run, Some(pid)) => format!("number {run}, pid {pid}, {restarts}"),
        (run, None) => format!("number {run}, no process, {restarts}"),
    }
}

pub(super) fn next_line(next: &stead_model::NextStep, now: Wall) -> String {
    match next.at {
        Some(at) => format!("{}: {}", relative(now, at), next.what),
        None => next.what.clone(),
    }
}

pub(super) fn conditions(agent: &AgentView, now: Wall) -> Vec<String> {
    let rows: Vec<_> = agent
        .conditions
        .iter()
        .map(|held| {
            vec![
                condition(held.condition),
                Cell::plain(age(now, held.since)),
                Cell::plain(held.detail.as_str()),
            ]
        })
        .collect();
    columns(&rows)
}

fn condition(condition: Condition) -> Cell {
    if condition.is_alarming() {
        Cell::new(condition.as_str(), owo_colors::Style::new().yellow())
    } else {
        Cell::dim(condition.as_str())
    }
}

pub(super) fn evidence(agent: &AgentView, now: Wall) -> Vec<String> {
    if agent.evidence.is_empty() {
        return vec!["none: nothing was observed yet".to_owned()];
    }
    let rows: Vec<_> = agent
        .evidence
        .iter()
        .map(|seen| {
            vec![
                Cell::plain(seen.kind.as_ref()),
                Cell::plain(relative(now, seen.observed_at)),
                Cell::dim(format!("by {}", seen.source)),
                Cell::plain(seen.detail.as_str()),
            ]
        })
        .collect();
    columns(&rows)
}

/// Everything about one agent.
pub(crate) fn describe(
    agent: &AgentView,
    lifecycle: &LifecycleView,
    spec: &SpecView,
    history: &[Transition],
    now: Wall,
) -> String {
    let mut rows = state(agent, now);
    let next: Vec<_> = lifecycle.valid_transitions.iter().map(AsRef::as_ref).collect();
    rows.push((
        "May go to",
        vec![if next.is_empty() {
            "nowhere".to_owned()
        } else {
            next.join(" ")
        }],
    ));
    let mut text = facts(&rows);
    text.push('\n');
    text.push_str(&paint::heading("Spec"));
    text.push('\n');
    // A spec that came as JSON can be written as YAML; where not, what it is matters more than how it looks.
    let spec = super::yaml(&spec.spec).unwrap_or_else(|_unwritable| format!("{:?}\n", spec.spec));
    for line in spec.lines() {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&paint::heading("History"));
    text.push('\n');
    for line in super::history::lines(history, now) {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Counts of agents and the daemon that keeps them, in two lines.
pub(crate) fn summary(summary: &Summary, daemon: &DaemonView, now: Wall) -> String {
    let states: Vec<_> = summary
        .state_distribution
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    format!(
        "stead {} at {}, up {}\n{} agents: {} operational, {} with errors, {} in maintenance ({})\n",
        daemon.version,
        daemon.listen,
        age(now, daemon.started_at),
        summary.total_agents,
        summary.operational_agents,
        summary.error_agents,
        summary.maintenance_agents,
        if states.is_empty() {
            "none".to_owned()
        } else {
            states.join(", ")
        },
    )
}
