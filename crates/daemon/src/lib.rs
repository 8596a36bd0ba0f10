//! The body of Stead: pump, clock, HTTP API, drivers and probes around the engine.

mod api;
pub mod config;
mod handle;
mod status;
mod views;

pub use api::{
    AgentsLeft, ApiState, ApplyMode, ConfigApplied, ConfigCheck, ConfigDoor, ConfigFault, ConfigView, DaemonInfo, Host,
    InvalidToken, LogLine, LogReader, LogRequest, LogSource, LogStream, OpenListener, Ports, ShutdownOrder, Token,
    check_listener, openapi, router, serve,
};
pub use handle::{Ask, Handle, QUEUE};
pub use status::{Part, Status, StatusReport};
pub use views::Views;
