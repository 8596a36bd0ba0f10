//! Starting, ending, and what keeps a process from starting.

use std::os::unix::fs::PermissionsExt;

use stead_keeper::Session;
use stead_keeper::wire::{InstanceState, Refusal, Reply, Request, Target};
use stead_model::spec::{EnvValue, Limits};
use stead_model::{Epoch, Exit, Signal, SpawnFailureKind};

use crate::home::{Home, KEEPER, Shorthand, command, instance, lives, number_in, order, shell, until};
use crate::skip;

#[test]
fn an_exit_is_told_with_its_code_and_kept_until_it_is_acknowledged() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(agent, shell("exit 3"));
    assert_eq!(session.end(agent).exit, Exit::Code { code: 3 });
    drop(session);

    let mut session = home.session();
    let view = session.view(agent).unwrap();
    assert!(matches!(view.state, InstanceState::Ended(end) if end.exit == Exit::Code { code: 3 }));
    session.acknowledge(agent).unwrap();
    assert_eq!(session.view(agent), None);
    session.acknowledge(agent).unwrap();
}

#[test]
fn nothing_is_left_of_a_run_that_is_acknowledged_and_not_followed_by_another() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(agent, shell("exit 0"));
    session.end(agent);
    session.acknowledge(agent).unwrap();
    until("nothing is left of it", || home.made_for(agent).is_empty());
}

#[test]
fn what_was_made_for_a_run_that_was_never_ordered_is_removed_by_the_next_keeper() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(agent, shell("exit 0"));
    session.end(agent);
    // A later answer shows that the next run was foreseen by now.
    session.list().unwrap();
    assert!(!home.made_for(agent).is_empty());
    home.kill();
    drop(session);

    home.start();
    let mut session = home.session();
    assert!(session.view(agent).is_some());
    until("nothing is left of it", || home.made_for(agent).is_empty());
}

#[test]
fn a_signal_is_told_as_a_signal() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(agent, shell("exec sleep 1000"));
    session.done(Request::Signal {
        instance: agent,
        signal: Signal::TERM,
        target: Target::Leader,
    });
    let signal = Signal::TERM;
    assert_eq!(session.end(agent).exit, Exit::Signal { signal, core: false });
}

#[test]
fn the_same_order_twice_starts_one_process() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let first = session.spawn(agent, shell("exec sleep 1000"));
    assert_eq!(session.spawn(agent, shell("exec sleep 1000")), first);
}

#[test]
fn an_older_run_is_refused_once_a_newer_one_is_known() {
    let mut home = Home::new();
    let mut session = home.session();
    session.spawn(instance(1, 5), shell("exit 0"));
    session.end(instance(1, 5));
    assert_eq!(session.refused(order(instance(1, 4), shell("exit 0"))), Refusal::Stale);
    session.acknowledge(instance(1, 5)).unwrap();
    assert_eq!(session.refused(order(instance(1, 5), shell("exit 0"))), Refusal::Stale);
    session.spawn(instance(1, 6), shell("exit 0"));
}

#[test]
fn a_newer_run_does_not_start_beside_an_older_one() {
    let mut home = Home::new();
    let mut session = home.session();
    session.spawn(instance(1, 1), shell("exec sleep 1000"));
    assert_eq!(
        session.refused(order(instance(1, 2), shell("exit 0"))),
        Refusal::OlderLives
    );
    session.done(Request::KillTree {
        instance: instance(1, 1),
    });
    session.end(instance(1, 1));
    session.spawn(instance(1, 2), shell("exec sleep 1000"));
}

#[test]
fn what_keeps_a_process_from_starting_is_said() {
    let mut home = Home::new();
    let mut session = home.session();
    let text = home.path().join("text");
    std::fs::write(&text, "no program\n").unwrap();
    let script = home.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut in_dir = shell("exit 0");
    in_dir.dir = Some(String::from("/no/such/directory"));
    let mut as_user = shell("exit 0");
    as_user.user = Some(String::from("no-such-user"));
    let mut with_file = shell("exit 0");
    let file = String::from("/no/such/secret");
    with_file.env.insert(String::from("KEY"), EnvValue::File { file });
    let cases = [
        (
            command(&["no-such-program"]),
            SpawnFailureKind::NotFound,
            "no-such-program",
        ),
        (
            command(&["/no/such/program"]),
            SpawnFailureKind::NotFound,
            "/no/such/program",
        ),
        (
            command(&[text.to_str().unwrap()]),
            SpawnFailureKind::NotExecutable,
            "executable",
        ),
        (
            command(&[script.to_str().unwrap()]),
            SpawnFailureKind::NotFound,
            "interpreter",
        ),
        (in_dir, SpawnFailureKind::Directory, "/no/such/directory"),
        (as_user, SpawnFailureKind::User, "no-such-user"),
        (with_file, SpawnFailureKind::Setting, "/no/such/secret"),
    ];
    for (spec, kind, word) in cases {
        let failure = session.spawn_fails(instance(1, 1), spec);
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.detail.contains(word), "{failure:?}");
    }
    assert_eq!(session.list().unwrap(), []);
    // What failed left nothing behind that would keep the same order from succeeding.
    session.spawn(instance(1, 1), shell("exit 0"));
    assert!(session.end(instance(1, 1)).exit.success());
}

