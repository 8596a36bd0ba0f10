//! Named readers of the events.

use stead_model::{ReaderView, Wall};

use super::age::relative;
use super::paint::Cell;
use super::table::table;

/// A table of readers.
pub(crate) fn readers(rows: &[ReaderView], now: Wall) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                Cell::plain(row.name.as_str()),
                Cell::plain(row.behind.to_string()),
                Cell::plain(relative(now, row.updated_at)),
                Cell::plain(row.lost.to_string()),
                Cell::dim(row.position.as_str()),
            ]
        })
        .collect();
    table(&["NAME", "BEHIND", "LAST WORD", "LOST", "POSITION"], &rows)
}

/// What became of one that was removed.
pub(crate) fn reader_removed(was: &ReaderView) -> String {
    format!("{} is forgotten; it was {} events behind\n", was.name, was.behind)
}
