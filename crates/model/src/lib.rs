//! The nouns of Stead: ids, time, profiles, specs, commands, events, and the journal's types.
//!
//! Everything here is plain data. Nothing reads a clock, a file or the environment: the compiler keeps `std` out.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod id;
mod instance;
pub mod spec;
mod time;
mod unit;

pub use id::{
    ActionId, AgentId, AgentName, Epoch, Incarnation, InvalidId, Namespace, Position, Revision, SLOTS, Sequence, Slot,
};
pub use instance::{Exit, InstanceId, ProcessIdentity, SpawnFailure, SpawnFailureKind};
pub use spec::{AgentSpec, Driver};
pub use time::{BootClock, InvalidTime, Moment, Now, Span, StoredWait, Wall};
pub use unit::{Bytes, Factor, OutOfRange, Ratio, Seconds, Signal};
