//! Durable journal, state rows and slot leases: one [`Store`] trait, [`MemoryStore`] for simulation, [`SqliteStore`] for one
//! machine.
//!
//! A store is submit and complete, not call and return. [`Store::submit`] takes an append and never waits; what became of it comes
//! back through the [`Sink`] given at opening, in the order of submission. A [`Receipt`](stead_model::journal::Receipt) exists only
//! for what is as durable as its append asked.
//!
//! ```
//! use stead_model::journal::{Append, Durability};
//! use stead_model::{Position, Slot, Wall};
//! use stead_store::{Completion, Lease, MemoryStore, Owner, Store};
//!
//! let store = MemoryStore::new(Box::new(|completion| {
//!     assert!(matches!(completion, Completion::Committed(receipt) if receipt.position() == Position(1)));
//! }));
//! let slot = Slot::try_from(7)?;
//! let held = store.take(&[slot], &Owner::new("node-1"), Lease::unending(Wall::default()))?;
//! store.submit(Append {
//!     slot,
//!     epoch: held[0].1,
//!     first: store.load(slot)?.position.next(),
//!     position: store.load(slot)?.position.next(),
//!     durability: Durability::Flushed,
//!     changes: vec![],
//!     transitions: vec![],
//!     events: vec![],
//! });
//! store.pump();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod dir;
mod error;
mod lease;
mod memory;
mod query;
mod reader;
mod record;
mod retention;
mod sqlite;
mod store;

pub use config::{ConfigRow, MOST_CONFIGS};
pub use dir::{Holder, LockError, StateDir};
pub use error::{OpenError, ReadError, StoreError};
pub use lease::{Lease, Owner};
pub use memory::{Fault, MemoryStore};
pub use query::{
    AuditPage, AuditQuery, EventCursor, EventFilter, EventPage, InvalidCursor, LevelPage, LevelQuery, Page, PageCursor,
    RecoveryPage, RecoveryQuery, TransitionQuery,
};
pub use reader::{MOST_READERS, ReaderRow, Taken, TakenError};
pub use retention::{Pruned, Retention};
pub use sqlite::{DamagedStore, LateStore, Options, SqliteStore};
pub use store::{Completion, Figures, Loader, Sink, Store};
