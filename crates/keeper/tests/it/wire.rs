//! The wire: what is refused, and how.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use stead_keeper::wire::{Asked, Event, MAX_FRAME, Refusal, Reply, Request, Told, VERSION};
use stead_keeper::{ClientError, Session, socket_path};
use stead_model::{Epoch, Exit};

use crate::home::{Home, Shorthand, instance, order, shell};

/// A client that sends whatever it likes.
struct Raw(UnixStream);

impl Raw {
    fn connect(home: &Home) -> Self {
        Self(UnixStream::connect(socket_path(home.path())).unwrap())
    }

    fn frame(&mut self, text: &[u8]) {
        self.0
            .write_all(&u32::try_from(text.len()).unwrap().to_le_bytes())
            .unwrap();
        self.0.write_all(text).unwrap();
    }

    fn ask(&mut self, id: u64, request: Request) {
        self.frame(&serde_json::to_vec(&Asked { id, request }).unwrap());
    }

    fn hello(&mut self, version: u32, oldest: u32, epoch: u64) {
        let epoch = Epoch(epoch);
        self.ask(1, Request::Hello { version, oldest, epoch });
    }

    fn hear(&mut self) -> Told {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut frame).unwrap();
        serde_json::from_slice(&frame).unwrap()
    }

    fn refused(&mut self) -> (u64, Refusal) {
        match self.hear() {
            Told::Reply {
                to,
                reply: Reply::Refused { code, .. },
            } => (to, code),
            other => panic!("{other:?}"),
        }
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

/// The keeper still serves.
fn serves(home: &mut Home) {
    let mut session = home.session();
    assert_eq!(session.list().unwrap(), []);
}

#[test]
fn a_malformed_frame_ends_its_session_with_a_clear_error() {
    let mut home = Home::new();
    let frames: [&[u8]; 6] = [b"", b"{", b"\xff\xfe", b"[]", b"{\"id\":-1}", b"null"];
    for frame in frames {
        let mut raw = Raw::connect(&home);
        raw.frame(frame);
        assert_eq!(raw.refused().1, Refusal::Malformed, "{frame:?}");
        assert!(raw.is_closed());
    }
    serves(&mut home);
}

#[test]
fn an_oversized_frame_is_refused_before_it_is_read() {
    let mut home = Home::new();
    let mut raw = Raw::connect(&home);
    raw.0
        .write_all(&u32::try_from(MAX_FRAME + 1).unwrap().to_le_bytes())
        .unwrap();
    assert_eq!(raw.refused().1, Refusal::TooLarge);
    assert!(raw.is_closed());
    serves(&mut home);
}

#[test]
fn a_frame_of_the_largest_size_is_read() {
    let mut home = Home::new();
    let mut session = home.session();
    let mut spec = shell("exit 0");
    let long = stead_model::spec::EnvValue::Plain("x".repeat(100_000));
    for number in 0..9 {
        spec.env.insert(format!("V{number}"), long.clone());
    }
    session.spawn(instance(1, 1), spec);
    assert!(session.end(instance(1, 1)).exit.success());
}

#[test]
fn an_unknown_request_is_answered_and_the_session_goes_on() {
    let mut home = Home::new();
    home.session_epoch_at_least(1);
    let mut raw = Raw::connect(&home);
    raw.hello(VERSION, 1, 1);
    assert!(matches!(
        raw.hear(),
        Told::Reply {
            to: 1,
            reply: Reply::Welcome(_)
        }
    ));
    raw.frame(br#"{"id":5,"request":{"dance":{"tempo":3}}}"#);
    assert_eq!(raw.refused(), (5, Refusal::UnknownRequest));
    raw.ask(6, Request::List);
    assert_eq!(
        raw.hear(),
        Told::Reply {
            to: 6,
            reply: Reply::Listed { count: 0 }
        }
    );
}

#[test]
fn versions_are_agreed_upon_or_refused() {
    let mut home = Home::new();
    home.session_epoch_at_least(9);
    let mut raw = Raw::connect(&home);
    raw.hello(VERSION + 1, VERSION, 1);
    assert!(matches!(raw.hear(), Told::Reply { reply: Reply::Welcome(welcome), .. } if welcome.version == VERSION));
    for (newest, oldest) in [(0, 0), (VERSION + 2, VERSION + 1)] {
        let mut raw = Raw::connect(&home);
        raw.hello(newest, oldest, 9);
        assert_eq!(raw.refused().1, Refusal::Version);
        assert!(raw.is_closed());
    }
}

#[test]
fn nothing_is_done_before_hello() {
    let mut home = Home::new();
    let mut raw = Raw::connect(&home);
    raw.ask(3, Request::Shutdown);
    assert_eq!(raw.refused(), (3, Refusal::NoHello));
    assert!(raw.is_closed());
    serves(&mut home);
}

#[test]
fn a_higher_epoch_takes_over_and_a_lower_one_is_refused_also_by_the_next_keeper() {
    let mut home = Home::new();
    let open = |home: &Home, epoch| Session::open(home.path(), Epoch(epoch));
    let refused = |home: &Home, epoch| match open(home, epoch) {
        Err(ClientError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    let mut first = open(&home, 5).unwrap();
    assert_eq!(refused(&home, 4), Refusal::Fenced);
    assert_eq!(refused(&home, 5), Refusal::Taken);
    let second = open(&home, 6).unwrap();
    assert_eq!(first.next_event().unwrap(), Event::Superseded { epoch: Epoch(6) });
    assert!(first.list().is_err());
    drop(second);
    home.kill();
    home.start();
    assert_eq!(refused(&home, 5), Refusal::Fenced);
    drop(open(&home, 6).unwrap());
    home.session_epoch_at_least(6);
}

#[test]
fn a_client_that_reads_nothing_delays_nobody() {
    let mut home = Home::new();
    let mut raw = Raw::connect(&home);
    raw.hello(VERSION, 1, 1);
    raw.0.set_nonblocking(true).unwrap();
    let list = serde_json::to_vec(&Asked {
        id: 7,
        request: Request::List,
    })
    .unwrap();
    let mut frame = u32::try_from(list.len()).unwrap().to_le_bytes().to_vec();
    frame.extend(&list);
    for _ in 0..20_000 {
        // The keeper stops reading from it at some point, or gives it up.
        let _full = raw.0.write(&frame);
    }
    home.session_epoch_at_least(2);
    serves(&mut home);
}

#[test]
fn signals_to_what_is_not_there_are_refused() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    assert_eq!(
        session.refused(Request::KillTree { instance: agent }),
        Refusal::UnknownInstance
    );
    session.spawn(agent, shell("exit 0"));
    session.end(agent);
    assert_eq!(
        session.refused(Request::KillTree { instance: agent }),
        Refusal::WrongState
    );
    assert_eq!(
        session.refused(Request::Freeze { instance: agent }),
        Refusal::WrongState
    );
    session.spawn(instance(2, 1), shell("exec sleep 1000"));
    let living = Request::Acknowledge {
        instance: instance(2, 1),
    };
    assert_eq!(session.refused(living), Refusal::WrongState);
}

#[test]
fn an_end_is_heralded_to_those_who_know_of_it_and_told_to_all() {
    let mut home = Home::new();
    home.session_epoch_at_least(2);
    for (epoch, version, heralds) in [(1, 2, false), (2, VERSION, true)] {
        let mut raw = Raw::connect(&home);
        raw.hello(version, 2, epoch);
        let run = instance(u64::from(version), 1);
        raw.ask(2, order(run, shell("exit 3")));
        let mut heralded = 0;
        let end = loop {
            match raw.hear() {
                Told::Event(Event::Stirring) => heralded += 1,
                Told::Event(Event::Exited { instance, end }) => {
                    assert_eq!(instance, run);
                    break end;
                }
                Told::Event(_) | Told::Reply { .. } => {}
            }
        };
        assert_eq!(end.exit, Exit::Code { code: 3 });
        assert_eq!(heralded > 0, heralds, "version {version}");
    }
}
