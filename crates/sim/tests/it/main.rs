//! Stories of single agents, exhaustive searches, and whole fleets under faults.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do"
)]

mod crashes;
mod groups;
mod lifecycle;
mod script;
mod stories;
mod voices;
