//! Reading history and events, page by page, and forgetting.

use std::time::Duration;

use stead_model::journal::Durability;
use stead_model::{Namespace, Reason, Sequence};
use stead_store::{EventFilter, ReadError, Retention, TransitionQuery};

use super::{Bench, for_every_store};
use crate::sample::{agent, at, moving, registering, slot};

/// Two agents with six moves each, alternating.
fn a_history(bench: &Bench) {
    let epochs = [bench.own(slot(1)), bench.own(slot(2))];
    for position in 1..=6 {
        for (number, epoch) in [(1, epochs[0]), (2, epochs[1])] {
            let name = format!("web-{number}");
            let id = agent(slot(number), 1);
            bench.commit(moving(id, &name, epoch, position, Durability::Written));
        }
    }
}

fn pages(bench: &Bench, mut query: TransitionQuery) -> Vec<Vec<u64>> {
    let mut pages = Vec::new();
    loop {
        let page = bench.store.transitions(&query).unwrap();
        pages.push(page.items.iter().map(|row| row.sequence.0).collect());
        match page.next {
            // The cursor goes through its text, as it does over HTTP.
            Some(next) => query.cursor = Some(next.to_string().parse().unwrap()),
            None => return pages,
        }
    }
}

for_every_store! {
    fn history_comes_newest_first_in_pages_that_neither_repeat_nor_miss(bench) {
        a_history(bench);
        let all = TransitionQuery { limit: 5, ..TransitionQuery::default() };
        assert_eq!(pages(bench, all), vec![vec![6, 6, 5, 5, 4], vec![4, 3, 3, 2, 2], vec![1, 1]]);
        let of_one = TransitionQuery { agent: Some(agent(slot(2), 1)), limit: 4, ..TransitionQuery::default() };
        assert_eq!(pages(bench, of_one), vec![vec![6, 5, 4, 3], vec![2, 1]]);
    }

    fn a_row_of_history_comes_back_as_it_was_written(bench) {
        a_history(bench);
        let query = TransitionQuery { agent: Some(agent(slot(1), 1)), limit: 1, ..TransitionQuery::default() };
        let page = bench.store.transitions(&query).unwrap();
        assert_eq!(page.items, vec![crate::sample::transition(agent(slot(1), 1), "web-1", Sequence(6))]);
    }

    fn history_is_found_by_state_reason_time_and_namespace(bench) {
        a_history(bench);
        let query = |query: TransitionQuery| pages(bench, TransitionQuery { limit: 100, ..query }).concat();
        let into = TransitionQuery { to: Some("online".into()), ..TransitionQuery::default() };
        assert_eq!(query(into), vec![5, 5, 3, 3, 1, 1]);
        let crashes = TransitionQuery { reason: Some(Reason::Crash), ..TransitionQuery::default() };
        assert_eq!(query(crashes), vec![6, 6, 3, 3]);
        let of_group = TransitionQuery { group: Some("pool".parse().unwrap()), ..TransitionQuery::default() };
        assert_eq!(query(of_group.clone()), vec![6, 6, 3, 3]);
        assert_eq!(query(TransitionQuery { to: Some("online".into()), ..of_group }), vec![3, 3]);
        let then = TransitionQuery { from: Some(at(20)), until: Some(at(40)), ..TransitionQuery::default() };
        assert_eq!(query(then), vec![3, 3, 2, 2]);
        let here = TransitionQuery { namespace: Some(Namespace::default()), ..TransitionQuery::default() };
        assert_eq!(query(here).len(), 12);
        let elsewhere = TransitionQuery { namespace: Some("other".parse().unwrap()), ..TransitionQuery::default() };
        assert_eq!(query(elsewhere), Vec::<u64>::new());
    }

    fn a_cursor_of_another_query_is_refused(bench) {
        a_history(bench);
        let all = TransitionQuery { limit: 1, ..TransitionQuery::default() };
        let cursor = bench.store.transitions(&all).unwrap().next;
        let of_one = TransitionQuery { agent: Some(agent(slot(1), 1)), cursor, ..TransitionQuery::default() };
        assert_eq!(bench.store.transitions(&of_one), Err(ReadError::Cursor));
    }

    fn history_of_an_agent_is_bounded(bench) {
        let (epoch, id) = (bench.own(slot(1)), agent(slot(1), 1));
        for position in 1..=1_090 {
            bench.store.submit(moving(id, "web", epoch, position, Durability::Written));
        }
        for _ in 1..=1_090 {
            assert!(matches!(bench.completion(), stead_store::Completion::Committed(_)));
        }
        let query = TransitionQuery { agent: Some(id), limit: 1_000, ..TransitionQuery::default() };
        let rows = pages(bench, query).concat();
        assert_eq!((rows.first(), rows.last()), (Some(&1_090), Some(&89)));
    }

    fn events_come_in_the_order_of_their_commit_and_go_on_where_the_reader_stopped(bench) {
        let all = EventFilter::default();
        assert_eq!(bench.store.last_event(), Ok(None));
        assert_eq!(bench.store.events(None, &all, 10).unwrap().next, None);
        a_history(bench);
        let first = bench.store.events(None, &all, 5).unwrap();
        assert_eq!(first.items.len(), 5);
        let after = first.next.map(|cursor| cursor.to_string().parse().unwrap());
        let rest = bench.store.events(after, &all, 100).unwrap();
        assert_eq!(rest.items.len(), 7);
        assert_eq!(rest.next, bench.store.last_event().unwrap());
        let agents: Vec<_> = first.items.iter().chain(&rest.items).map(|(_, event)| event.agent).collect();
        assert_eq!(agents, [agent(slot(1), 1), agent(slot(2), 1)].repeat(6));
        assert!(bench.store.events(rest.next, &all, 10).unwrap().items.is_empty());
    }

    fn a_filter_lets_its_events_through_and_looks_at_the_others_only_once(bench) {
        a_history(bench);
        let epoch = bench.own(slot(3));
        bench.commit(registering(slot(3), epoch, 1, "late"));
        let kinds = EventFilter { types: vec!["agent_registered".into(), "gap".into()], ..EventFilter::default() };
        let found = bench.store.events(None, &kinds, 10).unwrap();
        assert_eq!(found.items.len(), 1);
        let of_one = EventFilter { agent: Some(agent(slot(1), 1)), ..EventFilter::default() };
        let found = bench.store.events(None, &of_one, 10).unwrap();
        assert_eq!((found.items.len(), found.next), (6, bench.store.last_event().unwrap()));
        let elsewhere = EventFilter { namespace: Some("other".parse().unwrap()), ..EventFilter::default() };
        assert_eq!(bench.store.events(None, &elsewhere, 10).unwrap().items, vec![]);
    }

    fn a_cursor_older_than_what_is_kept_is_gone(bench) {
        a_history(bench);
        let early = bench.store.events(None, &EventFilter::default(), 3).unwrap();
        let retention = Retention { event_rows: 8, ..Retention::default() };
        let pruned = bench.store.prune(&retention, at(2)).unwrap();
        assert_eq!((pruned.events, pruned.more), (4, false));
        assert_eq!(bench.store.events(early.next, &EventFilter::default(), 3), Err(ReadError::Gone));
        assert_eq!(bench.store.events(None, &EventFilter::default(), 100).unwrap().items.len(), 8);
    }

    fn what_is_old_is_forgotten_and_the_newest_event_is_kept(bench) {
        a_history(bench);
        let epoch = bench.own(slot(3));
        bench.commit(registering(slot(3), epoch, 1, "late"));
        let last = bench.store.last_event().unwrap();
        let retention = Retention {
            transitions: Duration::from_millis(30),
            events: Duration::ZERO,
            answers: Duration::ZERO,
            ..Retention::default()
        };
        let pruned = bench.store.prune(&retention, at(60)).unwrap();
        assert_eq!((pruned.transitions, pruned.events, pruned.answers), (4, 12, 1));
        assert_eq!(bench.store.last_event().unwrap(), last);
        assert_eq!(bench.store.load(slot(3)).unwrap().answers, vec![]);

        assert_eq!(pages(bench, TransitionQuery { limit: 100, ..TransitionQuery::default() }).concat().len(), 8);
    }

    fn fewer_rows_of_each_agent_are_kept_from_when_that_is_told(bench) {
        let retention = Retention { transition_rows: 10, ..Retention::default() };
        bench.store.prune(&retention, at(2)).unwrap();
        let epoch = bench.own(slot(1));
        for position in 1..=130 {
            bench.commit(moving(agent(slot(1), 1), "web", epoch, position, Durability::Written));
        }
        let kept = pages(bench, TransitionQuery { limit: 1000, ..TransitionQuery::default() }).concat();
        assert_eq!((kept.first(), kept.len()), (Some(&130), 12), "cut at 128 to the last ten, two since");
    }
}
