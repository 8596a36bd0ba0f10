use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn ms(millis: u64) -> Tick {
    Tick::from(Duration::from_millis(millis))
}

fn due(deadlines: &mut Deadlines, now: Tick) -> Vec<usize> {
    let mut found = Vec::new();
    deadlines.due(now, |index| found.push(index));
    found
}

fn with(len: usize) -> Deadlines {
    let mut deadlines = Deadlines::new();
    deadlines.resize(len);
    deadlines
}

#[test]
fn what_is_due_is_handed_out_once() {
    let mut deadlines = with(200);
    deadlines.set(3, ms(50));
    deadlines.set(150, ms(40));
    deadlines.set(7, ms(90));
    assert_eq!(due(&mut deadlines, ms(30)), [0; 0]);
    assert_eq!(due(&mut deadlines, ms(60)), [3, 150]);
    assert_eq!(due(&mut deadlines, ms(60)), [0; 0]);
    assert_eq!(deadlines.get(3), None);
    assert_eq!(due(&mut deadlines, ms(1000)), [7]);
}

#[test]
fn a_deadline_that_moved_on_is_not_due() {
    let mut deadlines = with(10);
    deadlines.set(1, ms(10));
    deadlines.set(1, ms(500));
    assert_eq!(due(&mut deadlines, ms(100)), [0; 0]);
    assert!(deadlines.next().unwrap() >= ms(500));
    deadlines.clear(1);
    assert_eq!(due(&mut deadlines, ms(1000)), [0; 0]);
    assert_eq!(deadlines.next(), None);
}

#[test]
fn a_stall_of_the_observer_puts_everything_off() {
    let mut deadlines = with(2);
    deadlines.set(0, ms(100));
    deadlines.shift(Duration::from_secs(60));
    assert_eq!(due(&mut deadlines, ms(60_099)), [0; 0]);
    assert_eq!(deadlines.get(1), None);
    assert_eq!(due(&mut deadlines, ms(60_103)), [0]);
}

#[test]
fn months_pass_without_an_early_deadline_or_a_lost_one() {
    let day = 24 * 3600 * 1000;
    let mut deadlines = with(2);
    for today in 0..400 {
        deadlines.set(1, ms((today + 20) * day));
        assert_eq!(due(&mut deadlines, ms(today * day)), [0; 0], "day {today}");
    }
    assert_eq!(due(&mut deadlines, ms(418 * day)), [0; 0]);
    assert_eq!(due(&mut deadlines, ms(419 * day + 2)), [1]);
}

#[test]
fn an_index_without_room_is_nothing() {
    let mut deadlines = with(1);
    deadlines.set(1, ms(1));
    deadlines.clear(9);
    assert_eq!(due(&mut deadlines, ms(100)), [0; 0]);
    assert_eq!((deadlines.len(), deadlines.is_empty()), (1, false));
}

proptest! {
    #[test]
    fn it_finds_what_a_map_would_find(
        ops in proptest::collection::vec((0_usize..9000, 0_u64..5000, 0_u64..40, any::<bool>()), 1..300),
    ) {
        let (mut deadlines, mut model, mut now) = (with(9000), BTreeMap::new(), 0);
        for (index, wait, passed, clear) in ops {
            now += passed * 1024;
            if clear {
                deadlines.clear(index);
                model.remove(&index);
            } else {
                let at = now + wait * 1024;
                deadlines.set(index, Tick::from_micros(at));
                model.insert(index, at);
            }
            let wanted: Vec<usize> = model.iter().filter(|(_, at)| **at <= now).map(|(index, _)| *index).collect();
            model.retain(|_, at| *at > now);
            prop_assert_eq!(due(&mut deadlines, Tick::from_micros(now)), wanted);
            if let Some(least) = model.values().min() {
                prop_assert!(deadlines.next().is_some_and(|next| next.micros() <= *least));
            }
        }
    }
}
