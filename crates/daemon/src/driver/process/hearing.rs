//! What the keeper says: read by a task on the thread that acts on it, no faster than that one does.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use stead_keeper::wire::{Event, InstanceState, InstanceView, Refusal, Reply, Told};
use stead_keeper::{Receiver, Sender};
use stead_model::{
    AgentId, AgentName, Exit, Incarnation, InstanceId, LiveInstance, Namespace, Notice, Observation, SpawnFailure,
    SpawnFailureKind,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tracing::warn;

use super::{About, Shared, lock};
use crate::driver::{Driven, Seat};

/// How long the end that the keeper heralds is waited for awake: longer than it takes to be found out, and shorter than to be woken twice.
const STIRRING: Duration = Duration::from_micros(300);

impl Shared {
    /// Reads a session to its end; says why it ended.
    pub(super) async fn read(self: Arc<Self>, sender: Sender, mut receiver: Receiver) -> String {
        let mut survey = Survey::default();
        let ended = |error: &dyn Display| format!("the session with the keeper ended: {error}");
        let stream = match receiver.pollable().and_then(UnixStream::from_std) {
            Ok(stream) => stream,
            Err(error) => return ended(&error),
        };
        let mut behind = false;
        let mut seat = None;
        // Until when something is expected so soon that it is not worth while to sleep.
        let mut awake = None;
        loop {
            if seat.is_none() {
                seat = Some(self.seats.take().await);
            }
            let interest = if behind {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            if awake.is_some_and(|until| Instant::now() < until) {
                tokio::task::yield_now().await;
            } else {
                awake = None;
                tokio::select! {
                    ready = stream.ready(interest) => if let Err(error) = ready {
                        return ended(&error);
                    },
                    () = self.behind.notified() => behind = true,
                }
            }
            if behind {
                let sent = stream.try_io(Interest::WRITABLE, || match sender.catch_up() {
                    Ok(true) => Ok(Ok(())),
                    Ok(false) => Err(ErrorKind::WouldBlock.into()),
                    Err(error) => Ok(Err(error)),
                });
                match sent {
                    Ok(Ok(())) => behind = false,
                    Ok(Err(error)) => return ended(&error),
                    // The keeper takes no more for now.
                    Err(_) => {}
                }
            }
            let heard = stream.try_io(Interest::READABLE, || match receiver.hear_now() {
                Ok(None) => Err(ErrorKind::WouldBlock.into()),
                Ok(Some(told)) => Ok(Ok(told)),
                Err(error) => Ok(Err(error)),
            });
            match heard {
                Ok(Ok(told)) => {
                    let stirs = matches!(told, Told::Event(Event::Stirring));
                    awake = stirs.then(|| Instant::now() + STIRRING);
                    self.told(told, &mut survey, &seat.take().unwrap_or_default());
                }
                Ok(Err(error)) => return ended(&error),
                // There is no more for now.
                Err(_) => {}
            }
        }
    }

    fn told(&self, told: Told, survey: &mut Survey, seat: &Seat) {
        match told {
            Told::Event(event) => self.event(event, seat),
            Told::Reply { to, reply } => self.reply(to, reply, survey, seat),
        }
    }

    fn event(&self, event: Event, seat: &Seat) {
        match event {
            Event::Exited { instance, end } => self.observed(
                Observation::Exited {
                    instance,
                    exit: end.exit,
                    swept: end.swept,
                },
                seat,
            ),
            Event::Notified { instance, notices } => {
                for notice in notices.into_iter().filter_map(notice) {
                    self.observed(Observation::Notified { instance, notice }, seat);
                }
            }
            Event::Stirring => (self.sink)(Driven::Stirring, seat.clone()),
            Event::Superseded { epoch } => warn!(%epoch, "another daemon took over the keeper"),
        }
    }

    fn reply(&self, to: u64, reply: Reply, survey: &mut Survey, seat: &Seat) {
        let about = lock(&self.under_way).remove(&to);
        match reply {
            Reply::Spawned { instance, identity } => self.observed(
                Observation::Spawned {
                    instance,
                    result: Ok(identity),
                },
                seat,
            ),
            Reply::SpawnFailed { instance, failure } => self.observed(
                Observation::Spawned {
                    instance,
                    result: Err(failure),
                },
                seat,
            ),
            Reply::Done => self.prepared(about, Ok(()), seat),
            Reply::Unfit { failure } => self.prepared(about, Err(failure), seat),
            Reply::Instance(view) => survey.note(*view),
            Reply::Listed { .. } => {
                let Survey { live, exited, names } = std::mem::take(survey);
                (self.sink)(Driven::Surveyed { live, exited, names }, seat.clone());
            }
            Reply::Refused { code, detail, newest } => match (newest, &about) {
                (Some(newest), Some(About::Starting(instance))) => self.outnumbered(*instance, newest, seat),
                (Some(newest), Some(About::Beginning(order))) => self.outnumbered(order.instance, newest, seat),
                (Some(_), Some(About::Preparing(_) | About::Ending(_)) | None) | (None, _) => {
                    self.refused(about, code, detail, seat);
                }
            },
            Reply::Welcome(_) => {}
        }
    }

    fn prepared(&self, about: Option<About>, result: Result<(), SpawnFailure>, seat: &Seat) {
        if let Some(About::Preparing(agent)) = about {
            self.observed(Observation::Prepared { agent, result }, seat);
        }
    }

    /// A refused order is an answer too: what is not there cannot be ended, what was not started may be tried again.
    fn refused(&self, about: Option<About>, code: Refusal, detail: String, seat: &Seat) {
        let about = match about {
            Some(About::Beginning(order)) if code == Refusal::Unforeseen => return self.order_start(order),
            Some(About::Beginning(order)) => Some(About::Starting(order.instance)),
            about @ (Some(About::Preparing(_) | About::Starting(_) | About::Ending(_)) | None) => about,
        };
        warn!(?about, ?code, detail, "the keeper refused an order");
        let kind = SpawnFailureKind::Resources;
        match (about, code) {
            (Some(About::Ending(instance)), Refusal::UnknownInstance) => self.observed(
                Observation::Exited {
                    instance,
                    exit: Exit::Unknown,
                    swept: 0,
                },
                seat,
            ),
            (Some(About::Starting(instance)), _) => self.observed(
                Observation::Spawned {
                    instance,
                    result: Err(SpawnFailure { kind, detail }),
                },
                seat,
            ),
            (about @ Some(About::Preparing(_)), _) => self.prepared(about, Err(SpawnFailure { kind, detail }), seat),
            // One that has just ended is told of by its end.
            (Some(About::Beginning(_) | About::Ending(_)) | None, _) => {}
        }
    }

    /// Runs of an earlier store had these numbers already.
    fn outnumbered(&self, instance: InstanceId, newest: Incarnation, seat: &Seat) {
        warn!(%instance, %newest, "the keeper knows a later run of it; its next one is numbered beyond");
        self.observed(Observation::Outnumbered { instance, newest }, seat);
    }

    fn observed(&self, observation: Observation, seat: &Seat) {
        (self.sink)(Driven::Observed(observation), seat.clone());
    }
}

/// What a list has shown so far.
#[derive(Debug, Default)]
struct Survey {
    live: Vec<LiveInstance>,
    exited: Vec<(InstanceId, Exit)>,
    names: BTreeMap<AgentId, (Namespace, AgentName)>,
}

impl Survey {
    fn note(&mut self, view: InstanceView) {
        self.names.insert(view.instance.agent, (view.namespace, view.name));
        match view.state {
            InstanceState::Live { identity, said, .. } => {
                self.live.push(LiveInstance {
                    instance: view.instance,
                    process: identity,
                    ready: said.ready,
                });
            }
            InstanceState::Ended(end) => self.exited.push((view.instance, end.exit)),
        }
    }
}

/// Turns the keeper's word into ours. What a later keeper says and nobody here knows is nothing.
fn notice(told: stead_keeper::wire::Notice) -> Option<Notice> {
    use stead_keeper::wire::Notice as Told;
    match told {
        Told::Ready => Some(Notice::Ready),
        Told::Stopping => Some(Notice::Stopping),
        Told::Reloading => Some(Notice::Reloading),
        Told::Status(text) => Some(Notice::Status { text }),
        Told::Watchdog => Some(Notice::Watchdog),
        Told::WatchdogTrigger => Some(Notice::WatchdogTrigger),
        Told::ExtendTimeout(micros) => Some(Notice::ExtendTimeout { micros }),
        Told::Errno(number) => Some(Notice::Status {
            text: format!("errno {number}"),
        }),
        Told::WatchdogInterval(micros) => Some(Notice::WatchdogInterval { micros }),
        Told::MainProcess(process) => Some(Notice::MainProcess { process }),
        Told::Other => None,
    }
}
