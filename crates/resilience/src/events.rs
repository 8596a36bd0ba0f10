//! What policies tell whoever listens, without waiting for them.

use core::fmt;
use std::sync::OnceLock;

use tokio::sync::broadcast;

/// A policy's events. Until somebody listens, telling costs one load; a listener that is slow loses the oldest events and
/// learns how many, and a listener that panics does so in its own task. Neither is waited for.
pub(crate) struct Events<T>(OnceLock<broadcast::Sender<T>>);

impl<T: Clone> Events<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Tells `event`, which is made only if somebody listens.
    pub(crate) fn tell(&self, event: impl FnOnce() -> T) {
        if let Some(sender) = self.0.get()
            && sender.receiver_count() > 0
        {
            // An error says that the last listener just left.
            let _left = sender.send(event());
        }
    }

    pub(crate) fn listen(&self) -> Listener<T> {
        Listener(self.0.get_or_init(|| broadcast::Sender::new(KEPT)).subscribe())
    }
}

impl<T: Clone> Default for Events<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("heard", &self.0.get().is_some())
            .finish()
    }
}

/// Hears a policy's events from its making on, in their order.
///
/// The last 256 are kept for a listener that is slow; it never holds up the policy.
#[derive(Debug)]
pub struct Listener<T>(broadcast::Receiver<T>);

/// What a listener hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard<T> {
    /// The next event.
    Event(T),
    /// It was too slow: so many events are lost. The next one it hears is the oldest still kept.
    Lost(u64),
}

impl<T: Clone> Listener<T> {
    /// Waits for the next event; `None` once the policy is gone and everything is heard. Cancel safe.
    pub async fn next(&mut self) -> Option<Heard<T>> {
        match self.0.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(Heard::Lost(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next event if there is one by now.
    pub fn try_next(&mut self) -> Option<Heard<T>> {
        match self.0.try_recv() {
            Ok(event) => Some(Heard::Event(event)),
            Err(broadcast::error::TryRecvError::Lagged(lost)) => Some(Heard::Lost(lost)),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}

/// So many events are kept for a slow listener.
const KEPT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_hears_in_order_what_is_told_after_it_came() {
        let events = Events::new();
        events.tell(|| 0);
        let mut listener = events.listen();
        events.tell(|| 1);
        events.tell(|| 2);
        assert_eq!(listener.try_next(), Some(Heard::Event(1)));
        assert_eq!(listener.next().await, Some(Heard::Event(2)));
        assert_eq!(listener.try_next(), None);
        drop(events);
        assert_eq!(listener.next().await, None);
    }

    #[test]
    fn a_slow_listener_loses_the_oldest_and_learns_how_many() {
        let events = Events::new();
        let mut listener = events.listen();
        for event in 0..KEPT + 3 {
            events.tell(|| event);
        }
        assert_eq!(listener.try_next(), Some(Heard::Lost(3)));
        assert_eq!(listener.try_next(), Some(Heard::Event(3)));
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        let events: Events<()> = Events::new();
        drop(events.listen());
        events.tell(|| panic!("nobody listens"));
    }
}
