use alloc::vec::Vec;
use core::time::Duration;

use super::{Buckets, CountWindow, Counts, Leaky, Mark, TimeWindow};
use crate::draw;

const MARKS: [Mark; 4] = [Mark::Good, Mark::Slow, Mark::Failed, Mark::FailedSlowly];
const STEPS: u64 = 1_000_000;

fn mark(n: u64) -> Mark {
    // Mostly good, so that windows run empty of failures too.
    MARKS[(draw(1, n) % 16).saturating_sub(12) as usize]
}

fn sum(marks: impl Iterator<Item = Mark>) -> Counts {
    marks.fold(Counts::default(), Counts::and)
}

#[test]
fn a_count_window_equals_a_list_of_all_calls_over_a_million_of_them() {
    for size in [1, 2, 63, 64, 65, 100] {
        let (mut window, mut all) = (CountWindow::new(size), Vec::new());
        for n in 0..STEPS / 5 {
            let counts = window.record(mark(n));
            all.push(mark(n));
            let first = all.len().saturating_sub(size as usize);
            assert_eq!(counts, sum(all[first..].iter().copied()), "size {size}, call {n}");
        }
    }
}

#[test]
fn a_time_window_equals_a_list_of_all_calls_over_a_million_of_them() {
    for millis in [1, 10, 1000, 60_000] {
        let span = Duration::from_millis(millis);
        let (mut window, cut) = (TimeWindow::new(span), Buckets::of(span));
        let (mut all, mut now) = (Vec::<(Duration, Mark)>::new(), Duration::ZERO);
        for n in 0..STEPS / 4 {
            // Mostly a few calls per bucket, at times a pause of several spans.
            let pause = if draw(2, n).is_multiple_of(1000) {
                span * 3
            } else {
                span / 50
            };
            now += pause.mul_f64((draw(3, n) % 1000) as f64 / 1000.0);
            all.push((now, mark(n)));
            let counts = window.record(now, mark(n));
            let first = cut.tick(now).saturating_sub(u64::from(cut.reach()) - 1);
            let held = all.iter().rev().take_while(|(at, _)| cut.tick(*at) >= first);
            assert_eq!(counts, sum(held.map(|(_, mark)| *mark)), "span {span:?}, call {n}");
        }
    }
}

#[test]
fn a_window_of_time_looks_back_over_its_span_give_or_take_a_bucket() {
    for millis in 1..5000 {
        let span = Duration::from_millis(millis);
        let cut = Buckets::of(span);
        let bucket = Duration::from_nanos(1 << cut.shift());
        assert!((8..=16).contains(&cut.reach()), "{span:?}: {cut:?}");
        assert!(bucket * cut.reach() >= span && bucket * (cut.reach() - 1) < span);
    }
}

#[test]
fn a_window_that_is_resized_keeps_its_latest_calls() {
    let mut window = CountWindow::new(4);
    for mark in [Mark::Failed, Mark::Good, Mark::Slow, Mark::Failed] {
        window.record(mark);
    }
    window.resize(2);
    assert_eq!(window.marks().collect::<Vec<_>>(), [Mark::Slow, Mark::Failed]);
    assert_eq!(window.counts(), sum(window.marks()));
    window.resize(8);
    assert_eq!(window.counts().total, 2);

    let now = Duration::from_secs(100);
    let mut window = TimeWindow::new(Duration::from_secs(60));
    window.record(now - Duration::from_secs(50), Mark::Failed);
    window.record(now, Mark::Failed);
    window.resize(now, Duration::from_secs(10));
    assert_eq!(window.counts(now).failed, 1);
}

#[test]
fn a_leaky_count_loses_one_each_time_its_leak_has_passed() {
    let (leak, at) = (Duration::from_secs(10), Duration::from_secs);
    let mut count = Leaky::default();
    assert_eq!(count.record(at(100), leak), 1);
    assert_eq!(count.record(at(109), leak), 2);
    assert_eq!(count.level(at(110) - Duration::from_nanos(1), leak).0, 2);
    assert_eq!(count.level(at(110), leak), (1, at(120)));
    assert_eq!(count.record(at(119), leak), 2);
    assert_eq!(count.level(at(129), leak).0, 1);
    assert_eq!(count.level(at(1000), leak).0, 0);
    assert_eq!(count.record(at(1000), leak), 1);
    assert_eq!(count.level(at(1010), leak).0, 0);
}
