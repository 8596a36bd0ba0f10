use stead_model::journal::{AnswerRow, Change};
use stead_model::{AgentId, Epoch, Namespace, Revision, Wall};

use super::*;

fn slot() -> Slot {
    Slot::try_from(7).unwrap()
}

fn event() -> Event {
    Event {
        at: Wall::default(),
        namespace: Namespace::default(),
        agent: AgentId::new(slot(), 1),
        name: "web".parse().unwrap(),
        group: None,
        revision: Revision(1),
        actor: "stead".into(),
        correlation_id: "c".into(),
        trace_id: None,
        what: Happening::SpecChanged { spec_revision: 1 },
    }
}

fn append(position: u64) -> Append {
    Append {
        slot: slot(),
        epoch: Epoch(1),
        first: Position(position),
        position: Position(position),
        durability: Durability::Written,
        changes: vec![Change::Answer(AnswerRow {
            namespace: Namespace::default(),
            key: "of one agent".into(),
            fingerprint: position,
            at: Wall::default(),
            agent: AgentId::new(slot(), 1),
            answer: String::new(),
        })],
        transitions: Vec::new(),
        events: vec![event()],
    }
}

fn take(shelf: &mut Shelf, written: u64) -> Vec<Append> {
    let mut state = SlotState::empty(slot(), Epoch(1));
    state.position = Position(written);
    shelf.take(&state).collect()
}

fn bounds(appends: &[Append]) -> Vec<(u64, u64)> {
    appends
        .iter()
        .map(|append| (append.first.0, append.position.0))
        .collect()
}

#[test]
fn however_long_it_takes_there_is_one_row_of_each_agent_and_one_gap() {
    let mut shelf = Shelf::default();
    let appends = MOST_ROWS as u64 + 500;
    for position in 1..=appends {
        assert!(shelf.put(append(position), Fate::Unwritten, "full").is_some());
    }
    let kept = take(&mut shelf, 0);
    assert_eq!(bounds(&kept), [(1, appends)]);
    assert!(matches!(&kept[0].changes[..], [Change::Answer(row)] if row.fingerprint == appends));
    let gaps = kept[0]
        .events
        .iter()
        .filter(|event| matches!(event.what, Happening::Gap { .. }));
    assert_eq!((gaps.count(), kept[0].events.len()), (1, MOST_ROWS + 1));
}

#[test]
fn what_may_have_been_written_stays_apart_and_is_dropped_if_it_was() {
    for (written, left) in [(0, &[(1, 2), (3, 3), (4, 5)][..]), (3, &[(4, 5)])] {
        let mut shelf = Shelf::default();
        for position in [5, 4, 1, 2] {
            shelf.put(append(position), Fate::Unwritten, "full");
        }
        let lost = StoreError::Unknown { detail: "EIO".into() };
        shelf.put(append(3), Fate::after(&lost), "full");
        assert_eq!(bounds(&take(&mut shelf, written)), left);
    }
}

#[test]
fn a_late_failure_joins_what_was_shelved_before_and_behind_it() {
    let mut shelf = Shelf::default();
    for position in [4, 5, 1, 2, 3] {
        shelf.put(append(position), Fate::after(&StoreError::Full), "full");
    }
    assert_eq!(bounds(&take(&mut shelf, 0)), [(1, 5)]);
}

#[test]
fn what_somebody_asked_for_is_not_covered() {
    let asked = Append {
        durability: Durability::Flushed,
        ..append(1)
    };
    assert_eq!(Shelf::default().put(asked, Fate::Unwritten, "full"), None);
}
