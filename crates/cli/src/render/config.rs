//! Configurations.

use owo_colors::OwoColorize;
use similar::{ChangeTag, TextDiff};
use stead_client::{Applied, ConfigRevision, ConfigText, ConfigView};
use stead_model::Wall;

use super::age::relative;
use super::paint::Cell;
use super::table::{facts, table};

/// What is said while the file is not what is in force.
pub(crate) const DIFFERS: &str =
    "the file says something else than what is in force; its next change, SIGHUP or `stead up` puts that in force";

/// Which revision is in force after something was applied.
pub(crate) fn in_force(applied: &Applied) -> String {
    match applied.revision {
        Some(revision) => format!("revision {revision} is in force\n"),
        None => "nothing was changed\n".to_owned(),
    }
}

/// What is in force, and below it the file.
pub(crate) fn config(view: &ConfigView, toml: Option<&str>, now: Wall) -> String {
    let Some(revision) = view.revision else {
        return "no configuration is in force; `stead apply FILE` puts one in force\n".to_owned();
    };
    let by = view.applied_by.as_deref().unwrap_or("somebody");
    let since = view.applied_at.map(|at| format!("{at} ({})", relative(now, at)));
    let mut rows = vec![
        ("file", vec![view.fleet_file.clone().unwrap_or_default()]),
        ("revision", vec![revision.to_string()]),
        ("since", vec![format!("{} by {by}", since.unwrap_or_default())]),
    ];
    if let Some(reason) = &view.reason {
        rows.push(("reason", vec![reason.clone()]));
    }
    rows.push(("namespace", vec![view.namespace.clone()]));
    rows.push(("agents", vec![view.agents.to_string()]));
    let watched = if view.watched { "yes, a change is applied" } else { "no" };
    rows.push(("watched", vec![watched.to_owned()]));
    if view.missing {
        let gone = "the file is gone; what is in force stays so, and the next `stead up` fails on it";
        rows.push(("missing", vec![gone.red().to_string()]));
    }
    if view.differs {
        rows.push(("differs", vec![DIFFERS.yellow().to_string()]));
    }
    if !view.overruled.is_empty() {
        rows.push(("overruled", vec![view.overruled.join(", ")]));
    }
    if let Some(refused) = &view.refused {
        let head = format!("{} ({}): {}", relative(now, refused.at), refused.cause, refused.detail);
        let faults = refused.problems.iter().map(|fault| {
            let (line, column) = (fault.line.unwrap_or(1), fault.column.unwrap_or(1));
            format!("{line}:{column}: {}", fault.message)
        });
        let lines = std::iter::once(head).chain(faults);
        rows.push(("refused", lines.map(|line| line.red().to_string()).collect()));
    }
    match toml {
        Some(toml) => format!("{}\n{toml}", facts(&rows)),
        None => facts(&rows),
    }
}

/// A table of revisions, as they come.
pub(crate) fn config_revisions(revisions: &[ConfigRevision], now: Wall) -> String {
    if revisions.is_empty() {
        return "no configuration was applied\n".to_owned();
    }
    let row = |row: &ConfigRevision| {
        vec![
            Cell::plain(row.revision.to_string()),
            Cell::plain(row.at.to_string()),
            Cell::plain(relative(now, row.at).trim_end_matches(" ago")),
            Cell::plain(row.agents.to_string()),
            Cell::plain(row.actor.as_str()),
            Cell::plain(row.file.as_str()),
            Cell::plain(row.reason.as_deref().unwrap_or_default()),
        ]
    };
    let rows: Vec<_> = revisions.iter().map(row).collect();
    table(&["REVISION", "WHEN", "AGO", "AGENTS", "BY", "FILE", "REASON"], &rows)
}

/// Lines that differ, with a few around them.
pub(crate) struct LineDiff(Vec<(char, String)>);

/// Compares two revisions.
pub(crate) fn text_diff(from: &ConfigText, to: &ConfigText) -> LineDiff {
    let diff = TextDiff::from_lines(&from.toml, &to.toml);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(3) {
        let Some(first) = group.first() else { continue };
        let (old, new) = (first.old_range().start + 1, first.new_range().start + 1);
        lines.push(('@', format!("@@ line {old} → line {new} @@")));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push((sign, change.value().trim_end_matches('\n').to_owned()));
        }
    }
    LineDiff(lines)
}

impl LineDiff {
    /// As text alone.
    pub(crate) fn plain(&self) -> String {
        self.written(|_, line| line)
    }

    /// With what goes in red and what comes in green.
    pub(crate) fn painted(&self) -> String {
        if self.0.is_empty() {
            return "no difference\n".to_owned();
        }
        self.written(|sign, line| match sign {
            '-' => line.red().to_string(),
            '+' => line.green().to_string(),
            '@' => line.cyan().to_string(),
            _same => line,
        })
    }

    fn written(&self, paint: impl Fn(char, String) -> String) -> String {
        let line = |(sign, line): &(char, String)| {
            let line = if *sign == '@' {
                line.clone()
            } else {
                format!("{sign}{line}")
            };
            paint(*sign, line) + "\n"
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(toml: &str) -> ConfigText {
        let json = r#"{"revision":1,"at":"2026-11-22T12:00:00Z","actor":"a","file":"f","hash":"h","namespace":"default","agents":1,"toml":""}"#;
        ConfigText {
            toml: toml.to_owned(),
            ..serde_json::from_str(json).unwrap()
        }
    }

    #[test]
    fn a_difference_is_shown_with_its_lines() {
        let diff = text_diff(&text("a\nb\nc\n"), &text("a\nx\nc\n"));
        assert_eq!(diff.plain(), "@@ line 1 → line 1 @@\n a\n-b\n+x\n c\n");
        assert_eq!(text_diff(&text("a\n"), &text("a\n")).painted(), "no difference\n");
    }
}
