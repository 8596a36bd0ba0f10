//! Word to the supervisor over its notify socket, in the protocol of `sd_notify`, from a thread of its own.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::pulse::Pulse;
use crate::runtime::{Runtime, RuntimeState};
use crate::stagger::stagger;

/// The socket of whoever supervises this process, and how often it wants to hear of it.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
    last: String,
}

impl Notifier {
    /// Finds the socket of `NOTIFY_SOCKET`, if there is one, and the interval of `WATCHDOG_USEC`.
    pub(crate) fn from_env() -> io::Result<Option<Self>> {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        let watchdog = micros.filter(|micros| *micros > 0).map(Duration::from_micros);
        Self::open(&name, watchdog).map(Some)
    }

    fn open(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(hidden) => SocketAddr::from_abstract_name(hidden)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            watchdog,
            last: String::new(),
        })
    }

    /// Tells of the runtime until `gone`: ready, what it does, that it lives, and once `leaving` that it goes down.
    pub(crate) async fn tell(
        mut self,
        runtime: Runtime,
        pulse: Pulse,
        leaving: CancellationToken,
        gone: CancellationToken,
    ) {
        let mut changes = runtime.changes();
        let mut ready = false;
        // Sent with three in each interval, so that two may be late; the first at a place of its own, so that not all agents
        // beat at once.
        let interval = self.watchdog.map_or(LOOK, |watchdog| watchdog / 3).min(LOOK);
        let mut wait = stagger(interval);
        loop {
            let state = *changes.borrow_and_update();
            if !ready && let RuntimeState::Running | RuntimeState::Paused = state {
                ready = true;
                self.send("READY=1");
            }
            if leaving.is_cancelled() {
                self.send_new("STOPPING=1");
            }
            self.send_status(&runtime, state);
            tokio::select! {
                _changed = changes.changed() => continue,
                () = leaving.cancelled(), if !leaving.is_cancelled() => continue,
                () = gone.cancelled() => break,
                () = tokio::time::sleep(wait) => wait = interval,
            }
            // A loop that hangs is not told to be well: whoever watches restarts it.
            if self.watchdog.is_some() && pulse.stopped_for().is_none() && runtime.failure().is_none() {
                self.send("WATCHDOG=1");
            }
        }
        self.send_status(&runtime, runtime.state());
    }

    fn send_status(&mut self, runtime: &Runtime, state: RuntimeState) {
        let in_flight = runtime.in_flight();
        let said = match state {
            RuntimeState::Starting => "starting".to_owned(),
            RuntimeState::Running => format!("running: {in_flight} in flight"),
            RuntimeState::Paused => match runtime.paused().and_then(|paused| paused.note) {
                Some(note) => format!("paused ({}): {in_flight} in flight", note.replace('\n', " ")),
                None => format!("paused: {in_flight} in flight"),
            },
            RuntimeState::Stopping => format!("draining: {in_flight} in flight"),
            RuntimeState::Stopped => format!("stopped: {} to be resumed", runtime.to_be_resumed()),
        };
        let status = format!("STATUS={said}");
        if self.last != status {
            self.send(&status);
            self.last = status;
        }
    }

    fn send_new(&mut self, word: &str) {
        if !self.last.starts_with(word) {
            self.send(word);
            word.clone_into(&mut self.last);
        }
    }

    /// Sends, or lets it be where nobody listens: the next word comes soon.
    fn send(&self, word: &str) {
        if let Err(error) = self.socket.send(word.as_bytes()) {
            debug!(%error, word, "NotifyUnheard");
        }
    }
}

/// How often it looks whether there is something new to tell.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, EntryPoint, Submission};

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_supervisor_hears_that_it_is_ready_that_it_lives_what_it_does_and_that_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let supervisor = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::open(path.as_os_str(), Some(Duration::from_millis(30))).unwrap();
        let work = EntryPoint::new("work", async |call: Call| {
            call.winding_down().await;
            Ok::<_, String>(())
        });
        let runtime = Runtime::builder().entry_point(work).build().unwrap();
        let pulse = Pulse::begin(runtime.handle(), Duration::from_secs(30));
        let (leaving, gone) = (CancellationToken::new(), CancellationToken::new());
        let telling = tokio::spawn(notifier.tell(runtime.clone(), pulse, leaving.clone(), gone.clone()));
        let (told, hearing) = std::sync::mpsc::channel();
        std::thread::spawn(move || while told.send(heard(&supervisor)).is_ok() {});
        let wait_for = async |word: &str| {
            for _ in 0..2_000 {
                if hearing.try_iter().any(|heard: String| heard == word) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("never heard {word}");
        };
        wait_for("STATUS=stopped: 0 to be resumed").await;
        runtime.start().await.unwrap();
        wait_for("READY=1").await;
        wait_for("WATCHDOG=1").await;
        runtime.submit(Submission::new("work", &()).unwrap()).await.unwrap();
        wait_for("STATUS=running: 1 in flight").await;
        leaving.cancel();
        wait_for("STOPPING=1").await;
        runtime.stop().await.unwrap();
        gone.cancel();
        telling.await.unwrap();
        wait_for("STATUS=stopped: 0 to be resumed").await;
    }

    #[tokio::test]
    async fn a_supervisor_that_is_away_is_told_nothing_and_harms_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        drop(UnixDatagram::bind(&path).unwrap());
        assert!(Notifier::open(path.as_os_str(), None).is_err());
    }
}
