//! Where in an interval an instance has its place, so that not all of them come at once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// A part of `interval` that is always the same for one instance.
pub(crate) fn stagger(interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    std::env::var_os("STEAD_INSTANCE").hash(&mut hasher);
    std::process::id().hash(&mut hasher);
    let part = u32::try_from(hasher.finish() % 1_000).unwrap_or(0);
    interval * part / 1_000
}
