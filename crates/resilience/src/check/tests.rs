use core::future::pending;
use core::time::Duration;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use stead_policy::Criticality;

use super::{CheckConfig, CheckRefused, CheckReport, Finding, Health, HealthChecker, HealthReport};
use crate::{Clock, Virtual};

const SECOND: Duration = Duration::from_secs(1);

/// A checker on virtual time.
fn checker() -> (HealthChecker<Virtual>, Virtual) {
    let clock = Virtual::new();
    (HealthChecker::with_clock(clock.clone()), clock)
}

/// Adds a check that finds what is in the cell, and counts its runs.
fn scripted(
    checker: &HealthChecker<Virtual>,
    name: &str,
    config: CheckConfig,
) -> (Arc<Mutex<Finding>>, Arc<AtomicU32>) {
    let (finding, runs) = (Arc::new(Mutex::new(Finding::healthy())), Arc::new(AtomicU32::new(0)));
    let (find, count) = (Arc::clone(&finding), Arc::clone(&runs));
    checker
        .add(name, config, move || {
            count.fetch_add(1, SeqCst);
            core::future::ready(find.lock().unwrap().clone())
        })
        .unwrap();
    (finding, runs)
}

fn nap(clock: &Virtual, wait: Duration) -> impl Future<Output = ()> + Send + use<> {
    let clock = clock.clone();
    async move { clock.sleep(wait).await }
}

fn of(criticality: Criticality) -> CheckConfig {
    CheckConfig {
        criticality,
        ..CheckConfig::default()
    }
}

#[tokio::test]
async fn a_checker_that_has_looked_at_nothing_knows_nothing() {
    let (checker, _) = checker();
    assert_eq!(checker.check_all().await.health, Health::Unknown);
    scripted(&checker, "database", CheckConfig::default());
    assert_eq!(checker.report().health, Health::Unknown);
    assert!(!checker.report().is_healthy());
    assert_eq!(checker.report().failed_checks(), ["database"]);
    assert!(checker.check_all().await.is_healthy());
    assert!(checker.check_all().await.failed_checks().is_empty());
}

#[tokio::test]
async fn a_healthy_check_hides_no_other() {
    let (checker, _) = checker();
    scripted(&checker, "disk", CheckConfig::default());
    let (search, _) = scripted(&checker, "search", CheckConfig::default());
    let (database, _) = scripted(&checker, "database", CheckConfig::default());
    *search.lock().unwrap() = Finding::degraded("one of two replicas answers");
    *database.lock().unwrap() = Finding::from(Err::<(), _>("connection refused"));
    let report = checker.check_all().await;
    assert_eq!(report.health, Health::Unhealthy);
    assert_eq!(report.failed_checks(), ["database", "search"]);
    assert_eq!(report.get("database").unwrap().message, "connection refused");
}

#[tokio::test]
async fn an_unhealthy_check_degrades_the_whole_where_it_is_only_optional_or_important() {
    for (criticality, whole) in [
        (Criticality::Optional, Health::Degraded),
        (Criticality::Important, Health::Degraded),
        (Criticality::Critical, Health::Unhealthy),
        (Criticality::Essential, Health::Unhealthy),
    ] {
        let (checker, _) = checker();
        let (finding, _) = scripted(&checker, "it", of(criticality));
        *finding.lock().unwrap() = Finding::unhealthy("down");
        assert_eq!(checker.check_all().await.health, whole, "{criticality:?}");
    }
}

#[tokio::test]
async fn a_check_that_hangs_is_unhealthy_after_its_timeout_and_delays_no_other() {
    let (checker, clock) = checker();
    checker.add("hung", CheckConfig::default(), pending::<Finding>).unwrap();
    scripted(&checker, "quick", CheckConfig::default());
    let asked = tokio::spawn({
        let checker = checker.clone();
        async move { checker.check_all().await }
    });
    clock.run_for(SECOND).await;
    assert_eq!(checker.report().get("quick").unwrap().health, Health::Healthy);
    assert_eq!(checker.report().get("hung").unwrap().health, Health::Unknown);
    clock.run_for(4 * SECOND).await;
    let report = asked.await.unwrap();
    assert_eq!(report.failed_checks(), ["hung"]);
    assert_eq!(report.get("hung").unwrap().message, "no answer within 5s");
    assert_eq!(report.get("hung").unwrap().took, Some(5 * SECOND));
}

