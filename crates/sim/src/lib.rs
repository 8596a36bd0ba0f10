//! A whole machine in one thread, on virtual time: a disk, a keeper with scripted processes, and a daemon that may die at any point.
//!
//! [`World`] turns one small wheel at a time (decide, submit, write, hear of it, act, tell), in an order that a story fixes or dice
//! choose, and checks after each turn what must hold whatever happens. The same seed gives the same world.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a world that cannot go on as it must is a failed test"
)]

mod dice;
mod ledger;
mod machine;
mod node;
mod told;
mod voice;
mod world;

pub use dice::Dice;
pub use machine::{Behaviour, Machine};
pub use world::{Crash, Turn, World};
