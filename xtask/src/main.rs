//! Chores and gates of the repository.
fn main() {}
