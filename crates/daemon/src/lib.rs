//! The body of Stead: pump, clock, HTTP API, drivers and probes around the engine.

pub mod config;
mod handle;
mod status;
mod views;

pub use handle::{Ask, Handle, QUEUE};
pub use status::{Part, Status, StatusReport};
pub use views::Views;
