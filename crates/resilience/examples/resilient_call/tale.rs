//! Tells what happens, line by line, as it happens.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use stead_resilience::{
    BreakerEvent, BudgetEvent, BulkheadEvent, Extra, FallbackEvent, Heard, HedgeEvent, LimiterEvent, Listener,
    RetryEvent, StaleEvent, TimeoutEvent,
};
use tokio::task::JoinSet;

use super::protected::Protected;

/// Where it is told, what was told so far, and when it began.
#[derive(Clone)]
pub(crate) struct Tale {
    book: Arc<Mutex<Book>>,
    begun: Instant,
}

struct Book {
    out: Box<dyn Write + Send>,
    told: String,
}

/// The listeners to all policies.
pub(crate) struct Listening(JoinSet<()>);

impl Listening {
    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

impl Tale {
    pub(crate) fn to(out: impl Write + Send + 'static) -> Self {
        Self {
            book: Arc::new(Mutex::new(Book {
                out: Box::new(out),
                told: String::new(),
            })),
            begun: Instant::now(),
        }
    }

    pub(crate) fn tell(&self, who: &str, what: &str) {
        let at = self.begun.elapsed().as_secs_f64();
        let line = format!("{at:7.3}s  {who:<9} {what}\n");
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.told.push_str(&line);
        // Nobody reads any more: there is nobody to tell that either.
        book.out.write_all(line.as_bytes()).ok();
    }

    /// Whether something like it was told of `who`.
    pub(crate) fn has_told(&self, who: &str, what: &str) -> bool {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.told.contains(&format!("{who:<9} {what}"))
    }

    /// Tells every event of every policy, until stopped.
    pub(crate) fn listen_to(&self, protected: &Protected) -> Listening {
        let mut set = JoinSet::new();
        set.spawn(self.clone().all("fallback", protected.fallback.events(), fallback));
        set.spawn(self.clone().all("cache", protected.stale.events(), stale));
        set.spawn(self.clone().all("retry", protected.retry.events(), retry));
        set.spawn(self.clone().all("hedge", protected.hedge.events(), hedge));
        set.spawn(self.clone().all("budget", protected.budget.events(), budget));
        set.spawn(self.clone().all("breaker", protected.breaker.listen(), breaker));
        set.spawn(self.clone().all("limiter", protected.limiter.events(), limiter));
        set.spawn(self.clone().all("bulkhead", protected.bulkhead.events(), bulkhead));
        set.spawn(self.clone().all("timeout", protected.each.events(), timeout));
        set.spawn(self.clone().all("total", protected.total.events(), timeout));
        Listening(set)
    }

    async fn all<T: Clone>(self, who: &str, mut events: Listener<T>, words: fn(T) -> String) {
        while let Some(heard) = events.next().await {
            match heard {
                Heard::Event(event) => self.tell(who, &words(event)),
                Heard::Lost(events) => self.tell(who, &format!("… {events} more")),
            }
        }
    }
}

fn fallback(event: FallbackEvent) -> String {
    match event {
        FallbackEvent::Served { provider, .. } => format!("the {provider} answer stands in"),
        FallbackEvent::Failed => "nobody answers".to_owned(),
    }
}

fn stale(event: StaleEvent) -> String {
    match event {
        StaleEvent::Served { age } => format!("the answer of {age:.0?} ago stands in"),
    }
}

fn retry(event: RetryEvent) -> String {
    match event {
        RetryEvent::Retrying { attempt, wait } => format!("try {attempt} in {wait:.0?}"),
        RetryEvent::Recovered { attempts } => format!("saved by try {attempts}"),
        RetryEvent::GaveUp { attempts, why } => format!("gave up after {attempts}: {why:?}"),
        RetryEvent::NotBegun => "not begun: no time is left".to_owned(),
    }
}

fn hedge(event: HedgeEvent) -> String {
    match event {
        HedgeEvent::Hedged { number } => format!("no answer yet: call {} goes out beside it", number + 1),
        HedgeEvent::Won => "the call beside it answers first".to_owned(),
    }
}

fn budget(event: BudgetEvent) -> String {
    let BudgetEvent::Refused { extra } = event;
    let extra = match extra {
        Extra::Retry => "retry",
        Extra::Hedge => "call beside a slow one",
        Extra::Probe => "probe",
        Extra::Fallback => "other provider",
    };
    format!("the savings are used up: no {extra}")
}

fn breaker(event: BreakerEvent) -> String {
    let BreakerEvent { from, to, cause, .. } = event;
    format!("{from:?} → {to:?}: {cause:?}")
}

fn limiter(event: LimiterEvent) -> String {
    match event {
        LimiterEvent::Refused { retry_after } => format!("refused, the next unit comes in {retry_after:.0?}"),
        LimiterEvent::Paused { wait } => format!("the server asks for a pause of {wait:.0?}"),
        LimiterEvent::Resumed => "the pause was ended".to_owned(),
    }
}

fn bulkhead(event: BulkheadEvent) -> String {
    match event {
        BulkheadEvent::Refused { waiting } => format!("refused, {waiting} wait already"),
        BulkheadEvent::TimedOut { waited } => format!("no seat within {waited:.0?}"),
        BulkheadEvent::Resized { from, to } => format!("{from} seats become {to}"),
    }
}

fn timeout(event: TimeoutEvent) -> String {
    match event {
        TimeoutEvent::CutOff { limit } => format!("cut off after {limit:.0?}"),
        TimeoutEvent::NotBegun => "not begun, the deadline has passed".to_owned(),
    }
}
