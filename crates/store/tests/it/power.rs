//! Power cuts and failing syncs: no receipt before its sync, nothing lost that was flushed, nothing invented.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use stead_model::journal::{Durability, Receipt};
use stead_model::{Epoch, Sequence};
use stead_store::{Completion, EventFilter, Options, SqliteStore, Store, StoreError, Taken, TransitionQuery};

use crate::conformance::{PATIENCE, lock, open};
use crate::dice::{Dice, seeds};
use crate::disk::Disk;
use crate::sample::{agent, at, audit, empty, moving, node, slot, transition, unending};

const SLOTS: u16 = 3;

fn receipt(completions: &Receiver<Completion>) -> Receipt {
    match completions.recv_timeout(PATIENCE).unwrap() {
        Completion::Committed(receipt) => receipt,
        Completion::Failed { error, .. } | Completion::Damaged { error } => panic!("{error}"),
    }
}

/// Submits moves at random to a few slots; returns for each slot how many were submitted.
fn load_it(store: &SqliteStore, epoch: Epoch, dice: &mut Dice) -> BTreeMap<u16, u64> {
    let mut submitted = BTreeMap::new();
    for _ in 0..dice.below(120) {
        let number = u16::try_from(dice.below(u64::from(SLOTS))).unwrap();
        let position = submitted.entry(number).or_insert(0);
        *position += 1;
        let durability = match dice.below(4) {
            0 => Durability::Flushed,
            _ => Durability::Written,
        };
        let id = agent(slot(number), 1);
        store.submit(moving(id, &format!("web-{number}"), epoch, *position, durability));
    }
    submitted
}

/// Opens what is left and holds it to the promise: per slot a prefix of what was submitted, at least up to what was receipted.
fn check(left: &Path, submitted: &BTreeMap<u16, u64>, promised: &BTreeMap<u16, u64>) {
    let (store, _completions) = open(left);
    for (number, submitted) in submitted {
        let state = store.load(slot(*number)).unwrap();
        let position = state.position.0;
        let promised = promised.get(number).copied().unwrap_or(0);
        assert!(
            (promised..=*submitted).contains(&position),
            "slot {number}: {promised} <= {position} <= {submitted}"
        );
        let id = agent(slot(*number), 1);
        let query = TransitionQuery {
            agent: Some(id),
            limit: 1_000,
            ..TransitionQuery::default()
        };
        let rows = store.transitions(&query).unwrap().items;
        let name = format!("web-{number}");
        let expected: Vec<_> = (1..=position)
            .rev()
            .map(|at| transition(id, &name, Sequence(at)))
            .collect();
        assert_eq!(rows, expected, "slot {number}");
        let of_one = EventFilter {
            agent: Some(id),
            ..EventFilter::default()
        };
        assert_eq!(store.events(None, &of_one, 1_000).unwrap().items.len() as u64, position);
    }
}

