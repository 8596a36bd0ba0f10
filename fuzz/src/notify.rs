//! Datagrams on the notify socket of an agent.

use std::fmt::Write as _;

use stead_keeper::notify::{MAX_STATUS, Said, parse};

/// A datagram says something or is malformed, and what it says can be said again.
pub fn notify(bytes: &[u8]) {
    let Some(said) = parse(bytes) else { return };
    let text = std::str::from_utf8(bytes).expect("what is no text says nothing");
    assert!(said.len() <= text.lines().count(), "one thing for each line");
    for one in &said {
        if let Said::Status(status) = one {
            assert!(status.chars().count() <= MAX_STATUS, "a status is bounded");
        }
    }
    if !said.is_empty() {
        assert_eq!(
            parse(written(&said).as_bytes()),
            Some(said),
            "said again it is the same"
        );
    }
}

/// The datagram that says these things.
fn written(said: &[Said]) -> String {
    let mut text = String::new();
    for one in said {
        let line = match one {
            Said::Ready => "READY=1".to_owned(),
            Said::Stopping => "STOPPING=1".to_owned(),
            Said::Reloading => "RELOADING=1".to_owned(),
            Said::Status(status) => format!("STATUS={status}"),
            Said::Watchdog => "WATCHDOG=1".to_owned(),
            Said::WatchdogTrigger => "WATCHDOG=trigger".to_owned(),
            Said::WatchdogInterval(micros) => format!("WATCHDOG_USEC={micros}"),
            Said::ExtendTimeout(micros) => format!("EXTEND_TIMEOUT_USEC={micros}"),
            Said::MainPid(pid) => format!("MAINPID={pid}"),
            Said::Errno(number) => format!("ERRNO={number}"),
            Said::Barrier => "BARRIER=1".to_owned(),
        };
        writeln!(text, "{line}").expect("a text takes every line");
    }
    text
}
