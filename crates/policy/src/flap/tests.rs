use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Tick {
    Tick::from_micros(seconds * 1_000_000)
}

fn config() -> FlapConfig {
    FlapConfig::default()
}

#[test]
fn a_few_falls_are_no_flapping() {
    let mut flap = Flap::new();
    assert!((0..3).all(|n| flap.fall(&config(), at(n * 20)).is_none()));
    assert!(
        (0..100).all(|n| flap.fall(&config(), at(1000 + n * 600)).is_none()),
        "rare falls"
    );
}

#[test]
fn falls_one_after_the_other_hold_until_it_was_quiet() {
    let mut flap = Flap::new();
    let held: Vec<_> = (0..5).map(|n| flap.fall(&config(), at(n))).collect();
    assert!(held[2].is_none() && held[4].is_some());
    let until = held[4].unwrap();
    assert!((at(600)..at(800)).contains(&until), "{until:?}");
    assert_eq!(
        flap.held(&config(), Tick::from_micros(until.micros() + 2_000_000)),
        None
    );
}

#[test]
fn a_storm_of_falls_holds_for_the_longest_time_and_no_longer() {
    let mut flap = Flap::new();
    (0..100_000).for_each(|n| {
        flap.fall(&config(), at(n / 1000));
    });
    let until = flap.held(&config(), at(100)).unwrap();
    assert!((at(3600)..=at(3701)).contains(&until), "{until:?}");
}

proptest! {
    #[test]
    fn whatever_happened_it_is_let_go_once_it_is_quiet(
        falls in proptest::collection::vec(0_u64..1000, 0..50),
    ) {
        let (mut flap, mut now) = (Flap::new(), 0);
        for wait in falls {
            now += wait;
            if let Some(until) = flap.fall(&config(), at(now)) {
                prop_assert!(until >= at(now) && until <= at(now + 3601));
            }
        }
        prop_assert_eq!(flap.held(&config(), at(now + 3602)), None);
    }
}