#[test]
fn a_power_cut_takes_nothing_that_was_flushed_and_invents_nothing() {
    for seed in seeds(25) {
        println!("STEAD_SEED={seed}");
        let mut dice = Dice::new(seed);
        let (running, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = Disk::watch(running.path());
        let (store, completions) = open(running.path());
        let all: Vec<_> = (0..SLOTS).map(slot).collect();
        let epoch = store.take(&all, &node("me"), unending()).unwrap()[0].1;
        let submitted = load_it(&store, epoch, &mut dice);
        // The cut comes after any number of completions, with the writer in the midst of the others.
        let total: u64 = submitted.values().sum();
        let mut promised = BTreeMap::new();
        for _ in 0..dice.below(total + 1) {
            let receipt = receipt(&completions);
            if receipt.durability() == Durability::Flushed {
                promised.insert(receipt.slot().number(), receipt.position().0);
            }
        }
        disk.cut_power(left.path(), &mut dice);
        check(left.path(), &submitted, &promised);
    }
}

#[test]
fn a_power_cut_leaves_each_reader_at_the_place_that_it_was_last_told_with_the_events_behind_it() {
    let siem = || "siem".parse().unwrap();
    for seed in seeds(25) {
        println!("STEAD_SEED={seed}");
        let mut dice = Dice::new(seed);
        let (running, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = Disk::watch(running.path());
        let (store, completions) = open(running.path());
        let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
        let write = |position| store.submit(moving(agent(slot(1), 1), "web", epoch, position, Durability::Written));
        let (mut position, mut told) = (0, None);
        for _ in 0..=dice.below(4) {
            for _ in 0..=dice.below(20) {
                position += 1;
                write(position);
                assert_eq!(receipt(&completions).position().0, position);
            }
            let events = store.events(told, &EventFilter::default(), 1_000).unwrap().items;
            let place = events[usize::try_from(dice.below(events.len() as u64)).unwrap()].0;
            let taken = Taken {
                name: siem(),
                position: Some(place),
                at: at(1),
            };
            told = Some(store.acknowledge(taken, audit(1, "register")).unwrap().position);
            assert_eq!(told, Some(place));
        }
        // More of it is under way when the power goes.
        for more in 1..=dice.below(20) {
            write(position + more);
        }
        disk.cut_power(left.path(), &mut dice);
        let (store, _completions) = open(left.path());
        let readers = store.readers().unwrap();
        let places: Vec<_> = readers
            .iter()
            .map(|row| (row.name.clone(), Some(row.position)))
            .collect();
        assert_eq!(places, [(siem(), told)]);
        let rest = store.events(told, &EventFilter::default(), 1_000).unwrap().items;
        assert_eq!(
            (rest.len() as u64, readers[0].lost),
            (readers[0].behind, 0),
            "it goes on where it was, and misses nothing"
        );
    }
}

#[test]
fn a_flushed_receipt_comes_after_a_sync_and_a_written_one_without() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::watch(scratch.path()));
    let (told, receipts) = channel();
    // Counted by the thread that would sync, before it goes on.
    let counted = Arc::clone(&disk);
    let sink = Box::new(move |completion| {
        if let Completion::Committed(receipt) = completion {
            told.send((receipt.durability(), counted.syncs())).unwrap();
        }
    });
    let store = SqliteStore::open(lock(scratch.path()), Options::default(), sink).unwrap();
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    let before = disk.syncs();
    store.submit(empty(slot(1), epoch, 1, Durability::Flushed));
    let receipt = || receipts.recv_timeout(PATIENCE).unwrap();
    assert_eq!(receipt(), (Durability::Flushed, before + 1));
    store.submit(empty(slot(1), epoch, 2, Durability::Written));
    assert_eq!(receipt(), (Durability::Written, before + 1));
    // Soon after it is synced all the same, with nothing else to do.
    let bound = std::time::Instant::now() + PATIENCE;
    while disk.syncs() == before + 1 {
        assert!(std::time::Instant::now() < bound, "it was never synced");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_load_shows_is_flushed() {
    let (running, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = Disk::watch(running.path());
    let (store, _completions) = open(running.path());
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    store.submit(empty(slot(1), epoch, 1, Durability::Written));
    assert_eq!(store.load(slot(1)).unwrap().position.0, 1);
    disk.cut_power(left.path(), &mut Dice::new(1));
    assert_eq!(open(left.path()).0.load(slot(1)).unwrap().position.0, 1);
}

#[test]
fn appends_that_wait_together_share_one_sync() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = Disk::watch(scratch.path());
    let (store, completions) = open(scratch.path());
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    let before = disk.syncs();
    for position in 1..=500 {
        store.submit(empty(slot(1), epoch, position, Durability::Flushed));
    }
    for position in 1..=500 {
        assert_eq!(receipt(&completions).position().0, position);
    }
    let syncs = disk.syncs() - before;
    assert!((1..250).contains(&syncs), "{syncs} syncs for 500 appends");
}

#[test]
fn a_failed_sync_is_unknown_and_the_store_goes_on_once_the_disk_syncs_again() {
    let (running, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = Disk::watch(running.path());
    let (store, completions) = open(running.path());
    let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
    let id = agent(slot(1), 1);
    store.submit(moving(id, "web-1", epoch, 1, Durability::Flushed));
    assert_eq!(receipt(&completions).position().0, 1);

    disk.fail_syncs(true);
    store.submit(moving(id, "web-1", epoch, 2, Durability::Flushed));
    let Completion::Failed { append, error } = completions.recv_timeout(PATIENCE).unwrap() else {
        panic!("it was receipted without a sync");
    };
    assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
    store.submit(append);
    let Completion::Failed { error, .. } = completions.recv_timeout(PATIENCE).unwrap() else {
        panic!("it was receipted without a sync");
    };
    assert!(
        error.is_outage() || matches!(error, StoreError::Broken { .. }),
        "{error}"
    );
    assert!(store.load(slot(1)).unwrap_err().is_outage());
    assert!(store.probe().unwrap_err().is_outage());
    // Reads of what is there go on.
    let query = TransitionQuery {
        limit: 10,
        ..TransitionQuery::default()
    };
    assert!(!store.transitions(&query).unwrap().items.is_empty());

    disk.fail_syncs(false);
    assert_eq!(store.probe(), Ok(()));
    let position = store.load(slot(1)).unwrap().position.0;
    assert!((1..=2).contains(&position), "{position}");
    store.submit(moving(id, "web-1", epoch, position + 1, Durability::Flushed));
    assert_eq!(receipt(&completions).position().0, position + 1);
    disk.cut_power(left.path(), &mut Dice::new(7));
    let promised = BTreeMap::from([(1, position + 1)]);
    check(left.path(), &promised, &promised);
}

#[test]
fn what_a_failed_sync_made_the_kernel_forget_is_written_anew_before_anything_else_is_promised() {
    for seed in seeds(6) {
        println!("STEAD_SEED={seed}");
        let (running, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = Disk::watch(running.path());
        let (store, completions) = open(running.path());
        let epoch = store.take(&[slot(1)], &node("me"), unending()).unwrap()[0].1;
        let id = agent(slot(1), 1);
        store.submit(moving(id, "web-1", epoch, 1, Durability::Written));
        assert_eq!(receipt(&completions).position().0, 1);
        disk.fail_syncs(true);
        assert!(store.load(slot(1)).unwrap_err().is_outage());
        disk.fail_syncs(false);
        store.submit(moving(id, "web-1", epoch, 2, Durability::Flushed));
        assert_eq!(receipt(&completions).durability(), Durability::Flushed);
        disk.cut_power(left.path(), &mut Dice::new(seed));
        let promised = BTreeMap::from([(1, 2)]);
        check(left.path(), &promised, &promised);
    }
}
