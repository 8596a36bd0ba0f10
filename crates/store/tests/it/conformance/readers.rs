//! Named readers of the events, and what is kept for them.

use std::time::Duration;

use stead_model::journal::Durability;
use stead_model::{ReaderName, Wall};
use stead_store::{
    AuditQuery, EventCursor, EventFilter, MOST_READERS, ReadError, ReaderRow, Retention, Taken, TakenError,
};

use super::{Bench, for_every_store};
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
