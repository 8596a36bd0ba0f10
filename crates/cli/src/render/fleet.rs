//! Fleet files: what they would change, what is wrong with them.

use std::path::Path;

use owo_colors::{OwoColorize, Style};
use stead_client::{Applied, ConfigFault};

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
            let later = if applied.pending_restart.contains(name) {
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
pub(crate) fn invalid(file: &Path, faults: &[ConfigFault]) -> String {
    let mut text = String::new();
    for fault in faults {
        let place = match (fault.line, fault.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", file.display()),
            (Some(line), None) => format!("{}:{line}", file.display()),
            (None, _) => file.display().to_string(),
        };
        text.push_str(&format!(
            "{}: {} {}\n",
            place.bold(),
            "error:".red().bold(),
            fault.message
        ));
        if let Some(help) = &fault.help {
            text.push_str(&format!("  {} {help}\n", "help:".cyan()));
        }
    }
    text
}
