//! Groups: many in a table, one in full, and how their updates stand.

use owo_colors::{OwoColorize, Style};
use stead_client::GroupSpecView;
use stead_model::group::{GroupAnswer, GroupPhase, GroupView, RevisionView, RolloutState};
use stead_model::{AgentView, Outcome, Wall};

use super::age::{age, relative};
use super::agent::Columns;
use super::paint::{self, Cell};
use super::table::{facts, table};

/// A table of groups; with their namespaces where there are several.
pub(crate) fn groups(groups: &[GroupView], wide: Columns, now: Wall) -> String {
    let first = groups.first().map(|group| &group.namespace);
    let several = groups.iter().any(|group| Some(&group.namespace) != first);
    let mut headings = vec!["NAME", "PHASE", "READY", "AVAILABLE", "UPDATED", "REVISION"];
    if several {
        headings.insert(0, "NAMESPACE");
    }
    if wide == Columns::All {
        headings.extend(["WANTED", "GOOD", "ID", "LABELS"]);
    }
    headings.push("STATUS");
    let rows: Vec<_> = groups.iter().map(|group| row(group, several, wide, now)).collect();
    table(&headings, &rows)
}

fn row(group: &GroupView, several: bool, wide: Columns, now: Wall) -> Vec<Cell> {
    let mut row = Vec::new();
    if several {
        row.push(Cell::plain(group.namespace.as_str()));
    }
    row.extend([
        Cell::plain(group.name.as_str()),
        phase(group.phase),
        Cell::plain(format!("{}/{}", group.ready, group.replicas)),
        Cell::plain(group.available.to_string()),
        Cell::plain(group.updated.to_string()),
        Cell::plain(group.spec_revision.to_string()),
    ]);
    if wide == Columns::All {
        let labels: Vec<_> = labels(group);
        row.extend([
            Cell::plain(group.intent.as_str()),
            Cell::plain(group.good_revision.to_string()),
            Cell::plain(group.id.to_string()),
            Cell::plain(if labels.is_empty() {
                "-".to_owned()
            } else {
                labels.join(",")
            }),
        ]);
    }
    let paused = group.pause.as_ref().map(|pause| super::pause::in_short(pause, now));
    let said: Vec<_> = paused.into_iter().chain(last(group, now)).collect();
    row.push(Cell::dim(said.join("; ")));
    row
}

/// Stead's own marks are for programs.
fn labels(group: &GroupView) -> Vec<String> {
    let shown = group.labels.iter().filter(|(key, _)| !key.starts_with("stead/"));
    shown.map(|(key, value)| format!("{key}={value}")).collect()
}

fn phase(phase: GroupPhase) -> Cell {
    let style = match phase {
        GroupPhase::Online => Style::new().green(),
        GroupPhase::Scaling | GroupPhase::Updating => Style::new().cyan(),
        GroupPhase::RollingBack | GroupPhase::Degraded => Style::new().yellow(),
        GroupPhase::Resting | GroupPhase::Deleting => Style::new().dimmed(),
    };
    Cell::new(phase.to_string(), style)
}

/// How its last update stands, in a few words.
fn last(group: &GroupView, now: Wall) -> Option<String> {
    let rollout = group.rollout.as_ref()?;
    let to = rollout.to;
    let ended = rollout
        .ended
        .map(|ended| format!(" {}", relative(now, ended)))
        .unwrap_or_default();
    let why = rollout.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    Some(match rollout.state {
        RolloutState::Rolling => format!("update to revision {to} under way since {}", age(now, rollout.began)),
        RolloutState::RollingBack => format!("revision {to} is being taken back{why}"),
        RolloutState::Completed => format!("revision {to} in force{ended}"),
        RolloutState::RolledBack => format!("revision {to} was taken back{ended}{why}"),
        RolloutState::Failed => format!("revision {to} failed{ended}{why}"),
        RolloutState::Superseded => format!("revision {to} was superseded{ended}"),
    })
}

/// One group.
pub(crate) fn group(group: &GroupView, now: Wall) -> String {
    facts(&state(group, now))
}

