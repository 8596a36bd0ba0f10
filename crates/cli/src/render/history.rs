//! Transitions.

use stead_model::{Transition, Wall};

use super::age::relative;
use super::paint::Cell;
use super::table::{columns, table};

/// Whether rows are of one agent, which whoever asked has named, or of many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    One,
    Many,
}

/// A table of transitions, as they come.
pub(crate) fn transitions(rows: &[Transition], whose: Whose, now: Wall) -> String {
    let headings = ["#", "WHEN", "AGO", "RUN", "FROM", "TO", "REASON", "BY", "DESCRIPTION"];
    let first: &[&str] = match whose {
        Whose::One => &[],
        Whose::Many => &["NAME"],
    };
    let headings: Vec<&str> = first.iter().chain(&headings).copied().collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = match whose {
                Whose::One => None,
                Whose::Many => Some(Cell::plain(row.name.as_str())),
            };
            let cells = vec![
                Cell::plain(row.sequence.to_string()),
                Cell::plain(row.at.to_string()),
                Cell::plain(relative(now, row.at).trim_end_matches(" ago")),
                Cell::plain(row.incarnation.to_string()),
                phase(row, &row.from),
                phase(row, &row.to),
                Cell::plain(row.reason.as_str()),
                Cell::plain(row.triggered_by.as_str()),
                Cell::plain(row.description.as_str()),
            ];
            name.into_iter().chain(cells).collect()
        })
        .collect();
    table(&headings, &rows)
}

/// Transitions in short, one line each.
pub(super) fn lines(rows: &[Transition], now: Wall) -> Vec<String> {
    if rows.is_empty() {
        return vec!["none".to_owned()];
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                Cell::plain(relative(now, row.at)),
                phase(row, &format!("{} → {}", row.from, row.to)),
                Cell::dim(row.reason.as_str()),
                Cell::plain(row.description.as_str()),
            ]
        })
        .collect();
    columns(&rows)
}

/// Steps on the way are dim: nobody needs to look at them.
fn phase(row: &Transition, text: &str) -> Cell {
    if row.via { Cell::dim(text) } else { Cell::plain(text) }
}
