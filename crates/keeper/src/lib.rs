//! The parent of all agent processes: spawns, reaps, keeps their logs and notify sockets.
#![warn(missing_docs)]

mod account;
mod adopt;
mod cgroup;
mod client;
mod clock;
mod detach;
mod dir;
mod error;
mod identity;
mod instance;
mod keeper;
pub mod logs;
mod notify;
mod poller;
mod prepare;
mod record;
mod spawn;
mod sys;
mod tree;
mod upgrade;
pub mod wire;

pub use client::{Receiver, Sender, Session, answers, launch};
pub use dir::{MAX_STATE_DIR, agent_dir, socket_path};
pub use error::{ClientError, Error};
pub use keeper::{Config, Stay, run};

/// Writes a line to the keeper's own log, which is its standard error.
fn note(what: &str) {
    use std::io::Write;
    // There is nobody to tell that the log is full.
    let _unsaid = writeln!(std::io::stderr(), "{} {what}", clock::wall());
}
