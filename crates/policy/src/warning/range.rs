//! The range that a metric has ever been in, and those of its means.

use super::{FAR, NEAR, rounded};

/// One metric, taken out of its watch.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) low: f32,
    pub(super) high: f32,
    /// The short mean, the lowest and highest that it was; the same of the long mean: as places between `low` and `high`.
    pub(super) inner: [u16; 6],
}

impl Range {
    pub(super) const fn new(value: f32) -> Self {
        Self {
            low: value,
            high: value,
            inner: [0; 6],
        }
    }

    pub(super) fn near(&self) -> f32 {
        self.value(self.inner[0])
    }

    pub(super) fn far(&self) -> f32 {
        self.value(self.inner[3])
    }

    pub(super) const fn far_is_highest(&self) -> bool {
        self.inner[3] >= self.inner[5]
    }

    /// Takes a value, the `seen`th: how far it, or a mean, lies beyond its range, over the width of that; the largest.
    pub(super) fn take(&mut self, value: f32, seen: u8) -> f32 {
        let beyond = (value - self.high).max(self.low - value).max(0.0);
        let width = (self.high - self.low).max(value.abs() * 1e-6).max(f32::MIN_POSITIVE);
        if beyond > 0.0 {
            self.widen(value);
        }
        let samples = f32::from(seen);
        let place = self.place(value);
        let near = self.mean(0, NEAR, place, samples);
        let far = self.mean(3, FAR, place, samples);
        (beyond / width).max(near).max(far)
    }

    /// Moves the mean at `at` towards `place`, and its range with it.
    fn mean(&mut self, at: usize, over: f32, place: f32, seen: f32) -> f32 {
        let [mean, low, high] = [0, 1, 2].map(|offset| f32::from(self.inner[at + offset]));
        let mean = mean + (place - mean) / over.min(seen);
        // Before the mean has its weight it has no range, and for ten samples more the range no width to speak of.
        let (low, high, beyond) = if seen <= over {
            (mean, mean, 0.0)
        } else {
            (low.min(mean), high.max(mean), (mean - high).max(low - mean).max(0.0))
        };
        let width = (f32::from(self.inner[at + 2]) - f32::from(self.inner[at + 1])).max(1.0);
        self.inner[at] = rounded(mean);
        self.inner[at + 1] = rounded(low);
        self.inner[at + 2] = rounded(high);
        // Less than a step of 16 bits is rounding.
        if seen < over + 10.0 || beyond < 1.0 {
            0.0
        } else {
            beyond / width
        }
    }

    fn widen(&mut self, value: f32) {
        let places = self.inner.map(|place| self.value(place));
        self.low = self.low.min(value);
        self.high = self.high.max(value);
        self.inner = places.map(|value| rounded(self.place(value)));
    }

    fn place(&self, value: f32) -> f32 {
        ((value - self.low) / self.width() * STEPS).clamp(0.0, STEPS)
    }

    fn value(&self, place: u16) -> f32 {
        self.low + f32::from(place) / STEPS * self.width()
    }

    fn width(&self) -> f32 {
        (self.high - self.low).clamp(f32::MIN_POSITIVE, f32::MAX)
    }
}

const STEPS: f32 = 65535.0;
