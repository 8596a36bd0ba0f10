//! Whom an agent is silent with: hosts, zones, types and namespaces, and the guard over each.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use stead_policy::{Census, Guard, GuardConfig, Ruling, Tick};

use crate::record::Record;

/// Every scope, and every combination of them that an agent is in.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    scopes: Vec<Scope>,
    names: BTreeMap<(Kind, String), u32>,
    places: Vec<[u32; KINDS.len()]>,
    known: BTreeMap<[u32; KINDS.len()], u16>,
}

#[derive(Debug)]
struct Scope {
    kind: Kind,
    name: String,
    census: Census,
    guard: Guard,
}

/// What sort of scope.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Namespace,
    Type,
    Zone,
    Host,
}

const KINDS: [Kind; 4] = [Kind::Namespace, Kind::Type, Kind::Zone, Kind::Host];

/// What is done about one who has been silent for too long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It has failed by itself.
    Alone,
    /// It has failed with many of its scope.
    Together(String),
    /// It is looked at again then.
    Later(Tick),
}

impl Scopes {
    /// The combination of scopes that an agent is in. Beyond the most that are told apart, the last one is shared.
    pub(crate) fn of(&mut self, record: &Record) -> u16 {
        let label = |key: &str| record.spec.labels.get(key).map(String::as_str);
        let place = KINDS.map(|kind| {
            let name = match kind {
                Kind::Namespace => Some(record.row.namespace.as_str()),
                Kind::Type => Some(record.spec.kind.as_str()),
                Kind::Zone => label("zone"),
                Kind::Host => label("host"),
            };
            name.map_or(NONE, |name| self.scope(kind, name))
        });
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        match u16::try_from(self.places.len()) {
            Ok(next) => {
                self.places.push(place);
                self.known.insert(place, next);
                next
            }
            Err(_full) => u16::MAX,
        }
    }

    fn scope(&mut self, kind: Kind, name: &str) -> u32 {
        let key = (kind, name.to_string());
        if let Some(known) = self.names.get(&key) {
            return *known;
        }
        let next = u32::try_from(self.scopes.len()).unwrap_or(NONE);
        self.scopes.push(Scope {
            kind,
            name: name.to_string(),
            census: Census { members: 0, overdue: 0 },
            guard: Guard::new(),
        });
        self.names.insert(key, next);
        next
    }

    fn each(&mut self, place: u16, mut with: impl FnMut(&mut Scope)) {
        let Some(place) = self.places.get(usize::from(place)) else {
            return;
        };
        for scope in place {
            if let Some(scope) = self.scopes.get_mut(*scope as usize) {
                with(scope);
            }
        }
    }

    /// One more is watched, or one fewer.
    pub(crate) fn watch(&mut self, place: u16, more: bool) {
        self.each(place, |scope| count(&mut scope.census.members, more));
    }

    /// One more is overdue, or one fewer.
    pub(crate) fn overdue(&mut self, now: Tick, place: u16, more: bool) {
        self.each(place, |scope| {
            count(&mut scope.census.overdue, more);
            scope.guard.look(&CONFIG, now, scope.census);
        });
    }

    /// Rules on one that has been silent for too long. `waited`: it was already looked at again for want of a second opinion.
    pub(crate) fn rule(&mut self, now: Tick, place: u16, waited: bool) -> Verdict {
        let mut later: Option<Tick> = None;
        let mut together = None;
        self.each(place, |scope| match scope.guard.rule(&CONFIG, now, scope.census) {
            Ruling::Alone => {}
            Ruling::Confirm if waited => {}
            Ruling::Confirm => later = later.max(Some(now.after(CONFIG.hold))),
            Ruling::Hold { until } => later = later.max(Some(until)),
            Ruling::Scope | Ruling::Joins => together = Some(said(scope)),
        });
        match (later, together) {
            (Some(until), _) => Verdict::Later(until),
            (None, Some(said)) => Verdict::Together(said),
            (None, None) => {
                self.each(place, |scope| scope.guard.convicted(&CONFIG, now));
                Verdict::Alone
            }
        }
    }

    /// The node itself was away.
    pub(crate) fn shift(&mut self, stall: Duration) {
        self.scopes.iter_mut().for_each(|scope| scope.guard.shift(stall));
    }
}

fn said(scope: &Scope) -> String {
    let kind = match scope.kind {
        Kind::Namespace => "namespace",
        Kind::Type => "type",
        Kind::Zone => "zone",
        Kind::Host => "host",
    };
    let Census { members, overdue } = scope.census;
    alloc::format!("with {overdue} of {members} in {kind} {}", scope.name)
}

const fn count(counter: &mut u32, more: bool) {
    *counter = if more {
        counter.saturating_add(1)
    } else {
        counter.saturating_sub(1)
    };
}

const CONFIG: GuardConfig = GuardConfig::DEFAULT;

/// No scope of that kind.
const NONE: u32 = u32::MAX;
