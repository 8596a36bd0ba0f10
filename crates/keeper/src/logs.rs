//! What agents print: kept as files of lines, each exactly once, whoever is killed meanwhile.
//!
//! # Files of one agent (`DIR/agents/ID/`)
//!
//! | file | what |
//! |---|---|
//! | `N.out`, `N.err` | the FIFOs of incarnation N; the agent holds them open for reading and writing, so that its lines wait in them while no keeper runs |
//! | `N.out.spool`, `N.err.spool` | bytes taken from the FIFO (`splice` moves them in one step) and not yet written as lines |
//! | `log`, `log.1`, … | the lines, newest file first |
//! | `cursor` | how far the spools are written as lines, and how long `log` was then: one small write that commits a step |
//!
//! A keeper that finds `log` longer than `cursor` says cuts it and writes the same lines again from the spool.
//!
//! # A line
//!
//! `2026-11-22T03:10:27.123Z 3 out text`: when the keeper took it, the incarnation, the stream (`out`, `err`), and the
//! text. `out+` and `err+` mark a part of a line longer than [`MAX_LINE`], whose rest follows in the next line of that
//! stream. The first line of a file is `#stead-log 1 base=N`: the position of the file's first byte.
//!
//! A *position* counts the bytes of all log files of the agent, rotated and deleted ones included; it never goes back.

mod line;
mod read;
mod write;

pub use line::{LogLine, MAX_LINE, Stream};
pub use read::{From, Page, read};
pub(crate) use write::{AgentLog, Pumped, fifo_path, has_spool, make_fifo, open_fifo};
