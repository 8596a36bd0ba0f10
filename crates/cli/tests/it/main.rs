//! The binary as people and scripts run it, against a daemon that answers what each test wants.

mod codes;
mod daemon;
mod guide;
mod output;
mod waiting;
