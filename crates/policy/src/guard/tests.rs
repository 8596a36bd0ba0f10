use proptest::prelude::*;

use super::*;

const CONFIG: GuardConfig = GuardConfig {
    share: 25,
    least: 3,
    hold: Duration::from_secs(2),
    ease: Duration::from_millis(250),
    confirm: 10,
    per: Duration::from_secs(60),
};

fn at(millis: u64) -> Tick {
    Tick::from_micros(millis * 1000)
}

const fn of(overdue: u32, members: u32) -> Census {
    Census { members, overdue }
}

#[test]
fn one_silent_agent_is_judged_for_itself() {
    let mut guard = Guard::new();
    assert_eq!(guard.rule(&CONFIG, at(0), of(1, 24)), Ruling::Alone);
    assert_eq!(
        guard.rule(&CONFIG, at(0), of(3, 4)),
        Ruling::Alone,
        "two others are too few"
    );
}

#[test]
fn a_quarter_of_the_others_holds_the_verdict_and_their_return_drops_it() {
    let mut guard = Guard::new();
    let hold = Ruling::Hold { until: at(3000) };
    assert_eq!(guard.rule(&CONFIG, at(1000), of(7, 24)), hold);
    assert_eq!(guard.rule(&CONFIG, at(2999), of(24, 24)), hold);
    guard.look(&CONFIG, at(2999), of(2, 24));
    guard.look(&CONFIG, at(3000), of(2, 24));
    assert_eq!(guard.holds_until(), None);
    assert_eq!(guard.rule(&CONFIG, at(5000), of(2, 24)), Ruling::Alone);
    let again = Ruling::Hold { until: at(8000) };
    assert_eq!(
        guard.rule(&CONFIG, at(6000), of(7, 24)),
        again,
        "a new hold has its own time"
    );
}

#[test]
fn the_last_to_come_back_are_waited_for_a_moment() {
    let mut guard = Guard::new();
    guard.rule(&CONFIG, at(0), of(9, 24));
    let easing = Ruling::Hold { until: at(350) };
    assert_eq!(guard.rule(&CONFIG, at(100), of(2, 24)), easing);
    assert_eq!(guard.rule(&CONFIG, at(349), of(1, 24)), easing);
    assert_eq!(guard.rule(&CONFIG, at(350), of(1, 24)), Ruling::Alone);
}

#[test]
fn a_stall_that_comes_back_while_it_eases_has_no_second_hold() {
    let mut guard = Guard::new();
    guard.rule(&CONFIG, at(0), of(9, 24));
    guard.look(&CONFIG, at(1900), of(2, 24));
    assert_eq!(
        guard.rule(&CONFIG, at(1950), of(9, 24)),
        Ruling::Hold { until: at(2000) }
    );
    assert_eq!(guard.rule(&CONFIG, at(2000), of(9, 24)), Ruling::Scope);
}

#[test]
fn a_scope_that_stays_silent_is_one_incident() {
    let mut guard = Guard::new();
    guard.rule(&CONFIG, at(0), of(9, 24));
    assert_eq!(guard.rule(&CONFIG, at(2000), of(24, 24)), Ruling::Scope);
    for later in [2001, 9000] {
        assert_eq!(guard.rule(&CONFIG, at(later), of(24, 24)), Ruling::Joins);
    }
    assert_eq!(guard.rule(&CONFIG, at(9500), of(1, 24)), Ruling::Alone, "it came back");
}

#[test]
fn after_a_tenth_of_a_scope_each_further_verdict_needs_confirmation() {
    let mut guard = Guard::new();
    for n in 0..10 {
        assert_eq!(guard.rule(&CONFIG, at(n), of(1, 100)), Ruling::Alone);
        guard.convicted(&CONFIG, at(n));
    }
    assert_eq!(guard.rule(&CONFIG, at(30_000), of(1, 100)), Ruling::Confirm);
    assert_eq!(
        guard.rule(&CONFIG, at(130_000), of(1, 100)),
        Ruling::Alone,
        "that was long ago"
    );
}

#[test]
fn a_small_scope_is_not_all_confirmations() {
    let mut guard = Guard::new();
    for n in 0..3 {
        assert_eq!(guard.rule(&CONFIG, at(n), of(1, 2)), Ruling::Alone);
        guard.convicted(&CONFIG, at(n));
    }
    assert_eq!(guard.rule(&CONFIG, at(3), of(1, 2)), Ruling::Confirm);
}

#[test]
fn a_hold_is_put_off_by_the_observers_own_stall() {
    let mut guard = Guard::new();
    guard.rule(&CONFIG, at(0), of(9, 24));
    guard.shift(Duration::from_secs(60));
    assert_eq!(guard.holds_until(), Some(at(62_000)));
}

proptest! {
    #[test]
    fn a_scope_is_convicted_once_an_episode_and_never_before_the_hold_is_over(
        looks in proptest::collection::vec((0_u64..1500, 0_u32..24), 1..200),
    ) {
        let mut guard = Guard::new();
        let (mut now, mut held_since, mut convicted) = (0, None, false);
        for (wait, overdue) in looks {
            now += wait;
            let many = overdue >= 7;
            convicted &= many;
            match guard.rule(&CONFIG, at(now), of(overdue, 24)) {
                Ruling::Scope => {
                    prop_assert!(!convicted && many && held_since.is_some_and(|since| now - since >= 2000));
                    (convicted, held_since) = (true, None);
                }
                Ruling::Joins => prop_assert!(convicted),
                Ruling::Hold { until } => {
                    let since = *held_since.get_or_insert(now);
                    prop_assert!(until > at(now) && until <= at(since + 2000));
                }
                Ruling::Alone | Ruling::Confirm => {
                    prop_assert!(!many);
                    held_since = None;
                }
            }
        }
    }
}
