//! How an agent at rest is written into few bytes. In memory alone, never stored: there is one form, and it has no versions.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::journal::{Block, BlockKind};
use stead_model::{
    AgentId, AgentName, Condition, ConditionView, Evidence, Health, Incarnation, Intent, Moment, Namespace, Pause,
    PauseMode, Revision, Sequence, Wall, Wanted,
};

/// What is written and read back as it was.
pub(crate) trait Pack: Sized {
    /// Writes it behind what is there.
    fn pack(&self, to: &mut Vec<u8>);

    /// Reads what [`Pack::pack`] wrote; nothing where these are other bytes.
    fn unpack(from: &mut Reader<'_>) -> Option<Self>;
}

/// Reads bytes from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was read.
    pub(crate) const fn is_done(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn read<T: Pack>(&mut self) -> Option<T> {
        T::unpack(self)
    }

    /// Reads a text without copying it.
    pub(crate) fn text(&mut self) -> Option<&'b str> {
        let Some(length) = self.number()?.checked_sub(1) else {
            return FREQUENT.get(usize::from(self.byte()?)).copied();
        };
        let (text, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        core::str::from_utf8(text).ok()
    }

    /// Reads a correlation id.
    pub(crate) fn cause(&mut self) -> Option<String> {
        if !self.read::<bool>()? {
            return self.read();
        }
        let (bytes, rest) = self.0.split_first_chunk::<16>()?;
        self.0 = rest;
        let digit = |value: u8| char::from(if value > 9 { b'a' + value - 10 } else { b'0' + value });
        Some(
            bytes
                .iter()
                .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
                .collect(),
        )
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// Reads a number of seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Texts that most agents have: a zero and their place here stand for them.
const FREQUENT: &[&str] = &["default", "report", "beat", "agent", SIGN_OF_LIFE];

/// What is said of a beat that says nothing.
pub(crate) const SIGN_OF_LIFE: &str = "it gives a sign of life";

/// Writes a text as [`Reader::text`] reads it.
pub(crate) fn put_text(text: &str, to: &mut Vec<u8>) {
    let place = FREQUENT.iter().position(|known| *known == text);
    if let Some(place) = place.and_then(|place| u8::try_from(place).ok()) {
        to.extend([0, place]);
        return;
    }
    (text.len() as u64 + 1).pack(to);
    to.extend_from_slice(text.as_bytes());
}

/// Writes a correlation id as [`Reader::cause`] reads it: most are 16 bytes in hexadecimal digits.
pub(crate) fn put_cause(text: &str, to: &mut Vec<u8>) {
    let digits: Option<[u8; 32]> = text.as_bytes().try_into().ok();
    if let Some(digits) = digits.filter(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
    {
        true.pack(to);
        let value = |digit: u8| (digit & 0xf) + if digit > b'9' { 9 } else { 0 };
        let (pairs, _) = digits.as_chunks::<2>();
        to.extend(pairs.iter().map(|[high, low]| value(*high) << 4 | value(*low)));
    } else {
        false.pack(to);
        put_text(text, to);
    }
}

impl Pack for u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits are meant")]
    fn pack(&self, to: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            to.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        to.push(rest as u8);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        from.number()
    }
}

impl Pack for u32 {
    fn pack(&self, to: &mut Vec<u8>) {
        u64::from(*self).pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        from.number()?.try_into().ok()
    }
}

impl Pack for i32 {
    fn pack(&self, to: &mut Vec<u8>) {
        i64::from(*self).pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        from.read::<i64>()?.try_into().ok()
    }
}

impl Pack for i64 {
    fn pack(&self, to: &mut Vec<u8>) {
        // The sign goes last, so that what is near nought is short.
        ((self << 1) ^ (self >> 63)).cast_unsigned().pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        let bits = from.number()?;
        Some((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }
}

impl Pack for bool {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        Some(from.byte()? != 0)
    }
}

impl Pack for String {
    fn pack(&self, to: &mut Vec<u8>) {
        put_text(self, to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        from.text().map(Self::from)
    }
}

impl Pack for Box<str> {
    fn pack(&self, to: &mut Vec<u8>) {
        put_text(self, to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        from.text().map(Self::from)
    }
}

impl Pack for Cow<'static, str> {
    fn pack(&self, to: &mut Vec<u8>) {
        put_text(self, to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        from.read().map(Cow::Owned)
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        self.is_some().pack(to);
        if let Some(it) = self {
            it.pack(to);
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        if from.read()? {
            from.read().map(Some)
        } else {
            Some(None)
        }
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        (self.len() as u64).pack(to);
        self.iter().for_each(|it| it.pack(to));
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        let length = from.number()?;
        (0..length).map(|_| from.read()).collect()
    }
}

impl<K: Pack + Ord, V: Pack> Pack for BTreeMap<K, V> {
    fn pack(&self, to: &mut Vec<u8>) {
        (self.len() as u64).pack(to);
        for (key, value) in self {
            key.pack(to);
            value.pack(to);
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        let length = from.number()?;
        (0..length).map(|_| Some((from.read()?, from.read()?))).collect()
    }
}

impl Pack for Duration {
    fn pack(&self, to: &mut Vec<u8>) {
        self.as_secs().pack(to);
        self.subsec_nanos().pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self::new(from.read()?, from.read()?))
    }
}

impl Pack for Moment {
    fn pack(&self, to: &mut Vec<u8>) {
        u64::try_from(self.since_start().as_nanos())
            .unwrap_or(u64::MAX)
            .pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self::at(Duration::from_nanos(from.read()?)))
    }
}

impl Pack for Wall {
    fn pack(&self, to: &mut Vec<u8>) {
        self.unix_millis().pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self::from_unix_millis(from.read()?))
    }
}

impl Pack for AgentId {
    fn pack(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_bits().to_le_bytes());
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        let (bits, rest) = from.0.split_first_chunk()?;
        from.0 = rest;
        Some(Self::from_bits(u64::from_le_bytes(*bits)))
    }
}

/// Numbers that are not to be taken for one another.
macro_rules! numbers {
    ($($type:ident),*) => {$(
        impl Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                self.0.pack(to);
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                from.read().map(Self)
            }
        }
    )*};
}

numbers!(Revision, Sequence, Incarnation);

/// Names, which are texts of a kind.
macro_rules! names {
    ($($type:ident),*) => {$(
        impl Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                put_text(self.as_str(), to);
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                from.text()?.parse().ok()
            }
        }
    )*};
}

