//! Everything that needs more than one part of the daemon.

#[cfg(test)]
mod api;
