//! Cursors over rows that are numbered in the order of commit.

use super::problem::Failure;

/// The cursor behind the row of a number.
pub(super) fn write(kind: char, number: u64) -> String {
    format!("{kind}{number:x}")
}

/// Reads what [`write()`] wrote for lists of the same kind.
pub(super) fn read(kind: char, cursor: &str, list: &str) -> Result<u64, Failure> {
    let digits = cursor.strip_prefix(kind).filter(|digits| !digits.starts_with('+'));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .filter(|below| i64::try_from(*below).is_ok())
        .ok_or_else(|| {
            Failure::invalid(format!(
                "in the query: cursor: this is no cursor that this API gave out for {list}"
            ))
        })
}
