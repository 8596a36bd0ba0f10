//! Stead keeps fleets of AI agents and other long-running components steady.
fn main() {}
