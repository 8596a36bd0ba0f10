//! Seats: so many may sit, so many may wait in line, and a seat that becomes free goes to the line first.
//!
//! One atomic word says who sits and whether there is a line; while there is none, sitting down and getting up are one
//! atomic operation each. The line stands behind a lock.

use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sync::{
    AtomicU32, AtomicU64, Mutex, MutexGuard,
    Ordering::{Acquire, Relaxed, Release},
    lock,
};

/// The most seats that there can be.
pub(crate) const MOST: u32 = (1 << 20) - 1;

/// `taken so far (43 bits) | line (1) | taken now (20)`.
type Word = u64;
const NOW: Word = MOST as Word;
const LINE: Word = 1 << 20;
const TOTAL: u32 = 21;
/// One more is taken, now and in total. The total wraps out of the word at its top.
const TAKE: Word = (1 << TOTAL) | 1;

/// Who of the line is next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Who has waited longest: fair.
    #[default]
    Fifo,
    /// Who came last: under overload some are served in time, instead of all too late.
    Lifo,
}

#[derive(Debug)]
pub(crate) struct Seats {
    word: AtomicU64,
    limit: AtomicU32,
    line: Mutex<Line>,
}

/// Who waits: by ticket, and with a waker once polled.
#[derive(Debug)]
struct Line {
    order: Order,
    next: u64,
    waiting: BTreeMap<u64, Option<Waker>>,
}

/// No place in the line.
#[derive(Debug)]
pub(crate) struct Full;

impl Seats {
    pub(crate) fn new(limit: u32, order: Order) -> Self {
        Self {
            word: AtomicU64::new(0),
            limit: AtomicU32::new(limit.min(MOST)),
            line: Mutex::new(Line {
                order,
                next: 0,
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// Sits down if a seat is free and nobody waits for one.
    #[inline]
    pub(crate) fn try_take(&self) -> bool {
        // Relaxed: whoever reads an old limit came before the change of it.
        let limit = Word::from(self.limit.load(Relaxed));
        let mut word = self.word.load(Relaxed);
        loop {
            if word & LINE != 0 || word & NOW >= limit {
                return false;
            }
            // Acquire pairs with the Release of `give_back`: who sits down sees what the one before did there.
            match self
                .word
                .compare_exchange_weak(word, word.wrapping_add(TAKE), Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Gets up. The caller sat.
    #[inline]
    pub(crate) fn give_back(&self) {
        if self.word.fetch_sub(1, Release) & LINE != 0 {
            self.serve_line();
        }
    }

    /// Sits down if it can, else stands in line unless `longest` wait already.
    pub(crate) fn stand_in_line(&self, longest: u32) -> Result<Place<'_>, Full> {
        let mut line = self.line();
        let limit = Word::from(self.limit.load(Relaxed));
        let mut word = self.word.load(Relaxed);
        loop {
            let free = line.waiting.is_empty() && word & NOW < limit;
            if !free && line.waiting.len() >= usize::try_from(longest).unwrap_or(usize::MAX) {
                return Err(Full);
            }
            let next = if free { word.wrapping_add(TAKE) } else { word | LINE };
            // From here on whoever gets up sees the line; who got up before is seen here. So no seat is missed.
            match self.word.compare_exchange_weak(word, next, Acquire, Relaxed) {
                Ok(_) if free => {
                    return Ok(Place {
                        seats: self,
                        ticket: None,
                    });
                }
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        let ticket = line.next;
        line.next += 1;
        line.waiting.insert(ticket, None);
        Ok(Place {
            seats: self,
            ticket: Some(ticket),
        })
    }

    /// Changes how many may sit. Who sits stays, also beyond the limit.
    pub(crate) fn set_limit(&self, limit: u32) {
        let line = self.line();
        self.limit.store(limit.min(MOST), Relaxed);
        drop(line);
        self.serve_line();
    }

    pub(crate) fn set_order(&self, order: Order) {
        self.line().order = order;
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    pub(crate) fn taken(&self) -> u32 {
        (self.word.load(Relaxed) & NOW) as u32
    }

    /// How often a seat was taken, modulo 2^43.
    pub(crate) fn total(&self) -> u64 {
        self.word.load(Relaxed) >> TOTAL
    }

    /// Whether anybody sits or waits.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.word.load(Relaxed) & (LINE | NOW) != 0
    }

    pub(crate) fn waiting(&self) -> usize {
        self.line().waiting.len()
    }

    /// Gives free seats to those who wait, one after the other; wakes nobody under the lock.
    #[cold]
    fn serve_line(&self) {
        while let Some(waker) = self.serve_one() {
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Seats the next in line, if there is one and a seat for it: its waker, if it ever polled.
    fn serve_one(&self) -> Option<Option<Waker>> {
        let mut line = self.line();
        let limit = Word::from(self.limit.load(Relaxed));
        let left = line.waiting.len();
        // While there is a line, only those who get up change the word beside us.
        let mut word = self.word.load(Relaxed);
        loop {
            if left == 0 || word & NOW >= limit {
                return None;
            }
            let taken = word.wrapping_add(TAKE);
            let next = if left == 1 { taken & !LINE } else { taken };
            match self.word.compare_exchange_weak(word, next, Acquire, Relaxed) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        let served = match line.order {
            Order::Fifo => line.waiting.pop_first(),
            Order::Lifo => line.waiting.pop_last(),
        };
        served.map(|(_, waker)| waker)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        lock(&self.line)
    }
}

/// A place in the line, or already a seat. Dropped, it leaves no trace; [`Place::keep`] makes the seat the caller's.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    seats: &'a Seats,
    /// `None` once it is known to be a seat.
    ticket: Option<u64>,
}

impl Place<'_> {
    /// Ready once it is a seat.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let Some(ticket) = self.ticket else {
            return Poll::Ready(());
        };
        let mut line = self.seats.line();
        if let Some(waker) = line.waiting.get_mut(&ticket) {
            match waker {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        drop(line);
        self.ticket = None;
        Poll::Ready(())
    }

    /// Makes the seat the caller's, who gives it back. Only for one that was polled ready.
    pub(crate) fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut line = self.seats.line();
            if line.waiting.remove(&ticket).is_some() {
                if line.waiting.is_empty() {
                    // Relaxed: under the lock, and nothing is published by it.
                    self.seats.word.fetch_and(!LINE, Relaxed);
                }
                return;
            }
        }
        // It was served and never sat down: the seat goes on.
        self.seats.give_back();
    }
}

#[cfg(test)]
mod tests;
