//! The one place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use stead_model::Wall;
use tokio::time::Instant;

/// Monotonic time; stands still where tokio's is paused.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Civil time, for rows that people read.
pub(crate) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
