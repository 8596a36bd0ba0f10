//! Answers that go on: lines of output, and events.

mod backoff;
mod events;
mod lines;
mod logs;
mod sse;

pub use events::{EventItem, EventStream};
pub use logs::{LogItem, LogStream};