#[tokio::test]
async fn a_check_that_panics_says_so_and_runs_again_the_next_time() {
    let (checker, clock) = checker();
    let runs = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&runs);
    let panics = move || -> core::future::Ready<Finding> {
        count.fetch_add(1, SeqCst);
        panic!("no socket {}", 7)
    };
    checker.add("broken", CheckConfig::default(), panics).unwrap();
    checker
        .add("mute", CheckConfig::default(), || -> core::future::Ready<Finding> {
            std::panic::panic_any(7)
        })
        .unwrap();
    let report = checker.check_all().await;
    assert_eq!(report.get("broken").unwrap().message, "panicked: no socket 7");
    assert_eq!(report.get("mute").unwrap().message, "panicked: without words");
    clock.advance(2 * SECOND);
    let report = checker.check("broken").await.unwrap();
    assert_eq!((report.health, report.failed_in_a_row), (Health::Unhealthy, 2));
    assert_eq!(runs.load(SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_check_that_blocks_its_thread_is_given_up_and_not_started_beside_itself() {
    let checker = HealthChecker::new();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let (blocked, runs) = (Arc::new(Mutex::new(blocked)), Arc::new(AtomicU32::new(0)));
    let config = CheckConfig {
        timeout: Duration::from_millis(20),
        cache: Duration::ZERO,
        ..CheckConfig::default()
    };
    let count = Arc::clone(&runs);
    let blocks = move || {
        count.fetch_add(1, SeqCst);
        // Answers once its caller has let go of the other end.
        let _ = blocked.lock().unwrap().recv();
        core::future::ready(Finding::healthy())
    };
    checker.add("blocking", config, blocks).unwrap();
    assert_eq!(
        checker.check("blocking").await.unwrap().message,
        "no answer within 20ms"
    );
    let again = checker.check("blocking").await.unwrap();
    assert!(again.message.contains("not even when told to"), "{again:?}");
    assert_eq!((again.health, runs.load(SeqCst)), (Health::Unhealthy, 1));
    drop(release);
    let bound = std::time::Instant::now() + 60 * SECOND;
    while checker.check("blocking").await.unwrap().health != Health::Healthy {
        assert!(std::time::Instant::now() < bound, "it is never run again");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn however_many_ask_at_once_a_check_runs_once_even_if_the_first_to_ask_goes_away() {
    let (checker, clock) = checker();
    let runs = Arc::new(AtomicU32::new(0));
    let (count, wait) = (Arc::clone(&runs), clock.clone());
    checker
        .add("slow", CheckConfig::default(), move || {
            count.fetch_add(1, SeqCst);
            let nap = nap(&wait, SECOND);
            async move {
                nap.await;
                Finding::healthy()
            }
        })
        .unwrap();
    let ask = |checker: HealthChecker<Virtual>| tokio::spawn(async move { checker.check_all().await });
    let mut asking: Vec<_> = (0..50).map(|_| ask(checker.clone())).collect();
    clock.run_for(SECOND / 2).await;
    asking.remove(0).abort();
    asking.push(ask(checker.clone()));
    clock.run_for(SECOND / 2).await;
    for asked in asking {
        assert!(asked.await.unwrap().is_healthy());
    }
    assert_eq!(runs.load(SeqCst), 1);
}

#[tokio::test]
async fn a_finding_answers_again_until_it_is_older_than_the_cache() {
    let (checker, clock) = checker();
    let (finding, runs) = scripted(&checker, "database", CheckConfig::default());
    checker.check_all().await;
    *finding.lock().unwrap() = Finding::unhealthy("down");
    clock.advance(SECOND - Duration::from_nanos(1));
    assert!(checker.check_all().await.is_healthy());
    assert_eq!(runs.load(SeqCst), 1);
    clock.advance(Duration::from_nanos(1));
    assert!(!checker.check_all().await.is_healthy());
    assert_eq!(runs.load(SeqCst), 2);
}

#[tokio::test]
async fn what_nobody_has_looked_at_for_long_is_unknown_whatever_it_was() {
    let (checker, clock) = checker();
    scripted(&checker, "database", CheckConfig::default());
    checker.check_all().await;
    clock.advance(90 * SECOND);
    assert!(checker.report().is_healthy());
    clock.advance(SECOND);
    let report = checker.report();
    assert_eq!(report.health, Health::Unknown);
    assert_eq!(report.checks[0].message, "was healthy 91s ago, and not looked at since");
    assert_eq!(report.checks[0].age, Some(91 * SECOND));
}

#[tokio::test]
async fn periodic_runs_go_on_until_they_are_stopped() {
    let (checker, clock) = checker();
    let (_, first) = scripted(&checker, "first", CheckConfig::default());
    checker.start();
    checker.start();
    clock.run_for(60 * SECOND).await;
    assert_eq!(first.load(SeqCst), 3);
    let (_, second) = scripted(&checker, "second", CheckConfig::default());
    assert!(checker.remove("first"));
    assert!(!checker.remove("first"));
    clock.run_for(60 * SECOND).await;
    assert_eq!((first.load(SeqCst), second.load(SeqCst)), (3, 3));
    checker.stop().await;
    checker.stop().await;
    clock.run_for(600 * SECOND).await;
    assert_eq!(second.load(SeqCst), 3);
}

#[tokio::test]
async fn a_check_slower_than_its_interval_runs_back_to_back_and_catches_nothing_up() {
    let (checker, clock) = checker();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let (seen, wait) = (Arc::clone(&starts), clock.clone());
    let config = CheckConfig {
        interval: 2 * SECOND,
        ..CheckConfig::default()
    };
    let slow = move || {
        seen.lock().unwrap().push(wait.now().as_nanos() / 1_000_000_000);
        let nap = nap(&wait, 3 * SECOND);
        async move {
            nap.await;
            Finding::healthy()
        }
    };
    checker
        .add(
            "slow",
            CheckConfig {
                cache: Duration::ZERO,
                ..config
            },
            slow,
        )
        .unwrap();
    checker.start();
    clock.run_for(10 * SECOND).await;
    assert_eq!(*starts.lock().unwrap(), [0, 3, 6, 9]);
}

#[tokio::test]
async fn periodic_runs_end_with_the_last_handle_of_their_checker() {
    let (checker, clock) = checker();
    let (_, runs) = scripted(&checker, "it", CheckConfig::default());
    checker.start();
    clock.run_for(SECOND).await;
    drop(checker);
    clock.run_for(600 * SECOND).await;
    assert_eq!(runs.load(SeqCst), 1);
}

#[tokio::test]
async fn watchers_are_told_of_each_finding() {
    let (checker, clock) = checker();
    let (finding, _) = scripted(&checker, "database", CheckConfig::default());
    let mut watch = checker.watch();
    assert_eq!(watch.get().health, Health::Unknown);
    checker.start();
    clock.run_for(SECOND).await;
    assert!(watch.changed().await.unwrap().is_healthy());
    *finding.lock().unwrap() = Finding::unhealthy("down");
    clock.run_for(30 * SECOND).await;
    assert_eq!(watch.changed().await.unwrap().failed_checks(), ["database"]);
    checker.stop().await;
    drop(checker);
    assert_eq!(watch.changed().await, None);
}

#[test]
fn what_makes_no_sense_is_refused_and_says_why() {
    let checker = HealthChecker::new();
    let refusal = |config| checker.add("it", config, pending::<Finding>).unwrap_err().to_string();
    let config = CheckConfig::default;
    let zero = Duration::ZERO;
    assert!(
        refusal(CheckConfig {
            timeout: zero,
            ..config()
        })
        .contains("timeout is zero")
    );
    assert!(
        refusal(CheckConfig {
            interval: zero,
            ..config()
        })
        .contains("interval is zero")
    );
    assert!(
        refusal(CheckConfig {
            stale_after: 34 * SECOND,
            ..config()
        })
        .contains("stale_after is shorter")
    );
    checker.add("it", config(), pending::<Finding>).unwrap();
    let taken = checker.add("it", config(), pending::<Finding>).unwrap_err();
    assert_eq!(taken, CheckRefused::NameTaken { name: "it".into() });
}

#[test]
fn without_a_runtime_a_check_is_unknown_instead_of_a_panic() {
    let (checker, _) = checker();
    scripted(&checker, "it", CheckConfig::default());
    let mut asked = Box::pin(checker.check("it"));
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    let core::task::Poll::Ready(Some(report)) = asked.as_mut().poll(&mut context) else {
        panic!("it waits");
    };
    assert_eq!(report.message, "no tokio runtime to run the check on");
}

#[tokio::test]
async fn a_question_for_an_unknown_name_makes_no_check() {
    let (checker, _) = checker();
    assert_eq!(checker.check("nobody").await, None);
    assert!(checker.report().checks.is_empty());
}

#[tokio::test]
async fn messages_are_cut_between_characters() {
    let (checker, _) = checker();
    let (finding, _) = scripted(&checker, "it", CheckConfig::default());
    *finding.lock().unwrap() = Finding::unhealthy("ü".repeat(400));
    assert_eq!(checker.check("it").await.unwrap().message, "ü".repeat(256));
}

#[test]
fn a_report_is_read_by_programs_in_snake_case_and_seconds() {
    let (checker, _) = checker();
    scripted(&checker, "database", of(Criticality::Essential));
    assert_eq!(
        serde_json::to_value(checker.report()).unwrap(),
        serde_json::json!({"health": "unknown", "checks": [{
            "name": "database", "criticality": "essential", "health": "unknown", "message": "has not run yet",
            "age_seconds": null, "took_seconds": null, "for_seconds": null, "runs": 0, "failed_in_a_row": 0,
        }]})
    );
}

#[tokio::test]
async fn a_check_that_answers_counts_how_long_it_has_been_so() {
    let (checker, clock) = checker();
    let (finding, _) = scripted(&checker, "it", CheckConfig::default());
    *finding.lock().unwrap() = Finding::from(Ok::<_, &str>(Finding::degraded("slow")));
    checker.check("it").await;
    clock.advance(10 * SECOND);
    let report = checker.check("it").await.unwrap();
    assert_eq!(
        (report.unchanged_for, report.runs, report.failed_in_a_row),
        (Some(10 * SECOND), 2, 2)
    );
    *finding.lock().unwrap() = Finding::from(Ok::<(), &str>(()));
    clock.advance(10 * SECOND);
    let report = checker.check("it").await.unwrap();
    assert_eq!(
        (report.unchanged_for, report.failed_in_a_row),
        (Some(Duration::ZERO), 0)
    );
    assert!(format!("{checker:?}").contains("Healthy"));
}

fn health() -> impl Strategy<Value = Health> {
    prop::sample::select(vec![
        Health::Healthy,
        Health::Unknown,
        Health::Degraded,
        Health::Unhealthy,
    ])
}

fn checks() -> impl Strategy<Value = Vec<CheckReport>> {
    let check =
        (health(), prop::sample::select(Criticality::ALL.to_vec())).prop_map(|(health, criticality)| CheckReport {
            name: "x".into(),
            criticality,
            health,
            message: "".into(),
            age: None,
            took: None,
            unchanged_for: None,
            runs: 0,
            failed_in_a_row: 0,
        });
    prop::collection::vec(check, 1..20)
}

proptest! {
    /// Adding checks never makes the whole look better, and only the wholly healthy are called so.
    #[test]
    fn no_check_hides_another(checks in checks(), more in checks()) {
        let part = HealthReport::of(checks.clone());
        let whole = HealthReport::of(checks.iter().chain(&more).cloned().collect());
        prop_assert!(whole.health >= part.health);
        prop_assert_eq!(part.is_healthy(), checks.iter().all(|check| check.health == Health::Healthy));
        prop_assert_eq!(part.is_healthy(), part.failed_checks().is_empty());
    }

    /// Whatever is asked and however long it hangs: every question is answered in time, and no two runs overlap.
    #[test]
    fn every_question_is_answered_within_the_timeout(naps in prop::collection::vec(0_u64..9_000, 1..20), gaps in prop::collection::vec(0_u64..3_000, 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (checker, clock) = checker();
            let (in_flight, most, turn) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)), AtomicU64::new(0));
            let (wait, peak) = (clock.clone(), Arc::clone(&most));
            checker.add("it", CheckConfig { cache: Duration::ZERO, ..CheckConfig::default() }, move || {
                let turn = usize::try_from(turn.fetch_add(1, SeqCst)).unwrap();
                let nap = nap(&wait, Duration::from_millis(naps[turn % naps.len()]));
                let (running, peak) = (Running::new(&in_flight), Arc::clone(&peak));
                async move {
                    peak.fetch_max(running.0.load(SeqCst), SeqCst);
                    nap.await;
                    drop(running);
                    Finding::healthy()
                }
            }).unwrap();
            for gap in gaps {
                let asked = tokio::spawn({ let checker = checker.clone(); async move { checker.check_all().await } });
                clock.run_for(Duration::from_millis(gap)).await;
                drop(asked);
            }
            let last = tokio::spawn({ let checker = checker.clone(); async move { checker.check_all().await } });
            clock.run_for(5 * SECOND).await;
            assert!(last.is_finished());
            assert_eq!(most.load(SeqCst), 1);
        });
    }
}

/// Counts itself as a run while it lives.
struct Running(Arc<AtomicU32>);

impl Running {
    fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
