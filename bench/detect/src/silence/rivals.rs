//! Detectors of silence, each with one setting that makes it slower and surer.

use std::collections::VecDeque;
use std::time::Duration;

use stead_policy::{Beaten, Lease, LeaseConfig, LeaseRules, Tick};

use crate::constants::{
    AKKA_LEAST, BERTIER_BETA, BERTIER_GAMMA, OWN_DEV, OWN_HOLD, OWN_PEAK, PHI_LEAST, SHORT_WINDOW, WINDOW,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Own,
    Fixed,
    Chen,
    Bertier,
    Phi,
    Akka,
    Cassandra,
    Satzger,
    TwoWindows,
}

pub(crate) const KINDS: [(&str, Kind); 9] = [
    ("**Stead** (`Lease`)", Kind::Own),
    ("fixed", Kind::Fixed),
    ("Chen", Kind::Chen),
    ("Bertier", Kind::Bertier),
    ("phi", Kind::Phi),
    ("Akka", Kind::Akka),
    ("Cassandra, chitchat", Kind::Cassandra),
    ("Satzger", Kind::Satzger),
    ("2W-FD", Kind::TwoWindows),
];

impl Kind {
    /// Settings from quick to slow: 24 of each, over the same range of margins as far as the scheme allows.
    pub(crate) fn grid(self) -> Vec<f64> {
        let (low, high) = match self {
            Self::Own | Self::Chen | Self::TwoWindows => (0.02, 8.0), // margin, intervals
            Self::Fixed => (1.02, 9.0),                               // silence, intervals
            Self::Bertier => (0.25, 64.0),                            // weight of the deviation
            Self::Phi | Self::Akka => (0.5, 400.0),                   // phi
            Self::Cassandra => (1.02, 9.0),                           // silence, means
            Self::Satzger => (1.0, 9.0),                              // scale of the longest gap that is likely
        };
        let ratio: f64 = high / low;
        (0..24).map(|step| low * ratio.powf(f64::from(step) / 23.0)).collect()
    }
}

/// One detector that watches one agent.
pub(crate) struct Detector {
    kind: Kind,
    setting: f64,
    /// Of phi and Akka: deviations beyond the mean at which the setting is reached.
    tail: f64,
    interval: f64,
    lease: Lease,
    rules: Option<LeaseRules>,
    last: Option<f64>,
    /// Gaps between beats.
    gaps: Moments,
    /// Beats less their number times the interval; and the last of them.
    offsets: Moments,
    short: Moments,
    delay: f64,
    var: f64,
}

impl Detector {
    pub(crate) fn new(kind: Kind, setting: f64, interval: f64) -> Self {
        let config = LeaseConfig {
            floor: Duration::from_secs_f64(setting * interval),
            most: Duration::from_secs_f64(interval * 100.0),
            dev: OWN_DEV,
            peak: OWN_PEAK,
            hold: Duration::from_secs_f64(OWN_HOLD),
        };
        let tail = match kind {
            Kind::Phi => normal_tail(setting),
            Kind::Akka => logistic_tail(setting),
            Kind::Own
            | Kind::Fixed
            | Kind::Chen
            | Kind::Bertier
            | Kind::Cassandra
            | Kind::Satzger
            | Kind::TwoWindows => 0.0,
        };
        Self {
            kind,
            setting,
            tail,
            interval,
            lease: Lease::new(Tick::default(), 0, Duration::from_secs_f64(interval)),
            rules: LeaseRules::try_from(config).ok(),
            last: None,
            gaps: Moments::new(WINDOW),
            offsets: Moments::new(WINDOW),
            short: Moments::new(SHORT_WINDOW),
            delay: 0.0,
            var: 0.0,
        }
    }

