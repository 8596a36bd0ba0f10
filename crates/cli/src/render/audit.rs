//! Who changed what.

use stead_model::{AuditRow, Wall};

use super::age::relative;
use super::paint::Cell;
use super::table::table;

/// A table of changes that somebody asked for, as they come.
pub(crate) fn audit(rows: &[AuditRow], now: Wall) -> String {
    let headings = ["WHEN", "AGO", "WHO", "VERB", "KIND", "NAME", "WHY", "REQUEST"];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                Cell::plain(row.at.to_string()),
                Cell::plain(relative(now, row.at).trim_end_matches(" ago")),
                Cell::plain(row.actor.as_str()),
                Cell::plain(row.verb.as_str()),
                Cell::dim(row.kind.as_str()),
                Cell::plain(row.name.as_str()),
                Cell::plain(row.reason.as_deref().unwrap_or("-")),
                Cell::dim(row.correlation_id.as_str()),
            ]
        })
        .collect();
    table(&headings, &rows)
}
