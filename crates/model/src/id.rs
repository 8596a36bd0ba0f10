//! Names and numbers that tell one thing from another.
//!
//! Agents are named by people and numbered by Stead. The number carries the agent's home [`Slot`], so that a name
//! and its agent always share one, and derives from the slot's position at registration, so that it is never given twice.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many slots a fleet is cut into. Fixed for ever: it is part of every stored id.
pub const SLOTS: u16 = 1024;

const SLOT_BITS: u32 = 10;
const NUMBER_BITS: u32 = 64 - SLOT_BITS;

/// The unit of ownership and of storage: one of [`SLOTS`] parts of the fleet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u16", into = "u16")]
pub struct Slot(u16);

impl Slot {
    /// Finds the home slot of `namespace/name`, where `name` is a group's name or that of an agent on its own.
    ///
    /// The hash is FNV-1a, 64 bits, folded by its top ten bits: version 1, stored with every store.
    #[must_use]
    pub fn home(namespace: &Namespace, name: &str) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in namespace.as_str().bytes().chain([b'/']).chain(name.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // FNV's high bits mix poorly for short input; one multiply-shift spreads them.
        hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self::from_top_bits(hash)
    }

    /// All slots, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }

    /// The slot's number, below [`SLOTS`].
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    const fn from_top_bits(bits: u64) -> Self {
        Self((bits >> NUMBER_BITS) as u16)
    }
}

impl TryFrom<u16> for Slot {
    type Error = InvalidId;

    fn try_from(number: u16) -> Result<Self, InvalidId> {
        if number < SLOTS {
            Ok(Self(number))
        } else {
            Err(InvalidId::Slot)
        }
    }
}

impl From<Slot> for u16 {
    fn from(slot: Slot) -> Self {
        slot.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of an agent or component: its home slot and a number never given twice in it.
///
/// Shown as `agt_` and 13 characters of Crockford's base 32; names cannot start so, hence a path may hold either.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(u64);

impl AgentId {
    /// Makes the id of what was registered at `position` of `slot`.
    #[must_use]
    pub const fn new(slot: Slot, position: u64) -> Self {
        Self(((slot.0 as u64) << NUMBER_BITS) | (position & ((1 << NUMBER_BITS) - 1)))
    }

    /// The agent's home slot.
    #[must_use]
    pub const fn slot(self) -> Slot {
        Slot::from_top_bits(self.0)
    }

    /// The position of its slot at which it was registered.
    #[must_use]
    pub const fn position(self) -> u64 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }

    /// The id as one integer, for storing.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Reads what [`AgentId::to_bits`] gave.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

const ID_PREFIX: &str = "agt_";
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ID_PREFIX)?;
        for digit in (0..13).rev() {
            let index = (self.0 >> (digit * 5)) & 31;
            fmt::Write::write_char(f, char::from(CROCKFORD[index as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AgentId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text.strip_prefix(ID_PREFIX).ok_or(InvalidId::Agent)?;
        if digits.len() != 13 {
            return Err(InvalidId::Agent);
        }
        let mut bits: u64 = 0;
        for digit in digits.bytes() {
            let value = CROCKFORD
                .iter()
                .position(|known| *known == digit)
                .ok_or(InvalidId::Agent)?;
            if bits >> 59 != 0 {
                return Err(InvalidId::Agent);
            }
            bits = (bits << 5) | value as u64;
        }
        Ok(Self(bits))
    }
}

/// Writes and reads a type in JSON by its `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($type:ty, $name:literal, $pattern:literal) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
pub(crate) use serde_as_text;

serde_as_text!(AgentId, "AgentId", "^agt_[0-9a-hjkmnp-tv-z]{13}$");

/// A name that people gave: 1 to 63 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $label:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(alloc::boxed::Box<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(InvalidId::Name { what: $label, name: text.to_string() }) }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        serde_as_text!($type, $label, "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$");
    };
}

name!(
    /// The isolation unit: a team or an environment. Most fleets have one, `default`.
    Namespace,
    "namespace"
);
name!(
    /// The name of an agent or component, unique in its namespace while it is not deleted.
    AgentName,
    "name"
);
name!(
    /// The name of a reader of the events whose place is kept, such as `siem`.
    ReaderName,
    "name of a reader"
);

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}

fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first
        && text.len() <= 63
        && !text.starts_with(ID_PREFIX)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Declares numbers that must not be taken for one another.
macro_rules! number {
    ($($(#[$doc:meta])* $type:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $type(pub $inner);

        impl $type {
            /// The next number; stays at the largest.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

number! {
    /// One run of an agent; grows each time that it starts. Newer fences older. 0: it never ran.
    Incarnation(u64);
    /// Ownership of a slot; grows each time that the slot is taken. Lower ones are fenced.
    Epoch(u64);
    /// Version of one agent's state, contiguous from 1; the ETag of the API.
    Revision(u64);
    /// Number of one agent's transition, contiguous from 1.
    Sequence(u64);
    /// Number of a batch within its slot, contiguous from 1; 0 is the empty slot.
    Position(u64);
}

/// Number of one action that the engine ordered: unique over slots, owners and time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ActionId {
    /// The slot of the agent that it concerns.
    pub slot: Slot,
    /// The ownership under which it was ordered; an executor refuses lower ones than it has seen.
    pub epoch: Epoch,
    /// The batch that ordered it.
    pub position: Position,
    /// Which of that batch's actions.
    pub index: u16,
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.slot, self.epoch, self.position, self.index)
    }
}

/// What was no id. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidId {
    /// Not below [`SLOTS`].
    #[error("a slot is a number below 1024")]
    Slot,
    /// Not an agent's id.
    #[error("an agent id is `agt_` and 13 characters of 0-9 and a-z without i, l, o, u")]
    Agent,
    /// Not a name.
    #[error(
        "`{name}` is no valid {what}: use 1 to 63 of A-Z a-z 0-9 . _ -, starting with a letter or digit and not with `agt_`"
    )]
    Name {
        /// Which kind of name was wanted.
        what: &'static str,
        /// What was given.
        name: String,
    },
}

#[cfg(test)]
mod tests;