fn state<'a>(group: &GroupView, now: Wall) -> Vec<(&'a str, Vec<String>)> {
    let update = &group.update;
    let mut rows = vec![
        (
            "Name",
            vec![format!("{}  ({} in {})", group.name, group.id, group.namespace)],
        ),
        ("Kind", vec![format!("group of {} replicas", group.replicas)]),
        ("Phase", vec![phase(group.phase).painted(0)]),
        (
            "Wanted",
            super::agent::wanted_lines(group.intent, group.pause.as_deref(), now),
        ),
        (
            "Replicas",
            vec![format!(
                "{} wanted, {} there, {} ready, {} available, {} updated",
                group.replicas, group.present, group.ready, group.available, group.updated
            )],
        ),
        (
            "Updates",
            vec![format!(
                "at most {} unavailable, {} more than wanted; ready for {} counts, given up after {} without progress",
                update.max_unavailable, update.max_surge, update.min_ready, update.progress_deadline
            )],
        ),
    ];
    let labels = labels(group);
    if !labels.is_empty() {
        rows.push(("Labels", labels));
    }
    rows.push((
        "Revision",
        vec![format!(
            "{}, template {} (last good {})",
            group.revision, group.spec_revision, group.good_revision
        )],
    ));
    rows.extend(last(group, now).map(|last| ("Rollout", vec![last])));
    rows
}

/// Everything about one group.
pub(crate) fn describe_group(
    group: &GroupView,
    spec: Option<&GroupSpecView>,
    replicas: &[AgentView],
    columns: Columns,
    now: Wall,
) -> String {
    let mut text = self::group(group, now);
    if let Some(spec) = spec {
        text.push('\n');
        text.push_str(&paint::heading(&format!("Template, revision {}", spec.revision)));
        text.push('\n');
        // A spec that came as JSON can be written as YAML; where not, what it is matters more than how it looks.
        let written = super::yaml(&spec.template).unwrap_or_else(|_unwritable| format!("{:?}\n", spec.template));
        for line in written.lines() {
            text.push_str("  ");
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push('\n');
    text.push_str(&paint::heading("Replicas"));
    text.push('\n');
    text.push_str(&super::agents(replicas, columns, now));
    text
}

/// Why a group stands as it does.
pub(crate) fn why_group(group: &GroupView, replicas: &[AgentView], now: Wall) -> String {
    let mut text = format!("{}\n", group.summary);
    if !replicas.is_empty() {
        text.push_str(&format!("\n{}\n", paint::heading("Not ready")));
        text.push_str(&super::agents(replicas, Columns::Few, now));
        let name = replicas.first().map_or("REPLICA", |replica| replica.name.as_str());
        text.push_str(&format!("\n`stead why {name}` says more of one\n"));
    }
    text
}

/// How an update stands.
pub(crate) fn rollout(group: &GroupView, now: Wall) -> String {
    let counts = format!(
        "{} of {} updated, {} available",
        group.updated, group.replicas, group.available
    );
    let Some(rollout) = &group.rollout else {
        return format!("{}: never updated; {counts}\n", group.name.bold());
    };
    let mut text = format!(
        "{}: {}\n{counts}\n",
        group.name.bold(),
        last(group, now).unwrap_or_default()
    );
    let begun = relative(now, rollout.began);
    text.push_str(&format!(
        "revision {} to {}, begun {begun} by {}\n",
        rollout.from, rollout.to, rollout.actor
    ));
    if let Some(deadline) = rollout.deadline {
        text.push_str(&format!(
            "given up {} unless it gets on before\n",
            relative(now, deadline)
        ));
    }
    text
}

/// The kept revisions of a group's template, the newest first.
pub(crate) fn revisions(group: &GroupView, revisions: &[RevisionView], now: Wall) -> String {
    let rows: Vec<_> = revisions
        .iter()
        .rev()
        .map(|revision| {
            let mut marks = Vec::new();
            if revision.number == group.spec_revision {
                marks.push("present");
            }
            if revision.number == group.good_revision {
                marks.push("last good");
            }
            if revision.failed {
                marks.push("failed");
            }
            vec![
                Cell::plain(revision.number.to_string()),
                Cell::plain(relative(now, revision.at)),
                Cell::plain(revision.actor.as_str()),
                if revision.failed {
                    Cell::new(marks.join(", "), Style::new().yellow())
                } else {
                    Cell::plain(marks.join(", "))
                },
                Cell::dim(revision.reason.clone().unwrap_or_default()),
            ]
        })
        .collect();
    table(&["REVISION", "GIVEN", "BY", "MARKS", "REASON"], &rows)
}

/// A group's answer to a verb in one line.
pub(crate) fn group_acted(verb: &str, answer: &GroupAnswer) -> String {
    let group = &answer.group;
    let said = match answer.outcome {
        Outcome::Created => "created".to_owned(),
        Outcome::Accepted => format!("{verb} accepted"),
        Outcome::Already => format!("nothing to do for {verb}"),
    };
    format!(
        "{}: {said}, {}, {} of {} available\n",
        group.name.bold(),
        group.phase,
        group.available,
        group.replicas
    )
}
