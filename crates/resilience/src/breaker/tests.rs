#[cfg(not(loom))]
mod behaviour;
#[cfg(loom)]
mod looms;
