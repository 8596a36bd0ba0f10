//! Frames between the daemon and the keeper.

use serde::Serialize;
use serde::de::DeserializeOwned;
use stead_keeper::wire::{Asked, Inbox, MAX_FRAME, Told, encode};

/// Frames come out the same however their bytes are cut, and what is understood can be written and read again. The first byte
/// says into pieces of which size the others are cut.
pub fn frames(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = taken([bytes]);
    let cut = taken(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, cut, "frames do not depend on how they arrive");
    for body in whole.0 {
        assert!(body.len() <= MAX_FRAME, "a frame is bounded");
        same_again::<Asked>(&body);
        same_again::<Told>(&body);
    }
    // Also what is no frame, so that the search need not find lengths first.
    same_again::<Asked>(bytes);
    same_again::<Told>(bytes);
}

/// All whole frames, and whether it ended at one that is too large.
fn taken<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut inbox, mut frames) = (Inbox::default(), Vec::new());
    for piece in pieces {
        inbox.extend(piece);
        loop {
            match inbox.take_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_too_large) => return (frames, true),
            }
        }
    }
    (frames, false)
}

fn same_again<T>(body: &[u8])
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let Ok(read) = serde_json::from_slice::<T>(body) else {
        return;
    };
    let mut out = Vec::new();
    if let Err(too_large) = encode(&read, &mut out) {
        assert!(
            body.len() > MAX_FRAME / 4,
            "{too_large}, but it came from {} bytes",
            body.len()
        );
        return;
    }
    let mut inbox = Inbox::default();
    inbox.extend(&out);
    let again = inbox.take_frame().expect("what was written is not too large");
    let again = again.expect("what was written is whole");
    let again: T = serde_json::from_slice(&again).expect("what was written can be read");
    assert_eq!(again, read, "written and read again it is the same");
}
