//! What exec probes run and leave behind. Real processes, so real time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use stead_model::spec::{EnvValue, ProcessSpec};
use tokio::time::{Instant, sleep, timeout};

use super::{BOUND, Rig, instance, read, result_of};
use crate::probe::ExecContext;

async fn shell(script: &str) -> Result<(), String> {
    result_of(json!({ "exec": { "command": ["sh", "-c", script] }, "timeout_seconds": 30 })).await
}

/// The result of a script in a directory and environment.
async fn shell_in(process: ProcessSpec, script: &str) -> Result<(), String> {
    let mut rig = Rig::new();
    let probes = read(json!({ "liveness": { "exec": { "command": ["sh", "-c", script] }, "timeout_seconds": 30 } }));
    rig.prober
        .watch(instance(1), probes, ExecContext::of(Some(&process), Instant::now()));
    rig.result().await
}

#[tokio::test]
async fn a_command_that_exits_with_0_is_a_success() {
    assert_eq!(shell("echo fine; echo but >&2; exit 0").await, Ok(()));
}

#[tokio::test]
async fn a_failed_command_is_told_by_its_code_and_first_line() {
    let said = |text: &str| Err(text.to_owned());
    assert_eq!(
        shell("echo checking; echo no database >&2; echo more >&2; exit 1").await,
        said("exit 1: no database")
    );
    assert_eq!(shell("echo queue full; exit 3").await, said("exit 3: queue full"));
    assert_eq!(shell("exit 4").await, said("exit 4"));
    assert_eq!(shell("kill -SEGV $$").await, said("killed by SIGSEGV"));
}

#[tokio::test]
async fn a_command_that_floods_its_output_is_read_to_the_end_and_shown_by_its_first_line() {
    assert_eq!(
        shell("yes | head -c 5000000; exit 3").await,
        Err("exit 3: y".to_owned())
    );
}

#[tokio::test]
async fn a_command_knows_whom_it_looks_at_and_where_the_daemon_is() {
    let mut rig = Rig::new();
    let script =
        "test \"$STEAD_AGENT $STEAD_URL\" = 'db http://127.0.0.1:7' || { echo \"$STEAD_AGENT $STEAD_URL\"; exit 1; }";
    let probes = read(json!({ "liveness": { "exec": { "command": ["sh", "-c", script] }, "timeout_seconds": 30 } }));
    let own = [("STEAD_AGENT", "db"), ("STEAD_URL", "http://127.0.0.1:7")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    rig.prober
        .watch(instance(1), probes, ExecContext::of(None, Instant::now()).with(own));
    assert_eq!(rig.result().await, Ok(()));
}

#[tokio::test]
async fn a_command_runs_in_the_directory_and_environment_of_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key"), "s3cret\n").unwrap();
    let file = dir.path().join("key").to_str().unwrap().to_owned();
    let env = BTreeMap::from([
        ("MODE".to_owned(), EnvValue::Plain("test".to_owned())),
        ("KEY".to_owned(), EnvValue::File { file }),
        ("STEAD_AGENT".to_owned(), EnvValue::Plain("web-1".to_owned())),
        ("STEAD_INSTANCE".to_owned(), EnvValue::Plain("i".to_owned())),
        ("NOTIFY_SOCKET".to_owned(), EnvValue::Plain("n".to_owned())),
    ]);
    let process = ProcessSpec {
        dir: Some(dir.path().to_str().unwrap().to_owned()),
        env,
        ..ProcessSpec::default()
    };
    let script = "echo \"$(ls) $MODE $KEY $STEAD_AGENT [$STEAD_INSTANCE$NOTIFY_SOCKET]\"; exit 1";
    assert_eq!(
        shell_in(process, script).await,
        Err("exit 1: key test s3cret web-1 []".to_owned())
    );
}

#[tokio::test]
async fn what_cannot_be_run_says_why() {
    let missing = json!({ "exec": { "command": ["no-such-program"] } });
    assert_eq!(
        result_of(missing).await,
        Err("cannot run `no-such-program`: no such file or directory".to_owned())
    );
    let nowhere = ProcessSpec {
        dir: Some("/no/such/directory".to_owned()),
        ..ProcessSpec::default()
    };
    assert_eq!(
        shell_in(nowhere, "true").await,
        Err("there is no directory /no/such/directory".to_owned())
    );
    let nobody = ProcessSpec {
        user: Some("no-such-user".to_owned()),
        ..ProcessSpec::default()
    };
    assert_eq!(
        shell_in(nobody, "true").await,
        Err("there is no user `no-such-user` in /etc/passwd".to_owned())
    );
}

#[tokio::test]
async fn a_command_runs_as_the_user_of_the_agent() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let process = ProcessSpec {
        user: Some("4242".to_owned()),
        dir: Some("/".to_owned()),
        ..ProcessSpec::default()
    };
    assert_eq!(
        shell_in(process, "echo $(id -u) $(id -g) $(id -G); exit 1").await,
        Err("exit 1: 4242 4242 4242".to_owned())
    );
}

#[tokio::test]
async fn a_late_command_is_killed_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!(
        "sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; wait",
        pids.display()
    );
    let probe = json!({ "exec": { "command": ["sh", "-c", script] }, "timeout_seconds": 0.5, "period_seconds": 1000 });
    assert_eq!(result_of(probe).await, Err("not done within 500ms".to_owned()));
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_command_under_way_ends_with_the_watch() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!(
        "sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; wait",
        pids.display()
    );
    let rig = Rig::new();
    rig.watch(
        1,
        json!({ "liveness": { "exec": { "command": ["sh", "-c", script] }, "timeout_seconds": 1000 } }),
    );
    until(|| pids.exists()).await;
    rig.prober.unwatch(instance(1));
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_command_that_ends_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!("sleep 1000 & echo $! > {}; echo started; exit 7", pids.display());
    assert_eq!(shell(&script).await, Err("exit 7: started".to_owned()));
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_process_that_left_the_group_does_not_hold_the_result_back() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000' & while ! [ -e {0} ]; do :; done; echo oops >&2; exit 2",
        pid.display()
    );
    let result = shell(&script).await;
    let stray: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(stray).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert_eq!(result, Err("exit 2: oops".to_owned()));
}

/// Waits until none of the processes that a file names is alive.
async fn all_gone(pids: &Path) {
    let pids = fs::read_to_string(pids).unwrap();
    let alive = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state stands behind the name. A zombie has ended; whoever it fell to reaps it or not.
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.starts_with(" Z") && !rest.starts_with(" X"))
    };
    until(|| !pids.split_whitespace().any(alive)).await;
}

/// Waits for a condition.
pub(super) async fn until(met: impl Fn() -> bool) {
    let waiting = async {
        while !met() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(BOUND, waiting).await.expect("the condition is met in time");
}
