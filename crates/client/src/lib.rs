//! Typed HTTP client of the Stead daemon.
//!
//! One method for each route, on the types of `stead-model`. Every mutation carries an `Idempotency-Key` of its own and is sent
//! again with the same key when the connection broke on the way, so that it happens once or is reported as failed, never twice.
//!
//! | | default |
//! |---|---|
//! | connecting | 3 s |
//! | one request, streams excepted | 30 s |
//! | sending a broken mutation again | for 10 s, waiting 100 ms and twice as long each time, at most 2 s |
//! | silence of a followed stream of events before it is taken for dead | 45 s |
//!
//! ```no_run
//! use stead_client::{AgentFilter, Change, Client, Target, Verb};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::from_env()?;
//! for agent in client.agents(&AgentFilter::default()).await?.items {
//!     println!("{} is {}", agent.name, agent.phase);
//! }
//! client.lifecycle(&Target::named("web-1")?, Verb::Restart, &Change::because("new certificate")).await?;
//! # Ok(())
//! # }
//! ```

mod agents;
mod capabilities;
mod client;
mod config;
mod daemon;
mod degradation;
mod error;
mod filter;
mod groups;
mod readers;
mod request;
mod settings;
mod stream;
mod target;
mod wire;

pub use capabilities::Invoked;
pub use client::Client;
pub use config::{Applying, ConfigRevision, ConfigText};
pub use degradation::LevelFilter;
pub use error::ClientError;
pub use filter::{AgentFilter, AuditFilter, EventFilter, GroupFilter, LogQuery, RecoveryFilter, TransitionFilter};
pub use settings::{DEFAULT_URL, Settings, SettingsError, Timeouts, state_dir};
pub use stead_model::{LogLine, LogStream as Output};
pub use stream::{EventItem, EventStream, LogItem, LogStream};
pub use target::{Change, Pausing, Registry, Target, Verb};
pub use wire::{
    AgentsOnShutdown, Applied, Batch, BatchAnswer, BatchItem, Beat, ConfigChange, ConfigFault, ConfigRefused,
    ConfigView, DaemonView, FieldChange, GroupSpecView, NewAgent, NewGroup, Page, PartState, SpecView, StatusView,
    Validation,
};
