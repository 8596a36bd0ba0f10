//! The recorder.

use core::future::pending;
use core::time::Duration;
use std::io::{self, Write};
use std::sync::Arc;

use super::SECOND;
use crate::replay::{Call, Ended, Recorder, RecorderSnapshot, Trace};
use crate::{AnyError, Clock, Failure, Layer, Verdict, Virtual};

type Answer = Result<u32, Failure<&'static str>>;

fn classify(result: &Result<u32, &'static str>) -> Verdict {
    match result {
        Ok(0) => Verdict::FAILURE,
        Ok(_) => Verdict::Success,
        Err("slow down") => Verdict::Failure {
            retry_after: Some(SECOND),
        },
        Err("unpaid") => Verdict::Terminal,
        Err("typo") => Verdict::Ignored,
        Err(_) => Verdict::FAILURE,
    }
}

fn written<C: Clock, K>(recorder: &Recorder<C, K>) -> Trace {
    let mut file = Vec::new();
    recorder.drain(&mut file).unwrap();
    Trace::read(&*file).unwrap()
}

#[tokio::test]
async fn calls_are_recorded_as_what_they_mean() {
    let recorder = Recorder::with("it", 100, Virtual::new(), classify).unwrap();
    let timeout = Failure::Timeout { limit: SECOND };
    let exhausted = Failure::Exhausted {
        attempts: 3,
        retry_after: Some(SECOND),
        last: "down",
    };
    let limited = Failure::RateLimited { retry_after: SECOND };
    let cases: [(Answer, Ended, Option<Duration>); 13] = [
        (Ok(1), Ended::Success, None),
        (Ok(0), Ended::Failure, None),
        (Err(Failure::Inner("down")), Ended::Failure, None),
        (Err(Failure::Inner("slow down")), Ended::Failure, Some(SECOND)),
        (Err(Failure::Inner("unpaid")), Ended::Terminal, None),
        (Err(Failure::Inner("typo")), Ended::Ignored, None),
        (Err(timeout), Ended::Failure, None),
        (Err(exhausted), Ended::Failure, Some(SECOND)),
        (Err(Failure::CircuitOpen { retry_after: None }), Ended::Rejected, None),
        (Err(Failure::BulkheadFull), Ended::Rejected, None),
        (Err(Failure::BulkheadTimeout { waited: SECOND }), Ended::Rejected, None),
        (Err(limited), Ended::Rejected, None),
        (Err(Failure::DeadlineExceeded), Ended::Ignored, None),
    ];
    for (answer, _, _) in &cases {
        assert_eq!(recorder.run(|| core::future::ready(answer.clone())).await, *answer);
    }
    let heard: Vec<_> = written(&recorder)
        .calls()
        .iter()
        .map(|call| (call.outcome, call.retry_after))
        .collect();
    assert_eq!(heard, cases.map(|(_, outcome, retry_after)| (outcome, retry_after)));
}

#[tokio::test]
async fn calls_are_timed_and_one_that_nobody_waits_for_is_abandoned() {
    let clock = Virtual::new();
    let recorder = Arc::new(Recorder::with("it", 100, clock.clone(), AnyError).unwrap());
    clock.advance(5 * SECOND);
    let call = |nap: Duration| {
        let (recorder, clock) = (Arc::clone(&recorder), clock.clone());
        tokio::spawn(async move {
            let next = || async {
                clock.sleep(nap).await;
                Answer::Ok(1)
            };
            recorder.run(next).await
        })
    };
    let quick = call(2 * SECOND);
    let endless = call(3600 * SECOND);
    clock.run_for(4 * SECOND).await;
    endless.abort();
    assert!(endless.await.unwrap_err().is_cancelled());
    assert_eq!(quick.await.unwrap(), Ok(1));
    let call = |took, outcome| Call {
        at: 5 * SECOND,
        took,
        outcome,
        retry_after: None,
    };
    let expected = [call(2 * SECOND, Ended::Success), call(4 * SECOND, Ended::Abandoned)];
    assert_eq!(written(&recorder).calls(), expected);
}

#[tokio::test]
async fn a_call_that_panics_is_abandoned() {
    let recorder = Arc::new(Recorder::new("it", 100).unwrap());
    let task = tokio::spawn({
        let recorder = Arc::clone(&recorder);
        async move { recorder.run(|| async { panic!("of all things") as Answer }).await }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(written(&recorder).calls()[0].outcome, Ended::Abandoned);
}

#[tokio::test]
async fn beyond_its_capacity_calls_are_counted_as_lost() {
    let recorder = Recorder::new("it", 3).unwrap();
    for n in 1..=5 {
        assert_eq!(recorder.run(|| async move { Answer::Ok(n) }).await, Ok(n));
    }
    assert_eq!(
        recorder.snapshot(),
        RecorderSnapshot {
            recorded: 5,
            waiting: 3,
            lost: 2
        }
    );
    let mut file = Vec::new();
    recorder.drain(&mut file).unwrap();
    recorder.run(|| async { Answer::Ok(6) }).await.unwrap();
    recorder.drain(&mut file).unwrap();
    let trace = Trace::read(&*file).unwrap();
    assert_eq!((trace.calls().len(), trace.lost(), trace.service()), (4, 2, Some("it")));
    assert!(format!("{recorder:?}").contains("recorded: 6"));
}

#[tokio::test]
async fn what_could_not_be_written_stays_for_the_next_time() {
    /// Takes so many writes, then no more.
    struct Full(Vec<u8>, u32);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = self.1.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for writes in 0..10 {
        let recorder = Recorder::new("it", 2).unwrap();
        for n in 1..=3 {
            recorder.run(|| async move { Answer::Ok(n) }).await.unwrap();
        }
        let mut full = Full(Vec::new(), writes);
        if recorder.drain(&mut full).is_ok() {
            continue;
        }
        full.1 = 100;
        recorder.drain(&mut full).unwrap();
        // A line that was cut is refused by the reader; whatever was not begun is there.
        let whole: Vec<_> = full
            .0
            .split(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"}"))
            .collect();
        assert!(
            whole.len() >= 4,
            "after {writes} writes: {}",
            String::from_utf8_lossy(&full.0)
        );
        assert_eq!(recorder.snapshot().waiting, 0);
    }
}

#[tokio::test]
async fn a_call_that_never_ends_is_not_recorded_before_it_does() {
    let recorder = Recorder::new("it", 2).unwrap();
    let mut call = Box::pin(recorder.run(pending::<Answer>));
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    assert_eq!(recorder.snapshot().recorded, 0);
    drop(call);
    assert_eq!(recorder.snapshot().recorded, 1);
}

#[test]
fn a_recorder_without_room_is_refused() {
    assert_eq!(Recorder::new("it", 0).unwrap_err().setting, "recorder.capacity");
}
