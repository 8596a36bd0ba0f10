//! Policies as data: backoff, jitter, restart intensity.
