//! The only file that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use stead_model::Wall;

/// Civil time now.
pub(crate) fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
