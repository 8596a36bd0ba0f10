//! Fleet files: what they would change, what is wrong with them.

use std::path::Path;

use owo_colors::{OwoColorize, Style};
use stead_client::Applied;
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
            text.push_str(&format!("{sign} {name} {what}{later}").style(style).to_string());
            text.push('\n');
        }
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
