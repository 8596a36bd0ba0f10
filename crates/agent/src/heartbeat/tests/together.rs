//! Runtimes that beat without an agent around them, one or several in a process.

use super::*;
use crate::AgentError;

const OWN: &str = "/api/v1/agents/front/heartbeats?namespace=team";
const TOGETHER: &str = "/api/v1/heartbeats";

async fn runtime() -> Runtime {
    let nap = EntryPoint::new("nap", async |_: Call| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok::<_, String>(())
    });
    let runtime = Runtime::builder().entry_point(nap).build().unwrap();
    runtime.start().await.unwrap();
    runtime
}

/// Begins in the environment of a process that was started as `front`.
fn begin(builder: BeatsBuilder, port: u16) -> Result<Beats, AgentError> {
    let url = format!("http://127.0.0.1:{port}");
    let config = HeartbeatConfig {
        interval: Duration::from_millis(50),
        ..HeartbeatConfig::default()
    };
    let told = [
        ("STEAD_URL", url.as_str()),
        ("STEAD_AGENT", "front"),
        ("STEAD_NAMESPACE", "team"),
        ("STEAD_INCARNATION", "3"),
    ];
    let read = |name: &str| {
        told.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let surroundings = config.surroundings_by(read)?;
    builder.config(config).begin_in(surroundings)
}

/// What the daemon answers to one and to many, of whom these lines were not taken.
fn answer(refused: &[usize]) -> Answers {
    let refused: Vec<_> = refused
        .iter()
        .map(|line| json!({"beat": line, "outcome": "unknown"}))
        .collect();
    Answers::With(
        202,
        json!({"outcome": "accepted", "incarnation": 3, "next_in": "50ms", "accepted": 2, "unknown": refused.len(), "refused": refused}),
    )
}

fn beats_of<'a>(heard: &'a [Heard], agent: &'a str) -> impl Iterator<Item = &'a Value> {
    let of = heard
        .iter()
        .filter(move |(path, _, beat)| path == TOGETHER && beat["agent"] == agent);
    of.map(|(_, _, beat)| beat)
}

#[tokio::test]
async fn of_several_in_one_process_one_is_its_own_run_and_the_others_beat_together_by_their_names() {
    let (daemon, port) = Daemon::start().await;
    daemon.answers(answer(&[]));
    let (front, reader, writer) = (runtime().await, runtime().await, runtime().await);
    let together = Beats::own("mine", &front).and("reader", &reader).and("writer", &writer);
    let beats = begin(together, port).unwrap();
    let all = |heard: &[Heard]| {
        let own = heard.iter().filter(|(path, _, _)| path == OWN).count();
        own > 1
            && ["reader", "writer"]
                .iter()
                .all(|name| beats_of(heard, name).count() > 1)
    };
    daemon.until("two beats of each", all).await;
    for (path, _, beat) in daemon.heard() {
        assert!(beat["metrics"]["threads"].as_f64().unwrap() > 0.0, "{beat}");
        if path == OWN {
            assert_eq!((&beat["incarnation"], beat.get("agent")), (&json!(3), None));
        } else {
            assert_eq!((path.as_str(), &beat["namespace"]), (TOGETHER, &json!("team")));
            // No run of theirs was told here.
            assert_eq!((beat.get("incarnation"), beat.get("sequence")), (None, None));
        }
    }
    drop(beats);
    daemon.falls_silent().await;
}

#[tokio::test]
async fn one_of_them_that_was_not_taken_tells_the_next_time_what_happened_meanwhile() {
    let (daemon, port) = Daemon::start().await;
    daemon.answers(answer(&[1]));
    let (reader, writer) = (runtime().await, runtime().await);
    let beats = begin(Beats::of("reader", &reader).and("writer", &writer), port).unwrap();
    for runtime in [&reader, &writer] {
        let begun = runtime.submit(Submission::new("nap", &()).unwrap()).await.unwrap();
        runtime.wait(begun.id, LONG).await.unwrap();
    }
    let took = |beat: &Value| beat["metrics"]["execution_ms"].as_f64().unwrap();
    let tells = |heard: &[Heard], agent: &str| beats_of(heard, agent).last().is_some_and(|beat| took(beat) > 0.0);
    daemon
        .until("the one tells of it still, the other no more", |heard| {
            let told = beats_of(heard, "writer").any(|beat| took(beat) > 0.0);
            told && tells(heard, "reader") && !tells(heard, "writer")
        })
        .await;
    daemon.answers(answer(&[]));
    daemon
        .until("it was taken", |heard| {
            beats_of(heard, "reader").count() > 0 && !tells(heard, "reader")
        })
        .await;
    drop(beats);
}

#[tokio::test]
async fn one_of_them_that_has_failed_for_good_is_left_out_and_the_others_go_on() {
    let (daemon, port) = Daemon::start().await;
    daemon.answers(answer(&[]));
    let (reader, writer) = (runtime().await, runtime().await);
    let beats = begin(Beats::of("reader", &reader).and("writer", &writer), port).unwrap();
    daemon
        .until("a beat", |heard| beats_of(heard, "reader").count() > 0)
        .await;
    reader.fail("its disk is gone");
    // One may be under way.
    let silent = |heard: &[Heard]| {
        let latest = heard.iter().rev().take(4);
        heard.len() > 4 && latest.clone().all(|(_, _, beat)| beat["agent"] == "writer")
    };
    daemon.until("four of the other in a row", silent).await;
    writer.fail("its disk is gone, too");
    daemon.falls_silent().await;
    drop(beats);
}

#[tokio::test]
async fn a_process_whose_own_run_was_superseded_is_told_and_its_others_beat_on() {
    let (daemon, port) = Daemon::start().await;
    daemon.answers(Answers::With(
        202,
        json!({"outcome": "fenced", "incarnation": 4, "next_in": "50ms", "refused": []}),
    ));
    let (front, reader) = (runtime().await, runtime().await);
    let beats = begin(Beats::own("front", &front).and("reader", &reader), port).unwrap();
    let told = tokio::time::timeout(Duration::from_mins(1), beats.superseded()).await;
    assert!(told.is_ok(), "it was not told");
    let before = beats_of(&daemon.heard(), "reader").count();
    daemon
        .until("another", |heard| beats_of(heard, "reader").count() > before)
        .await;
}

#[tokio::test]
async fn names_that_are_none_or_twice_there_are_refused_and_so_are_more_than_a_thousand() {
    let one = runtime().await;
    let refused = |builder: BeatsBuilder| begin(builder, 1).unwrap_err().to_string();
    let twice = refused(Beats::of("reader", &one).and("reader", &one));
    assert!(
        twice.contains("`reader`") && twice.contains("a name of its own"),
        "{twice}"
    );
    // What this process was started as is its own run, under whatever name that was given here.
    let own = refused(Beats::own("mine", &one).and("front", &one));
    assert!(own.contains("`front`"), "{own}");
    assert!(refused(Beats::of("no name", &one)).contains("no name"));
    let many = (0..1_000).fold(Beats::own("mine", &one), |all, number| {
        all.and(format!("a{number}"), &one)
    });
    assert!(refused(many).contains("1001 runtimes"));
    // Without a daemon there is nobody to tell.
    assert!(Beats::of("reader", &one).begin().is_ok());
}

#[tokio::test]
async fn each_of_them_hears_what_its_namespace_has_given_up() {
    let (daemon, port) = Daemon::start().await;
    let with = |degradation: Value| {
        let body = json!({"accepted": 1, "next_in": "50ms", "refused": [], "degradation": degradation});
        Answers::With(202, body)
    };
    daemon.answers(with(
        json!({"team": {"level": "minor", "off": ["avatars"]}, "other": {"level": "emergency"}}),
    ));
    let (reader, writer) = (runtime().await, runtime().await);
    let beats = begin(Beats::of("reader", &reader).and("writer", &writer), port).unwrap();
    for runtime in [&reader, &writer] {
        let mut told = runtime.degradations();
        let heard = told.wait_for(|told| told.level == DegradationLevel::Minor && told.is_off("avatars"));
        assert!(
            tokio::time::timeout(Duration::from_mins(1), heard)
                .await
                .is_ok_and(|heard| heard.is_ok())
        );
    }
    daemon.answers(with(json!({"other": {"level": "emergency"}})));
    let mut told = writer.degradations();
    let calm = told.wait_for(|told| *told == DegradationTold::default());
    assert!(
        tokio::time::timeout(Duration::from_mins(1), calm)
            .await
            .is_ok_and(|calm| calm.is_ok())
    );
    drop(beats);
}
