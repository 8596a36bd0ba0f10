//! The two messages of `grpc.health.v1`, by hand: they have one field each.
//!
//! ```text
//! HealthCheckRequest  { string service = 1; }
//! HealthCheckResponse { ServingStatus status = 1; }    0 UNKNOWN  1 SERVING  2 NOT_SERVING  3 SERVICE_UNKNOWN
//! ```

use hyper::body::Bytes;

/// The status that is a success.
pub(super) const SERVING: u64 = 1;

/// A request in its frame: a byte for "not compressed", the length, the message.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = Vec::with_capacity(service.len() + 8);
    if !service.is_empty() {
        message.push(TEXT_1);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(low_seven(length) | 0x80);
            length >>= 7;
        }
        message.push(low_seven(length));
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], length.to_be_bytes().as_slice(), &message].concat().into()
}

/// The status in an answer's frame; `None` if it is no such message. Fields that are not known are passed over.
pub(super) fn serving_status(frame: &[u8]) -> Option<u64> {
    let ([0, length @ ..], mut rest) = frame.split_first_chunk::<5>()? else {
        return None;
    };
    if usize::try_from(u32::from_be_bytes(*length)).ok()? != rest.len() {
        return None;
    }
    // What is not sent has its default.
    let mut status = 0;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = varint(&mut rest)?,
            (_, 0) => drop(varint(&mut rest)?),
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _groups_and_unknown => return None,
        }
    }
    Some(status)
}

/// What a status is called.
pub(super) fn name(status: u64) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        SERVING => "SERVING".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => format!("health status {other}"),
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn low_seven(length: usize) -> u8 {
    u8::try_from(length & 0x7f).unwrap_or_default()
}

/// Field 1, length and bytes.
const TEXT_1: u8 = 0x0a;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_for_the_whole_server_is_empty() {
        assert_eq!(request("").as_ref(), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_request_names_its_service() {
        assert_eq!(request("ab").as_ref(), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request(&"x".repeat(300));
        assert_eq!(long.get(..8), Some([0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02].as_slice()));
    }

    #[test]
    fn a_status_is_read_past_fields_of_later_versions() {
        assert_eq!(serving_status(&[0, 0, 0, 0, 2, 8, 1]), Some(SERVING));
        assert_eq!(serving_status(&[0, 0, 0, 0, 6, 0x12, 2, b'h', b'i', 8, 2]), Some(2));
        assert_eq!(serving_status(&[0, 0, 0, 0, 0]), Some(0));
    }

    #[test]
    fn what_is_no_status_is_none_and_never_a_panic() {
        for frame in [
            [].as_slice(),
            &[0, 0, 0, 0, 9, 8, 1],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 0x12, 9],
            &[0, 0, 0, 0, 1, 0x0b],
        ] {
            assert_eq!(serving_status(frame), None, "{frame:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            let length = u32::try_from(bytes.len()).unwrap();
            let _any = serving_status(&[&[0], length.to_be_bytes().as_slice(), &bytes].concat());
        }
    }
}
