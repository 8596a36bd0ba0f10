//! What namespaces have given up, and how that changed.

use stead_model::Namespace;
use stead_model::journal::{Change, Durability};
use stead_store::LevelQuery;

use super::{Bench, for_every_store};
use crate::sample::{agent, at, degradation, empty, level, slot};

/// Writes changes with the state after each, each in an append of its own.
fn commit(bench: &Bench, numbers: std::ops::RangeInclusive<u32>) {
    let home = slot(1);
    let epoch = bench.own(home);
    for number in numbers {
        let mut append = empty(home, epoch, number.into(), Durability::Written);
        append
            .changes
            .push(Change::Degradation(Box::new(degradation(agent(home, 1), number))));
        append.changes.push(Change::Level(Box::new(level(number))));
        bench.commit(append);
    }
}

fn numbers(bench: &Bench, query: &LevelQuery) -> Vec<u64> {
    let page = bench.store.levels(query).unwrap();
    page.items.into_iter().map(|row| row.sequence.0).collect()
}

fn all() -> LevelQuery {
    LevelQuery {
        limit: 1_000,
        ..LevelQuery::default()
    }
}

for_every_store! {
    fn of_each_namespace_the_newest_state_is_loaded_with_its_home(bench) {
        commit(bench, 1..=3);
        let loaded = bench.store.load(slot(1)).unwrap();
        assert_eq!(loaded.degradations, [degradation(agent(slot(1), 1), 3)]);
        assert_eq!(bench.store.load(slot(2)).unwrap().degradations, []);
    }

    fn changes_are_found_page_by_page_the_newest_first(bench) {
        commit(bench, 1..=4);
        assert_eq!(numbers(bench, &all()), [4, 3, 2, 1]);
        assert_eq!(bench.store.levels(&all()).unwrap().items[3], level(1));
        assert_eq!(numbers(bench, &LevelQuery { from: Some(at(2)), until: Some(at(4)), ..all() }), [3, 2]);
        let first = bench.store.levels(&LevelQuery { limit: 3, ..all() }).unwrap();
        let rest = bench.store.levels(&LevelQuery { below: first.next, ..all() }).unwrap();
        assert_eq!((rest.items[0].sequence.0, rest.items.len(), rest.next), (1, 1, None));
        let elsewhere: Namespace = "other".parse().unwrap();
        assert_eq!(numbers(bench, &LevelQuery { namespace: elsewhere, ..all() }), [0; 0]);
    }

    fn only_so_many_changes_are_kept(bench) {
        commit(bench, 1..=1_003);
        let kept = numbers(bench, &all());
        assert_eq!((kept.len(), kept[0], kept[999]), (1_000, 1_003, 4));
    }
}
