//! Updates of real processes behind a probe: brought to all, taken back, and cut short, while the daemon and the replicas themselves are
//! looked at all the time.
//! `STEAD_TRIES=1` has fifty replicas instead of five.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fleet::Fleet;
use super::tries::size;
use super::{http, procs};

/// A bad update must be taken back within this time.
const TAKEN_BACK: Duration = Duration::from_secs(30);

/// A group whose replicas are ready some time after they started, and note where they are; `version` is what is updated.
pub(super) fn fleet(replicas: usize, most_away: usize, version: &str) -> String {
    let script = match version {
        "bad" => "exit 3".to_owned(),
        version => {
            // Another file takes the place of the one before at once: nobody reads half of it.
            let note = |word| format!("echo {word} $$$$ > @/new.$STEAD_AGENT; mv @/new.$STEAD_AGENT @/is.$STEAD_AGENT");
            let (starts, serves) = (note("starts"), note("serves"));
            format!("{starts}; sleep 0.1; {serves}; : {version}; exec sleep 100000")
        }
    };
    // What the run before noted says nothing of this one.
    let probe = "read word pid < @/is.$STEAD_AGENT && test $word = serves && kill -0 $pid";
    format!(
        "[agents.web]
replicas = {replicas}
update = {{ max_unavailable = {most_away}, min_ready = '200ms', progress_deadline = '30s' }}
command = ['sh', '-c', '{script}']
probes.readiness = {{ exec = {{ command = ['sh', '-c', '{probe}'] }}, period_seconds = 0.1, timeout_seconds = 30, failure_threshold = 1 }}
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

/// How many replicas take work by what the daemon says; nothing where nobody answers.
fn ready(at: SocketAddr) -> Option<usize> {
    let answer = http::ask(at, "GET", "/api/v1/agents?group=web&limit=1000", &[], "")?;
    let list = answer.json();
    let items = list["items"].as_array()?;
    Some(items.iter().filter(|agent| agent["ready"] == true).count())
}

/// What the replicas that do not serve noted last: nothing, that they start, or that they serve in a process that is gone.
fn away(notes: &[PathBuf]) -> Vec<(&PathBuf, String)> {
    let noted = notes
        .iter()
        .map(|path| (path, std::fs::read_to_string(path).unwrap_or_default()));
    let serves = |noted: &str| {
        let pid = noted.trim_end().strip_prefix("serves ");
        pid.is_some_and(|pid| procs::runs(pid.parse().unwrap()))
    };
    noted.filter(|(_, noted)| !serves(noted)).collect()
}

/// How many replicas were away at one moment: those of whom the same is seen before and behind it. A process that is gone does not come
/// back, and one that serves does not start again, so they were away all the time between.
fn away_at_once(notes: &[PathBuf]) -> usize {
    let (before, behind) = (away(notes), away(notes));
    before.iter().filter(|seen| behind.contains(seen)).count()
}

/// What was seen of a group while something was done to it.
struct Seen {
    /// The fewest replicas that were ready by what the daemon said, and how often it was asked with success.
    ready: (usize, usize),
    /// The most replicas that were away by their own notes and processes, and how often these were looked at.
    away: (usize, usize),
}

impl Seen {
    #[track_caller]
    fn never_more_away_than(&self, most: usize, replicas: usize) {
        let ((ready, asked), (away, looks)) = (self.ready, self.away);
        println!(
            "at least {ready} of {replicas} ready in {asked} answers, at most {away} away in {looks} looks at the processes"
        );
        assert!(asked > 0 && looks > 0, "{asked} answers, {looks} looks");
        assert!(ready >= replicas - most, "{ready} of {replicas} were ready once");
        assert!(away <= most, "{away} of {replicas} were away at once");
    }
}

/// Does something while the group is looked at all the time, from inside and from outside.
fn watched(fleet: &mut Fleet, replicas: usize, work: impl FnOnce(&mut Fleet)) -> Seen {
    let (over, at) = (AtomicBool::new(false), fleet.at());
    let notes: Vec<PathBuf> = (1..=replicas).map(|n| fleet.path(&format!("is.web-{n}"))).collect();
    assert_eq!(away(&notes), [], "all of them serve before");
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let (mut least, mut asked) = (usize::MAX, 0);
            while !over.load(Ordering::SeqCst) {
                if let Some(ready) = ready(at) {
                    least = least.min(ready);
                    asked += 1;
                }
            }
            (least, asked)
        });
        let outside = scope.spawn(|| {
            let (mut most, mut looks) = (0, 0);
            while !over.load(Ordering::SeqCst) {
                most = most.max(away_at_once(&notes));
                looks += 1;
                std::thread::sleep(LOOK);
            }
            (most, looks)
        });
        work(fleet);
        over.store(true, Ordering::SeqCst);
        let (ready, away) = (inside.join().unwrap(), outside.join().unwrap());
        Seen { ready, away }
    })
}

/// Between two looks at the processes: many in each step of an update, and most of the machine left to it.
const LOOK: Duration = Duration::from_millis(2);

#[test]
fn an_update_never_takes_more_replicas_out_of_work_than_it_may_and_a_bad_one_is_taken_back() {
    let (replicas, most_away) = (size(5, 50), size(1, 5));
    let mut fleet_ = up(replicas, most_away);
    let begun = Instant::now();
    let seen = watched(&mut fleet_, replicas, |fleet_| {
        fleet_.write(&fleet(replicas, most_away, "v2"));
        fleet_.must(&["apply", "fleet.toml", "--wait", "--timeout", "5m"]);
    });
    println!(
        "{replicas} replicas, at most {most_away} away: updated in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    seen.never_more_away_than(most_away, replicas);
    assert!(seen.away.0 > 0, "an update takes replicas away, and that is seen");
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
    let seen = watched(&mut fleet_, replicas, |fleet_| {
        fleet_.write(&fleet(replicas, most_away, "bad"));
        let failed = fleet_.run(&["apply", "fleet.toml", "--wait"]);
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    });
    let lasted = begun.elapsed();
    println!("a bad update, applied and taken back: {:.1} s", lasted.as_secs_f64());
    assert!(lasted < TAKEN_BACK, "taken back after {lasted:?}");
    seen.never_more_away_than(most_away, replicas);
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
    let told = fleet_.must(&[
        "events",
        "--group",
        "web",
        "--type",
        "rollout_ended,rollout_failed",
        "--since",
        "1h",
        "--limit",
        "3",
    ]);
    for said in ["update ended at revision 2: completed", "revision 3", "rolled_back"] {
        assert!(told.contains(said), "{said:?} is not in\n{told}");
    }
}

#[test]
fn an_update_goes_on_after_its_daemon_was_killed_in_the_middle() {
    let (replicas, most_away) = (5, 1);
    let mut fleet_ = up(replicas, most_away);
    let seen = watched(&mut fleet_, replicas, |fleet_| {
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
    seen.never_more_away_than(most_away, replicas);
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
