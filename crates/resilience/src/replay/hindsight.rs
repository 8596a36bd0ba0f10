//! When a service was really out.

use core::time::Duration;

use super::{Call, Ended};

/// A time in which the service was out, since the origin of the trace; both ends belong to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// When its first call failed, or when somebody said that it began.
    pub begins: Duration,
    /// When the last one that failed had ended.
    pub ends: Duration,
}

impl Outage {
    /// Whether `at` lies in it.
    #[must_use]
    pub fn contains(&self, at: Duration) -> bool {
        (self.begins..=self.ends).contains(&at)
    }
}

/// What counts as an outage for one who knows how it went on: many failures, with few successes between them.
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `failures` | 10 | a hiccup counts as an outage that should have tripped | outages are missed, and trips in them called false |
/// | `pardon` | 2 | a lucky call cuts an outage in two | an ordinary share of errors is one long outage |
/// | `apart` | 60 s | quiet hours cut an outage in two | two outages become one |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hindsight {
    /// The fewest failures of an outage; 0 is as 1, as without a failure there is none.
    pub failures: u32,
    /// So many successes in a row do not end it.
    pub pardon: u32,
    /// The longest time between two failures of one outage.
    pub apart: Duration,
}

impl Default for Hindsight {
    fn default() -> Self {
        Self {
            failures: 10,
            pardon: 2,
            apart: Duration::from_secs(60),
        }
    }
}

impl Hindsight {
    /// The outages in calls that are in the order in which they began.
    pub(super) fn outages(&self, calls: &[Call]) -> Vec<Outage> {
        let mut outages = Vec::new();
        let mut stretch: Option<Stretch> = None;
        for call in calls {
            match call.outcome {
                Ended::Success => {
                    if let Some(stretch) = &mut stretch {
                        stretch.successes += 1;
                    }
                }
                Ended::Failure | Ended::Terminal => {
                    let goes_on = stretch.take_if(|stretch| self.goes_on(stretch, call.at));
                    let ended = call.at.saturating_add(call.took);
                    let (outage, failures) = match goes_on {
                        Some(Stretch { outage, failures, .. }) => {
                            let ends = outage.ends.max(ended);
                            (Outage { ends, ..outage }, failures)
                        }
                        None => (
                            Outage {
                                begins: call.at,
                                ends: ended,
                            },
                            0,
                        ),
                    };
                    outages.extend(stretch.take().and_then(|stretch| self.counts(&stretch)));
                    stretch = Some(Stretch {
                        outage,
                        last: call.at,
                        failures: failures + 1,
                        successes: 0,
                    });
                }
                Ended::Ignored | Ended::Abandoned | Ended::Rejected => {}
            }
        }
        outages.extend(stretch.and_then(|stretch| self.counts(&stretch)));
        outages
    }

    fn goes_on(&self, stretch: &Stretch, at: Duration) -> bool {
        stretch.successes <= self.pardon && at.saturating_sub(stretch.last) <= self.apart
    }

    fn counts(&self, stretch: &Stretch) -> Option<Outage> {
        (stretch.failures >= self.failures).then_some(stretch.outage)
    }
}

/// Failures with few successes between them, and the successes since the last.
struct Stretch {
    outage: Outage,
    /// When the last failure began.
    last: Duration,
    failures: u32,
    successes: u32,
}
