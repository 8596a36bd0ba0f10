//! What waits for the writer: bounded, in order, and never in the way of who submits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stead_model::journal::Append;
use stead_model::{AuditRow, ReaderName};
use stead_model::{Epoch, Slot, Wall};

use super::Reply;
use crate::{ConfigRow, Lease, Owner, Pruned, ReaderRow, Retention, StoreError, Taken, TakenError};

/// One thing for the writer to do.
#[derive(Debug)]
pub(super) enum Job {
    Append(Append),
    /// To be failed, in its turn.
    Refuse(Append, StoreError),
    Take {
        slots: Vec<Slot>,
        owner: Owner,
        lease: Lease,
        reply: Reply<Vec<(Slot, Epoch)>>,
    },
    Renew {
        held: Vec<(Slot, Epoch)>,
        lease: Lease,
        reply: Reply<()>,
    },
    Release {
        held: Vec<(Slot, Epoch)>,
        reply: Reply<()>,
    },
    /// Flushes all that was written and mends these slots.
    Settle {
        slots: Vec<Slot>,
        reply: Reply<()>,
    },
    Prune {
        retention: Retention,
        now: Wall,
        reply: Reply<Pruned>,
    },
    Probe {
        reply: Reply<()>,
    },
    Configure {
        row: Box<(ConfigRow, AuditRow)>,
        reply: Reply<u64>,
    },
    Acknowledge {
        taken: Box<(Taken, AuditRow)>,
        reply: Reply<Result<ReaderRow, TakenError>>,
    },
    RemoveReader {
        reader: Box<(ReaderName, AuditRow)>,
        reply: Reply<bool>,
    },
    Audit {
        asked: Box<AuditRow>,
        reply: Reply<()>,
    },
}

/// What the writer finds when it looks.
#[derive(Debug)]
pub(super) enum Round {
    Jobs(VecDeque<Job>),
    /// A job is expected any moment.
    Expecting,
    /// Nothing came for as long as it said that it would wait.
    Quiet,
    /// Nothing will ever come.
    Closed,
}

#[derive(Debug)]
pub(super) struct Queue {
    line: Mutex<Line>,
    came: Condvar,
    bound: usize,
}

#[derive(Debug)]
struct Line {
    jobs: VecDeque<Job>,
    closed: bool,
    /// A job was announced while the writer waited.
    expected: bool,
    /// The writer waits; only then does a wake-up cost a system call.
    idle: bool,
}

impl Queue {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            line: Mutex::new(Line {
                jobs: VecDeque::new(),
                closed: false,
                expected: false,
                idle: false,
            }),
            came: Condvar::new(),
            bound,
        }
    }

    /// Puts an append in line, beyond the bound only to be refused; gives it back if nobody will write it.
    pub(super) fn submit(&self, append: Append) -> Result<(), Append> {
        let mut line = self.lock();
        if line.closed {
            return Err(append);
        }
        let job = if line.jobs.len() < self.bound {
            Job::Append(append)
        } else {
            Job::Refuse(append, StoreError::Busy)
        };
        line.jobs.push_back(job);
        self.wake(line);
        Ok(())
    }

    /// Puts a job in line. Where nobody will do it, it is dropped, which whoever waits for its reply notices.
    pub(super) fn push(&self, job: Job) {
        let mut line = self.lock();
        if !line.closed {
            line.jobs.push_back(job);
            self.wake(line);
        }
    }

    /// Waits for jobs, for at most `patience` if given, and takes all there are.
    pub(super) fn next(&self, patience: Option<Duration>) -> Round {
        let mut line = self.lock();
        line.idle = true;
        let waits = |line: &mut Line| line.jobs.is_empty() && !line.closed && !line.expected;
        line = match patience {
            None => self
                .came
                .wait_while(line, waits)
                .unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let waited = self.came.wait_timeout_while(line, patience, waits);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        line.idle = false;
        let expected = std::mem::take(&mut line.expected);
        if !line.jobs.is_empty() {
            Round::Jobs(std::mem::take(&mut line.jobs))
        } else if line.closed {
            Round::Closed
        } else if expected {
            Round::Expecting
        } else {
            Round::Quiet
        }
    }

    /// Has a writer that waits wake up for what is about to come.
    pub(super) fn expect(&self) {
        let mut line = self.lock();
        if line.idle {
            line.expected = true;
            self.wake(line);
        }
    }

    /// Whether something waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.lock().jobs.is_empty()
    }

    /// Lets the writer end after what waits.
    pub(super) fn close(&self) {
        let mut line = self.lock();
        line.closed = true;
        self.wake(line);
    }

    fn wake(&self, mut line: MutexGuard<'_, Line>) {
        // One call is enough; who comes before it is awake need not call again.
        let idle = std::mem::take(&mut line.idle);
        drop(line);
        if idle {
            self.came.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
