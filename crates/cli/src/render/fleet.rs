//! Fleet files: what they would change, what is wrong with them.

use std::fmt::Display;
use std::path::Path;

use owo_colors::{OwoColorize, Style};
use stead_client::{Applied, FieldChange};
use stead_daemon::config::Diagnostic;

/// What was changed, or would be.
pub(crate) fn applied(applied: &Applied) -> String {
    let mut text = String::new();
    let groups = [
        ("+", "added", Style::new().green(), &applied.added),
        ("~", "changed", Style::new().yellow(), &applied.changed),
        ("-", "removed", Style::new().red(), &applied.removed),
    ];
    for (sign, what, style, names) in groups {
        for name in names {
            let is_in = |names: &[String]| names.contains(name);
            let later = if is_in(&applied.rolled_out) {
                ", brought to one replica after the other"
            } else if is_in(&applied.scaled) {
                ", in its replicas alone"
            } else if is_in(&applied.remade) {
                ": removed and made anew, since an agent and a group are two things"
            } else if is_in(&applied.pending_restart) {
                ", in force at its next restart"
            } else {
                ""
            };
            let beside = if is_in(&applied.overruled) {
                "; it had been changed beside the file, which wins"
            } else {
                ""
            };
            text.push_str(&format!("{sign} {name} {what}{later}{beside}").style(style).to_string());
            text.push('\n');
            let change = applied.changes.iter().find(|change| change.agent == *name);
            for field in change.iter().flat_map(|change| &change.fields) {
                text.push_str(&format!("    {}\n", field_change(field)));
            }
        }
    }
    for field in &applied.settings {
        let later = if applied.daemon_restart.contains(&field.field) {
            ", in force at the daemon's next start"
        } else {
            ""
        };
        let line = format!("~ {}{later}", field_change(field));
        text.push_str(&line.style(Style::new().yellow()).to_string());
        text.push('\n');
    }
    let changed = applied.changed.iter().chain(&applied.added);
    let changed: Vec<&String> = changed.collect();
    for name in applied.pending_restart.iter().filter(|name| !changed.contains(name)) {
        text.push_str(&format!(
            "! {name} still runs with an older spec, in force at its next restart\n"
        ));
    }
    for name in &applied.rolled_back {
        text.push_str(&format!(
            "! {name} is not updated: what the file says failed and was rolled back; change it, or try it again by `stead rollout retry {name}`\n"
        ));
    }
    let unchanged = applied.unchanged.len();
    text.push_str(&match (text.is_empty(), unchanged) {
        (true, 0) => "nothing to do: no agents are named\n".to_owned(),
        (true, 1) => "nothing to do: the one agent is as the file says\n".to_owned(),
        (true, all) => format!("nothing to do: all {all} agents are as the file says\n"),
        (false, rest) => format!("{rest} unchanged\n"),
    });
    text
}

/// Whom the file has taken back what they were told beside it.
pub(crate) fn overruled<N: Display>(names: &[N]) -> String {
    let list: Vec<String> = names.iter().map(ToString::to_string).collect();
    let first = list.first().cloned().unwrap_or_default();
    format!(
        "{} {} had been changed since it was applied, and what it says is in force again; `stead audit {first}` tells by whom",
        "the fleet file wins:".yellow().bold(),
        list.join(", ")
    )
}

fn field_change(change: &FieldChange) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
    format!("{}: {} → {}", change.field, value(&change.before), value(&change.after))
}

/// A file without faults.
pub(crate) fn valid(file: &Path) -> String {
    format!("{} {} could be applied\n", "✓".green(), file.display())
}

/// The faults of a file, each with its place.
pub(crate) fn invalid(faults: &[Diagnostic]) -> String {
    let painted = faults.iter().map(|fault| {
        let text = fault.to_string();
        match text.strip_prefix("error:") {
            Some(rest) => format!("{}{rest}\n", "error:".red().bold()),
            None => text,
        }
    });
    let count = match faults.len() {
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    };
    painted
        .chain([format!("{count}; the file could not be applied\n")])
        .collect()
}
