use alloc::format;
use alloc::vec;

use serde_json::json;
use stead_model::spec::Condition;
use stead_model::{BootClock, Driver, Moment, Wall};

use super::*;
use crate::profiles::Profiles;

fn now() -> Now {
    Now {
        moment: Moment::at(Duration::from_secs(60)),
        wall: Wall::from_unix_millis(1_790_000_000_000),
    }
}

fn row(name: &str) -> serde_json::Value {
    json!({
        "id": "agt_0001000000007", "namespace": "default", "name": name, "boot": 17_765_432_109_876_543_210_u64,
        "profile": "agent", "revision": 4, "phase": "registered", "phase_since": "2026-09-21T14:53:20.123Z", "sequence": 3,
        "intent": {"wanted": "stopped", "actor": "ada", "at": "2026-09-21T14:53:20.123Z", "correlation_id": "0199-1"},
        "health": "unknown", "health_since": "2026-09-21T14:53:20.123Z", "ready": false, "spec_revision": 1,
        "incarnation": 0, "incarnations_reserved": 64, "correlation_id": "0199-1",
    })
}

fn record(row: serde_json::Value, spec: AgentSpec) -> Record {
    let profile = Arc::new(stead_model::profile::agent());
    let row: AgentRow = serde_json::from_value(row).unwrap();
    let phase = profile.phase(&row.phase).unwrap();
    let mut record = Record::new(row, Arc::new(spec), profile);
    record.phase = phase;
    record.told = Some(Standing::of(&record));
    record
}

fn spec(team: &str) -> AgentSpec {
    AgentSpec {
        labels: [("team", team), ("tier", "front")]
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        ..AgentSpec::reporting("agent")
    }
}

/// One of whom as much is known as can be of one at rest.
fn busy() -> Record {
    let mut known = row("busy");
    let more = json!({
        "phase": "busy", "health": "healthy", "claim": "degraded", "ready": true, "restarts": 7, "halted": true,
        "halt_reason": "the night", "incarnation": 5, "tasks": ["t-1", "t-2"], "correlation_id": "01a2028b9f2d75e8be085c4e0a76ce53", "draining": true,
        "conditions": [{"condition": "warning", "since": "2026-09-21T14:53:20.123Z", "detail": "memory"}],
        "evidence": [{"kind": "report", "observed_at": "2026-09-21T14:53:21Z", "source": "agent", "detail": "all is well"}],
        "recovery": {"block": {"kind": "held", "detail": "no start can help"}},
        "intent": {"wanted": "paused", "actor": "ada", "at": "2026-09-21T14:53:20.123Z", "correlation_id": "0199-1",
                   "reason": "a look", "pause": {"mode": "soft", "until": "2026-09-22T14:53:20Z"}},
    });
    known.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut record = record(known, spec("red"));
    for (place, timer) in Timer::ALL.into_iter().enumerate() {
        record.set_timer(timer, Some(Moment::at(Duration::from_millis(70_001 + place as u64))));
    }
    record
        .streak
        .healthy(&record.stable_reset(), Duration::from_nanos(61_000_000_007));
    record.probes = [-2, 0, 9];
    record.unpublished = true;
    record.asked = Asked(vec![Moment::at(Duration::from_secs(90))]);
    record.ready_since = Some(now().moment);
    record.told = Some(Standing::of(&record));
    record
}

fn shown(record: &Record, specs: &mut Specs) -> Shown {
    Shown::of_resting(record, specs, now()).expect("it rests")
}

fn packed(shown: &Shown) -> &Packed {
    match &*shown.0 {
        Image::Packed(packed) => packed,
        Image::Whole(_) => panic!("it is not packed"),
    }
}

#[test]
fn an_agent_at_rest_is_read_back_as_it_was_and_shown_as_it_is() {
    for mut record in [record(row("bare"), spec("red")), busy()] {
        let shown = shown(&record, &mut Specs::default());
        let mut woken = shown.wake().unwrap();
        assert!(woken.image.take().is_some_and(|image| image.is_same(&shown)));
        // Timers stand for them while it is in memory.
        record.row.recovery = RecoveryRow {
            block: record.row.recovery.block.take(),
            ..RecoveryRow::default()
        };
        assert_eq!(format!("{woken:#?}"), format!("{record:#?}"));
        assert_eq!(shown.view(), view::agent(&record, now()));
    }
}

