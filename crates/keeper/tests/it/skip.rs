//! Tests that cannot run everywhere: they say so past the harness, which hides what good tests print, and fail in CI where they could.

use std::io::Write;

/// Says that a test is skipped, and why: it needs what only root gets. In CI (`CI` or `STEAD_CI`) that is a failure for root.
#[track_caller]
pub(crate) fn without_root(why: &str) {
    let _unseen = writeln!(std::io::stderr(), "\nSKIPPED, and so not tested: {why}");
    let in_ci = ["CI", "STEAD_CI"].iter().any(|name| std::env::var_os(name).is_some());
    let is_root = rustix::process::geteuid().is_root();
    assert!(!(in_ci && is_root), "CI runs every test, but: {why}");
}
