//! What a closed circuit remembers.

use super::{BreakerSettings, CountWindow, Duration, Leaky, Mark, TimeWindow, Tripped, Window};
use crate::window::Counts;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Memory {
    Consecutive { failures: u32 },
    Leaky { count: Leaky, leak: Duration },
    Count(CountWindow),
    Time(TimeWindow),
}

impl Memory {
    pub(super) fn new(window: Window) -> Self {
        match window {
            Window::Consecutive => Self::Consecutive { failures: 0 },
            Window::Leaky { leak } => Self::Leaky {
                count: Leaky::default(),
                leak,
            },
            Window::Count { calls } => Self::Count(CountWindow::new(calls)),
            Window::Time { span } => Self::Time(TimeWindow::new(span)),
        }
    }

    /// Adds a call, and says whether that opens.
    ///
    /// Only a failure or a slow call does, or the call with which the window first holds enough for a rate.
    pub(super) fn record(&mut self, now: Duration, mark: Mark, settings: &BreakerSettings) -> Option<Tripped> {
        let counts = match self {
            Self::Consecutive { failures } if mark.failed() => {
                *failures += 1;
                in_a_row(*failures)
            }
            Self::Consecutive { failures } => {
                *failures = 0;
                return None;
            }
            Self::Leaky { count, leak } if mark.failed() => in_a_row(count.record(now, *leak)),
            Self::Leaky { .. } => return None,
            Self::Count(window) => window.record(mark),
            // Nobody asks how many calls there were.
            Self::Time(_) if mark == Mark::Good && !settings.by_rate() => return None,
            Self::Time(window) => window.record(now, mark),
        };
        let enough_now = settings.by_rate() && counts.total == settings.config().minimum_calls;
        if mark == Mark::Good && !enough_now {
            return None;
        }
        settings.trips(counts)
    }

    /// Goes on with other settings; where the window is of another kind, with an empty one, and also where one of time has
    /// not counted what a rate needs.
    pub(super) fn reconfigure(&mut self, now: Duration, before: &BreakerSettings, settings: &BreakerSettings) {
        let window = settings.config().window;
        match (&mut *self, window) {
            (Self::Time(_), Window::Time { .. }) if settings.by_rate() && !before.by_rate() => {
                *self = Self::new(window);
            }
            (Self::Consecutive { .. }, Window::Consecutive) => {}
            (Self::Leaky { count, leak }, Window::Leaky { leak: other }) => {
                let (level, next) = count.level(now, *leak);
                *count = Leaky::at(level, next.min(now.saturating_add(other)));
                *leak = other;
            }
            (Self::Count(window), Window::Count { calls }) => window.resize(calls),
            (Self::Time(window), Window::Time { span }) => window.resize(now, span),
            (_, Window::Consecutive | Window::Leaky { .. } | Window::Count { .. } | Window::Time { .. }) => {
                *self = Self::new(window);
            }
        }
    }
}

fn in_a_row(failed: u32) -> Counts {
    Counts {
        total: failed,
        failed,
        slow: 0,
    }
}
