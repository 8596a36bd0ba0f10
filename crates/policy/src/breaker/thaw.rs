//! Storing a circuit and restoring it.

use alloc::vec::Vec;

use super::{BreakerImage, BreakerSettings, Bucket, Circuit, Duration, Leaky, Memory, Phase, PhaseImage, Probes};
use super::{Marks, WindowImage};
use crate::window::{Buckets, aged};

impl Circuit {
    /// All that it knows, free of the clock's origin.
    #[must_use]
    pub fn image(&self, now: Duration) -> BreakerImage {
        let left = |until: Duration| until.saturating_sub(now);
        let phase = match &self.phase {
            Phase::Closed(memory) => PhaseImage::Closed {
                window: memory.image(now),
            },
            Phase::Open { until } => PhaseImage::Open { left: left(*until) },
            Phase::HalfOpen { successes, .. } => PhaseImage::HalfOpen { successes: *successes },
            Phase::Recovering {
                step, until, failures, ..
            } => PhaseImage::Recovering {
                step: u32::try_from(*step).unwrap_or(u32::MAX),
                left: left(*until),
                failures: *failures,
            },
            Phase::Isolated { .. } => PhaseImage::Isolated,
            Phase::ForcedOpen => PhaseImage::ForcedOpen,
            Phase::ForcedClosed => PhaseImage::ForcedClosed,
            Phase::Disabled => PhaseImage::Disabled,
        };
        BreakerImage {
            generation: self.generation,
            reopened: self.reopened,
            not_before: left(self.not_before),
            phase,
        }
    }

    /// Restores what [`Circuit::image`] gave, on a clock that shows `now`. Time that went by in between is the caller's to
    /// subtract. A window of another kind than the settings ask for starts empty.
    #[must_use]
    pub fn restore(settings: BreakerSettings, image: &BreakerImage, now: Duration) -> Self {
        let at = |left: Duration| now.saturating_add(left);
        let phase = match &image.phase {
            PhaseImage::Closed { window } => {
                let mut memory = Memory::new(settings.config().window);
                memory.restore(now, window);
                Phase::Closed(memory)
            }
            PhaseImage::Open { left } => Phase::Open { until: at(*left) },
            PhaseImage::HalfOpen { successes } => Phase::HalfOpen {
                successes: *successes,
                probes: Probes::default(),
            },
            PhaseImage::Recovering { step, left, failures } => Phase::Recovering {
                step: usize::try_from(*step).unwrap_or(usize::MAX),
                until: at(*left),
                failures: *failures,
                arrivals: 0,
            },
            PhaseImage::Isolated => Phase::Isolated {
                probes: Probes::default(),
            },
            PhaseImage::ForcedOpen => Phase::ForcedOpen,
            PhaseImage::ForcedClosed => Phase::ForcedClosed,
            PhaseImage::Disabled => Phase::Disabled,
        };
        Self {
            generation: image.generation,
            reopened: image.reopened,
            not_before: if image.not_before.is_zero() {
                Duration::ZERO
            } else {
                at(image.not_before)
            },
            refused: 0,
            settings,
            phase,
        }
    }
}

impl Memory {
    fn image(&self, now: Duration) -> WindowImage {
        match self {
            Self::Consecutive { failures } => WindowImage::Consecutive { failures: *failures },
            Self::Leaky { count, leak } => {
                let (level, next) = count.level(now, *leak);
                let next = if level == 0 {
                    Duration::ZERO
                } else {
                    next.saturating_sub(now)
                };
                WindowImage::Leaky { level, next }
            }
            Self::Count(window) => WindowImage::Count {
                calls: Marks(window.marks().collect()),
            },
            Self::Time(window) => WindowImage::Time {
                shift: window.cut().shift(),
                buckets: window
                    .buckets(now)
                    .map(|(age, counts)| Bucket::new(age, counts))
                    .collect::<Vec<_>>(),
            },
        }
    }

    fn restore(&mut self, now: Duration, image: &WindowImage) {
        match (self, image) {
            (Self::Consecutive { failures }, WindowImage::Consecutive { failures: stored }) => *failures = *stored,
            (Self::Leaky { count, .. }, WindowImage::Leaky { level, next }) => {
                *count = Leaky::at(*level, now.saturating_add(*next));
            }
            (Self::Count(window), WindowImage::Count { calls }) => {
                for mark in &calls.0 {
                    window.record(*mark);
                }
            }
            (Self::Time(window), WindowImage::Time { shift, buckets }) => {
                let cut: Buckets = window.cut();
                for bucket in buckets {
                    window.put(aged(cut, now, bucket.age, *shift), bucket.counts());
                }
            }
            (
                Self::Consecutive { .. } | Self::Leaky { .. } | Self::Count(_) | Self::Time(_),
                WindowImage::Consecutive { .. }
                | WindowImage::Leaky { .. }
                | WindowImage::Count { .. }
                | WindowImage::Time { .. },
            ) => {}
        }
    }
}
