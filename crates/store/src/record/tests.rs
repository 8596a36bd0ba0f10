//! Bytes that were stored once must be read for ever. Never edit the bytes here; add newer ones beside them.

use stead_model::journal::{AgentRow, AnswerRow, SpecRow};
use stead_model::{
    AgentId, Driver, Event, Exit, Happening, Health, Incarnation, Reason, Revision, Sequence, Slot, Wall, Wanted,
};

use super::*;

fn id() -> AgentId {
    AgentId::new(Slot::try_from(700).unwrap(), 1)
}

#[test]
fn an_agents_row_of_the_first_form_is_read() {
    let row: AgentRow = decode(AGENT).unwrap();
    assert_eq!(
        (row.id, row.name.as_str(), row.namespace.as_str()),
        (id(), "web", "default")
    );
    assert_eq!(
        (row.phase.as_str(), row.sequence, row.revision),
        ("online", Sequence(4), Revision(6))
    );
    assert_eq!((row.intent.wanted, row.health), (Wanted::Running, Health::Healthy));
    assert_eq!(row.incarnations_reserved, Incarnation(16));
    let instance = row.instance.unwrap();
    assert_eq!(
        (instance.incarnation, instance.process.unwrap().pid),
        (Incarnation(2), 4711)
    );
    assert_eq!(row.last_exit.unwrap().exit, Exit::Code { code: 3 });
    assert_eq!((row.recovery.attempt, row.recovery.due.unwrap().left_ms), (1, 1_000));
    assert!(!row.removed && !row.restart_wanted && row.tasks.is_empty());
}

#[test]
fn a_spec_of_the_first_form_is_read() {
    let row: SpecRow = decode(SPEC).unwrap();
    assert_eq!(
        (row.agent, row.revision, row.actor.as_str(), row.at),
        (id(), 2, "anna", Wall::from_unix_millis(1_000))
    );
    let Driver::Process(process) = row.spec.driver else {
        panic!("it is a process");
    };
    assert_eq!(process.command, ["./serve", "--port", "80"]);
}

#[test]
fn an_answer_of_the_first_form_is_read() {
    let row: AnswerRow = decode(ANSWER).unwrap();
    assert_eq!(
        (row.key.as_str(), row.fingerprint, row.agent),
        ("key-1", u64::MAX, id())
    );
}

#[test]
fn an_event_of_the_first_form_is_read() {
    let event: Event = decode(EVENT).unwrap();
    let Happening::PhaseChanged {
        sequence, to, reason, ..
    } = event.what
    else {
        panic!("its phase changed");
    };
    assert_eq!(
        (sequence, to.as_ref(), reason),
        (Sequence(4), "online", Reason::NormalStartup)
    );
}

#[test]
fn a_form_that_is_not_known_is_corrupt_and_not_guessed() {
    for bytes in [&b""[..], b"1", b"2{}", b"{}", b"1{\"id\":1}"] {
        assert!(
            matches!(decode::<AgentRow>(bytes), Err(StoreError::Corrupt { .. })),
            "{bytes:?}"
        );
    }
}

#[test]
fn what_is_read_can_be_written_and_read_again() {
    fn again<R: Record + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
        let row: R = decode(bytes).unwrap();
        assert_eq!(decode::<R>(&encode(&row).unwrap()), Ok(row));
    }
    again::<AgentRow>(AGENT);
    again::<SpecRow>(SPEC);
    again::<AnswerRow>(ANSWER);
    again::<Event>(EVENT);
}

const AGENT: &[u8] = br#"1{"id":"agt_ay00000000001","namespace":"default","name":"web","boot":99,"profile":"agent","revision":6,"phase":"online","phase_since":"2026-11-01T10:00:02.000Z","sequence":4,"intent":{"wanted":"running","actor":"anna","at":"2026-11-01T10:00:00.000Z","reason":"first try","correlation_id":"c-1"},"health":"healthy","health_since":"2026-11-01T10:00:03.000Z","ready":true,"conditions":[{"condition":"unverified","since":"2026-11-01T10:00:02.000Z","detail":"alive for 10 s clears it"}],"evidence":[{"kind":"process","observed_at":"2026-11-01T10:00:02.000Z","source":"keeper","detail":"pid 4711"}],"spec_revision":2,"incarnation":2,"incarnations_reserved":16,"instance":{"incarnation":2,"spec_revision":2,"process":{"boot":"b-1","pid_namespace":4026531836,"pid":4711,"start_time":12345},"since":"2026-11-01T10:00:01.000Z"},"last_exit":{"incarnation":1,"exit":{"kind":"code","code":3},"at":"2026-11-01T10:00:00.500Z"},"restarts":1,"recovery":{"attempt":1,"recent":[{"boot":99,"due_ms":600000,"left_ms":600000}],"due":{"boot":99,"due_ms":2000,"left_ms":1000}},"deadline":{"boot":99,"due_ms":61000,"left_ms":60000},"correlation_id":"c-2"}"#;
const SPEC: &[u8] = br#"1{"agent":"agt_ay00000000001","revision":2,"actor":"anna","at":"1970-01-01T00:00:01.000Z","spec":{"profile":"agent","type":"api","driver":"process","command":["./serve","--port","80"]}}"#;
const ANSWER: &[u8] = br#"1{"namespace":"default","key":"key-1","fingerprint":18446744073709551615,"at":"2026-11-01T10:00:00.000Z","agent":"agt_ay00000000001","answer":"{\"ok\":true}"}"#;
const EVENT: &[u8] = br#"1{"at":"2026-11-01T10:00:02.000Z","namespace":"default","agent":"agt_ay00000000001","name":"web","revision":6,"actor":"stead","correlation_id":"c-2","type":"phase_changed","sequence":4,"from":"starting","to":"online","reason":"startup.normal_startup","description":"it listens","via":false}"#;
