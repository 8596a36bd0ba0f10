//! The example, played for real.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

#[path = "../../examples/resilient_call/play.rs"]
mod play;

/// What was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The number before a word of the last line of `who`.
fn number(text: &str, who: &str, word: &str) -> u64 {
    let line = text.lines().rfind(|line| line[10..].starts_with(who)).unwrap();
    let before = &line[..line.find(word).unwrap_or_else(|| panic!("no {word} in {line}"))];
    before.trim().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_policy_does_its_part_and_every_caller_gets_an_answer() {
    let told = Told::default();
    play::run(told.clone()).await.unwrap();
    let text = String::from_utf8(told.0.lock().unwrap().clone()).unwrap();
    for part in [
        "retry     try 2 in ",
        "retry     saved by try ",
        "timeout   cut off after 250ms",
        "budget    the savings are used up: no ",
        "hedge     no answer yet: call 2 goes out beside it",
        "hedge     the call beside it answers first",
        "breaker   Closed → Open: Failures",
        "breaker   Open → HalfOpen: PeriodOver",
        "breaker   HalfOpen → Closed: ProbesSucceeded",
        "bulkhead  refused, 16 wait already",
        "limiter   the server asks for a pause of ",
        "limiter   refused, the next unit comes in ",
        "fallback  the canned answer stands in",
        "cache     the answer of ",
    ] {
        assert!(text.contains(part), "nothing of {part:?} in\n{text}");
    }
    let [asked, fresh, stale, canned, nothing] =
        ["asked", "fresh", "stale", "canned", "nothing"].map(|word| number(&text, "callers", &format!(" {word}")));
    assert_eq!((asked, nothing), (fresh + stale + canned, 0), "{text}");
    let last_act = text.lines().rfind(|line| line[10..].starts_with("server    Well"));
    assert!(
        last_act.is_some_and(|line| line.ends_with("and all is well again")),
        "{text}"
    );
}
