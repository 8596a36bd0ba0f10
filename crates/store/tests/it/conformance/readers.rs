//! Named readers of the events, and what is kept for them.

use std::time::Duration;

use stead_model::journal::Durability;
use stead_model::{Event, ReaderName, Wall};
use stead_store::{
    AuditQuery, EventCursor, EventFilter, MOST_READERS, ReadError, ReaderRow, Retention, Store, Taken, TakenError,
};

use super::{Bench, for_every_store, open};
use crate::sample::{agent, at, audit, moving, slot};

fn name(text: &str) -> ReaderName {
    text.parse().unwrap()
}

fn take(bench: &Bench, reader: &str, position: Option<EventCursor>, now: i64) -> Result<ReaderRow, TakenError> {
    let taken = Taken {
        name: name(reader),
        position,
        at: at(now),
    };
    bench.store.acknowledge(taken, audit(1, "register"))
}

/// One event at each of the times 10, 20, 30 and so on; gives their cursors.
fn events(bench: &Bench, count: u64) -> Vec<EventCursor> {
    let epoch = bench.own(slot(1));
    for position in 1..=count {
        let mut append = moving(agent(slot(1), 1), "web", epoch, position, Durability::Written);
        append.events[0].at = at(i64::try_from(position).unwrap() * 10);
        bench.commit(append);
    }
    all(bench)
}

fn all(bench: &Bench) -> Vec<EventCursor> {
    let page = bench.store.events(None, &EventFilter::default(), 1_000).unwrap();
    page.items.into_iter().map(|(cursor, _)| cursor).collect()
}

fn verbs(bench: &Bench) -> Vec<String> {
    let query = AuditQuery {
        limit: 10,
        ..AuditQuery::default()
    };
    bench
        .store
        .audit(&query)
        .unwrap()
        .items
        .into_iter()
        .map(|row| row.verb)
        .collect()
}

/// Bounds of `rows` events, and of `held` for readers, whatever their age.
fn rows(rows: u64, held: u64) -> Retention {
    Retention {
        event_rows: rows,
        held_rows: held,
        ..Retention::default()
    }
}

const SOON: Wall = Wall::from_unix_millis(100);

