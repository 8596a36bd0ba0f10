//! Columns that line up.

use super::paint::{Cell, heading};

/// Rows under a heading; the last column is as wide as it likes.
pub(super) fn table(headings: &[&str], rows: &[Vec<Cell>]) -> String {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.text.chars().count())
                .fold(title.len(), usize::max)
        })
        .collect();
    let mut text = String::new();
    let titles: Vec<Cell> = headings.iter().map(|title| Cell::plain(*title)).collect();
    line(&mut text, &titles, &widths, |cell, width| {
        heading(&format!("{:width$}", cell.text))
    });
    for row in rows {
        line(&mut text, row, &widths, Cell::painted);
    }
    text
}

fn line(text: &mut String, row: &[Cell], widths: &[usize], paint: impl Fn(&Cell, usize) -> String) {
    let last = row.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
    for (column, (cell, width)) in row.iter().zip(widths).enumerate().take(last + 1) {
        if column > 0 {
            text.push_str("  ");
        }
        // No spaces at the end of a line.
        text.push_str(&paint(cell, if column == last { 0 } else { *width }));
    }
    text.push('\n');
}

/// Names and what belongs to them, one or more lines each.
pub(super) fn facts(rows: &[(&str, Vec<String>)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, lines) in rows {
        for (index, line) in lines.iter().enumerate() {
            let name = if index == 0 { *name } else { "" };
            text.push_str(&heading(&format!("{name:width$}")));
            text.push_str("  ");
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Cells of several lines padded to line up beneath one another.
pub(super) fn columns(rows: &[Vec<Cell>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let joined = rows.iter().map(|row| {
        let mut text = String::new();
        line(&mut text, row, &widths, Cell::painted);
        text.trim_end_matches('\n').to_owned()
    });
    joined.collect()
}
