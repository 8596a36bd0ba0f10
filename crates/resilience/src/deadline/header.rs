//! Deadlines between processes: a header says how much time is left, so that no two clocks need agree.
//!
//! Written: `x-request-timeout-ms`, whole milliseconds. Read, the shortest of those that are there:
//!
//! | header | value | who sends it |
//! |---|---|---|
//! | `x-request-timeout-ms` | milliseconds | Stead |
//! | `grpc-timeout` | 1 to 8 digits and a unit `H M S m u n` (hours to nanoseconds) | gRPC |
//! | `x-envoy-expected-rq-timeout-ms` | milliseconds | Envoy and meshes built on it |
//!
//! What the way took is not known to the receiver: a sender that cares hands over a little less than it has.

use core::time::Duration;

use super::Deadline;
use crate::Clock;

/// A header that should say how much time is left, and does not.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("header {name}: {value:?} is not {form}")]
pub struct InvalidHeader {
    /// Which header.
    pub name: &'static str,
    /// Its value, cut after 64 characters.
    pub value: String,
    /// What it should have been.
    pub form: &'static str,
}

impl Deadline {
    /// The header that Stead writes: whole milliseconds that are left.
    pub const HEADER: &'static str = "x-request-timeout-ms";

    /// The header of gRPC.
    pub const GRPC_HEADER: &'static str = "grpc-timeout";

    /// The header of Envoy.
    pub const ENVOY_HEADER: &'static str = "x-envoy-expected-rq-timeout-ms";

    /// The value of [`Deadline::HEADER`] for a request that is sent now, rounded down. `0` says that it has passed: better
    /// not to send at all.
    #[must_use]
    pub fn to_header(&self) -> String {
        self.remaining().as_millis().to_string()
    }

    /// The value of [`Deadline::GRPC_HEADER`] for a request that is sent now, rounded down to what 8 digits can say.
    #[must_use]
    pub fn to_grpc(&self) -> String {
        let left = self.remaining();
        let units = [
            ('n', left.as_nanos()),
            ('u', left.as_micros()),
            ('m', left.as_millis()),
            ('S', u128::from(left.as_secs())),
            ('M', u128::from(left.as_secs() / 60)),
        ];
        let fits = units.into_iter().find(|(_, value)| *value <= GRPC_MOST);
        let (unit, value) = fits.unwrap_or(('H', u128::from(left.as_secs() / 3600).min(GRPC_MOST)));
        format!("{value}{unit}")
    }

    /// The deadline that a request brings, at most `most` away (what a stranger says binds nobody for longer). `header`
    /// looks up a header by its lower-case name. `None` where the request brings none.
    ///
    /// # Errors
    ///
    /// A header is there and does not say how much time is left.
    pub fn from_headers<'a, C: Clock>(
        clock: &C,
        most: Duration,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Option<Self>, InvalidHeader> {
        let mut least = None;
        for (name, form, parse) in READ {
            let Some(value) = header(name) else { continue };
            let left = parse(value.trim()).ok_or_else(|| InvalidHeader {
                name,
                value: value.chars().take(64).collect(),
                form,
            })?;
            least = Some(least.map_or(left, |least: Duration| least.min(left)));
        }
        Ok(least.map(|left| Self::after(clock, left.min(most))))
    }
}

type Parse = fn(&str) -> Option<Duration>;

const READ: [(&str, &str, Parse); 3] = [
    (Deadline::HEADER, MILLISECONDS, millis),
    (Deadline::GRPC_HEADER, "1 to 8 digits and one of H M S m u n", grpc),
    (Deadline::ENVOY_HEADER, MILLISECONDS, millis),
];
const MILLISECONDS: &str = "a whole number of milliseconds";
/// The largest number that 8 digits can say.
const GRPC_MOST: u128 = 99_999_999;

fn millis(value: &str) -> Option<Duration> {
    digits(value).map(Duration::from_millis)
}

fn grpc(value: &str) -> Option<Duration> {
    let unit = value.chars().last()?;
    let number = value.strip_suffix(unit).filter(|number| number.len() <= 8)?;
    let number = digits(number)?;
    match unit {
        'H' => Some(Duration::from_secs(number * 3600)),
        'M' => Some(Duration::from_secs(number * 60)),
        'S' => Some(Duration::from_secs(number)),
        'm' => Some(Duration::from_millis(number)),
        'u' => Some(Duration::from_micros(number)),
        'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Digits alone: `parse` would also take a sign.
fn digits(value: &str) -> Option<u64> {
    let plain = value.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| value.parse().ok()).flatten()
}
