use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::views::tests::view;

fn shown(id: u64, name: &str) -> Shown {
    view(id, name, "online").into()
}

fn names<'s>(agents: impl Iterator<Item = &'s Shown>) -> Vec<(u64, String)> {
    agents
        .map(|shown| (shown.id().position(), shown.place().1.to_owned()))
        .collect()
}

#[derive(Clone, Debug)]
enum Change {
    Put(u16),
    Take(u16),
    Hold,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        6 => (0..2000_u16).prop_map(Change::Put),
        3 => (0..2000_u16).prop_map(Change::Take),
        1 => Just(Change::Hold),
    ];
    prop::collection::vec(change, 0..3000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_shelf_is_a_sorted_map_and_a_snapshot_of_it_never_changes(at_first in 0..1500_u64, changes in changes(), from: u16) {
        let name = |number: u64| format!("a-{number:04}");
        let mut map: BTreeMap<String, u64> = (0..at_first).map(|number| (name(number), number)).collect();
        let mut shelf = Shelf::of_sorted(map.iter().map(|(name, id)| shown(*id, name)).collect());
        let mut held = Vec::new();
        for (turn, change) in changes.into_iter().enumerate() {
            match change {
                Change::Put(number) => {
                    let (id, name) = (turn as u64 + 10_000, name(number.into()));
                    let before = shelf.put(shown(id, &name)).map(|before| before.id().position());
                    prop_assert_eq!(before, map.insert(name, id));
                }
                Change::Take(number) => {
                    let name = name(number.into());
                    let taken = shelf.take(("default", &name)).map(|taken| taken.id().position());
                    prop_assert_eq!(taken, map.remove(&name));
                }
                Change::Hold => held.push((shelf.clone(), map.clone())),
            }
        }
        held.push((shelf, map));
        for (shelf, map) in held.iter().rev().take(4) {
            prop_assert_eq!(shelf.len(), map.len());
            let all: Vec<_> = map.iter().map(|(name, id)| (*id, name.clone())).collect();
            prop_assert_eq!(names(shelf.beyond(None)), all);
            let from = name(u64::from(from) % 2000);
            let rest: Vec<_> = map.iter().filter(|(name, _)| **name > from).map(|(name, id)| (*id, name.clone())).collect();
            prop_assert_eq!(names(shelf.beyond(Some(("default", &from)))), rest);
            let found = shelf.get(("default", &from)).map(|found| found.id().position());
            prop_assert_eq!(found, map.get(&from).copied());
        }
    }
}
