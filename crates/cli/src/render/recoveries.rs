//! What was done to bring agents back.

use owo_colors::OwoColorize as _;
use stead_model::{AttemptState, Foresight, RecoveryAttempt, Wall};

use super::age::relative;
use super::paint::Cell;
use super::table::table;

/// A table of attempts, as they come.
pub(crate) fn recoveries(rows: &[RecoveryAttempt], now: Wall) -> String {
    let headings = [
        "AGO", "AGENT", "TRY", "STRATEGY", "FAILURE", "CAUSE", "TOOK", "STATE", "DETAIL",
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                Cell::plain(relative(now, row.began).trim_end_matches(" ago")),
                Cell::plain(row.name.as_str()),
                Cell::dim(row.number.to_string()),
                Cell::plain(row.strategy.as_str()),
                Cell::plain(row.failure.as_str()),
                Cell::plain(row.cause.as_str()),
                Cell::plain(took(row)),
                Cell::plain(row.state.as_str()),
                Cell::dim(if row.detail.is_empty() {
                    "-"
                } else {
                    row.detail.as_str()
                }),
            ]
        })
        .collect();
    table(&headings, &rows)
}

/// What would be done, in a sentence.
pub(crate) fn foresight(found: &Foresight) -> String {
    let (name, failure, why) = (&found.name, found.failure, &found.why);
    let after = match found.after {
        Some(wait) if wait.0.is_zero() => " at once".to_owned(),
        Some(wait) => format!(" after {wait}"),
        None => String::new(),
    };
    format!("{name}, {failure}: {}{after} ({why})\n", found.would.bold())
}

/// One attempt in a line, as an explanation tells it.
pub(super) fn line(row: &RecoveryAttempt, now: Wall) -> String {
    let state = match row.state {
        AttemptState::Verified | AttemptState::Unverified => row.state.green().to_string(),
        AttemptState::Failed => row.state.red().to_string(),
        AttemptState::Running | AttemptState::Observed | AttemptState::Abandoned => row.state.to_string(),
    };
    let (strategy, failure, cause) = (row.strategy, row.failure, &row.cause);
    let ago = relative(now, row.began);
    let said = if row.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", row.detail)
    };
    format!("{ago}  {strategy} for {failure} ({cause}): {state}{said}")
}

fn took(row: &RecoveryAttempt) -> String {
    row.ended.map_or_else(
        || "-".to_owned(),
        |ended| format!("{:.1}s", ended.since(row.began).as_secs_f64()),
    )
}
