//! How a gRPC call ended.

use hyper::header::HeaderMap;

/// Where the code stands.
pub(super) const HEADER: &str = "grpc-status";

/// Whether the call went well; a call without a status did not.
pub(super) fn is_ok(trailers: &HeaderMap) -> bool {
    trailers.get(HEADER).is_some_and(|status| status.as_bytes() == b"0")
}

/// Why it did not.
pub(super) fn refusal(trailers: &HeaderMap, service: &str) -> String {
    let text = |name| {
        trailers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let code = text(HEADER);
    match code.as_deref() {
        None => "the answer has no gRPC status".to_owned(),
        // The call went well but brought no message.
        Some("0") => "the answer is no health status".to_owned(),
        Some("5") => format!("service `{service}` is not known there"),
        Some("12") => "grpc.health.v1.Health is not offered there".to_owned(),
        Some(code) => {
            let code = code
                .parse()
                .ok()
                .and_then(|code: usize| CODES.get(code))
                .map_or(code, |name| name);
            let said = text("grpc-message").filter(|said| !said.is_empty());
            match said {
                Some(said) => format!("gRPC status {code}: {}", said.chars().take(SHOWN).collect::<String>()),
                None => format!("gRPC status {code}"),
            }
        }
    }
}

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// How much of a message is shown, in characters.
const SHOWN: usize = 200;
