//! Tests that cannot run everywhere: they say so past the harness, which hides what good tests print, and fail where they must run.

use std::io::Write;

/// What a test needs beside what every machine of ours has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// To be root, which not everybody is.
    Root,
}

/// Says that a test is skipped, and why. In CI (`CI` or `STEAD_CI`) that is a failure, unless it needs to be root and is not.
#[track_caller]
pub(super) fn skipped(why: &str, needs: Needs) {
    let _unseen = writeln!(std::io::stderr(), "\nSKIPPED, and so not tested: {why}");
    let in_ci = ["CI", "STEAD_CI"].iter().any(|name| std::env::var_os(name).is_some());
    let could = needs == Needs::Nothing || rustix::process::geteuid().is_root();
    assert!(!(in_ci && could), "CI runs every test, but: {why}");
}
