use super::*;

#[cfg(loom)]
mod looms;

#[cfg(not(loom))]
mod uses;

#[cfg(not(loom))]
mod shared;
