//! A look of the leak detector at so many things that are held, for who wants to see that its cost is linear.

use std::hint::black_box;
use std::io;

use stead_resilience::{Coarse, LeakConfig, LeakDetector, Resource, Tracked, Usage};

use crate::Case;
use crate::seats::valid;

pub(crate) fn cases() -> Vec<Case> {
    const GROUP: &str = "leak detector, a look at what is tracked";
    vec![
        Case::new(GROUP, "Stead, 1,000 held", looking(1000)),
        Case::new(GROUP, "Stead, 10,000 held", looking(10_000)),
        Case::new(GROUP, "Stead, 100,000 held", looking(100_000)),
    ]
}

fn looking(held: usize) -> impl Fn(u64) + Sync {
    let detector = valid(LeakDetector::with(LeakConfig::default(), Coarse, nothing_open));
    let track = |_| detector.track(Resource::Custom("lease"), "by the importer");
    let guards: Vec<Tracked> = (0..held).map(track).collect();
    move |n| {
        black_box(&guards);
        for _ in 0..n {
            black_box(detector.check());
        }
    }
}

/// What is open outside of the tracker is not what is looked at here.
fn nothing_open() -> io::Result<Usage> {
    Ok(Usage::default())
}
