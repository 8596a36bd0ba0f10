//! A switch that goes on at once, and off only once there has been no reason for it for a while.

use core::time::Duration;

use super::At;

/// What is wanted of a latch now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    On,
    /// Neither: stays as it is, and what it waited for starts anew.
    Stay,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Latch {
    #[default]
    Off,
    On,
    /// Still on; goes off when this time has come.
    Calming(At),
}

impl Latch {
    pub(super) const fn is_on(self) -> bool {
        match self {
            Self::On | Self::Calming(_) => true,
            Self::Off => false,
        }
    }

    pub(super) fn want(&mut self, wanted: Wanted, now: At, calm: Duration) {
        *self = match (wanted, *self) {
            (Wanted::On, _) | (Wanted::Stay, Self::On | Self::Calming(_)) => Self::On,
            (Wanted::Off, Self::On) => Self::Calming(now.saturating_add(calm)),
            (Wanted::Stay | Wanted::Off, Self::Off) => Self::Off,
            (Wanted::Off, calming @ Self::Calming(_)) => calming,
        };
        self.settle(now);
    }

    pub(super) fn settle(&mut self, now: At) {
        if self.ends_at().is_some_and(|end| end <= now) {
            *self = Self::Off;
        }
    }

    pub(super) const fn ends_at(self) -> Option<At> {
        match self {
            Self::Calming(end) => Some(end),
            Self::Off | Self::On => None,
        }
    }
}
