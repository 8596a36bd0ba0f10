//! What `stead doctor` found.

use owo_colors::OwoColorize;
use serde::Serialize;

/// How one check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Fine,
    /// It will do, but could be better.
    Warning,
    /// Something will not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Check {
    /// What.
    pub(crate) check: &'static str,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
}

/// One line for each, with what to do beneath.
pub(crate) fn checks(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let sign = match check.verdict {
            Verdict::Fine => "✓".green().to_string(),
            Verdict::Warning => "!".yellow().to_string(),
            Verdict::Wrong => "✗".red().to_string(),
        };
        text.push_str(&format!("{sign} {:width$}  {}\n", check.check, check.detail));
        if let Some(help) = &check.help {
            text.push_str(&format!("  {:width$}  {} {help}\n", "", "help:".cyan()));
        }
    }
    text
}
