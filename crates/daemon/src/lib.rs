//! The body of Stead: pump, clock, HTTP API, drivers, probes and capabilities around the engine.

mod api;
mod app;
mod bystander;
mod capability;
mod clock;
pub mod config;
mod damage;
mod degradation;
mod driver;
mod exchange;
mod handle;
mod probe;
mod pump;
mod status;
mod tally;
mod views;

pub use api::{
    AgentsLeft, ApiState, ApplyMode, ApplyOrder, ConfigApplied, ConfigChange, ConfigCheck, ConfigDoor, ConfigFault,
    ConfigRefused, ConfigRevision, ConfigText, ConfigView, DaemonInfo, FieldChange, FleetText, Host, InvalidToken,
    LogLine, LogReader, LogRequest, LogSource, LogStream, OpenListener, Ports, Restarts, ShutdownOrder, Token,
    check_listener, openapi, router, serve,
};
pub use app::{App, LimitsError, Reloader, Settings, StartError, check_limits, config_door};
pub use handle::{Ask, Handle, KnownSpec, Lifecycles, QUEUE};
pub use status::{Part, Status, StatusReport};
pub use stead_store::LockError;
pub use views::Views;
