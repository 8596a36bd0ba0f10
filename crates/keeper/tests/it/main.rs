//! The keeper with real processes: every test has a keeper and a state directory of its own.

mod adopt;
mod home;
mod lifecycle;
mod logs;
mod notify;
mod tree;
mod upgrade;
mod wire;
