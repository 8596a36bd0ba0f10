//! The only file of the keeper that asks the time.

use std::time::{Duration, Instant, SystemTime};

use stead_model::Wall;

/// Civil time, for log lines and the end of instances.
pub(crate) fn wall() -> Wall {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Wall::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Monotonic time, for waits.
pub(crate) fn now() -> Instant {
    Instant::now()
}
