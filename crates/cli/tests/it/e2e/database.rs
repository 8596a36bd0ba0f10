//! The database from outside, as SQLite itself sees it.

use std::path::{Path, PathBuf};

use super::fleet::Fleet;

/// The file.
pub(super) fn of(fleet: &Fleet) -> PathBuf {
    fleet.state().join("stead.db")
}

/// It is whole.
#[track_caller]
pub(super) fn is_whole(fleet: &Fleet) {
    assert_eq!(ask(&of(fleet), "PRAGMA integrity_check"), "ok");
}

/// How many events tell that something is missing.
#[track_caller]
pub(super) fn gaps(fleet: &Fleet) -> u32 {
    ask(&of(fleet), "SELECT count(*) FROM events WHERE type = 'gap'")
        .parse()
        .unwrap()
}

/// Has nothing in the log beside the file. No daemon may run.
#[track_caller]
pub(super) fn copy_log_back(fleet: &Fleet) {
    ask(&of(fleet), "PRAGMA wal_checkpoint(TRUNCATE)");
}

/// A whole copy of it, also while a daemon runs.
#[track_caller]
pub(super) fn back_up(fleet: &Fleet) -> PathBuf {
    let copy = fleet.path("backup.db");
    python(
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))",
        &[&of(fleet), &copy],
    );
    copy
}

/// Puts a copy in its place, and leaves nothing of the old one beside it.
pub(super) fn put_back(fleet: &Fleet, copy: &Path) {
    for file in ["stead.db-wal", "stead.db-shm"] {
        let _absent = std::fs::remove_file(fleet.state().join(file));
    }
    std::fs::copy(copy, of(fleet)).unwrap();
}

/// Where the first page of a table lies, and how long pages are.
#[track_caller]
pub(super) fn page_of(fleet: &Fleet, table: &str) -> (usize, usize) {
    let number = |text: String| text.parse::<usize>().unwrap();
    let root = number(ask(
        &of(fleet),
        &format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"),
    ));
    let length = number(ask(&of(fleet), "PRAGMA page_size"));
    ((root - 1) * length, length)
}

/// The first value of the first row.
#[track_caller]
fn ask(database: &Path, sql: &str) -> String {
    let script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])";
    python(script, &[database, sql.as_ref()])
}

#[track_caller]
fn python(script: &str, words: &[&Path]) -> String {
    let mut python = std::process::Command::new("python3");
    let done = python.args(["-c", script]).args(words).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
