//! Notify sockets, with a client of another language.

use std::os::unix::net::UnixDatagram;

use stead_keeper::wire::{InstanceState, Notice, Request, Said};

use crate::home::{Home, Shorthand, command, instance, lives, number_in, shell, until};

/// What sd_notify does, and a barrier as libsystemd sends it.
const CLIENT: &str = r#"
import array, os, select, socket, subprocess, sys, time
address = os.environ["NOTIFY_SOCKET"]
def notify(text, fds=()):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sock.sendmsg([text.encode()], rights, 0, address)
def barrier():
    reader, writer = os.pipe()
    notify("BARRIER=1", [writer])
    os.close(writer)
    ready = select.select([reader], [], [], 20)[0]
    os.close(reader)
    return bool(ready)
"#;

fn python(script: &str) -> stead_model::spec::ProcessSpec {
    command(&["python3", "-c", &format!("{CLIENT}\n{script}")])
}

#[test]
fn what_an_agent_says_is_told_in_its_order_and_remembered() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let mut spec = python(
        "notify('READY=1\\nSTATUS=at work\\nX_IGNORED=7')\n\
         notify('nonsense')\n\
         notify('WATCHDOG=1')\nnotify('EXTEND_TIMEOUT_USEC=5000000')\n\
         notify('STOPPING=1\\nERRNO=5')\n\
         assert os.environ['WATCHDOG_USEC'] == '3000000'\n\
         time.sleep(1000)",
    );
    spec.notify = true;
    spec.watchdog = Some(stead_model::Span::secs(3));
    session.spawn(agent, spec);
    let status = String::from("at work");
    assert_eq!(session.notices(agent), [Notice::Ready, Notice::Status(status.clone())]);
    assert_eq!(session.notices(agent), [Notice::Watchdog]);
    assert_eq!(session.notices(agent), [Notice::ExtendTimeout(5_000_000)]);
    assert_eq!(session.notices(agent), [Notice::Stopping, Notice::Errno(5)]);
    let InstanceState::Live { said, .. } = session.view(agent).unwrap().state else {
        panic!("it lives")
    };
    assert!(said.watchdog_at.is_some());
    let expected = Said {
        ready: true,
        stopping: true,
        status: Some(status),
        malformed: 1,
        watchdog_at: said.watchdog_at,
    };
    assert_eq!(said, expected);
}

#[test]
fn a_barrier_is_passed_once_all_before_it_is_done() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(
        agent,
        python("for i in range(300): notify(f'STATUS={i}')\nsys.exit(0 if barrier() else 1)"),
    );
    assert!(session.end(agent).exit.success(), "the barrier was passed");
    let before = session.list().unwrap();
    assert_eq!(before.len(), 1);
}

#[test]
fn what_was_said_just_before_the_end_is_told_before_the_end() {
    let mut home = Home::new();
    let mut session = home.session();
    for run in 1..=10 {
        let agent = instance(1, run);
        session.spawn(agent, python("notify('STATUS=last words')"));
        assert_eq!(session.notices(agent), [Notice::Status(String::from("last words"))]);
        session.end(agent);
        session.acknowledge(agent).unwrap();
    }
}

#[test]
fn another_main_process_is_accepted_inside_the_tree_only() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let outside = std::process::id();
    let script = format!(
        "notify('MAINPID={outside}')\n\
         child = subprocess.Popen(['sh', '-c', 'sleep 1000; exit 6'], start_new_session=True)\n\
         notify(f'MAINPID={{child.pid}}\\nREADY=1')\nbarrier()\nos._exit(0)"
    );
    let first = session.spawn(agent, python(&script));
    let notices = session.notices(agent);
    let [Notice::MainProcess(main), Notice::Ready] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert!(main.pid != first.pid && main.pid != i32::try_from(outside).unwrap());
    until("the first process is gone", || !lives(first.pid));
    let InstanceState::Live { identity, .. } = session.view(agent).unwrap().state else {
        panic!("it lives")
    };
    assert_eq!(identity, *main);
    session.done(Request::KillTree { instance: agent });
    session.end(agent);
    until("its tree is gone", || !lives(main.pid));
}

#[test]
fn the_socket_is_the_instances_alone() {
    let mut home = Home::new();
    let mut session = home.session();
    let paths: Vec<_> = (1..=2)
        .map(|number| {
            let agent = instance(number, 1);
            let file = home.path().join(format!("socket-{number}"));
            let script = format!(
                "echo $NOTIFY_SOCKET > {0}.new; mv {0}.new {0}; exec sleep 1000",
                file.display()
            );
            session.spawn(agent, shell(&script));
            until("the path is written", || file.exists());
            std::fs::read_to_string(file).unwrap().trim().to_owned()
        })
        .collect();
    assert_ne!(paths[0], paths[1]);
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(b"READY=1", &paths[1]).unwrap();
    assert_eq!(session.notices(instance(2, 1)), [Notice::Ready]);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&paths[1]).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_adopted_agent_goes_on_notifying() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let go = home.path().join("go");
    let ready = home.path().join("ready");
    let script = format!(
        "open('{1}', 'w').write('1\\n')\nwhile not os.path.exists('{0}'): time.sleep(0.01)\nnotify('STATUS=again')\ntime.sleep(1000)",
        go.display(),
        ready.display()
    );
    session.spawn(agent, python(&script));
    number_in(&ready);
    home.kill();
    home.start();
    let mut session = home.session();
    std::fs::write(&go, "").unwrap();
    assert_eq!(session.notices(agent), [Notice::Status(String::from("again"))]);
}
