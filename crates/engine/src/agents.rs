//! The agents of one slot, each whole or packed, found by id and by name.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use stead_model::{AgentId, AgentName, Namespace, PhaseId, Profile};

use crate::record::Record;
use crate::shown::Shown;

/// The agents of a slot.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    seats: BTreeMap<AgentId, Seat>,
    /// By the hash of namespace and name. Few share one, and they are told apart by looking.
    names: BTreeSet<(u32, AgentId)>,
}

/// How an agent is kept between two steps.
#[derive(Debug)]
pub(crate) enum Seat {
    /// As it is.
    Whole(Box<Record>),
    /// Packed, as it is shown.
    Packed(Shown),
}

impl Seat {
    /// How an agent is kept that a step has settled.
    fn of(mut record: Box<Record>) -> Self {
        match record.image.take() {
            Some(image) => Self::Packed(image),
            None => Self::Whole(record),
        }
    }

    /// How an agent is kept that was thawed.
    pub(crate) fn new(mut record: Record) -> Self {
        match record.image.take() {
            Some(image) => Self::Packed(image),
            None => Self::Whole(Box::new(record)),
        }
    }

    /// The agent, to work on.
    fn open(self) -> Option<Box<Record>> {
        match self {
            Self::Whole(record) => Some(record),
            Self::Packed(shown) => shown.wake().map(Box::new),
        }
    }

    fn look(&self) -> Option<Cow<'_, Record>> {
        match self {
            Self::Whole(record) => Some(Cow::Borrowed(record)),
            Self::Packed(shown) => shown.wake().map(Cow::Owned),
        }
    }

    fn place(&self) -> (&str, &str) {
        match self {
            Self::Whole(record) => (record.row.namespace.as_str(), record.row.name.as_str()),
            Self::Packed(shown) => shown.place(),
        }
    }
}

impl Agents {
    /// Agents as they were loaded, all at once: full nodes take half the memory of grown ones.
    pub(crate) fn new(seats: Vec<(AgentId, Seat)>) -> Self {
        let hashed = |(id, seat): &(AgentId, Seat)| (hash(seat.place()), *id);
        Self {
            names: seats.iter().map(hashed).collect(),
            seats: seats.into_iter().collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    pub(crate) fn contains(&self, id: AgentId) -> bool {
        self.seats.contains_key(&id)
    }

    /// Those that are kept as they are: all at work here are among them.
    pub(crate) fn whole(&self) -> impl Iterator<Item = &Record> {
        self.seats.values().filter_map(|seat| match seat {
            Seat::Whole(record) => Some(&**record),
            Seat::Packed(_) => None,
        })
    }

    /// Those for whom a survey may change something: all but those at rest that are neither up nor on their way, since nothing runs them.
    pub(crate) fn surveyed(&self) -> impl Iterator<Item = AgentId> {
        let asleep = |seat: &Seat| matches!(seat, Seat::Packed(shown) if !shown.waits());
        self.seats
            .iter()
            .filter(move |(_, seat)| !asleep(seat))
            .map(|(id, _)| *id)
    }

    /// Those that are down with their whole fleet.
    pub(crate) fn halted(&self) -> impl Iterator<Item = (&str, AgentId)> {
        let halted = |seat: &Seat| match seat {
            Seat::Whole(record) => record.row.halted,
            Seat::Packed(shown) => shown.is_halted(),
        };
        let halted = self.seats.iter().filter(move |(_, seat)| halted(seat));
        halted.map(|(id, seat)| (seat.place().0, *id))
    }

    /// Every agent, to look at.
    pub(crate) fn all(&self) -> impl Iterator<Item = Cow<'_, Record>> {
        self.seats.values().filter_map(Seat::look)
    }

    /// One agent, to look at.
    pub(crate) fn get(&self, id: AgentId) -> Option<Cow<'_, Record>> {
        self.seats.get(&id)?.look()
    }

    /// Takes an agent out, to work on; put it back, unless it is gone.
    pub(crate) fn take(&mut self, id: AgentId) -> Option<Box<Record>> {
        self.seats.remove(&id)?.open()
    }

    /// Puts an agent in its place, known by its name from now on.
    pub(crate) fn put(&mut self, record: Box<Record>) {
        let id = record.row.id;
        let seat = Seat::of(record);
        self.names.insert((hash(seat.place()), id));
        self.seats.insert(id, seat);
    }

    /// Forgets the name of one that was taken out and is gone.
    pub(crate) fn forget(&mut self, record: &Record) {
        let place = (record.row.namespace.as_str(), record.row.name.as_str());
        self.names.remove(&(hash(place), record.row.id));
    }

    /// Finds an agent by its name.
    pub(crate) fn named(&self, namespace: &Namespace, name: &AgentName) -> Option<AgentId> {
        let place = (namespace.as_str(), name.as_str());
        let hash = hash(place);
        let (first, last) = (AgentId::from_bits(0), AgentId::from_bits(u64::MAX));
        let mut alike = self.names.range((hash, first)..=(hash, last)).map(|(_, id)| *id);
        alike.find(|id| self.seats.get(id).is_some_and(|seat| seat.place() == place))
    }

    /// Whether every agent is found by its name, and nobody else.
    pub(crate) fn names_are_sound(&self) -> bool {
        let mut known = self.seats.iter().map(|(id, seat)| (hash(seat.place()), *id));
        known.all(|name| self.names.contains(&name)) && self.names.len() == self.seats.len()
    }

    /// The profile and the phase of every agent.
    pub(crate) fn phases(&self) -> impl Iterator<Item = (AgentId, &Profile, PhaseId)> {
        self.seats.iter().filter_map(|(id, seat)| {
            let (profile, phase) = match seat {
                Seat::Whole(record) => (&*record.profile, record.phase),
                Seat::Packed(shown) => shown.phase_id()?,
            };
            Some((*id, profile, phase))
        })
    }
}

/// FNV-1a, 32 bits, over `namespace/name`. In memory alone.
fn hash((namespace, name): (&str, &str)) -> u32 {
    let bytes = namespace.bytes().chain([b'/']).chain(name.bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
