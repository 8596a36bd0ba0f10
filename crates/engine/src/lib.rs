//! The brain of Stead: everything that decides, as a pure value with one door.
//!
//! [`Engine::step`] takes one input and the time, and gives one [`Batch`]: rows to write and, held back until a receipt proves
//! that they are written, orders to the world. It never waits, never asks the time, never does anything by itself.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

mod abstain;
mod agents;
mod answers;
mod batch;
mod beats;
mod cause;
mod command;
mod degrade;
mod depend;
mod engine;
mod explain;
mod foresee;
mod group;
mod invariant;
mod observe;
mod open;
mod pack;
mod permit;
mod plan;
mod profiles;
mod record;
mod recovery;
mod rollout;
mod shown;
mod slot;
mod step;
mod storm;
mod thaw;
mod turns;
mod view;
mod wish;
pub mod words;

pub use batch::{Batch, Foreseen, Released, Reply, Starts, WrongReceipt};
pub use degrade::home_of;
pub use depend::Message;
pub use engine::{Engine, Input, NotOwned};
pub use group::KnownGroup;
pub use profiles::StateInUse;
pub use shown::{Glance, Shown};
pub use thaw::{Opened, Thawed, Thawing, Unthawable};
pub use wish::{Step, Wish, wish};
