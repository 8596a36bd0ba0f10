//! Who owns a slot, and what that lets them write: the rules that all stores share.

use std::fmt;

use stead_model::journal::Append;
use stead_model::{Epoch, Position, Slot, Wall};

use crate::StoreError;

/// Who holds slots: a node's name. Where one directory has one daemon at a time, a constant; the holder may take again what it holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Owner(Box<str>);

impl Owner {
    /// Names an owner.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// For how long slots are held. Both times are the caller's: a store asks no clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The time at the caller; others' leases that ended before are over.
    pub now: Wall,
    /// When this one ends unless renewed. An expired owner may still write until somebody else takes the slot.
    pub until: Wall,
}

impl Lease {
    /// A lease that never ends by itself, for a store that only one daemon can open.
    #[must_use]
    pub const fn unending(now: Wall) -> Self {
        Self {
            now,
            until: Wall::from_unix_millis(i64::MAX),
        }
    }
}

/// What a store knows of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) epoch: Epoch,
    pub(crate) owner: Option<Owner>,
    pub(crate) until: Wall,
    pub(crate) position: Position,
}

impl Head {
    /// The slot in which nothing ever happened.
    pub(crate) const EMPTY: Self = Self {
        epoch: Epoch(0),
        owner: None,
        until: Wall::from_unix_millis(0),
        position: Position(0),
    };

    /// Gives the slot to `owner` under the next epoch.
    pub(crate) fn taken(&self, slot: Slot, owner: &Owner, lease: Lease) -> Result<Self, StoreError> {
        match &self.owner {
            Some(other) if other != owner && self.until > lease.now => Err(StoreError::Held {
                slot,
                owner: other.clone(),
                until: self.until,
            }),
            _ => Ok(Self {
                epoch: self.epoch.next(),
                owner: Some(owner.clone()),
                until: lease.until,
                position: self.position,
            }),
        }
    }

    /// Holds the slot for longer.
    pub(crate) fn renewed(&self, slot: Slot, epoch: Epoch, lease: Lease) -> Result<Self, StoreError> {
        self.fence(slot, epoch)?;
        Ok(Self {
            until: lease.until,
            ..self.clone()
        })
    }

    /// Lets the slot go.
    pub(crate) fn released(&self, slot: Slot, epoch: Epoch) -> Result<Self, StoreError> {
        self.fence(slot, epoch)?;
        Ok(Self {
            owner: None,
            ..self.clone()
        })
    }

    /// Says whether `append` is the slot's next, by its owner, about its own agents.
    pub(crate) fn admit(&self, append: &Append) -> Result<(), StoreError> {
        self.fence(append.slot, append.epoch)?;
        if append.first != self.position.next() || append.position < append.first {
            return Err(StoreError::OutOfOrder {
                slot: append.slot,
                expected: self.position.next(),
            });
        }
        match crate::record::stray(append) {
            None => Ok(()),
            Some(agent) => Err(StoreError::Refused {
                slot: append.slot,
                detail: format!("{agent} lives in slot {}", agent.slot()),
            }),
        }
    }

    fn fence(&self, slot: Slot, epoch: Epoch) -> Result<(), StoreError> {
        if self.owner.is_some() && self.epoch == epoch {
            Ok(())
        } else {
            Err(StoreError::Fenced {
                slot,
                epoch: self.epoch,
                owner: self.owner.clone(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot {
        Slot::try_from(3).unwrap()
    }

    fn lease(now: i64, until: i64) -> Lease {
        Lease {
            now: Wall::from_unix_millis(now),
            until: Wall::from_unix_millis(until),
        }
    }

    #[test]
    fn a_held_slot_names_its_owner_until_the_lease_is_over() {
        let (a, b) = (Owner::new("a"), Owner::new("b"));
        let held = Head::EMPTY.taken(slot(), &a, lease(0, 10)).unwrap();
        let refused = held.taken(slot(), &b, lease(9, 20)).unwrap_err();
        assert!(matches!(refused, StoreError::Held { owner, .. } if owner == a));
        assert_eq!(held.taken(slot(), &b, lease(10, 20)).unwrap().epoch, Epoch(2));
    }

    #[test]
    fn the_holder_itself_may_take_again_under_a_new_epoch() {
        let a = Owner::new("a");
        let held = Head::EMPTY.taken(slot(), &a, lease(0, 10)).unwrap();
        let again = held.taken(slot(), &a, lease(1, 10)).unwrap();
        assert_eq!((held.epoch, again.epoch), (Epoch(1), Epoch(2)));
        assert!(again.renewed(slot(), Epoch(1), lease(2, 20)).is_err());
    }

    #[test]
    fn who_released_a_slot_is_fenced() {
        let held = Head::EMPTY.taken(slot(), &Owner::new("a"), lease(0, 10)).unwrap();
        let free = held.released(slot(), Epoch(1)).unwrap();
        assert!(matches!(
            free.renewed(slot(), Epoch(1), lease(1, 20)),
            Err(StoreError::Fenced { owner: None, .. })
        ));
        assert!(free.taken(slot(), &Owner::new("b"), lease(1, 20)).is_ok());
    }
}
