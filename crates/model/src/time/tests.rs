use proptest::prelude::*;

use super::*;

#[test]
fn spans_are_read_and_written_as_people_do() {
    for (text, millis) in [
        ("250ms", 250),
        ("15s", 15_000),
        ("5m", 300_000),
        ("1h 30m", 5_400_000),
        ("1h30m", 5_400_000),
        ("0s", 0),
    ] {
        assert_eq!(text.parse::<Span>().unwrap(), Span::millis(millis), "{text}");
    }
    assert_eq!(Span::secs(90).to_string(), "1m 30s");
}

#[test]
fn a_number_without_unit_or_below_nothing_is_refused() {
    for text in ["15", "", "soon", "-5s"] {
        let error = text.parse::<Span>().unwrap_err().to_string();
        assert!(error.contains("write a number and a unit"), "{error}");
    }
}

#[test]
fn wall_time_is_rfc_3339_to_the_millisecond() {
    let at = Wall::from_unix_millis(1_700_000_000_123);
    assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
    assert_eq!(at.to_string().parse::<Wall>().unwrap(), at);
    assert!("yesterday".parse::<Wall>().is_err());
}

#[test]
fn a_stored_wait_goes_on_through_a_restart_and_starts_over_what_was_left_after_a_reboot() {
    let first = BootClock {
        boot: 7,
        at_start: Duration::from_secs(1_000),
    };
    let stored = first.store(Moment::at(Duration::from_secs(10)), Moment::at(Duration::from_secs(70)));

    // The node came back 20 s later in the same boot: 40 s are left.
    let same_boot = BootClock {
        boot: 7,
        at_start: Duration::from_secs(1_030),
    };
    assert_eq!(
        same_boot.restore(Moment::START, stored),
        Moment::at(Duration::from_secs(40))
    );

    let rebooted = BootClock {
        boot: 8,
        at_start: Duration::from_secs(3),
    };
    assert_eq!(
        rebooted.restore(Moment::at(Duration::from_secs(1)), stored),
        Moment::at(Duration::from_secs(61))
    );
}

#[test]
fn a_wait_that_ended_while_the_node_was_away_is_due_at_once() {
    let stored = BootClock {
        boot: 7,
        at_start: Duration::ZERO,
    }
    .store(Moment::START, Moment::at(Duration::from_secs(5)));
    let later = BootClock {
        boot: 7,
        at_start: Duration::from_secs(60),
    };
    assert_eq!(later.restore(Moment::START, stored), Moment::START);
}

proptest! {
    #[test]
    fn arithmetic_on_time_saturates(a in any::<u64>(), b in any::<u64>()) {
        let (a, b) = (Moment::at(Duration::from_nanos(a)), Moment::at(Duration::from_nanos(b)));
        let _ = (a.since(b), a.after(b.since_start()), a.after(Duration::MAX));
        prop_assert!(a.after(b.since_start()) >= a);
    }

    #[test]
    fn every_span_reads_back_from_its_text(millis in 0..u64::from(u32::MAX)) {
        prop_assert_eq!(Span::millis(millis).to_string().parse::<Span>().unwrap(), Span::millis(millis));
    }
}

#[test]
fn waits_are_rounded_up_to_what_people_read() {
    let exact = Span(Duration::from_nanos(59_969_212_977));
    assert_eq!(
        (
            exact.up_to_secs().to_string().as_str(),
            exact.up_to_millis().to_string().as_str()
        ),
        ("1m", "59s 970ms")
    );
    for whole in [Span::secs(0), Span::secs(7), Span::secs(u64::MAX)] {
        assert_eq!((whole.up_to_secs(), whole.up_to_millis()), (whole, whole));
    }
    assert_eq!(Span(Duration::from_nanos(1)).up_to_millis(), Span::millis(1));
}
