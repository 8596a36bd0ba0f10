//! The runtime, its server and its signals, from outside.

mod drain;
mod runtime;
mod world;
