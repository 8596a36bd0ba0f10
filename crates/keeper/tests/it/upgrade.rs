//! The keeper becomes a new version of itself under way.

use stead_keeper::wire::{InstanceState, Notice, Refusal, Request, Target};
use stead_model::{Epoch, Exit, Signal};

use crate::home::{Home, KEEPER, Shorthand, command, instance, shell, until};

fn upgrade(home: &mut Home, mut session: stead_keeper::Session) -> stead_keeper::Session {
    let pid = session.welcome.pid;
    let program = None;
    assert!(session.ask(Request::Upgrade { program }).is_err(), "the session ends");
    let session = home.session();
    assert_eq!(session.welcome.pid, pid);
    session
}

#[test]
fn agents_keep_their_processes_lines_and_exit_codes() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let script =
        "i=0; trap 'exit 4' TERM; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done; while :; do sleep 0.01; done";
    let identity = session.spawn(agent, shell(script));
    for _ in 0..3 {
        session = upgrade(&mut home, session);
    }
    let state = session.view(agent).unwrap().state;
    assert!(matches!(state, InstanceState::Live { identity: found, .. } if found == identity));
    until("all is written", || home.printed(agent).len() == 20_000);
    let expected: Vec<String> = (1..=20_000).map(|number| number.to_string()).collect();
    assert!(home.printed(agent) == expected);
    session.done(Request::Signal {
        instance: agent,
        signal: Signal::TERM,
        target: Target::Leader,
    });
    assert_eq!(
        session.end(agent).exit,
        Exit::Code { code: 4 },
        "it is still the keeper's child"
    );
    session.spawn(instance(1, 2), shell("exit 0"));
    session.end(instance(1, 2));
}

#[test]
fn ends_that_were_not_acknowledged_and_what_was_said_are_carried_along() {
    let mut home = Home::new();
    let mut session = home.session();
    let script = "import os,socket,time; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); a=os.environ['NOTIFY_SOCKET']\n\
                  s.sendto(b'READY=1\\nSTATUS=fine',a)\n\
                  while not os.path.exists(os.environ['STEAD_AGENT_DIR']+'/go'): time.sleep(0.01)\n\
                  s.sendto(b'STATUS=on',a); time.sleep(1000)";
    session.spawn(instance(1, 1), shell("exit 7"));
    let end = session.end(instance(1, 1));
    session.spawn(instance(2, 1), command(&["python3", "-c", script]));
    session.notices(instance(2, 1));
    session = upgrade(&mut home, session);
    assert_eq!(session.view(instance(1, 1)).unwrap().state, InstanceState::Ended(end));
    let state = session.view(instance(2, 1)).unwrap().state;
    assert!(matches!(state, InstanceState::Live { said, .. } if said.ready && said.status.as_deref() == Some("fine")));
    std::fs::write(home.agent_dir(instance(2, 1)).join("home/go"), "").unwrap();
    assert_eq!(session.notices(instance(2, 1)), [Notice::Status(String::from("on"))]);
}

#[test]
fn an_upgrade_to_what_cannot_run_changes_nothing() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let identity = session.spawn(agent, shell("exec sleep 1000"));
    let program = Some(String::from("/no/such/keeper"));
    assert_eq!(session.refused(Request::Upgrade { program }), Refusal::Failed);
    assert_eq!(session.spawn(agent, shell("exec sleep 1000")), identity);
    session.done(Request::KillTree { instance: agent });
    session.end(agent);
    session.spawn(instance(1, 2), shell("exit 0"));
    assert!(session.end(instance(1, 2)).exit.success());
}
#[test]
fn a_keeper_is_told_from_its_program_s_file_and_goes_on_as_another() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(
        agent,
        shell("trap 'exit 4' TERM; echo begun; while :; do sleep 0.01; done"),
    );
    let newer = home.path().join("newer");
    let mut program = std::fs::read(KEEPER).unwrap();
    program.push(0);
    std::fs::write(&newer, program).unwrap();
    std::fs::set_permissions(&newer, std::fs::metadata(KEEPER).unwrap().permissions()).unwrap();
    assert_eq!(
        (session.runs(KEEPER.as_ref()), session.runs(&newer)),
        (Some(true), Some(false))
    );
    assert_eq!(session.runs(&home.path().join("nowhere")), None);
    assert!(session.upgrade(&home.path().join("nowhere")).is_err());
    session.upgrade(&newer).unwrap();
    session = home.session();
    assert_eq!(
        (session.runs(KEEPER.as_ref()), session.runs(&newer)),
        (Some(false), Some(true))
    );
    std::fs::remove_file(&newer).unwrap();
    session.done(Request::Signal {
        instance: agent,
        signal: Signal::TERM,
        target: Target::Leader,
    });
    assert_eq!(session.end(agent).exit, Exit::Code { code: 4 });
}

#[test]
fn a_keeper_that_hands_over_in_a_form_that_is_not_known_here_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let listener = std::os::unix::net::UnixListener::bind(stead_keeper::socket_path(dir.path())).unwrap();
    let later = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let welcome =
            r#"{"reply":{"to":1,"reply":{"welcome":{"version":2,"pid":1,"capacity":9,"cgroups":false,"handover":9}}}}"#;
        stream
            .write_all(&u32::try_from(welcome.len()).unwrap().to_le_bytes())
            .unwrap();
        stream.write_all(welcome.as_bytes()).unwrap();
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).unwrap();
        asked
    });
    let mut session = stead_keeper::Session::open(dir.path(), Epoch(1)).unwrap();
    let refused = session.upgrade(KEEPER.as_ref()).unwrap_err();
    assert!(refused.to_string().contains("form 9"), "{refused}");
    drop(session);
    let asked = String::from_utf8_lossy(&later.join().unwrap()).into_owned();
    assert!(asked.contains("hello") && !asked.contains("upgrade"), "{asked}");
}
