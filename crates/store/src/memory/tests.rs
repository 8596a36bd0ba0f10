use std::sync::{Arc, Mutex};

use stead_model::{AccessRole, AuditKind, Event, Happening, Namespace, Outcome, Position, Revision};

use super::*;

/// A store with one slot taken, and what its sink was told: positions, or errors.
struct Bench {
    store: MemoryStore,
    told: Arc<Mutex<Vec<Result<Position, StoreError>>>>,
    epoch: Epoch,
}

fn slot() -> Slot {
    Slot::try_from(1).unwrap()
}

fn bench() -> Bench {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let store = MemoryStore::new(Box::new(move |completion| {
        tell.lock().unwrap().push(match completion {
            Completion::Committed(receipt) => Ok(receipt.position()),
            Completion::Failed { error, .. } => Err(error),
            Completion::Damaged { error } => panic!("{error}"),
        });
    }));
    let lease = Lease::unending(Wall::default());
    let epoch = store.take(&[slot()], &Owner::new("me"), lease).unwrap()[0].1;
    Bench { store, told, epoch }
}

impl Bench {
    fn submit(&self, position: u64, durability: Durability) {
        self.store.submit(Append {
            slot: slot(),
            epoch: self.epoch,
            first: Position(position),
            position: Position(position),
            durability,
            changes: Vec::new(),
            transitions: Vec::new(),
            events: Vec::new(),
        });
    }

    fn told(&self) -> Vec<Result<Position, StoreError>> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    fn position(&self) -> u64 {
        self.store.load(slot()).unwrap().position.0
    }
}

#[test]
fn nothing_completes_until_it_is_pumped_and_then_one_by_one_if_wanted() {
    let bench = bench();
    (1..=3).for_each(|position| bench.submit(position, Durability::Flushed));
    assert_eq!((bench.told(), bench.store.pending()), (vec![], 3));
    assert!(bench.store.pump_one());
    assert_eq!(bench.told(), vec![Ok(Position(1))]);
    assert_eq!(bench.store.pump(), 2);
    assert_eq!(bench.told(), vec![Ok(Position(2)), Ok(Position(3))]);
    assert!(!bench.store.pump_one());
}

#[test]
fn a_power_cut_takes_what_was_only_written_from_its_end() {
    for (keep, left) in [(0, 1), (1, 2), (9, 3)] {
        let bench = bench();
        bench.submit(1, Durability::Flushed);
        bench.submit(2, Durability::Written);
        bench.submit(3, Durability::Written);
        bench.store.pump();
        assert_eq!(bench.store.unflushed(), 2);
        bench.submit(4, Durability::Flushed);
        bench.store.power_cut(keep);
        assert_eq!(bench.position(), left);
        assert_eq!(bench.store.pending(), 0);
    }
}

#[test]
fn a_flushed_append_takes_the_written_ones_before_it_along() {
    let bench = bench();
    bench.submit(1, Durability::Written);
    bench.submit(2, Durability::Flushed);
    bench.store.pump();
    bench.store.power_cut(0);
    assert_eq!(bench.position(), 2);
}

#[test]
fn a_kill_takes_only_what_was_not_written_yet() {
    let bench = bench();
    bench.submit(1, Durability::Written);
    bench.store.pump();
    bench.submit(2, Durability::Written);
    bench.store.kill();
    assert_eq!((bench.position(), bench.told()), (1, vec![Ok(Position(1))]));
}

#[test]
fn ordered_faults_strike_in_turn_and_break_the_slot() {
    let bench = bench();
    bench.store.inject(Fault::WrittenButUnknown);
    bench.store.inject(Fault::Fail(StoreError::Full));
    bench.submit(1, Durability::Flushed);
    bench.submit(2, Durability::Flushed);
    bench.store.pump();
    assert!(matches!(
        bench.told()[..],
        [Err(StoreError::Unknown { .. }), Err(StoreError::Broken { .. })]
    ));
    // What was unknown turns out to have been written.
    assert_eq!(bench.position(), 1);
    bench.submit(2, Durability::Flushed);
    bench.store.pump();
    assert_eq!(bench.told(), vec![Err(StoreError::Full)]);
    assert_eq!(bench.position(), 1);
}

