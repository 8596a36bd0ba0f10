//! The format.

use core::time::Duration;
use std::error::Error;
use std::io::{self, BufReader, Read};

use proptest::prelude::*;

use super::{SECOND, calls};
use crate::replay::{Call, Ended, Hindsight, Outage, Trace, TraceRefused};

/// The trace that the documentation shows.
const SHOWN: &str = r#"{"trace":1,"service":"llm/example"}
{"at":0.0,"took":0.25,"outcome":"success"}
{"at":0.5,"took":2.0,"outcome":"failure","retry_after":30}

{"outage":"begins","at":0.4}
{"outage":"ends","at":90}
{"lost":12}
"#;

fn refusal(text: &str) -> String {
    let refusal = Trace::read(text.as_bytes()).unwrap_err();
    let source = refusal
        .source()
        .map_or_else(String::new, |source| format!(": {source}"));
    format!("{refusal}{source}")
}

#[test]
fn a_trace_of_version_one_is_read_as_documented() {
    let trace = Trace::read(SHOWN.as_bytes()).unwrap();
    let second = Call {
        at: SECOND / 2,
        took: 2 * SECOND,
        outcome: Ended::Failure,
        retry_after: Some(30 * SECOND),
    };
    assert_eq!(trace.calls()[1], second);
    assert_eq!(
        (trace.service(), trace.lost(), trace.calls().len()),
        (Some("llm/example"), 12, 2)
    );
    let told = Outage {
        begins: Duration::from_millis(400),
        ends: 90 * SECOND,
    };
    assert_eq!(trace.outages(&Hindsight::default()), [told]);
    let mut written = Vec::new();
    trace.write(&mut written).unwrap();
    assert_eq!(Trace::read(&*written).unwrap(), trace);
}

#[test]
fn an_outage_that_is_told_twice_or_never_ends_is_one() {
    let lines = |marks: &[(&str, u32)]| {
        let line = |(mark, at): &(&str, u32)| format!("{{\"outage\":\"{mark}\",\"at\":{at}}}\n");
        let text: String = marks.iter().map(line).collect();
        Trace::read(format!("{{\"trace\":1}}\n{text}").as_bytes())
            .unwrap()
            .outages(&Hindsight::default())
    };
    let from_to = |begins, ends| Outage {
        begins: begins * SECOND,
        ends,
    };
    assert_eq!(
        lines(&[("ends", 9), ("begins", 5), ("begins", 7)]),
        [from_to(5, 9 * SECOND)]
    );
    assert_eq!(lines(&[("ends", 3), ("begins", 5)]), [from_to(5, Duration::MAX)]);
}

#[test]
fn what_cannot_be_read_says_in_which_line_and_why() {
    assert!(refusal("{\"trace\":2}\n").starts_with("line 1: the first line must be"));
    assert!(refusal("{\"at\":0,\"outcome\":\"success\"}\n").starts_with("line 1: the first line must be"));
    let second = |line: &str| refusal(&format!("{{\"trace\":1}}\n{line}\n"));
    assert!(second("{\"trace\":1}").starts_with("line 2: only the first line"));
    assert_eq!(second("{\"outcome\":\"success\"}"), "line 2: `at` is missing");
    assert_eq!(second("{\"at\":1}"), "line 2: `outcome` is missing");
    assert!(second("{\"at\":1,\"outage\":\"ends\",\"outcome\":\"success\"}").contains("write two lines"));
    assert!(second("{\"at\":-1,\"outcome\":\"success\"}").contains("is negative"));
    assert!(second("{\"at\":1,\"took\":1e300,\"outcome\":\"success\"}").contains("too large"));
    assert!(second("{\"at\":1,\"outcome\":\"failure\",\"retry_after\":-3}").contains("is negative"));
    assert!(second("{\"at\":1,\"outcome\":\"fine\"}").contains("unknown variant `fine`"));
    assert!(second("{\"att\":1}").contains("unknown field `att`"));
    assert!(second("not json").starts_with("line 2 is not a line of a trace: "));
}

#[test]
fn a_source_that_breaks_says_where() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let refusal = Trace::read(BufReader::new("{\"trace\":1}\n".as_bytes().chain(Broken))).unwrap_err();
    assert!(matches!(refusal, TraceRefused::Read { line: 2, .. }), "{refusal}");
}

proptest! {
    /// What is written is read again: to the microsecond and less, as seconds are fractions in between.
    #[test]
    fn what_is_written_is_read(calls in calls()) {
        let trace = Trace::of(calls);
        let mut written = Vec::new();
        trace.write(&mut written).unwrap();
        prop_assert_eq!(Trace::read(&*written).unwrap(), trace);
    }

    /// No input makes the reader panic.
    #[test]
    fn any_text_is_read_or_refused(lines in prop::collection::vec("[ -~]{0,40}", 0..5)) {
        let text = format!("{{\"trace\":1}}\n{}", lines.join("\n"));
        if let Err(refusal) = Trace::read(text.as_bytes()) {
            prop_assert!(refusal.to_string().starts_with("line "));
        }
    }
}
