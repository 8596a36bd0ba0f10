//! The lives of agents inside one process, for those who embed them: 18 states, guards, awaited handlers, history.

mod event;
mod manager;
mod service;
mod state;

pub use event::{Cause, NotMoved, StateChange};
pub use manager::{LifecycleManager, StateInfo, When};
pub use service::{LifecycleService, LifecycleSummary};
pub use state::{AgentState, UnknownState};

#[cfg(test)]
mod tests;
