//! Who changed what.

use stead_model::journal::{Change, Durability};
use stead_store::{AuditQuery, ConfigRow, Retention};

use super::for_every_store;
use crate::sample::{agent, at, audit, moving, slot};

const ALL: AuditQuery = AuditQuery {
    namespace: None,
    id: None,
    name: None,
    actor: None,
    verb: None,
    correlation_id: None,
    from: None,
    until: None,
    below: None,
    limit: 100,
};

for_every_store! {
    fn who_asked_is_written_with_the_change_and_found_by_what_is_known_of_it(bench) {
        let (home, id) = (slot(1), agent(slot(1), 1));
        let epoch = bench.own(home);
        for (number, verb) in [(1, "register"), (2, "stop"), (3, "start")] {
            let mut append = moving(id, "web", epoch, number.into(), Durability::Flushed);
            append.changes.push(Change::Audit(Box::new(audit(number, verb))));
            bench.commit(append);
        }
        let verbs = |query: AuditQuery| -> Vec<String> {
            bench.store.audit(&query).unwrap().items.into_iter().map(|row| row.verb).collect()
        };
        assert_eq!(verbs(ALL), ["start", "stop", "register"]);
        assert_eq!(verbs(AuditQuery { verb: Some("stop".into()), ..ALL }), ["stop"]);
        assert_eq!(verbs(AuditQuery { actor: Some("nobody".into()), ..ALL }), [""; 0]);
        assert_eq!(verbs(AuditQuery { from: Some(at(2)), until: Some(at(3)), ..ALL }), ["stop"]);
        assert_eq!(verbs(AuditQuery { correlation_id: Some("c-3".into()), ..ALL }), ["start"]);
        let first = bench.store.audit(&AuditQuery { limit: 2, ..ALL }).unwrap();
        assert_eq!(first.items.len(), 2);
        let rest = bench.store.audit(&AuditQuery { below: first.next, ..ALL }).unwrap();
        assert_eq!((rest.items[0].verb.as_str(), rest.items.len(), rest.next), ("register", 1, None));
    }

    fn the_audit_is_bounded_by_rows_and_age_of_its_own(bench) {
        for number in 1..=5 {
            bench.store.put_config(ConfigRow::default(), audit(number, "apply")).unwrap();
        }
        let kept = |bench: &super::Bench| bench.store.audit(&ALL).unwrap().items.len();
        let retention = Retention { audit_rows: 3, ..Retention::default() };
        let pruned = bench.store.prune(&retention, at(6)).unwrap();
        assert_eq!((pruned.audit, kept(bench)), (2, 3));
        let retention = Retention { audit: std::time::Duration::from_secs(1), ..Retention::default() };
        bench.store.prune(&retention, at(1_000_000)).unwrap();
        assert_eq!(kept(bench), 1, "the last one stays, so that no number is given twice");
    }
}
