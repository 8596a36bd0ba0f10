//! When which probe is made.

use std::collections::BTreeSet;
use std::time::Duration;

use ProbeKind::{Clear, Liveness, Readiness, Startup};
use serde_json::json;
use stead_model::spec::{EnvValue, ProbeKind};
use tokio::time::{Instant, sleep};

use super::super::pace::Pace;
use super::web::Web;
use super::{Rig, closed, instance, read, silent};

#[tokio::test(start_paused = true)]
async fn the_first_probe_comes_after_the_initial_delay_and_the_others_once_a_period() {
    let (_open, port) = silent().await;
    let mut rig = Rig::new();
    rig.watch(
        1,
        json!({ "readiness": { "tcpSocket": { "port": port }, "initialDelaySeconds": 3, "periodSeconds": 10 } }),
    );
    let times =
        [rig.next().await, rig.next().await, rig.next().await, rig.next().await].map(|seen| whole_millis(seen.after));
    assert_eq!(times[0], Duration::from_secs(3));
    let stagger = times[1] - times[0] - TEN;
    assert!(stagger < Duration::from_secs(1), "{times:?}");
    assert_eq!([times[2] - times[1], times[3] - times[2]], [TEN; 2]);
}

#[tokio::test(start_paused = true)]
async fn neighbours_are_probed_side_by_side_and_not_in_step() {
    let start = Instant::now();
    let mut second = BTreeSet::new();
    for agent in 0..1000 {
        second.insert(Pace::new(start, TEN, instance(agent).agent).following());
    }
    assert!(second.len() > 950, "{} moments for 1000 agents", second.len());
    let (first, last) = (*second.first().unwrap() - start, *second.last().unwrap() - start);
    assert!(
        first >= TEN && last < TEN + Duration::from_secs(1),
        "{first:?} to {last:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_found_alive_is_first_probed_within_a_second() {
    let (_open, port) = silent().await;
    let mut rig = Rig::new();
    sleep(Duration::from_secs(3600)).await;
    for agent in 0..20 {
        rig.watch(
            agent,
            json!({ "liveness": { "tcp_socket": { "port": port }, "initial_delay_seconds": 3 } }),
        );
    }
    let mut moments = BTreeSet::new();
    for _ in 0..20 {
        moments.insert(rig.next().await.after - Duration::from_secs(3600));
    }
    assert!(moments.len() > 15, "{moments:?}");
    assert!(moments.last().unwrap() <= &Duration::from_millis(1010), "{moments:?}");
}

#[tokio::test(start_paused = true)]
async fn liveness_and_readiness_wait_until_startup_has_succeeded_in_a_row() {
    let (_open, port) = silent().await;
    let web = Web::statuses(&[503, 200, 503, 200, 200]).await;
    let mut rig = Rig::new();
    let others = json!({ "tcp_socket": { "port": port } });
    rig.watch(
        1,
        json!({
            "startup": { "http_get": { "port": web.port }, "success_threshold": 2, "period_seconds": 1 },
            "liveness": others, "readiness": others,
        }),
    );
    assert_eq!(rig.kinds().await, [Startup; 5]);
    let last = whole_millis(rig.started.elapsed_in_test());
    let (one, other) = (rig.next().await, rig.next().await);
    assert_eq!((one.kind, other.kind), (Liveness, Readiness));
    assert_eq!(
        [whole_millis(one.after), whole_millis(other.after)],
        [last; 2],
        "they begin at once"
    );
    assert!(!rig.kinds::<6>().await.contains(&Startup), "startup is not asked again");
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_never_made_twice_at_once() {
    let (listener, port) = silent().await;
    let mut rig = Rig::new();
    let probe = json!({ "http_get": { "port": port }, "period_seconds": 1, "timeout_seconds": 5 });
    rig.watch(1, json!({ "liveness": probe }));
    for attempt in 1..=3 {
        let _held = listener.accept().await.unwrap();
        assert_eq!(rig.result().await, Err("no answer within 5s".to_owned()));
        let seconds = rig.started.elapsed_in_test().as_secs();
        assert!(
            seconds >= attempt * 5 && seconds <= attempt * 6,
            "attempt {attempt} ended after {seconds} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn stalled_targets_delay_nobody_else() {
    let (_stalled, stalled) = silent().await;
    let (_open, open) = silent().await;
    let mut rig = Rig::new();
    for agent in 0..100 {
        rig.watch(
            agent,
            json!({ "liveness": { "http_get": { "port": stalled }, "timeout_seconds": 30 } }),
        );
    }
    rig.watch(1000, json!({ "liveness": { "tcp_socket": { "port": open } } }));
    let first = rig.next().await;
    assert_eq!((first.instance, first.result), (instance(1000), Ok(())));
    assert_eq!(whole_millis(first.after), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_heard_of_an_instance_that_is_no_longer_watched() {
    let (listener, port) = silent().await;
    let mut rig = Rig::new();
    rig.watch(1, json!({ "liveness": { "http_get": { "port": port } } }));
    let (mut held, _) = listener.accept().await.unwrap();
    rig.prober.unwatch(instance(1));
    rig.idle().await;
    assert!(rig.seen.try_recv().is_err());
    let mut rest = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut held, &mut rest).await;
    assert!(ended.is_ok(), "the attempt under way is ended: {ended:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_daemon_ends_all_probing() {
    let (_socket, port) = closed();
    let rig = Rig::new();
    for agent in 0..10 {
        rig.watch(agent, json!({ "liveness": { "tcp_socket": { "port": port } } }));
    }
    rig.closing.cancel();
    rig.idle().await;
    rig.watch(11, json!({ "liveness": { "tcp_socket": { "port": port } } }));
    assert!(rig.tasks.is_empty(), "nothing new begins");
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_probes_costs_no_task() {
    let rig = Rig::new();
    rig.watch(1, json!({}));
    assert!(rig.tasks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_instance_with_a_startup_probe_alone_costs_nothing_once_it_is_up() {
    let (_open, port) = silent().await;
    let mut rig = Rig::new();
    rig.watch(1, json!({ "startup": { "tcp_socket": { "port": port } } }));
    assert_eq!(rig.kinds().await, [Startup]);
    rig.idle().await;
}

#[tokio::test(start_paused = true)]
async fn watching_again_with_the_same_probes_changes_nothing() {
    let (_open, port) = silent().await;
    let mut rig = Rig::new();
    let probes =
        json!({ "startup": { "tcp_socket": { "port": port } }, "liveness": { "tcp_socket": { "port": port } } });
    rig.watch(1, probes.clone());
    assert_eq!(rig.kinds().await, [Startup, Liveness]);
    rig.watch(1, probes);
    assert_eq!(rig.tasks.len(), 1);
    let next = rig.next().await;
    assert_eq!(next.kind, Liveness);
    assert!(next.after >= TEN, "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn other_probes_take_the_place_of_the_first_and_startup_is_not_asked_twice() {
    let (_open, open) = silent().await;
    let (_socket, shut) = closed();
    let mut rig = Rig::new();
    rig.watch(
        1,
        json!({ "startup": { "tcp_socket": { "port": open } }, "liveness": { "tcp_socket": { "port": open } } }),
    );
    assert_eq!(rig.kinds().await, [Startup, Liveness]);
    rig.watch(
        1,
        json!({ "startup": { "tcp_socket": { "port": open } }, "readiness": { "tcp_socket": { "port": shut } } }),
    );
    for _ in 0..5 {
        let seen = rig.next().await;
        assert_eq!(
            (seen.kind, seen.result),
            (Readiness, Err("connection refused".to_owned()))
        );
    }
    assert_eq!(rig.tasks.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_probes_in_another_environment_begin_anew() {
    let (_open, port) = silent().await;
    let mut rig = Rig::new();
    let probes = read(json!({ "liveness": { "tcp_socket": { "port": port } } }));
    rig.prober.watch(instance(1), probes.clone(), rig.context());
    rig.next().await;
    let mut context = rig.context();
    context.env.insert("MODE".to_owned(), EnvValue::Plain("b".to_owned()));
    rig.prober.watch(instance(1), probes, context);
    assert!(rig.next().await.after < Duration::from_secs(1));
}

trait Elapsed {
    fn elapsed_in_test(self) -> Duration;
}

impl Elapsed for Instant {
    fn elapsed_in_test(self) -> Duration {
        Self::now() - self
    }
}

/// Timers of Tokio go off at whole milliseconds.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap())
}

const TEN: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn whether_a_cause_is_gone_is_asked_after_a_period_and_then_ever_more_seldom() {
    let (_closed, port) = closed();
    let mut rig = Rig::new();
    rig.watch(
        1,
        json!({ "clear": { "tcp_socket": { "port": port }, "period_seconds": 5 } }),
    );
    let mut asked = Vec::new();
    for _ in 0..4 {
        let seen = rig.next().await;
        assert_eq!(seen.kind, Clear);
        asked.push(seen.after.as_secs());
    }
    assert_eq!(asked, [5, 15, 35, 75], "after 5 s, 10 s, 20 s and 40 s");
}
