//! The one place that asks what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use stead_model::{BootClock, Moment, Now, Wall};

/// The node's clocks: monotonic through suspends (`CLOCK_BOOTTIME`), and civil.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    boot: BootClock,
}

impl Clock {
    /// Starts the node's clock, tied to the kernel's boot id.
    #[must_use]
    pub(crate) fn start() -> Self {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            boot: BootClock {
                boot: fold(&id),
                at_start: boottime(),
            },
        }
    }

    /// How the node's clock relates to the boot's.
    #[must_use]
    pub(crate) const fn boot(&self) -> BootClock {
        self.boot
    }

    /// Both clocks now.
    #[must_use]
    pub(crate) fn now(&self) -> Now {
        Now {
            moment: Moment::at(boottime().saturating_sub(self.boot.at_start)),
            wall: wall(),
        }
    }
}

/// Civil time now. Asked of libc, before which a test can put a clock that jumps.
#[must_use]
pub(crate) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn boottime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// Folds a boot id to 64 bits, never 0: 128 bits of hexadecimal digits, both halves xored.
fn fold(id: &str) -> u64 {
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
    let halves = digits.get(..16).zip(digits.get(16..32));
    let bits =
        halves.and_then(|(high, low)| Some(u64::from_str_radix(high, 16).ok()? ^ u64::from_str_radix(low, 16).ok()?));
    bits.unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_told_from_another_by_its_id() {
        let one = fold("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n");
        assert_ne!(one, fold("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1\n"));
        assert_eq!(fold("no id"), 1);
    }

    #[test]
    fn the_clock_starts_at_nothing_and_only_moves_on() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first.moment.since_start() < Duration::from_secs(5));
        assert!(clock.now().moment >= first.moment);
    }
}