#[test]
fn preparing_finds_the_same_faults_and_starts_nothing() {
    let mut home = Home::new();
    let mut session = home.session();
    let kind = session
        .prepare(command(&["no-such-program"]))
        .unwrap()
        .unwrap_err()
        .kind;
    assert_eq!(kind, SpawnFailureKind::NotFound);
    session.prepare(command(&["sh", "-c", "exit 1"])).unwrap().unwrap();
    assert_eq!(session.list().unwrap(), []);
}

#[test]
fn limits_directory_and_environment_are_in_force() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 3);
    let mut spec = shell(
        "ulimit -n; ulimit -c; pwd; echo $OWN $STEAD_AGENT $STEAD_INCARNATION $STEAD_EPOCH; cat /proc/self/status | grep SigBlk",
    );
    spec.limits = Limits {
        open_files: Some(123),
        core: Some(stead_model::Bytes(0)),
        ..Limits::default()
    };
    spec.dir = Some(String::from("/usr"));
    let secret = String::from("own");
    spec.env.insert(String::from("OWN"), EnvValue::Secret { secret });
    session.spawn(agent, spec);
    session.end(agent);
    until("all is printed", || home.printed(agent).len() == 5);
    assert_eq!(
        home.printed(agent),
        ["123", "0", "/usr", "own agent-1 3 1", "SigBlk:\t0000000000000000"]
    );
}

#[test]
fn another_user_is_taken_on_with_its_groups() {
    if !rustix::process::geteuid().is_root() {
        return skip::without_root("only root starts a program as somebody else");
    }
    let mut home = Home::new();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let mut session = home.session();
    let agent = instance(1, 1);
    let mut spec = shell("id -u; id -G; echo > $STEAD_AGENT_DIR/own && echo again > /dev/stdout");
    spec.user = Some(String::from("65534"));
    spec.dir = Some(String::from("/"));
    session.spawn(agent, spec);
    assert!(session.end(agent).exit.success());
    until("all is printed", || home.printed(agent).len() == 3);
    assert_eq!(home.printed(agent), ["65534", "65534", "again"]);
}

#[test]
fn the_keeper_leaves_when_told_and_its_agents_live_on() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let pid = session.spawn(agent, shell("exec sleep 1000")).pid;
    assert_eq!(session.ask(Request::Shutdown).unwrap(), Reply::Done);
    home.left();
    assert!(lives(pid));
    home.start();
    assert!(home.session().view(agent).is_some());
}

#[test]
fn a_second_keeper_is_refused_and_told_who_holds_the_directory() {
    let home = Home::new();
    let output = home.command().stderr(std::process::Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains(&format!("process {}", home.keeper_pid())), "{said}");
}

#[test]
fn a_launched_keeper_is_detached_and_found_again() {
    let dir = tempfile::Builder::new().prefix("stead-l").tempdir().unwrap();
    let program = std::path::Path::new(KEEPER);
    stead_keeper::launch(program, dir.path()).unwrap();
    let mut session = Session::open(dir.path(), Epoch(1)).unwrap();
    let pid = session.welcome.pid;
    stead_keeper::launch(program, dir.path()).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_ne!(fields[1], std::process::id().to_string(), "it is nobody's child");
    assert_eq!(fields[3], pid.to_string(), "it leads a session of its own");
    session.done(Request::Shutdown);
    until("it is gone", || !lives(pid));
}

#[test]
fn a_launch_that_fails_says_why() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = stead_keeper::launch(std::path::Path::new(KEEPER), file.path()).unwrap_err();
    assert!(error.to_string().contains("cannot use"), "{error}");
    let long = tempfile::tempdir().unwrap();
    let error = stead_keeper::launch(std::path::Path::new(KEEPER), &long.path().join("x".repeat(90))).unwrap_err();
    assert!(error.to_string().contains("shorter"), "{error}");
}

#[test]
fn agents_inherit_neither_descriptors_nor_what_stead_told_the_keeper() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let count = home.path().join("count");
    let script = format!("ls /proc/self/fd | wc -l > {}; exec sleep 1000", count.display());
    session.spawn(agent, shell(&script));
    // Input, output, errors, and the one that ls reads the directory by.
    assert_eq!(number_in(&count), 4);
}
