//! What the API asks of the process.

use std::net::SocketAddr;
use std::path::PathBuf;

use stead_model::Wall;
use tokio::sync::mpsc;

use crate::api::{DaemonInfo, Host, ShutdownOrder};
use crate::clock::Clock;
use crate::driver::KeeperInfo;

/// This process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) clock: Clock,
    pub(super) started_at: Wall,
    pub(super) listen: SocketAddr,
    pub(super) state_dir: PathBuf,
    pub(super) keeper: KeeperInfo,
    pub(super) order: mpsc::Sender<ShutdownOrder>,
}

impl Host for Process {
    fn now(&self) -> Wall {
        self.clock.now().wall
    }

    fn info(&self) -> DaemonInfo {
        DaemonInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            state_dir: self.state_dir.display().to_string(),
            listen: self.listen.to_string(),
            keeper_pid: self.keeper.pid().and_then(|pid| u32::try_from(pid).ok()),
        }
    }

    fn shut_down(&self, order: ShutdownOrder) {
        // One that is full has an order already.
        let _ordered = self.order.try_send(order);
    }
}
