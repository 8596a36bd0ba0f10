//! The line before the writer: bounded, in order, and over when the store is.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use stead_model::journal::Durability;
use stead_store::{Completion, Options, SqliteStore, Store, StoreError};

use crate::conformance::{PATIENCE, lock, open};
use crate::sample::{empty, node, slot, unending};

#[test]
fn what_comes_when_too_many_wait_is_refused_in_its_turn() {
    let scratch = tempfile::tempdir().unwrap();
    let (told, completions) = channel();
    let (pass, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    // The writer is held up in the sink until it is let pass.
    let sink = Box::new(move |completion| {
        told.send(completion).unwrap();
        gate.lock().unwrap().recv().unwrap();
    });
    let options = Options {
        queue: 2,
        ..Options::default()
    };
    let store = SqliteStore::open(lock(scratch.path()), options, sink).unwrap();
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    let submit = |position| store.submit(empty(slot(1), epoch, position, Durability::Written));
    submit(1);
    let first = completions.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(first, Completion::Committed(_)));
    (2..=5).for_each(submit);
    let mut outcomes = Vec::new();
    for _ in 2..=5 {
        pass.send(()).unwrap();
        outcomes.push(match completions.recv_timeout(PATIENCE).unwrap() {
            Completion::Committed(receipt) => Ok(receipt.position().0),
            Completion::Failed { append, error } => Err((append.position.0, error)),
            Completion::Damaged { error } => panic!("{error}"),
        });
    }
    pass.send(()).unwrap();
    let busy = StoreError::Busy;
    assert_eq!(outcomes, [Ok(2), Ok(3), Err((4, busy.clone())), Err((5, busy))]);
    assert_eq!(store.load(slot(1)).unwrap().position.0, 3);
}

#[test]
fn a_store_may_be_told_to_flush_what_asks_only_to_be_written() {
    let scratch = tempfile::tempdir().unwrap();
    let (told, completions) = channel();
    let sink = Box::new(move |completion| told.send(completion).unwrap());
    let options = Options {
        least: Durability::Flushed,
        ..Options::default()
    };
    let store = SqliteStore::open(lock(scratch.path()), options, sink).unwrap();
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    store.submit(empty(slot(1), epoch, 1, Durability::Written));
    let Completion::Committed(receipt) = completions.recv_timeout(PATIENCE).unwrap() else {
        panic!("it was not committed");
    };
    assert_eq!(receipt.durability(), Durability::Flushed);
}

#[test]
fn a_store_that_is_dropped_writes_what_waits_and_tells_of_it() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, completions) = open(scratch.path());
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    for position in 1..=100 {
        store.submit(empty(slot(1), epoch, position, Durability::Written));
    }
    drop(store);
    let committed = completions
        .iter()
        .filter(|told| matches!(told, Completion::Committed(_)));
    assert_eq!(committed.count(), 100);
    assert_eq!(open(scratch.path()).0.load(slot(1)).unwrap().position.0, 100);
}

#[test]
fn an_append_that_is_announced_is_written_like_any_other_and_one_that_never_comes_stands_in_no_way() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, completions) = open(scratch.path());
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    for position in 1..=50 {
        // The writer may be on its way, awake, or asleep again when it comes.
        for _ in 0..position % 3 {
            store.expect();
        }
        let durability = if position % 2 == 0 {
            Durability::Written
        } else {
            Durability::Flushed
        };
        store.submit(empty(slot(1), epoch, position, durability));
        let told = completions.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(told, Completion::Committed(_)), "{told:?}");
        store.expect();
    }
    drop(store);
    assert_eq!(open(scratch.path()).0.load(slot(1)).unwrap().position.0, 50);
}

#[test]
fn many_threads_may_submit_and_each_slot_keeps_its_order() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, completions) = open(scratch.path());
    let slots: Vec<_> = (0..8).map(slot).collect();
    let epoch = store.take(&slots, &node("me"), unending()).unwrap()[0].1;
    std::thread::scope(|scope| {
        for slot in &slots {
            let store = &store;
            scope.spawn(move || {
                for position in 1..=50 {
                    store.submit(empty(*slot, epoch, position, Durability::Flushed));
                }
            });
        }
    });
    let mut last = [0; 8];
    for _ in 0..8 * 50 {
        let Completion::Committed(receipt) = completions.recv_timeout(PATIENCE).unwrap() else {
            panic!("an append failed");
        };
        let last = &mut last[usize::from(receipt.slot().number())];
        *last += 1;
        assert_eq!(receipt.position().0, *last);
    }
}
