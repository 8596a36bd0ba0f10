//! What must hold whatever bytes come in at the doors of Stead: one function for each door.
//!
//! Each takes the bytes of one try and panics where something does not hold. `cargo xtask fuzz` gives them what libFuzzer makes
//! up; the tests of this crate give them the seeds, which are tries that were worth keeping.
//!
//! ```
//! stead_fuzz::notify(b"READY=1\nSTATUS=up");
//! ```
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what does not hold is a finding, and a finding is a panic"
)]

mod api;
mod configuration;
mod frames;
mod notify;
mod world;

pub use api::api;
pub use configuration::configuration;
pub use frames::frames;
pub use notify::notify;
