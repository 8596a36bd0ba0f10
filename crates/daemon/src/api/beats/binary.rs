//! Beats as records of 32 bytes, little-endian, behind a head of 8: for gateways with very many agents.
//!
//! | bytes | of the head |
//! |---|---|
//! | 0..4 | `SBT1` |
//! | 4..8 | 0 |
//!
//! | bytes | of a record | not said |
//! |---|---|---|
//! | 0..8 | handle | – |
//! | 8..12 | incarnation | 0 |
//! | 12..16 | sequence, the low 32 bits | 0 |
//! | 16..24 | progress | 2⁶⁴ − 1 |
//! | 24..26 | `cpu_usage`, 0 to 10,000 for 0.0 to 1.0 | 65,535 |
//! | 26..28 | `memory_usage`, likewise | 65,535 |
//! | 28..30 | `error_rate`, likewise | 65,535 |
//! | 30..32 | `request_latency` in milliseconds; 65,534 is that or more | 65,535 |

use axum::body::Bytes;
use stead_model::{Beat, BeatHandle, BeatOf, Incarnation, Metric, Vitals};

use super::ReadBeat;

/// The content type.
pub(super) const KIND: &str = "application/vnd.stead.beats";

const HEAD: &[u8; 8] = b"SBT1\0\0\0\0";
const RECORD: usize = 32;

/// Reads a batch; each record by itself.
pub(super) fn read(bytes: &Bytes) -> Result<impl Iterator<Item = ReadBeat> + '_, String> {
    let Some(records) = bytes.strip_prefix(HEAD) else {
        return Err("the body does not begin with `SBT1` and four zero bytes".into());
    };
    let (records, rest) = records.as_chunks::<RECORD>();
    if rest.is_empty() {
        Ok(records.iter().map(record))
    } else {
        Err(format!(
            "behind the head of 8 bytes come records of {RECORD} bytes; the last one has {}",
            rest.len()
        ))
    }
}

fn record(bytes: &[u8; RECORD]) -> ReadBeat {
    let part = |at: usize, length: usize| {
        let part = bytes.get(at..at + length).unwrap_or_default();
        part.iter()
            .rev()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let said = |number: u64| (number != 0).then_some(number);
    let mut vitals = Vitals::NONE;
    for (metric, at) in [
        (Metric::CpuUsage, 24),
        (Metric::MemoryUsage, 26),
        (Metric::ErrorRate, 28),
    ] {
        set(&mut vitals, metric, part(at, 2), 10_000.0)?;
    }
    set(&mut vitals, Metric::RequestLatency, part(30, 2), 1.0)?;
    Ok(Beat {
        incarnation: said(part(8, 4)).map(Incarnation),
        sequence: said(part(12, 4)),
        progress: Some(part(16, 8)).filter(|progress| *progress != u64::MAX),
        vitals,
        ..Beat::bare(BeatOf::Handle(BeatHandle(part(0, 8))))
    })
}

fn set(vitals: &mut Vitals, metric: Metric, number: u64, whole: f64) -> Result<(), String> {
    match u16::try_from(number) {
        Ok(u16::MAX) | Err(_) => Ok(()),
        Ok(number) => vitals
            .set(metric, f64::from(number) / whole)
            .map_err(|invalid| invalid.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: &[[u8; RECORD]]) -> Bytes {
        HEAD.iter()
            .chain(records.iter().flatten())
            .copied()
            .collect::<Vec<u8>>()
            .into()
    }

    #[test]
    fn a_record_is_read_as_it_is_described() {
        let mut bytes = [0_u8; RECORD];
        bytes[..8].copy_from_slice(&0x0007_0000_0002_u64.to_le_bytes());
        bytes[8..12].copy_from_slice(&7_u32.to_le_bytes());
        bytes[12..16].copy_from_slice(&9_u32.to_le_bytes());
        bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        bytes[24..26].copy_from_slice(&9_500_u16.to_le_bytes());
        bytes[26..28].copy_from_slice(&u16::MAX.to_le_bytes());
        bytes[28..30].copy_from_slice(&0_u16.to_le_bytes());
        bytes[30..32].copy_from_slice(&1_500_u16.to_le_bytes());
        let body = batch(&[bytes]);
        let beat = read(&body).unwrap().next().unwrap().unwrap();
        assert_eq!(beat.of, BeatOf::Handle(BeatHandle::new(2, 7)));
        assert_eq!(
            (beat.incarnation, beat.sequence, beat.progress),
            (Some(Incarnation(7)), Some(9), None)
        );
        let vitals: Vec<_> = beat.vitals.iter().collect();
        assert_eq!(
            vitals,
            [
                (Metric::CpuUsage, 0.95),
                (Metric::ErrorRate, 0.0),
                (Metric::RequestLatency, 1500.0)
            ]
        );
    }

    #[test]
    fn a_share_above_one_spoils_its_record_alone() {
        let mut bad = [0xff_u8; RECORD];
        bad[24..26].copy_from_slice(&10_001_u16.to_le_bytes());
        let body = batch(&[[0xff; RECORD], bad, [0xff; RECORD]]);
        let read: Vec<bool> = read(&body).unwrap().map(|beat| beat.is_ok()).collect();
        assert_eq!(read, [true, false, true]);
    }

    #[test]
    fn a_body_of_another_form_is_refused_with_the_form() {
        let refused = |bytes: &'static [u8]| read(&Bytes::from_static(bytes)).map(|_| ()).unwrap_err();
        assert!(refused(b"").contains("SBT1"));
        assert!(refused(b"SBT2\0\0\0\0").contains("SBT1"));
        assert_eq!(
            refused(b"SBT1\0\0\0\0abc"),
            "behind the head of 8 bytes come records of 32 bytes; the last one has 3"
        );
    }
}
