//! The least that anything can cost here.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use std::time::Instant;

use stead_resilience::{Clock, Coarse, Ticker};

use crate::Case;

pub(crate) fn cases() -> Vec<Case> {
    let (loaded, added) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut cases = vec![
        Case::new(GROUP, "the loop and the operation", |n| {
            for n in 0..n {
                black_box(&operation(n));
            }
        }),
        Case::new(GROUP, "atomic load", move |n| {
            for _ in 0..n {
                black_box(loaded.load(Acquire));
            }
        }),
        Case::new(GROUP, "fetch_add", move |n| {
            for _ in 0..n {
                black_box(added.fetch_add(1, AcqRel));
            }
        }),
        Case::new(GROUP, "coarse clock", |n| {
            for _ in 0..n {
                black_box(Coarse.now());
            }
        }),
        Case::new(GROUP, "Instant::now", |n| {
            for _ in 0..n {
                black_box(Instant::now());
            }
        }),
    ];
    if let Ok(ticker) = Ticker::start() {
        cases.push(Case::new(GROUP, "ticker", move |n| {
            for _ in 0..n {
                black_box(ticker.now());
            }
        }));
    }
    cases
}

/// What is protected: nothing that the compiler could see through.
#[inline]
pub(crate) fn operation(n: u64) -> Result<u64, u64> {
    if black_box(true) { Ok(n) } else { Err(n) }
}

const GROUP: &str = "floors";
