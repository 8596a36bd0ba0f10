//! A value that others may watch change.

use tokio::sync::watch;

/// The latest of something, and word of it when it changes. Whoever is slow sees the latest only, and slows nobody down.
#[derive(Clone, Debug)]
pub struct Watch<T>(watch::Receiver<T>);

impl<T: Clone> Watch<T> {
    pub(crate) const fn new(receiver: watch::Receiver<T>) -> Self {
        Self(receiver)
    }

    /// What it is now. The same value is then no news to [`Watch::changed`] any more.
    pub fn get(&mut self) -> T {
        self.0.borrow_and_update().clone()
    }

    /// Waits for a value that this watcher has not seen yet; `None` once nobody is left who could change it. Cancel safe.
    pub async fn changed(&mut self) -> Option<T> {
        self.0.changed().await.ok()?;
        Some(self.get())
    }
}