#[test]
fn trouble_stops_writing_until_it_is_over_and_a_full_store_still_loads() {
    let bench = bench();
    bench.store.set_trouble(Some(StoreError::Full));
    bench.submit(1, Durability::Flushed);
    bench.store.pump();
    assert_eq!(bench.told(), vec![Err(StoreError::Full)]);
    assert_eq!(bench.position(), 0);
    assert_eq!(bench.store.probe(), Err(StoreError::Full));
    let down = StoreError::Down {
        detail: "ordered".into(),
    };
    bench.store.set_trouble(Some(down.clone()));
    assert_eq!(bench.store.load(slot()), Err(down));
    bench.store.set_trouble(None);
    bench.submit(1, Durability::Flushed);
    bench.store.pump();
    assert_eq!(bench.told(), vec![Ok(Position(1))]);
}

impl Bench {
    /// Writes one event, without a sync; gives its place.
    fn happens(&self, position: u64, epoch: Epoch) -> Option<EventCursor> {
        self.store.submit(Append {
            slot: slot(),
            epoch,
            first: Position(position),
            position: Position(position),
            durability: Durability::Written,
            changes: Vec::new(),
            transitions: Vec::new(),
            events: vec![event()],
        });
        self.store.pump();
        self.store.last_event().unwrap()
    }

    /// A reader says how far it has come.
    fn takes(&self, position: Option<EventCursor>) -> Result<ReaderRow, TakenError> {
        let at = Wall::default();
        let name = "siem".parse().unwrap();
        self.store.acknowledge(Taken { name, position, at }, asked())
    }
}

#[test]
fn a_cursor_of_an_event_that_a_power_cut_took_is_gone_though_its_number_is_given_again() {
    let bench = bench();
    let kept = bench.happens(1, bench.epoch);
    bench.store.flush();
    let lost = bench.happens(2, bench.epoch);
    bench.store.power_cut(0);
    let lease = Lease::unending(Wall::default());
    let epoch = bench.store.take(&[slot()], &Owner::new("me"), lease).unwrap()[0].1;
    let new = bench.happens(2, epoch);
    assert_ne!(lost, new);
    let all = EventFilter::default();
    assert_eq!(bench.store.events(lost, &all, 10), Err(ReadError::Gone));
    assert_eq!(bench.store.events(kept, &all, 10).unwrap().items.len(), 1);
}

#[test]
fn the_place_of_a_reader_outlives_a_power_cut_and_so_do_the_events_before_it() {
    let bench = bench();
    let places: Vec<_> = (1..=3).map(|position| bench.happens(position, bench.epoch)).collect();
    let told = bench.takes(places[1]).unwrap();
    let lost = bench.happens(4, bench.epoch);
    bench.store.power_cut(0);
    let [kept] = &bench.store.readers().unwrap()[..] else {
        panic!("one reader is known");
    };
    assert_eq!((kept, Some(kept.position), kept.behind), (&told, places[1], 1));
    assert_eq!(
        bench.takes(lost),
        Err(TakenError::Gone),
        "it took what nobody has any more"
    );
    let rest = bench
        .store
        .events(places[1], &EventFilter::default(), 10)
        .unwrap()
        .items;
    assert_eq!(
        rest.iter().map(|(place, _)| Some(*place)).collect::<Vec<_>>(),
        places[2..]
    );

    assert!(bench.store.remove_reader(&told.name, asked()).unwrap());
    bench.store.power_cut(0);
    assert_eq!(bench.store.readers().unwrap(), [], "one that was forgotten stays so");
}

fn asked() -> AuditRow {
    AuditRow {
        at: Wall::default(),
        actor: "ada".into(),
        role: AccessRole::Admin,
        namespace: Namespace::default(),
        kind: AuditKind::Reader,
        id: None,
        name: "siem".into(),
        verb: "register".into(),
        outcome: Outcome::Accepted,
        revision: Revision(1),
        reason: None,
        correlation_id: "r-1".into(),
        trace_id: None,
    }
}

fn event() -> Event {
    Event {
        at: Wall::default(),
        namespace: Namespace::default(),
        agent: AgentId::new(slot(), 1),
        name: "web".parse().unwrap(),
        group: None,
        revision: Revision(1),
        actor: "tester".into(),
        correlation_id: "c-1".into(),
        trace_id: None,
        what: Happening::AgentRegistered {
            profile: "agent".into(),
        },
    }
}

#[test]
fn a_fenced_owner_writes_no_more() {
    let bench = bench();
    bench.store.fence(slot(), &Owner::new("other"));
    bench.submit(1, Durability::Flushed);
    bench.store.pump();
    let [Err(StoreError::Fenced { owner, .. })] = &bench.told()[..] else {
        panic!("it was not fenced");
    };
    assert_eq!(owner.as_ref().map(Owner::as_str), Some("other"));
}
