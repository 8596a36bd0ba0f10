//! The HTTP API before a pump that is played.

mod agents;
mod description;
mod door;
mod events;
mod history;
mod logs;
mod readers;
mod refusals;
mod sockets;
mod world;
