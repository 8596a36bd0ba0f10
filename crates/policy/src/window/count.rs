//! The last so many calls.

use alloc::collections::VecDeque;

use super::{Counts, Mark};

/// The last `size` calls, whenever they were.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountWindow {
    size: usize,
    marks: VecDeque<Mark>,
    counts: Counts,
}

impl CountWindow {
    /// An empty window over the last `size` calls; at least one.
    #[must_use]
    pub fn new(size: u32) -> Self {
        Self {
            size: usize::try_from(size).unwrap_or(usize::MAX).max(1),
            marks: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Adds a call, the oldest going where the window is full.
    pub fn record(&mut self, mark: Mark) -> Counts {
        self.marks.push_back(mark);
        self.counts = self.counts.and(mark);
        self.shrink();
        self.counts
    }

    /// What the window holds.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The calls, oldest first.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        self.marks.iter().copied()
    }

    /// Looks back over `size` calls from now on; the latest stay.
    pub fn resize(&mut self, size: u32) {
        self.size = usize::try_from(size).unwrap_or(usize::MAX).max(1);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.marks.len() > self.size {
            if let Some(oldest) = self.marks.pop_front() {
                self.counts = self.counts.without(oldest);
            }
        }
    }
}