#[test]
fn what_an_inventory_finds_of_one_that_was_thawed_is_what_is_shown_of_it() {
    let mut known = row("online");
    let more = json!({"phase": "online", "health": "healthy", "ready": true, "incarnation": 1, "intent": {
        "wanted": "running", "actor": "ada", "at": "2026-09-21T14:53:20.123Z", "correlation_id": "0199-1"}});
    known.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let boot = BootClock {
        boot: 7,
        at_start: Duration::ZERO,
    };
    let (profiles, row) = (Profiles::with(Vec::new()), serde_json::from_value(known).unwrap());
    let mut record = Record::thaw(row, Arc::new(spec("red")), &profiles, &boot, now().moment).unwrap();
    let mut specs = Specs::default();
    let shown = shown(&record, &mut specs);
    record.forgive_silence();
    let found = Shown::of_resting(&record, &mut specs, now()).unwrap();
    assert!(found.is_same(&shown), "or both would be kept");
}

#[test]
fn a_glance_shows_what_the_view_does() {
    let packed = shown(&busy(), &mut Specs::default());
    let whole = Shown::from(packed.view());
    for shown in [&packed, &whole] {
        let glance = shown.glance();
        assert_eq!(
            (shown.id(), shown.place()),
            (glance.id, (glance.namespace, glance.name))
        );
        assert_eq!((glance.profile, glance.phase, glance.name), ("agent", "busy", "busy"));
        assert_eq!((glance.health, glance.intent), (Health::Degraded, Wanted::Paused));
        assert_eq!((glance.pid, glance.group), (None, None));
        let labels = ["team", "tier", "none"].map(|key| glance.label(key));
        assert_eq!(labels, [Some("red"), Some("front"), None]);
    }
}

#[test]
fn agents_told_the_same_share_it_whatever_their_labels_are() {
    let mut specs = Specs::default();
    let one = shown(&record(row("one"), spec("red")), &mut specs);
    let other = shown(&record(row("other"), spec("blue")), &mut specs);
    assert!(Arc::ptr_eq(&packed(&one).told, &packed(&other).told));
    assert_eq!(one.wake().unwrap().spec.labels["team"], "red");
    let mut own = spec("red");
    own.restart.intensity.max += 1;
    let own = shown(&record(row("own"), own), &mut specs);
    assert!(!Arc::ptr_eq(&packed(&one).told, &packed(&own).told));
    for max in 0..1000 {
        let mut next = spec("red");
        next.restart.intensity.max = max;
        shown(&record(row("next"), next), &mut specs);
    }
    assert_eq!(specs.known.len(), MOST_SPECS);
}

#[test]
fn one_of_a_million_takes_few_bytes() {
    let mut one_of_many = row("twenty-bytes-of-name");
    one_of_many["intent"]["correlation_id"] = "01a2028b9f2d75e8be085c4e0a76ce53".into();
    let shown = shown(&record(one_of_many, spec("t-42")), &mut Specs::default());
    let bytes = packed(&shown).bytes.len();
    assert!(bytes <= 192, "{bytes}");
    assert!(size_of::<Packed>() <= 48 && size_of::<Shown>() == size_of::<usize>());
}

#[test]
fn what_is_at_work_or_to_be_worked_on_is_not_packed() {
    let mut specs = Specs::default();
    let mut rests = |spec: AgentSpec, change: fn(&mut Record)| {
        let mut record = record(row("web"), spec);
        change(&mut record);
        record.told = Some(Standing::of(&record));
        Shown::of_resting(&record, &mut specs, now()).is_some()
    };
    assert!(rests(spec("red"), |_| {}));
    let process = AgentSpec {
        driver: Driver::Process(Box::default()),
        ..spec("red")
    };
    assert!(!rests(process, |_| {}));
    let waits = AgentSpec {
        depends_on: [("db".parse().unwrap(), Condition::Healthy)].into(),
        ..spec("red")
    };
    assert!(!rests(waits, |_| {}));
    assert!(!rests(spec("red"), |record| record.row.removed = true));
    // It would be deployed at once.
    assert!(!rests(spec("red"), |record| record.row.intent.wanted = Wanted::Running));
}
