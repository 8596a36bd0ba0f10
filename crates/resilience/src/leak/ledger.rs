//! Who holds what, by handles of which no two are the same.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Resource;
use crate::Moment;

/// Names one thing that is held. Never used twice in a process's life, so that a second holding never covers the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HandleId(u64);

impl fmt::Display for HandleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One thing that is held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its handle.
    pub id: HandleId,
    /// What it is, and who holds it, in its holder's words.
    pub what: Cow<'static, str>,
    /// For how long.
    pub held_for: Duration,
}

/// Stands for one thing that is held; dropped, the thing counts as given back. Forgotten, it is the leak that is looked for.
#[derive(Debug)]
#[must_use = "dropped at once, nothing is tracked"]
pub struct Tracked {
    id: HandleId,
    ledger: Arc<Ledger>,
}

impl Tracked {
    /// Its handle.
    #[must_use]
    pub const fn id(&self) -> HandleId {
        self.id
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.ledger.entries().held.remove(&self.id);
    }
}

/// Everything that is held. Costs about 100 bytes for each.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    /// Handles grow, so this order is that of time.
    held: BTreeMap<HandleId, Entry>,
}

#[derive(Debug)]
struct Entry {
    resource: Resource,
    what: Cow<'static, str>,
    since: Moment,
}

/// What is held of one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Holding {
    pub(super) count: u64,
    /// The longest held.
    pub(super) oldest: Vec<Holder>,
}

impl Ledger {
    pub(super) fn track(self: &Arc<Self>, resource: Resource, what: Cow<'static, str>, now: Moment) -> Tracked {
        let mut entries = self.entries();
        let id = HandleId(entries.next);
        entries.next += 1;
        let entry = Entry {
            resource,
            what,
            since: now,
        };
        entries.held.insert(id, entry);
        Tracked {
            id,
            ledger: Arc::clone(self),
        }
    }

    /// Everything of one resource, the longest held first.
    pub(super) fn held(&self, resource: Resource, now: Moment) -> Vec<Holder> {
        let entries = self.entries();
        let held = entries.held.iter().filter(|(_, entry)| entry.resource == resource);
        held.map(|(id, entry)| entry.holder(*id, now)).collect()
    }

    /// Counts all resources in one pass; names the `most` longest held of each.
    pub(super) fn count(&self, now: Moment, most: usize) -> BTreeMap<Resource, Holding> {
        let mut holdings: BTreeMap<Resource, Holding> = BTreeMap::new();
        for (id, entry) in &self.entries().held {
            let holding = holdings.entry(entry.resource).or_default();
            holding.count += 1;
            if holding.oldest.len() < most {
                holding.oldest.push(entry.holder(*id, now));
            }
        }
        holdings
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn holder(&self, id: HandleId, now: Moment) -> Holder {
        Holder {
            id,
            what: self.what.clone(),
            held_for: now.since(self.since),
        }
    }
}
