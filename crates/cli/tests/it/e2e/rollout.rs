//! Updates of real processes behind a probe: brought to all, taken back, and cut short, with their readiness watched all the time.
//! `STEAD_TRIES=1` has fifty replicas instead of five.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fleet::Fleet;
use super::http;
use super::tries::size;

/// A bad update must be taken back within this time.
const TAKEN_BACK: Duration = Duration::from_secs(30);

/// A group whose replicas are ready some time after they started; `version` is what is updated.
pub(super) fn fleet(replicas: usize, most_away: usize, version: &str) -> String {
    let script = match version {
        "bad" => "exit 3".to_owned(),
        version => {
            format!("rm -f @/up.$STEAD_AGENT; sleep 0.1; touch @/up.$STEAD_AGENT; : {version}; exec sleep 100000")
        }
    };
    format!(
        "[agents.web]
replicas = {replicas}
update = {{ max_unavailable = {most_away}, min_ready = '200ms', progress_deadline = '30s' }}
command = ['sh', '-c', '{script}']
probes.readiness = {{ exec = {{ command = ['sh', '-c', 'test -e @/up.$STEAD_AGENT'] }}, period_seconds = 0.1, timeout_seconds = 30, failure_threshold = 1 }}
"
    )
}

/// A fleet of one group, up and available.
pub(super) fn up(replicas: usize, most_away: usize) -> Fleet {
    let mut fleet = Fleet::of(&fleet(replicas, most_away, "v1"));
    fleet.up();
    until_group(&fleet, |group| {
        group["available"] == replicas && group["phase"] == "online"
    });
    fleet
}

#[track_caller]
pub(super) fn until_group(fleet: &Fleet, wanted: impl Fn(&Value) -> bool) -> Value {
    fleet.until("the group is as wanted", |fleet| {
        let answer = http::ask(fleet.at(), "GET", "/api/v1/groups/web", &[], "")?;
        Some(answer.json()).filter(|group| wanted(group))
    })
}

/// How many replicas take work; nothing where nobody answers.
fn ready(at: std::net::SocketAddr) -> Option<usize> {
    let answer = http::ask(at, "GET", "/api/v1/agents?group=web&limit=1000", &[], "")?;
    let list = answer.json();
    let items = list["items"].as_array()?;
    Some(items.iter().filter(|agent| agent["ready"] == true).count())
}

/// Does something while the group is looked at all the time; gives the fewest that were ready, and how often it was looked.
fn watched(fleet: &mut Fleet, work: impl FnOnce(&mut Fleet)) -> (usize, usize) {
    let (over, at) = (AtomicBool::new(false), fleet.at());
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut least, mut looks) = (usize::MAX, 0);
            while !over.load(Ordering::SeqCst) {
                if let Some(ready) = ready(at) {
                    least = least.min(ready);
                    looks += 1;
                }
            }
            (least, looks)
        });
        work(fleet);
        over.store(true, Ordering::SeqCst);
        watch.join().unwrap()
    })
}

#[test]
fn an_update_never_takes_more_replicas_out_of_work_than_it_may_and_a_bad_one_is_taken_back() {
    let (replicas, most_away) = (size(5, 50), size(1, 5));
    let mut fleet_ = up(replicas, most_away);
    let begun = Instant::now();
    let (least, looks) = watched(&mut fleet_, |fleet_| {
        fleet_.write(&fleet(replicas, most_away, "v2"));
        fleet_.must(&["apply", "fleet.toml", "--wait", "--timeout", "5m"]);
    });
    println!(
        "{replicas} replicas, at most {most_away} away: updated in {:.1} s, at least {least} ready in {looks} looks",
        begun.elapsed().as_secs_f64()
    );
    assert!(least >= replicas - most_away, "{least} of {replicas} were ready once");
    assert!(looks > 10, "looked {looks} times");
    let group = until_group(&fleet_, |group| group["phase"] == "online");
    assert_eq!(
        (&group["updated"], &group["good_revision"]),
        (&replicas.into(), &2.into()),
        "{group:#}"
    );
    let before: Vec<Value> = fleet_
        .agents()
        .iter()
        .map(|agent| agent["incarnation"].clone())
        .collect();

    let begun = Instant::now();
    let (least, looks) = watched(&mut fleet_, |fleet_| {
        fleet_.write(&fleet(replicas, most_away, "bad"));
        let failed = fleet_.run(&["apply", "fleet.toml", "--wait"]);
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    });
    let lasted = begun.elapsed();
    println!(
        "a bad update, applied and taken back: {:.1} s, at least {least} ready in {looks} looks",
        lasted.as_secs_f64()
    );
    assert!(lasted < TAKEN_BACK, "taken back after {lasted:?}");
    assert!(least >= replicas - most_away, "{least} of {replicas} were ready once");
    let group = until_group(&fleet_, |group| group["available"] == replicas);
    assert_eq!(
        (&group["rollout"]["state"], &group["spec_revision"]),
        (&"rolled_back".into(), &2.into()),
        "{group:#}"
    );
    // Those whom it had not reached yet were not touched.
    let after: Vec<Value> = fleet_
        .agents()
        .iter()
        .map(|agent| agent["incarnation"].clone())
        .collect();
    let same = before.iter().zip(&after).filter(|(one, other)| one == other).count();
    assert!(same >= replicas - most_away, "{before:?} {after:?}");
}

#[test]
fn an_update_goes_on_after_its_daemon_was_killed_in_the_middle() {
    let (replicas, most_away) = (5, 1);
    let mut fleet_ = up(replicas, most_away);
    let (least, looks) = watched(&mut fleet_, |fleet_| {
        fleet_.write(&fleet(replicas, most_away, "v2"));
        fleet_.must(&["apply", "fleet.toml"]);
        for reached in [1, 3] {
            until_group(fleet_, |group| group["updated"].as_u64() >= Some(reached));
            fleet_.kill_daemon();
            fleet_.up();
        }
        until_group(fleet_, |group| {
            group["phase"] == "online" && group["available"] == replicas
        });
    });
    assert!(looks > 0, "nobody looked while it was updated");
    assert!(least >= replicas - most_away, "{least} of {replicas} were ready once");
    let group = until_group(&fleet_, |_| true);
    assert_eq!(
        (&group["updated"], &group["rollout"]["state"]),
        (&5.into(), &"completed".into()),
        "{group:#}"
    );
    for agent in fleet_.agents() {
        assert_eq!(
            (&agent["incarnation"], &agent["restarts"]),
            (&2.into(), &0.into()),
            "{agent:#}"
        );
    }
}
