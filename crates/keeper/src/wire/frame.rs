//! Frames: four bytes of length, least significant first, and so many bytes of JSON.

use serde::Serialize;

use super::MAX_FRAME;

/// Bytes that came and are not yet a whole frame. Holds little memory while it is empty.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
}

/// A frame longer than [`MAX_FRAME`] was announced: of so many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge(pub usize);

impl Inbox {
    /// Adds what came.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole frame's JSON, if it is there.
    ///
    /// # Errors
    ///
    /// A longer frame than may be was announced; what comes after it cannot be found any more.
    pub fn take_frame(&mut self) -> Result<Option<Vec<u8>>, TooLarge> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((length, body)) = rest.split_first_chunk::<4>() else {
            self.shrink();
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(TooLarge(length));
        }
        match body.get(..length) {
            Some(frame) => {
                let frame = frame.to_vec();
                self.taken += 4 + length;
                Ok(Some(frame))
            }
            None => {
                self.shrink();
                Ok(None)
            }
        }
    }

    fn shrink(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
    }
}

/// Appends `value` to `out` as a frame.
///
/// # Errors
///
/// `value` has no JSON or is longer than a frame may be; `out` is as before.
pub fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    let body = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    match u32::try_from(body.len()) {
        Ok(length) if body.len() <= MAX_FRAME => {
            out.reserve(4 + body.len());
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&body);
            Ok(())
        }
        Ok(_) | Err(_) => Err(format!("a frame of {} bytes is longer than {MAX_FRAME}", body.len())),
    }
}

/// How much memory is kept while nothing is in it, so that it need not be got again for every frame.
const KEPT: usize = 16 << 10;
