//! Spans of time as people read them at a glance.

use std::time::Duration;

use stead_model::Wall;

/// Two units at most: `12s`, `3m12s`, `5h3m`, `9d4h`.
pub(crate) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{minutes}m{}s", secs % 60),
        3600..86_400 => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

/// How old something of `at` is.
pub(crate) fn age(now: Wall, at: Wall) -> String {
    span(now.since(at))
}

/// How long ago, or in how long.
pub(crate) fn relative(now: Wall, at: Wall) -> String {
    if at > now {
        // Rounded up: a countdown that shows 0s is over.
        let left = at.since(now);
        format!("in {}", span(left.saturating_add(Duration::from_millis(999))))
    } else {
        format!("{} ago", age(now, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_two_units_at_most() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (192, "3m12s"),
            (18_180, "5h3m"),
            (792_000, "9d4h"),
        ];
        for (secs, text) in cases {
            assert_eq!(span(Duration::from_secs(secs)), text);
        }
    }

    #[test]
    fn a_countdown_never_shows_nothing_left() {
        let now = Wall::from_unix_millis(10_000);
        assert_eq!(relative(now, Wall::from_unix_millis(10_001)), "in 1s");
        assert_eq!(relative(now, now), "0s ago");
        assert_eq!(relative(now, Wall::from_unix_millis(8_000)), "2s ago");
    }
}