names!(Namespace, AgentName);

/// Words, by their place among all.
macro_rules! words {
    ($($type:ident in $all:expr;)*) => {$(
        impl Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                // Each is among all of them, which are few.
                let place = $all.iter().position(|word| word == self);
                to.push(place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX));
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                $all.get(usize::from(from.byte()?)).copied()
            }
        }
    )*};
}

words! {
    Health in Health::ALL;
    Wanted in Wanted::ALL;
    Condition in Condition::ALL;
    PauseMode in PauseMode::ALL;
    BlockKind in [BlockKind::Completed, BlockKind::Policy, BlockKind::Held, BlockKind::Quarantined];
}

/// Structs field by field; one that gets another field does not compile until that is written, too.
macro_rules! fields {
    ($($type:ident { $($field:ident),* $(,)? })*) => {$(
        impl Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.pack(to);)*
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                $(let $field = from.read()?;)*
                Some(Self { $($field),* })
            }
        }
    )*};
}

impl Pack for Intent {
    fn pack(&self, to: &mut Vec<u8>) {
        let Self {
            wanted,
            actor,
            at,
            reason,
            correlation_id,
            pause,
        } = self;
        wanted.pack(to);
        actor.pack(to);
        at.pack(to);
        reason.pack(to);
        put_cause(correlation_id, to);
        pause.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            wanted: from.read()?,
            actor: from.read()?,
            at: from.read()?,
            reason: from.read()?,
            correlation_id: from.cause()?,
            pause: from.read()?,
        })
    }
}

fields! {
    Pause { mode, until }
    ConditionView { condition, since, detail }
    Evidence { kind, observed_at, source, detail }
    Block { kind, detail }
}

#[cfg(test)]
mod tests;
