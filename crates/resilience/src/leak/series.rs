//! The recent past of one number, at two resolutions.

use core::time::Duration;
use std::collections::VecDeque;

use stead_policy::Trend;

use crate::Moment;

/// The last samples, and the low points of windows before them: a leak raises what a process comes back to.
#[derive(Debug)]
pub(super) struct Series {
    window: usize,
    fine: VecDeque<(Moment, f64)>,
    /// The lowest of each full window of samples.
    coarse: VecDeque<(Moment, f64)>,
    since_folded: usize,
}

/// A rise that is not by chance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rise {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) over: Duration,
    pub(super) per_second: f64,
}

impl Series {
    pub(super) fn new(window: usize) -> Self {
        Self {
            window,
            fine: VecDeque::with_capacity(window),
            coarse: VecDeque::new(),
            since_folded: 0,
        }
    }

    pub(super) fn push(&mut self, at: Moment, value: f64) {
        keep(&mut self.fine, (at, value), self.window);
        self.since_folded += 1;
        if self.since_folded == self.window {
            self.since_folded = 0;
            let low = self.fine.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((_, low)) = low {
                keep(&mut self.coarse, (at, low), self.window);
            }
        }
    }

    /// The rise by at least `least` and a tenth of what there was, if there is one, over the shorter time where over both.
    pub(super) fn rise(&self, least: f64) -> Option<Rise> {
        [&self.fine, &self.coarse]
            .into_iter()
            .find_map(|points| rise(points, least))
    }
}

fn keep(points: &mut VecDeque<(Moment, f64)>, point: (Moment, f64), most: usize) {
    if points.len() == most {
        points.pop_front();
    }
    points.push_back(point);
}

/// Whether `points` rise as a whole, still do in their later half (else it was a warm-up), and by enough to matter.
fn rise(points: &VecDeque<(Moment, f64)>, least: f64) -> Option<Rise> {
    let (first, last) = (points.front()?.0, points.back()?.0);
    if points.len() < FEWEST {
        return None;
    }
    let all: Vec<(Duration, f64)> = points.iter().map(|(at, value)| (at.since(first), *value)).collect();
    let whole = Trend::of(&all).filter(|trend| trend.rises(SURE))?;
    Trend::of(&all[all.len() / 2..]).filter(|trend| trend.rises(LIKELY))?;
    let over = last.since(first);
    let low = all.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let grown = whole.per_second() * over.as_secs_f64();
    let matters = grown >= least && grown >= low * SHARE;
    matters.then(|| Rise {
        from: low,
        to: low + grown,
        over,
        per_second: whole.per_second(),
    })
}

/// So many samples before anything is called a rise.
const FEWEST: usize = 12;

/// Standard deviations: errs once in 700 series of independent noise.
const SURE: f64 = 3.0;

/// Standard deviations of the later half, which has half of the evidence: errs once in 20.
const LIKELY: f64 = 1.645;

/// The share of what there was by which a rise matters.
const SHARE: f64 = 0.1;
