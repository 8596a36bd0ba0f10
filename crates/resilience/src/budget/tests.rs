use super::*;

#[cfg(loom)]
mod looms;

#[cfg(not(loom))]
mod uses;
