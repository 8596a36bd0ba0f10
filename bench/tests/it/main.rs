//! The harness by its binary.

#[cfg(test)]
mod floor;