    /// Takes beat number `n` that came at `came` seconds: the deadline of the next.
    pub(crate) fn beat(&mut self, n: u64, came: f64) -> f64 {
        let interval = self.interval;
        let gap = self.last.replace(came).map(|last| came - last);
        if let Some(gap) = gap {
            self.gaps.push(gap);
        }
        let next = (n + 1) as f64 * interval;
        self.offsets.push(came - n as f64 * interval);
        self.short.push(came - n as f64 * interval);
        let mean = if self.gaps.len() == 0 {
            interval
        } else {
            self.gaps.mean()
        };
        match self.kind {
            Kind::Own => self.own(n, came),
            Kind::Fixed => came + self.setting * interval,
            Kind::Chen => next + self.offsets.mean() + self.setting * interval,
            Kind::TwoWindows => next + self.offsets.mean().max(self.short.mean()) + self.setting * interval,
            Kind::Bertier => self.bertier(next, came),
            Kind::Phi => came + mean + self.tail * self.gaps.dev().max(PHI_LEAST * interval),
            Kind::Akka => came + mean + self.tail * self.gaps.dev().max(AKKA_LEAST * interval),
            Kind::Cassandra => came + mean * self.setting,
            Kind::Satzger => came + self.gaps.likely(0.999).unwrap_or(interval) * self.setting,
        }
    }

    fn own(&mut self, n: u64, came: f64) -> f64 {
        let Some(rules) = &self.rules else {
            return f64::INFINITY;
        };
        let now = Tick::from_micros((came * 1e6) as u64);
        match self.lease.beat(rules, now, n, Duration::from_secs_f64(self.interval)) {
            Beaten::Fresh { deadline } => deadline.micros() as f64 / 1e6,
            Beaten::Stale => f64::INFINITY,
        }
    }

    /// Chen's estimate and a margin after Jacobson: the weighted error and its deviation.
    fn bertier(&mut self, next: f64, came: f64) -> f64 {
        let expected = next - self.interval + self.offsets.mean();
        let error = came - expected - self.delay;
        self.delay += BERTIER_GAMMA * error;
        self.var += BERTIER_GAMMA * (error.abs() - self.var);
        next + self.offsets.mean() + (BERTIER_BETA * self.delay).max(0.0) + self.setting * self.var
    }
}

/// Deviations beyond the mean at which a normal gap has become so unlikely: -log10 of its tail is `phi`.
fn normal_tail(phi: f64) -> f64 {
    // The tail of Abramowitz and Stegun's bound, solved by halving.
    let suspicion = |x: f64| {
        let t = 1.0 / (1.0 + 0.231_641_9 * x);
        let sum =
            t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
        (x * x / 2.0 + 0.918_938_533) / std::f64::consts::LN_10 - sum.log10()
    };
    solve(suspicion, phi, 0.0, 60.0)
}

/// The same with the logistic curve that Akka has instead.
fn logistic_tail(phi: f64) -> f64 {
    let suspicion = |y: f64| (1.0 + (y * (1.597_6 + 0.070_566 * y * y)).exp()).log10();
    solve(suspicion, phi, 0.0, 20.0)
}

fn solve(rising: impl Fn(f64) -> f64, wanted: f64, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if rising(middle) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The last so many numbers.
struct Moments {
    values: VecDeque<f64>,
    most: usize,
    sum: f64,
    squares: f64,
    sorted: Vec<f64>,
    fresh: usize,
}

impl Moments {
    fn new(most: usize) -> Self {
        Self {
            values: VecDeque::with_capacity(most),
            most,
            sum: 0.0,
            squares: 0.0,
            sorted: Vec::new(),
            fresh: 0,
        }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn push(&mut self, value: f64) {
        if self.values.len() == self.most
            && let Some(old) = self.values.pop_front()
        {
            self.sum -= old;
            self.squares -= old * old;
        }
        self.values.push_back(value);
        self.sum += value;
        self.squares += value * value;
        self.fresh += 1;
    }

    fn mean(&self) -> f64 {
        self.sum / self.values.len().max(1) as f64
    }

    fn dev(&self) -> f64 {
        let count = self.values.len().max(1) as f64;
        (self.squares / count - self.mean() * self.mean()).max(0.0).sqrt()
    }

    /// The empirical quantile, ordered anew every 50 values.
    fn likely(&mut self, share: f64) -> Option<f64> {
        if self.fresh >= 50 || self.sorted.is_empty() {
            self.sorted = self.values.iter().copied().collect();
            self.sorted.sort_by(f64::total_cmp);
            self.fresh = 0;
        }
        let index = (self.sorted.len() as f64 * share) as usize;
        self.sorted.get(index.min(self.sorted.len().checked_sub(1)?)).copied()
    }
}
