//! What an answer of a provider means: to who asked, to its circuit, and to whoever decides on another try.
//!
//! | answer | means | circuit |
//! |---|---|---|
//! | 2xx | an answer | success |
//! | 401, 402, 403 | the credential or the account is refused: nothing helps until somebody acts | isolated |
//! | 429, and 5xx with `Retry-After` | it has too much to do, and says until when | open until then |
//! | 408, 425, 429, 5xx, 3xx, no answer in time, no connection, no HTTP | it failed | failure |
//! | any other 4xx | who asks made a mistake, and gets this answer | does not count |

use std::fmt;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use stead_model::{Span, Wall};
use stead_resilience::{Classify, Verdict};

/// What a provider said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

/// Why a provider gave no answer that is of use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// Who asks made a mistake.
    Caller(Answered),
    /// It refuses until somebody acts.
    Refused(StatusCode),
    /// It failed, and maybe said when to come back.
    Failed {
        status: StatusCode,
        retry_after: Option<Duration>,
    },
    /// There was no answer.
    Broken(String),
    /// What is to be sent to it could not be had here.
    Own(String),
}

impl Trouble {
    /// When it said to come back.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed { retry_after, .. } => *retry_after,
            Self::Caller(_) | Self::Refused(_) | Self::Broken(_) | Self::Own(_) => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(Answered { status, .. }) => write!(f, "HTTP {}", status.as_u16()),
            Self::Refused(StatusCode::UNAUTHORIZED) => f.write_str("HTTP 401, it refuses the credential"),
            Self::Refused(StatusCode::PAYMENT_REQUIRED) => f.write_str("HTTP 402, it wants to be paid"),
            Self::Refused(status) => write!(f, "HTTP {}, it forbids this", status.as_u16()),
            Self::Failed { status, retry_after } => {
                write!(f, "HTTP {}", status.as_u16())?;
                match retry_after {
                    Some(after) => write!(f, ", it asks to come back in {}", Span(*after)),
                    None => Ok(()),
                }
            }
            Self::Broken(what) | Self::Own(what) => f.write_str(what),
        }
    }
}

/// Sorts an answer. `now` is for a `Retry-After` that names a time.
pub(super) fn sort(answer: Response<Bytes>, now: Wall) -> Result<Answered, Trouble> {
    let (head, body) = answer.into_parts();
    let status = head.status;
    let answered = |body| Answered {
        status,
        content_type: head.headers.get(CONTENT_TYPE).cloned(),
        body,
    };
    match status.as_u16() {
        200..=299 => Ok(answered(body)),
        401..=403 => Err(Trouble::Refused(status)),
        408 | 425 | 429 => Err(Trouble::Failed {
            status,
            retry_after: retry_after(&head.headers, now),
        }),
        400..=499 => Err(Trouble::Caller(answered(body))),
        _no_answer => Err(Trouble::Failed {
            status,
            retry_after: retry_after(&head.headers, now),
        }),
    }
}

/// When to come back: in seconds, or at a time.
fn retry_after(headers: &HeaderMap, now: Wall) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    u64::try_from(at.saturating_sub(now.unix_millis()))
        .ok()
        .map(Duration::from_millis)
}

/// Judges answers for circuit and retry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge;

impl Classify<Answered, Trouble> for Judge {
    fn classify(&self, result: &Result<Answered, Trouble>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(Trouble::Caller(_) | Trouble::Own(_)) => Verdict::Ignored,
            Err(Trouble::Refused(_)) => Verdict::Terminal,
            Err(Trouble::Failed { retry_after, .. }) => Verdict::Failure {
                retry_after: *retry_after,
            },
            Err(Trouble::Broken(_)) => Verdict::FAILURE,
        }
    }

    fn trusts_values(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry: Option<&str>) -> Verdict {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(retry) = retry {
            answer.headers_mut().insert(RETRY_AFTER, retry.parse().unwrap());
        }
        // 784111767 is 1994-11-06T08:49:27Z.
        Judge.classify(&sort(answer, Wall::from_unix_millis(784_111_767_000)))
    }

    #[test]
    fn every_status_has_its_verdict() {
        for status in [200, 201, 204, 299] {
            assert_eq!(judged(status, None), Verdict::Success, "{status}");
        }
        for status in [401, 402, 403] {
            assert_eq!(judged(status, None), Verdict::Terminal, "{status}");
        }
        for status in [400, 404, 405, 409, 410, 413, 415, 418, 422, 451, 499] {
            assert_eq!(judged(status, None), Verdict::Ignored, "{status}");
        }
        for status in [301, 304, 307, 408, 425, 429, 500, 502, 503, 504, 599, 600, 999] {
            assert_eq!(judged(status, None), Verdict::FAILURE, "{status}");
        }
    }

    #[test]
    fn when_to_come_back_is_read_as_seconds_or_as_a_time() {
        let after = |secs| Verdict::Failure {
            retry_after: Some(Duration::from_secs(secs)),
        };
        assert_eq!(judged(429, Some("120")), after(120));
        assert_eq!(judged(503, Some(" 7 ")), after(7));
        assert_eq!(judged(503, Some("Sun, 06 Nov 1994 08:49:37 GMT")), after(10));
        for nonsense in [
            "",
            "-1",
            "soon",
            "1.5",
            "99999999999999999999",
            "Sun, 06 Nov 1994 08:49:17 GMT",
        ] {
            assert_eq!(judged(429, Some(nonsense)), Verdict::FAILURE, "{nonsense}");
        }
    }
}
