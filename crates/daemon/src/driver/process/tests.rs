use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use stead_keeper::wire::{Asked, Event, Inbox, Notice, Reply, Told, VERSION, encode};
use stead_model::{Incarnation, Observation, Slot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::driver::MOST_TOLD;

/// What was told, with what it holds until it is acted on.
type Heard = Arc<Mutex<Vec<(Driven, Seat)>>>;

/// Says all these words to the first who says hello, and waits for the end of the session.
fn keeper(listener: &UnixListener, words: usize) {
    let hello = || {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = next(&mut stream, &mut Inbox::default())?;
        Some((stream, asked.id))
    };
    // Others only look whether somebody is there.
    let (mut stream, to) = std::iter::from_fn(|| Some(hello())).flatten().next().unwrap();
    let welcome = Welcome {
        version: VERSION,
        pid: 1,
        capacity: 1,
        cgroups: false,
        handover: 1,
    };
    let reply = Reply::Welcome(welcome);
    let mut frames = Vec::new();
    encode(&Told::Reply { to, reply }, &mut frames).unwrap();
    for number in 0..words {
        let notices = vec![Notice::Status(number.to_string())];
        let instance = instance();
        encode(&Told::Event(Event::Notified { instance, notices }), &mut frames).unwrap();
    }
    stream.write_all(&frames).unwrap();
    let mut inbox = Inbox::default();
    while next(&mut stream, &mut inbox).is_some_and(|asked| asked.request != Request::Shutdown) {}
}

fn next(stream: &mut UnixStream, inbox: &mut Inbox) -> Option<Asked> {
    loop {
        if let Some(frame) = inbox.take_frame().unwrap() {
            return Some(serde_json::from_slice(&frame).unwrap());
        }
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer).unwrap_or(0) {
            0 => return None,
            length => inbox.extend(&buffer[..length]),
        }
    }
}

fn instance() -> InstanceId {
    let slot = Slot::all().next().unwrap();
    InstanceId {
        agent: AgentId::new(slot, 1),
        incarnation: Incarnation(1),
    }
}

/// Gives the reader turns until something holds, at most for a minute.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_keeper_is_listened_to_as_fast_as_what_it_says_is_acted_on_and_nothing_is_lost() {
    let words = 3 * MOST_TOLD;
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(stead_keeper::socket_path(dir.path())).unwrap();
    let keeper = std::thread::spawn(move || keeper(&listener, words));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let heard = Heard::default();
    let (told, count) = (Arc::clone(&heard), || lock(&heard).len());
    let settings = KeeperSettings {
        program: "/no/such/keeper".into(),
        state_dir: dir.path().to_owned(),
        env: BTreeMap::new(),
    };
    let messengers = {
        let _inside = runtime.enter();
        let closing = CancellationToken::new();
        let prober = Prober::new(|_| {}, closing.clone(), TaskTracker::new());
        (prober, Courier::new(|_| {}, closing, TaskTracker::new()))
    };
    let (mut driver, _info) = ProcessDriver::start(settings, Epoch(1), messengers, runtime.handle().clone(), {
        move |driven, seat| {
            if matches!(driven, Driven::Observed(_)) {
                lock(&told).push((driven, seat));
            }
        }
    })
    .unwrap();
    let mut acted = Vec::new();
    runtime.block_on(async {
        while acted.len() + MOST_TOLD <= words {
            until("so many wait", || count() == MOST_TOLD).await;
            // It has every chance to hear more, and most of it is there to be heard.
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            assert_eq!(count(), MOST_TOLD);
            acted.extend(lock(&heard).drain(..).map(|(driven, _seat)| driven));
        }
    });
    driver.dismiss();
    runtime.block_on(until("the session ends", || keeper.is_finished()));
    let numbers = acted.into_iter().map(|driven| match driven {
        Driven::Observed(Observation::Notified {
            notice: stead_model::Notice::Status { text },
            ..
        }) => text.parse().unwrap(),
        other => panic!("{other:?}"),
    });
    assert_eq!(numbers.collect::<Vec<usize>>(), (0..words).collect::<Vec<_>>());
}