for_every_store! {
    fn a_reader_is_known_from_its_first_word_and_only_moves_forward(bench) {
        let cursors = events(bench, 5);
        assert_eq!(bench.store.readers().unwrap(), vec![]);
        let first = take(bench, "siem", None, 1).unwrap();
        assert_eq!(first, ReaderRow { name: name("siem"), position: cursors[4], at: at(1), behind: 0, lost: 0 });
        let second = take(bench, "late", Some(cursors[1]), 2).unwrap();
        assert_eq!((second.position, second.behind), (cursors[1], 3));
        assert_eq!(take(bench, "late", Some(cursors[3]), 3).unwrap().position, cursors[3]);
        let back = take(bench, "late", Some(cursors[0]), 4).unwrap();
        assert_eq!((back.position, back.at), (cursors[3], at(4)));
        assert_eq!(take(bench, "late", None, 5).unwrap().position, cursors[3]);
        let names: Vec<_> = bench.store.readers().unwrap().into_iter().map(|row| (row.name, row.behind)).collect();
        assert_eq!(names, [(name("late"), 1), (name("siem"), 0)]);
        assert_eq!(verbs(bench), ["register", "register"], "who made them known, and nothing of their words");
        assert!(bench.store.remove_reader(&name("siem"), audit(2, "delete")).unwrap());
        assert!(!bench.store.remove_reader(&name("siem"), audit(3, "delete")).unwrap());
        assert_eq!((bench.store.readers().unwrap().len(), verbs(bench).len()), (1, 3));
    }

    fn a_place_before_the_first_event_misses_nothing(bench) {
        let start = take(bench, "siem", None, 1).unwrap().position;
        assert_eq!(start.to_string().parse(), Ok(start));
        assert_eq!(bench.store.events(Some(start), &EventFilter::default(), 10).unwrap().items, vec![]);
        events(bench, 3);
        assert_eq!(bench.store.events(Some(start), &EventFilter::default(), 10).unwrap().items.len(), 3);
    }

    fn a_place_that_never_was_is_refused(bench) {
        let cursors = events(bench, 3);
        let (number, _) = cursors[1].to_string().split_once('-').map(|(id, mark)| (id.to_owned(), mark.to_owned())).unwrap();
        for wrong in [format!("{number}-00000001"), "ff-00000001".to_owned()] {
            assert_eq!(take(bench, "siem", Some(wrong.parse().unwrap()), 1), Err(TakenError::Gone), "{wrong}");
        }
        assert_eq!(bench.store.readers().unwrap(), vec![]);
    }

    fn there_are_no_more_readers_than_may_be(bench) {
        for number in 0..MOST_READERS {
            take(bench, &format!("reader-{number}"), None, 1).unwrap();
        }
        assert_eq!(take(bench, "more", None, 1), Err(TakenError::TooMany));
        take(bench, "reader-0", None, 2).unwrap();
    }

    fn what_a_reader_has_not_taken_is_held_until_it_has(bench) {
        let cursors = events(bench, 10);
        take(bench, "siem", Some(cursors[9]), 1).unwrap();
        take(bench, "slow", Some(cursors[3]), 1).unwrap();
        let pruned = bench.store.prune(&rows(2, 100), SOON).unwrap();
        assert_eq!((pruned.events, pruned.lost, all(bench).len()), (4, 0, 6));
        let rest = bench.store.events(Some(cursors[3]), &EventFilter::default(), 100).unwrap();
        assert_eq!(rest.items.len(), 6, "nothing is missing behind its place");
        take(bench, "slow", Some(cursors[6]), 2).unwrap();
        assert_eq!((bench.store.prune(&rows(2, 100), SOON).unwrap().events, all(bench).len()), (3, 3));
        bench.store.remove_reader(&name("slow"), audit(2, "delete")).unwrap();
        assert_eq!((bench.store.prune(&rows(2, 100), SOON).unwrap().events, all(bench).len()), (1, 2));
    }

    fn events_go_all_the_same_beyond_what_is_held_and_the_reader_has_lost_them(bench) {
        let cursors = events(bench, 10);
        take(bench, "siem", Some(cursors[8]), 1).unwrap();
        take(bench, "slow", Some(cursors[1]), 1).unwrap();
        let pruned = bench.store.prune(&rows(2, 6), SOON).unwrap();
        assert_eq!((pruned.events, pruned.lost, all(bench).len()), (4, 2, 6));
        assert_eq!(bench.store.events(Some(cursors[1]), &EventFilter::default(), 10), Err(ReadError::Gone));
        let lost = |bench: &Bench| bench.store.readers().unwrap().iter().map(|row| row.lost).collect::<Vec<_>>();
        assert_eq!(lost(bench), [0, 2]);
        let pruned = bench.store.prune(&rows(2, 4), SOON).unwrap();
        assert_eq!((pruned.events, pruned.lost, lost(bench)), (2, 2, vec![0, 4]));
        take(bench, "slow", Some(cursors[9]), 1).unwrap();
        bench.store.prune(&rows(2, 4), SOON).unwrap();
        assert_eq!((lost(bench), all(bench).len()), (vec![0, 4], 2), "the other holds nothing more than it needs");
    }

    fn what_one_call_does_not_reach_goes_with_the_next_ones(bench) {
        let epoch = bench.own(slot(1));
        let mut append = moving(agent(slot(1), 1), "web", epoch, 1, Durability::Written);
        let one = append.events[0].clone();
        append.events = (1..=2_500).map(|time| Event { at: at(time), ..one.clone() }).collect();
        bench.commit(append);
        let mut cursors = Vec::new();
        for _page in 0..3 {
            let page = bench.store.events(cursors.last().copied(), &EventFilter::default(), 1_000).unwrap();
            cursors.extend(page.items.into_iter().map(|(cursor, _)| cursor));
        }
        assert_eq!(cursors.len(), 2_500);
        let cursor = |number: usize| Some(cursors[number - 1]);
        let prune = |bench: &Bench| {
            let retention = Retention {
                events: Duration::from_millis(100),
                held: Duration::from_millis(400),
                ..Retention::default()
            };
            let pruned = bench.store.prune(&retention, at(2_500)).unwrap();
            (pruned.events, pruned.lost, pruned.more)
        };
        take(bench, "slow", cursor(1_200), 1).unwrap();
        assert_eq!(prune(bench), (1_000, 0, true));
        assert_eq!(prune(bench), (1_000, 800, true));
        assert_eq!(prune(bench), (99, 99, false), "those from 2,100 on are held");
        assert_eq!(prune(bench), (0, 0, false));
        take(bench, "slow", cursor(2_300), 2).unwrap();
        assert_eq!(prune(bench), (201, 0, false));
        take(bench, "slow", cursor(2_500), 3).unwrap();
        assert_eq!(prune(bench), (99, 0, false), "and those from 2,400 on are young");
        assert_eq!(all(bench).len(), 101);
    }

    fn age_is_held_for_readers_as_rows_are(bench) {
        let cursors = events(bench, 10);
        take(bench, "slow", Some(cursors[1]), 1).unwrap();
        let retention = |held| Retention {
            events: Duration::from_millis(10),
            held: Duration::from_millis(held),
            ..Retention::default()
        };
        let pruned = bench.store.prune(&retention(1_000), at(120)).unwrap();
        assert_eq!((pruned.events, pruned.lost), (2, 0));
        let pruned = bench.store.prune(&retention(60), at(120)).unwrap();
        assert_eq!((pruned.events, pruned.lost, all(bench).len()), (3, 3, 5));
    }
}

/// A store whose events 1 to 5 are kept and whose reader `late` was at the fourth, until the row of that was changed.
fn put_back(change: &str) -> (tempfile::TempDir, Box<dyn Store>, Vec<EventCursor>) {
    let scratch = tempfile::tempdir().unwrap();
    let bench = Bench::sqlite_in(scratch.path());
    let cursors = events(&bench, 5);
    take(&bench, "late", Some(cursors[3]), 1).unwrap();
    drop(bench);
    let database = rusqlite::Connection::open(scratch.path().join("stead.db")).unwrap();
    assert_eq!(database.execute(change, []), Ok(1));
    drop(database);
    let (store, _completions) = open(scratch.path());
    (scratch, Box::new(store), cursors)
}

#[test]
fn a_place_that_is_not_known_any_more_gives_way_to_an_earlier_one() {
    for change in ["UPDATE readers SET event = 900", "UPDATE readers SET mark = mark + 1"] {
        let (_scratch, store, cursors) = put_back(change);
        let take = |position, now| {
            let taken = Taken {
                name: name("late"),
                position,
                at: at(now),
            };
            store.acknowledge(taken, audit(1, "register")).unwrap().position
        };
        assert_ne!(take(None, 2), cursors[3], "{change}: nobody said where it is");
        assert_eq!(take(Some(cursors[1]), 3), cursors[1], "{change}");
        assert_eq!(take(Some(cursors[0]), 4), cursors[1], "{change}: this one is known");
        assert_eq!(take(Some(cursors[2]), 5), cursors[2], "{change}");
    }
}
