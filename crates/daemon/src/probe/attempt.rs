//! One attempt of a probe: its turn under the bounds, its timeout, its outcome in a few words.

use std::io;

use stead_model::Span;
use stead_model::spec::{Probe, ProbeAction};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{EXECS, ExecContext, REQUESTS, exec, grpc, http, socket};

/// How much is under way at once, over all agents.
pub(super) struct Bounds {
    execs: Semaphore,
    requests: Semaphore,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            execs: Semaphore::new(EXECS),
            requests: Semaphore::new(REQUESTS),
        }
    }
}

/// Why an attempt did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// What was seen of the agent.
    Seen(String),
    /// What this machine lacked, so that nothing was seen.
    Own(String),
}

impl Fault {
    pub(super) fn seen(what: impl Into<String>) -> Self {
        Self::Seen(what.into())
    }

    /// Of an error of the system, after `doing` if that is not empty.
    pub(super) fn of(error: &io::Error, doing: &str) -> Self {
        let words = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
            io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
            io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => CUT.to_owned(),
            _ => without_number(&error.to_string()),
        };
        let words = if doing.is_empty() {
            words
        } else {
            format!("{doing}: {words}")
        };
        if is_shortage(error) {
            Self::Own(words)
        } else {
            Self::Seen(words)
        }
    }
}

/// What is seen of an answer that ends too soon.
pub(super) const CUT: &str = "connection closed before the answer was complete";

/// Makes one attempt. Dropping it ends what is under way.
pub(super) async fn attempt(probe: &Probe, context: &ExecContext, bounds: &Bounds) -> Result<(), Fault> {
    let (bound, late) = match &probe.action {
        ProbeAction::Exec(_) => (&bounds.execs, "not done within"),
        ProbeAction::HttpGet(_) | ProbeAction::TcpSocket(_) | ProbeAction::Grpc(_) => {
            (&bounds.requests, "no answer within")
        }
    };
    let _permit = bound.acquire().await.map_err(|closed| Fault::Own(closed.to_string()))?;
    let patience = probe.timeout.duration();
    let outcome = timeout(patience, async {
        match &probe.action {
            ProbeAction::HttpGet(action) => http::get(action).await,
            ProbeAction::TcpSocket(action) => socket::connect(action.host.as_deref(), action.port).await.map(drop),
            ProbeAction::Exec(action) => exec::run(action, context).await,
            ProbeAction::Grpc(action) => grpc::check(action, patience).await,
        }
    });
    outcome
        .await
        .unwrap_or_else(|_elapsed| Err(Fault::Seen(format!("{late} {}", Span(patience)))))
}

/// The text of an error of the system without its number.
fn without_number(text: &str) -> String {
    text.split(" (os error").next().unwrap_or(text).to_lowercase()
}

/// Whether this machine ran short of something, so that the other side is not to blame.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [
        Errno::AGAIN,
        Errno::NOMEM,
        Errno::MFILE,
        Errno::NFILE,
        Errno::ADDRNOTAVAIL,
        Errno::NOBUFS,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| shortages.iter().any(|errno| errno.raw_os_error() == code))
}
