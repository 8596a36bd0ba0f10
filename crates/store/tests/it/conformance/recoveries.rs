//! What was done to bring agents back.

use stead_model::journal::{Change, Durability};
use stead_model::{AttemptState, FailureKind, Namespace, RecoveryAttempt, Strategy};
use stead_store::{RecoveryQuery, Retention};

use super::{Bench, for_every_store};
use crate::sample::{agent, at, attempt, empty, slot};

/// Writes attempts one after the other, each in an append of its own.
fn commit(bench: &Bench, attempts: &[RecoveryAttempt]) {
    let home = slot(1);
    let epoch = bench.own(home);
    for (position, row) in (1..).zip(attempts) {
        let mut append = empty(home, epoch, position, Durability::Written);
        append.changes.push(Change::Recovery(Box::new(row.clone())));
        bench.commit(append);
    }
}

fn numbers(bench: &Bench, query: &RecoveryQuery) -> Vec<u64> {
    let page = bench.store.recoveries(query).unwrap();
    page.items.into_iter().map(|row| row.number).collect()
}

fn all() -> RecoveryQuery {
    RecoveryQuery {
        limit: 100,
        ..RecoveryQuery::default()
    }
}

for_every_store! {
    fn an_attempt_is_one_row_from_its_beginning_to_its_end(bench) {
        let id = agent(slot(1), 1);
        let ended = RecoveryAttempt {
            ended: Some(at(3)),
            state: AttemptState::Verified,
            detail: "it says READY=1".into(),
            ..attempt(id, 1)
        };
        commit(bench, &[attempt(id, 1), attempt(id, 2), ended.clone()]);
        assert_eq!(numbers(bench, &all()), [2, 1]);
        let verified = RecoveryQuery { state: Some(AttemptState::Verified), ..all() };
        assert_eq!(bench.store.recoveries(&verified).unwrap().items, [ended]);
    }

    fn attempts_are_found_by_what_is_known_of_them_page_by_page(bench) {
        let (id, other) = (agent(slot(1), 1), agent(slot(1), 2));
        commit(bench, &[attempt(id, 1), attempt(other, 7), attempt(id, 2)]);
        assert_eq!(numbers(bench, &RecoveryQuery { agent: Some(other), ..all() }), [7]);
        assert_eq!(numbers(bench, &RecoveryQuery { name: Some("web".parse().unwrap()), ..all() }), [2, 7, 1]);
        assert_eq!(numbers(bench, &RecoveryQuery { strategy: Some(Strategy::Restart), ..all() }), [2, 7, 1]);
        assert_eq!(numbers(bench, &RecoveryQuery { failure: Some(FailureKind::Stuck), ..all() }), [0; 0]);
        let elsewhere: Namespace = "other".parse().unwrap();
        assert_eq!(numbers(bench, &RecoveryQuery { namespace: Some(elsewhere), ..all() }), [0; 0]);
        assert_eq!(numbers(bench, &RecoveryQuery { from: Some(at(2)), until: Some(at(3)), ..all() }), [2]);
        let first = bench.store.recoveries(&RecoveryQuery { limit: 2, ..all() }).unwrap();
        let rest = bench.store.recoveries(&RecoveryQuery { below: first.next, ..all() }).unwrap();
        assert_eq!((rest.items[0].number, rest.items.len(), rest.next), (1, 1, None));
    }

    fn attempts_are_bounded_by_rows_and_age_of_their_own(bench) {
        let id = agent(slot(1), 1);
        let attempts: Vec<_> = (1..=5).map(|number| attempt(id, number)).collect();
        commit(bench, &attempts);
        let retention = Retention { recovery_rows: 3, ..Retention::default() };
        assert_eq!(bench.store.prune(&retention, at(6)).unwrap().recoveries, 2);
        assert_eq!(numbers(bench, &all()), [5, 4, 3]);
        let retention = Retention { recoveries: std::time::Duration::from_secs(1), ..Retention::default() };
        bench.store.prune(&retention, at(1_000_000)).unwrap();
        assert_eq!(numbers(bench, &all()), [5], "the last one stays, so that no number is given twice");
    }
}
