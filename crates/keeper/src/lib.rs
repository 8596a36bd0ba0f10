//! The parent of all agent processes: spawns, reaps, keeps their logs and notify sockets.
//!
//! [`run`] is the keeper itself: one thread, no runtime, a session of its own, so that the daemon may be killed or
//! upgraded at any time. [`Session`] is how the daemon speaks to it; [`launch`] starts one where none answers.
//!
//! ```no_run
//! # fn main() -> Result<(), stead_keeper::ClientError> {
//! let (program, dir) = (std::path::Path::new("/usr/bin/stead"), std::path::Path::new("/var/lib/stead"));
//! stead_keeper::launch(program, dir)?;
//! let mut session = stead_keeper::Session::open(dir, stead_model::Epoch(1))?;
//! for view in session.list()? {
//!     // Adopt what lives, take note of what ended.
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The wire
//!
//! `DIR/keeper.sock`, a stream socket of mode 0600; peers of another user are turned away. A *frame* is four bytes of
//! length (least significant first, at most [`wire::MAX_FRAME`]) and so many bytes of JSON: [`wire::Asked`] to the
//! keeper, [`wire::Told`] from it. Unknown fields are passed over. The first request is `hello` with the versions that
//! the client speaks and its epoch; the keeper picks the newest version that both speak. One session at a time: a
//! higher epoch takes over, a lower one is refused for ever, also by later keepers (`DIR/keeper.epoch`), the same one
//! is refused while a session is open. A request that is not known is answered with a refusal and the session goes on;
//! what is no frame ends it.
//!
//! Since version 2 a start may be foreseen: the order is sent ahead, made ready and not begun; a short word begins it. What was foreseen
//! is forgotten with its session, so that nobody begins what another had made ready.
//!
//! An end is told once per session in which it happens and is listed until it is acknowledged. What is told to a
//! session that reads nothing is kept up to 32 MiB; then the session is given up.
//!
//! # What survives what
//!
//! | killed | agents | lines | ends |
//! |---|---|---|---|
//! | daemon | live on | all, once | kept with their code |
//! | keeper | live on, are adopted by boot id, pid namespace, pid and start time | all, once: they wait in the FIFO, which the agent holds open | those seen before are kept; those that nobody saw are `unknown` |
//! | keeper replaced by `upgrade` | live on as its children | all, once | all with their code |
//!
//! The end of an adopted agent is no longer told to its keeper by `wait`; Linux 6.15 and later tell it by its pidfd,
//! earlier ones leave it `unknown`.
//!
//! # A tree
//!
//! Each instance leads a session (hence a process group) of its own and, where cgroup v2 is writable, is born into a
//! cgroup of its own. When its main process ends, whatever is left of the tree is killed at once. Without cgroups the
//! tree is its session, its descendants, and orphans that carry its `STEAD_INSTANCE`.
#![warn(missing_docs)]

mod account;
mod adopt;
mod cgroup;
mod client;
mod clock;
mod detach;
mod dir;
mod doors;
mod error;
mod identity;
mod instance;
mod keeper;
mod legacy;
pub mod logs;
pub mod notify;
pub mod orphans;
mod poller;
mod prepare;
mod record;
mod spare;
mod spawn;
mod sys;
mod tree;
mod upgrade;
pub mod wire;

pub use client::{MOST_BEHIND, Posted, Receiver, Sender, Session, answers, launch};
pub use dir::{MAX_STATE_DIR, agent_dir, last_epoch, socket_path};
pub use error::{ClientError, Error};
pub use keeper::{Cgroups, Config, DESCRIPTORS_BESIDE, DESCRIPTORS_EACH, Stay, run};

/// Writes a line to the keeper's own log, which is its standard error.
fn note(what: &str) {
    use std::io::Write;
    // There is nobody to tell that the log is full.
    let _unsaid = writeln!(std::io::stderr(), "{} {what}", clock::wall());
}
