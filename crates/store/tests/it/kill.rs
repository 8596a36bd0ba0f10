//! `kill -9` of a process that writes under load: whatever it acknowledged is there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use stead_model::journal::Durability;
use stead_model::{Epoch, Sequence};
use stead_store::{Completion, Options, SqliteStore, Store, TransitionQuery};

use crate::conformance::{lock, open};
use crate::dice::{Dice, seeds};
use crate::sample::{agent, moving, node, slot, transition, unending};

const SLOTS: u16 = 4;
const DIRECTORY: &str = "STEAD_STORE_TEST_CHILD";

fn name(number: u16) -> String {
    format!("web-{number}")
}

/// Writes for ever, a few appends ahead for each slot, and prints every receipt. Does something only as the child of the test below.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let (told, completions) = std::sync::mpsc::channel();
    let sink = Box::new(move |completion| {
        if let Completion::Committed(receipt) = completion {
            let line = format!("\nreceipt {} {}\n", receipt.slot(), receipt.position());
            // In one write, so that a receipt is told whole or not at all.
            std::io::stdout().write_all(line.as_bytes()).unwrap();
            told.send(receipt.slot()).unwrap();
        }
    });
    let store = SqliteStore::open(lock(Path::new(&directory)), Options::default(), sink).unwrap();
    let all: Vec<_> = (0..SLOTS).map(slot).collect();
    let epoch = store.take(&all, &node("me"), unending()).unwrap()[0].1;
    let mut positions: BTreeMap<_, _> = all
        .iter()
        .map(|slot| (*slot, store.load(*slot).unwrap().position.0))
        .collect();
    let submit = |slot, position: u64| {
        let durability = if position.is_multiple_of(3) {
            Durability::Flushed
        } else {
            Durability::Written
        };
        store.submit(moving(
            agent(slot, 1),
            &name(slot.number()),
            epoch,
            position,
            durability,
        ));
    };
    for position in positions.values_mut() {
        *position += 8;
    }
    for (slot, position) in &positions {
        (position - 7..=*position).for_each(|position| submit(*slot, position));
    }
    for slot in completions {
        let position = positions.get_mut(&slot).unwrap();
        *position += 1;
        submit(slot, *position);
    }
}

/// A child that does not outlive its test.
struct Life(Child);

impl Drop for Life {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(directory: &Path) -> Life {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads", "1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Life(child)
}

#[test]
fn whatever_was_acknowledged_before_a_kill_is_there() {
    for seed in seeds(10) {
        println!("STEAD_SEED={seed}");
        let mut dice = Dice::new(seed);
        let scratch = tempfile::tempdir().unwrap();
        let mut promised: BTreeMap<u16, u64> = (0..SLOTS).map(|number| (number, 0)).collect();
        // The second life writes on after the first one's death.
        for life in 1..=2 {
            let mut child = start(scratch.path());
            let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
            let after = 1 + dice.below(300);
            let mut seen = 0;
            for line in &mut lines {
                seen += u64::from(note(&line.unwrap(), &mut promised));
                if seen == after {
                    child.0.kill().unwrap();
                }
            }
            assert!(!child.0.wait().unwrap().success());
            assert!(seen >= after, "the child ended by itself");
            check(scratch.path(), &mut promised, Epoch(life));
        }
    }
}

/// Reads a receipt out of the child's output; what was cut off counts for nothing.
fn note(line: &str, promised: &mut BTreeMap<u16, u64>) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let ["receipt", slot, position] = words[..] else {
        return false;
    };
    let (Ok(slot), Ok(position)) = (slot.parse(), position.parse::<u64>()) else {
        return false;
    };
    let last = promised.get_mut(&slot).unwrap();
    assert_eq!(position, *last + 1, "receipts of slot {slot} come in order");
    *last = position;
    true
}

fn check(directory: &Path, promised: &mut BTreeMap<u16, u64>, epoch: Epoch) {
    let (store, _completions) = open(directory);
    for (number, promised) in promised {
        let state = store.load(slot(*number)).unwrap();
        assert_eq!(state.epoch, epoch);
        assert!(
            state.position.0 >= *promised,
            "slot {number}: {} < {promised}",
            state.position
        );
        // More may be there than was acknowledged; the next life goes on behind it.
        *promised = state.position.0;
        let id = agent(slot(*number), 1);
        let query = TransitionQuery {
            agent: Some(id),
            limit: 1_000,
            ..TransitionQuery::default()
        };
        let rows = store.transitions(&query).unwrap().items;
        assert_eq!(rows.len() as u64, state.position.0);
        for (row, sequence) in rows.iter().zip((1..=state.position.0).rev()) {
            assert_eq!(*row, transition(id, &name(*number), Sequence(sequence)));
        }
    }
}
