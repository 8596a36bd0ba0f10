//! What carries out the engine's orders.

mod courier;
mod process;
mod seat;

use std::collections::BTreeMap;

use stead_engine::Foreseen;
use stead_model::{Action, AgentId, AgentName, Exit, InstanceId, LiveInstance, Namespace, Observation};

pub(crate) use courier::Courier;
pub(crate) use process::{KeeperInfo, KeeperSettings, ProcessDriver};
#[cfg(test)]
use seat::MOST_TOLD;
pub(crate) use seat::{Seat, Seats};

/// Carries out orders. Nothing here waits: outcomes come back as [`Driven`].
pub(crate) trait Driver: Send {
    /// Carries out one order, once it is written down. Carrying it out twice is carrying it out once.
    fn execute(&mut self, action: Action);

    /// Makes ready what is likely to be ordered, and begins nothing.
    fn foresee(&mut self, start: Foreseen<'_>);

    /// Finds out everything that lives and everything that ended unacknowledged; answered by [`Driven::Surveyed`].
    fn survey(&mut self);

    /// Lets go of what keeps the processes: nothing is left to keep.
    fn dismiss(&mut self);
}

/// What comes back from a driver.
#[derive(Debug)]
pub(crate) enum Driven {
    /// Something is about to be seen, most likely an end.
    Stirring,
    /// Something was seen.
    Observed(Observation),
    /// What a survey found.
    Surveyed {
        /// What lives.
        live: Vec<LiveInstance>,
        /// What ended and was not acknowledged.
        exited: Vec<(InstanceId, Exit)>,
        /// What the agents of all these are called.
        names: BTreeMap<AgentId, (Namespace, AgentName)>,
    },
    /// The driver lost its hands: processes live on, orders are lost until it is back.
    Lost {
        /// What is wrong.
        detail: String,
    },
    /// It is back; a survey is needed.
    Back,
}
