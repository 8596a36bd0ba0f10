use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn an_id_reads_back_from_its_text_and_keeps_its_slot(slot in 0..SLOTS, position in 0..(1_u64 << 54)) {
        let slot = Slot::try_from(slot).unwrap();
        let id = AgentId::new(slot, position);
        prop_assert_eq!(id.to_string().parse::<AgentId>().unwrap(), id);
        prop_assert_eq!(AgentId::from_bits(id.to_bits()), id);
        prop_assert_eq!((id.slot(), id.position()), (slot, position));
    }

    #[test]
    fn no_text_makes_reading_an_id_panic(text in "(agt_)?[0-9a-z]{0,16}") {
        if let Ok(id) = text.parse::<AgentId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}

#[test]
fn names_spread_evenly_over_slots() {
    let namespace = Namespace::default();
    let mut counts = [0_u32; SLOTS as usize];
    for n in 0..102_400 {
        counts[usize::from(Slot::home(&namespace, &alloc::format!("agent-{n}")).number())] += 1;
    }
    assert!(
        counts.iter().all(|count| (50..160).contains(count)),
        "{:?}",
        counts.iter().minmax()
    );
}

trait MinMax {
    fn minmax(self) -> (u32, u32);
}

impl<'a, I: Iterator<Item = &'a u32> + Clone> MinMax for I {
    fn minmax(self) -> (u32, u32) {
        (
            self.clone().min().copied().unwrap_or(0),
            self.max().copied().unwrap_or(0),
        )
    }
}

#[test]
fn the_hash_of_names_never_changes() {
    let namespace = Namespace::default();
    let slots: Vec<u16> = ["", "web", "web-1", "planner"]
        .iter()
        .map(|name| Slot::home(&namespace, name).number())
        .collect();
    assert_eq!(slots, STORED_SLOTS);
}

/// Slots of names as they stand in stores; a change here loses every stored fleet.
const STORED_SLOTS: [u16; 4] = [123, 107, 865, 811];

#[test]
fn a_name_that_looks_like_an_id_is_refused() {
    let error = "agt_0000000000000".parse::<AgentName>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`agt_0000000000000` is no valid name: use 1 to 63 of A-Z a-z 0-9 . _ -, starting with a letter or digit and not with `agt_`"
    );
}

#[test]
fn names_are_refused_when_empty_long_or_odd() {
    for text in ["", "-web", ".web", "we b", "wéb", "a/b", &"x".repeat(64)] {
        assert!(text.parse::<AgentName>().is_err(), "{text}");
    }
    for text in ["w", "web-1", "Data_Agent.v2", &"x".repeat(63)] {
        assert_eq!(text.parse::<AgentName>().unwrap().as_str(), text);
    }
}

#[test]
fn a_slot_beyond_the_last_is_refused() {
    assert_eq!(Slot::try_from(1024).unwrap_err(), InvalidId::Slot);
    assert_eq!(Slot::all().count(), 1024);
}
