//! Ownership: taking, renewing and releasing slots.

use stead_model::journal::Durability;
use stead_model::{Epoch, Slot};
use stead_store::{Lease, StoreError};

use super::for_every_store;
use crate::sample::{at, empty, node, slot};

const fn lease(now: i64, until: i64) -> Lease {
    Lease {
        now: stead_model::Wall::from_unix_millis(now),
        until: stead_model::Wall::from_unix_millis(until),
    }
}

for_every_store! {
    fn every_taking_raises_the_epoch(bench) {
        let all: Vec<Slot> = Slot::all().collect();
        for epoch in 1..=2 {
            let held = bench.store.take(&all, &node("a"), lease(0, 10)).unwrap();
            assert!(held.iter().map(|(slot, _)| *slot).eq(Slot::all()));
            assert!(held.iter().all(|(_, given)| *given == Epoch(epoch)));
        }
    }

    fn a_slot_of_another_owner_is_refused_by_name_and_none_of_the_others_is_taken(bench) {
        bench.store.take(&[slot(2)], &node("a"), lease(0, 10)).unwrap();
        let refused = bench.store.take(&[slot(1), slot(2)], &node("b"), lease(5, 20)).unwrap_err();
        assert_eq!(refused, StoreError::Held { slot: slot(2), owner: node("a"), until: at(10) });
        assert_eq!(bench.store.load(slot(1)).unwrap().epoch, Epoch(0));
    }

    fn an_expired_slot_changes_hands_and_its_old_owner_is_fenced(bench) {
        let old = bench.store.take(&[slot(1)], &node("a"), lease(0, 10)).unwrap();
        bench.commit(empty(slot(1), old[0].1, 1, Durability::Flushed));
        let new = bench.store.take(&[slot(1)], &node("b"), lease(10, 20)).unwrap();
        assert_eq!(new, vec![(slot(1), Epoch(2))]);
        let fenced = StoreError::Fenced { slot: slot(1), epoch: Epoch(2), owner: Some(node("b")) };
        assert_eq!(bench.store.renew(&old, lease(11, 30)), Err(fenced.clone()));
        assert_eq!(bench.store.release(&old), Err(fenced.clone()));
        assert_eq!(bench.write(empty(slot(1), old[0].1, 2, Durability::Flushed)), Err(fenced));
        assert_eq!(bench.store.load(slot(1)).unwrap().position.0, 1);
    }

    fn a_renewed_slot_is_held_for_longer(bench) {
        let held = bench.store.take(&[slot(1)], &node("a"), lease(0, 10)).unwrap();
        bench.store.renew(&held, lease(9, 50)).unwrap();
        assert!(matches!(
            bench.store.take(&[slot(1)], &node("b"), lease(49, 90)),
            Err(StoreError::Held { until, .. }) if until == at(50)
        ));
    }

    fn a_released_slot_is_free_and_takes_no_more_from_who_released_it(bench) {
        let held = bench.store.take(&[slot(1)], &node("a"), lease(0, 10)).unwrap();
        bench.store.release(&held).unwrap();
        assert!(matches!(
            bench.write(empty(slot(1), held[0].1, 1, Durability::Flushed)),
            Err(StoreError::Fenced { owner: None, .. })
        ));
        assert_eq!(bench.store.take(&[slot(1)], &node("b"), lease(1, 20)).unwrap(), vec![(slot(1), Epoch(2))]);
    }
}
