//! Properties of the engine over lives and tables that chance made up.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod beats;
mod clears;
mod degrades;
mod explains;
mod fleet;
mod generated;
mod outside;
mod permitted;
mod policies;
mod random;
mod recovers;
mod refusals;
mod renews;
mod rig;
mod runs;
mod signs;
mod stalls;
mod storms;
mod turns;
